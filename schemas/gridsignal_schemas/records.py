"""What is true of each record beside its shape, as records.toml says it: its writer, frame, identity, readers."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

from pydantic import TypeAdapter

if TYPE_CHECKING:
    from gridsignal_schemas.values import Record


@dataclass(frozen=True, slots=True)
class Row:
    """One row of records.toml, where each field is explained."""

    stream: str
    word_of: Literal["participant", "operator", "feed", "services"]
    by_feeds: bool = False
    frame: str | None = None
    named_by: tuple[str, ...] = ()
    identity: tuple[str, ...] = ()
    unknown: str = "FORBIDDEN"
    seen_by: Literal["zone", "invited", "site", "own"] | None = None
    newest_until: Literal["day", "end", "valid"] | None = None
    facet: str | None = None

    @property
    def is_delivered(self) -> bool:
        """Whether anybody is sent it as a signal."""
        return self.seen_by is not None


ROWS: dict[str, Row] = TypeAdapter(dict[str, Row]).validate_python(
    tomllib.loads(files("gridsignal_schemas").joinpath("records.toml").read_text("utf-8")), extra="forbid"
)
"""Every record's row by its name."""
DELIVERED: tuple[str, ...] = tuple(name for name, row in ROWS.items() if row.is_delivered)
"""The records that a `signal` carries."""
RECORD_OF_FRAME: Mapping[str, str] = {row.frame: name for name, row in ROWS.items() if row.frame is not None}
"""The writes: frames that are answered by `received` or `refused`, and the record that each carries in its body."""


def row_of(record: Record) -> Row:
    """What is true of a record of this kind."""
    return ROWS[record.record_name]


def field_of(record: Record, name: str) -> str:
    """A field that the record's row names, as text."""
    return str(getattr(record, name))


def identity_of(record: Record) -> str | None:
    """Which one it is, among all records; its revisions have the same. None where each is one of its own."""
    if not (fields := row_of(record).identity):
        return None
    return "|".join([record.record_name, *(field_of(record, field) for field in fields)])


def facet_of(record: Record) -> str | None:
    """What a filter tells apart within a zone: a price's product, carbon's accounting, a setpoint's order."""
    facet = row_of(record).facet
    return None if facet is None else field_of(record, facet)
