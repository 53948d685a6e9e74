"""What every code means, where it is met and what to do about it, as codes.toml says it.

Codes of a newer version may be unknown here: whoever reads them from a peer looks them up with `CODES.get`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

Place = Literal["frame", "filter", "write", "offer", "rest", "log"]


@dataclass(frozen=True, slots=True)
class Code:
    """One row of codes.toml, where each field is explained."""

    name: str
    places: tuple[Place, ...] = ()
    meaning: str = ""
    lost: str = ""
    remedy: str = ""
    error: str = "Refused"
    conflict: bool = False
    retriable: bool = False
    usage: bool = False

    @property
    def wire(self) -> str:
        """As it stands in `refused.code` and `error.code`."""
        return self.name.lower()


def _codes() -> dict[str, Code]:
    table = tomllib.loads(files("gridsignal_schemas").joinpath("codes.toml").read_text("utf-8"))
    return {name: Code(name, **row | {"places": tuple(row.get("places", ()))}) for name, row in table.items()}


CODES: dict[str, Code] = _codes()
"""Every code by its name, in capitals."""


def met_at(place: Place) -> list[Code]:
    """The codes that are met there, in the order of the table."""
    return [code for code in CODES.values() if place in code.places]


def why_lost(names: Iterable[str]) -> str:
    """Why an offer got nothing, as one line for people."""
    return "; ".join(code.lost or code.meaning if (code := CODES.get(name)) else name for name in names)


def why_rejected(names: Iterable[str]) -> str:
    """Which rules an offer broke, as one line for people."""
    return "; ".join(code.meaning or code.lost if (code := CODES.get(name)) else name for name in names)
