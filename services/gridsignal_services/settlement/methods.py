"""The table of baseline methods, methods.toml: what its parameters mean, and what may be said in their place."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from gridsignal_schemas.canonical import canonical, sha256_of

_LONGEST_LOOKBACK = 366
_DAY_MIN = 24 * 60
_SHARE = re.compile(r"[0-9]{1,3}(\.[0-9]{1,6})?")


def _is_share(text: str) -> str:
    if not _SHARE.fullmatch(text):
        raise ValueError(f"expected a share such as 0.25, got {text!r:.60}")
    return text


Share = Annotated[str, AfterValidator(_is_share)]
"""A share as a decimal text, such as "0.25": the same text has the same hash on every machine."""
Days = Annotated[int, Field(ge=1, le=_LONGEST_LOOKBACK)]
Hours = Annotated[int, Field(ge=0, le=24)]


class _Parameters(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class DeclaredBefore(_Parameters):
    """What the site declared before the request."""

    kind: Literal["DECLARED"]


class MeterBeforeAfter(_Parameters):
    """The mean of whole hours of the same day: before the event and after it, with some left out beside it."""

    kind: Literal["METER_BEFORE_AFTER"]
    before_h: Hours
    skip_h: Hours
    after_h: Hours

    @model_validator(mode="after")
    def _has_hours(self) -> MeterBeforeAfter:
        if not self.before_h + self.after_h:
            raise ValueError("expected before_h or after_h above 0, got 0 for both")
        return self


class XOfY(_Parameters):
    """The mean, interval by interval, of x of the last y eligible days of the same type."""

    kind: Literal["X_OF_Y"]
    x: Days
    y: Days
    least: Days | None = None
    """With fewer eligible days than this there is no baseline; y where it is not said."""
    x_non_working: Days | None = None
    y_non_working: Days | None = None
    least_non_working: Days | None = None
    """Of weekends and public holidays; as of working days where it is not said."""
    pick: Literal["HIGH", "MID", "LATEST"]
    """Which x: those with the highest use in the event's hours, those in the middle, or the newest."""
    day_types: Literal["WORKING_OR_NOT", "ALL"]
    """ALL: every day is like every other."""
    lookback_days: Days
    low_day_share: Share | None = None
    """A day that used less than this share of the days' mean in the event's hours makes room for an earlier one."""
    clock_change_days: bool
    """Whether days of 23 and 25 hours are eligible."""
    adjust: Literal["NONE", "SCALAR", "ADDITIVE"]
    window_min: tuple[int, int] | None = None
    """The adjustment's window, in minutes from the event's start: -240, -60 is from 4 hours to 1 hour before it."""
    clip: Share | None = None
    """How far a SCALAR factor may be from 1; any where it is not said."""

    @model_validator(mode="after")
    def _is_consistent(self) -> XOfY:
        for x, y, least in (self.counts(is_working=True), self.counts(is_working=False)):
            if not x <= y:
                raise ValueError(f"expected x of at most y, got {x} of {y}")
            if not least <= y:
                raise ValueError(f"expected least of at most y, got {least} of {y}")
        if self.adjust != "NONE" and self.window_min is None:
            raise ValueError(f"expected window_min beside adjust {self.adjust}, got none")
        if self.window_min is not None and not -_DAY_MIN <= self.window_min[0] < self.window_min[1] <= 0:
            raise ValueError(f"expected window_min within the day before the event, got {list(self.window_min)}")
        return self

    def counts(self, *, is_working: bool) -> tuple[int, int, int]:
        """x, y and least of a working day, or of a weekend day or public holiday."""
        if is_working or self.day_types == "ALL":
            return self.x, self.y, self.y if self.least is None else self.least
        y = self.y_non_working or self.y
        return self.x_non_working or self.x, y, self.least_non_working or min(self.least or y, y)


Parameters = DeclaredBefore | MeterBeforeAfter | XOfY
_PARAMETERS: TypeAdapter[Parameters] = TypeAdapter(Annotated[Parameters, Field(discriminator="kind")])


@dataclass(frozen=True, slots=True)
class Method:
    """One row: a method that an offer can be held to."""

    name: str
    version: int
    source: str
    parameters: Parameters
    written: Mapping[str, object]
    """The parameters as the table has them, of which the hash is."""
    changed: tuple[str, ...] = ()
    """The parameters that somebody has said in place of the table's: then it is no published method any more."""

    @property
    def text(self) -> str:
        """The canonical text of its parameters, as a request brings it."""
        return canonical(self.written).decode()

    @property
    def sha256(self) -> str:
        """Of the canonical JSON of the parameters."""
        return sha256_of(self.written)


class WrongParameter(ValueError):
    """A parameter that the method has not, or not so: says which, what was expected and what was got."""


def changed(method: Method, values: Mapping[str, object]) -> Method:
    """The method with other parameters; its hash is theirs. Raises WrongParameter."""
    if not values:
        return method
    known = [name for name in type(method.parameters).model_fields if name != "kind"]
    for name in values:
        if name not in known:
            expected = f"one of {', '.join(known)}" if known else "no parameter"
            raise WrongParameter(f"{name}: expected {expected} of {method.name}, got {name!r:.60}")
    written = {**method.written, **values}
    try:
        parameters = _read(written)
    except ValidationError as wrong:
        raise WrongParameter(_told(wrong)) from None
    return Method(method.name, method.version, method.source, parameters, written, tuple(sorted(values)))


def method_of(name: str, version: int, text: str) -> Method:
    """The method that a canonical text says. Raises WrongParameter."""
    try:
        written = json.loads(text)
        return Method(name, version, "", _read(written), written)
    except ValidationError as wrong:
        raise WrongParameter(_told(wrong)) from None
    except (ValueError, AttributeError, RecursionError):
        raise WrongParameter(f"expected the parameters of a baseline method, got {text!r:.60}") from None


def _read(written: Mapping[str, object]) -> Parameters:
    held = {name: tuple(value) if isinstance(value, list) else value for name, value in written.items()}
    return _PARAMETERS.validate_python(held)


def _told(wrong: ValidationError) -> str:
    first = wrong.errors()[0]
    where = ".".join(map(str, first["loc"][1:]))
    if first["type"] == "value_error":
        return f"{where}: {first['ctx']['error']}".removeprefix(": ")
    return f"{where}: {first['msg'].replace('Input should be', 'expected')}, got {first['input']!r:.60}"


def _rows(text: str) -> dict[str, Method]:
    rows: dict[str, Method] = {}
    for name, row in tomllib.loads(text).items():
        written = row["parameters"]
        rows[name] = method = Method(name, row["version"], row["source"], _read(written), written)
        if method.sha256 != row["sha256"]:
            raise ValueError(f"{name}: expected sha256 {method.sha256} of its parameters, got {row['sha256']}")
    return rows


METHODS: Mapping[str, Method] = _rows(files(__package__).joinpath("methods.toml").read_text("utf-8"))
"""Every shipped method by its name."""
