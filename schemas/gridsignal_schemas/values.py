"""The kinds of values that records are made of: times, power, money, names.

Nothing here repairs: a value that is not exactly what the contract says is refused.
Datetimes are aware and in UTC, power is integer watts, money is a decimal with four places.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    PlainSerializer,
    ValidationInfo,
)
from pydantic_core import core_schema

MW = 1_000_000
"""Watts in a megawatt, so that `12 * MW` reads as it is spoken."""
KW = 1_000
"""Watts in a kilowatt."""
WATT_SECONDS_PER_MWH = 3_600 * MW

MAX_POWER_W = 10_000 * MW
"""Ten gigawatts: more than any connection point on earth carries, so more is a unit mistake."""

INT32_MAX = 2**31 - 1
EXACT_MAX = 2**53 - 1
"""The largest integer that every JSON reader keeps: JavaScript and jq lose digits beyond it."""


UNPRINTABLE = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069]")
"""Characters that move a terminal's cursor, colour it, or turn the direction of writing."""
_OF_NO_AGE = "expected a time between the years 1901 and 2199 in UTC"
_DECIMAL = re.compile(r"-?[0-9]{1,14}(\.[0-9]{1,4})?")


def as_utc(value: datetime) -> datetime:
    """The same instant in UTC; a naive datetime names no instant and is refused."""
    if value.tzinfo is None:
        raise ValueError("expected a time with its offset from UTC, got a naive datetime")
    try:
        instant = value.astimezone(UTC)
    except OverflowError:  # its offset takes it out of the calendar
        raise ValueError(_OF_NO_AGE) from None
    if not 1900 < instant.year < 2200:  # beyond them sums of times leave the calendar, and nobody trades power there
        raise ValueError(_OF_NO_AGE)
    return instant


def rfc3339(value: datetime) -> str:
    """A UTC time as the contract writes it and people read it: with Z."""
    return value.isoformat().replace("+00:00", "Z")


def _only_text_or_datetime(value: Any) -> Any:
    # pydantic's lax mode would read 5 and "5" as seconds since 1970
    if isinstance(value, datetime):
        return value
    if isinstance(value, str) and "-" in value and ("T" in value or "t" in value):
        return value
    raise ValueError(f"expected an RFC 3339 time such as 2024-05-12T13:00:00Z, got {value!r:.60}")


def _only_text_or_decimal(value: Any) -> Any:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return value
    raise ValueError(f'expected a decimal as text such as "65.49", four places at most, got {value!r:.60}')


_FOUR_PLACES = Decimal("0.0001")


def _within_scale(value: Decimal) -> Decimal:
    # 54.500000 has one place that counts, but a writer of decimal(18,4) counts them all
    if value.same_quantum(_FOUR_PLACES):
        return value
    exponent = value.as_tuple().exponent
    return value.quantize(_FOUR_PLACES) if isinstance(exponent, int) and exponent < -4 else value


def text_of_decimal(value: Decimal) -> str:
    """The shortest plain spelling: 65.49, 90, -0.5; never an exponent, never -0."""
    text = format(value or Decimal(0), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _printable(value: str, info: ValidationInfo) -> str:
    # what an earlier version wrote stays readable: whoever shows it spells it out
    found = None if info.context and info.context.get("tolerant") else UNPRINTABLE.search(value)
    if found is not None:
        raise ValueError(f"expected text without control characters, got U+{ord(found[0]):04X} at {found.start()}")
    return value


def _printable_lines(value: str, info: ValidationInfo) -> str:
    _printable(value.translate(_LINES), info)
    return value


_LINES = {ord("\n"): " ", ord("\t"): " "}

Timestamp = Annotated[
    datetime,
    BeforeValidator(_only_text_or_datetime),
    Field(strict=False),
    AfterValidator(as_utc),
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
]
Money = Annotated[
    Decimal,
    # first, so that pydantic's core checks them: behind a validator they are checked in Python, at twice the cost
    Field(strict=False, max_digits=18, decimal_places=4, allow_inf_nan=False),
    BeforeValidator(_only_text_or_decimal),
    AfterValidator(_within_scale),
    PlainSerializer(text_of_decimal, return_type=str, when_used="json"),
]
"""Four decimal places at most, eighteen digits in all; in JSON a string."""

MAX_PRICE_PER_MWH = 1_000_000
"""A hundred times what a market has ever paid: a price further from zero is a mistake, and no sum of money holds it."""
MAX_ACTIVATION_FEE = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Within:
    """Bounds of an amount as it is written; what an earlier version wrote stays readable."""

    ge: int
    le: int

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.with_info_after_validator_function(self._within, handler(source))

    def _within(self, value: Decimal, info: ValidationInfo) -> Decimal:
        is_read = info.context is not None and bool(info.context.keys() & {"tolerant", "logged"})
        if not is_read and not self.ge <= value <= self.le:
            raise ValueError(f"expected {self.ge} to {self.le}, got {text_of_decimal(value)}")
        return value


@dataclass(frozen=True, slots=True)
class Once:
    """A list of shapes that names each thing once: by this field of theirs."""

    by: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self._once, handler(source))

    def _once(self, values: list[Any]) -> list[Any]:
        seen = set[Any]()
        for name in (getattr(value, self.by) for value in values):
            if name in seen:
                raise ValueError(f"expected each {self.by} once, got {name!r:.60} twice")
            seen.add(name)
        return values


OfferPrice = Annotated[Money, Within(-MAX_PRICE_PER_MWH, MAX_PRICE_PER_MWH)]
ActivationFee = Annotated[Money, Within(0, MAX_ACTIVATION_FEE)]

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Zone = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
Power = Annotated[int, Field(ge=0, le=MAX_POWER_W)]
Energy = Annotated[int, Field(ge=0, le=EXACT_MAX)]
Seconds = Annotated[int, Field(ge=0, le=366 * 86_400)]
Resolution = Annotated[int, Field(ge=1, le=86_400)]
Revision = Annotated[int, Field(ge=1, le=INT32_MAX)]
ShortText = Annotated[str, Field(max_length=512), AfterValidator(_printable_lines)]
"""For people: lines and tabs, no other control characters."""
Hex32 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""32 bytes in lower-case hexadecimal digits, such as a public key."""
Sha256 = Hex32
Code = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{0,64}$")]
Name = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_printable)]
"""One line without control characters."""


class Symbol(StrEnum):
    """An Avro enum: every one has UNKNOWN as its default symbol, so that old readers survive new symbols."""

    @classmethod
    def _read(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, str) and value not in cls._value2member_map_ and (info.context or {}).get("tolerant"):
            return cls("UNKNOWN")
        return value

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        symbols = core_schema.enum_schema(cls, list(cls), sub_type="str", strict=False)
        return core_schema.with_info_before_validator_function(cls._read, symbols)


class Shape(BaseModel):
    """A frozen value that is written exactly: unknown fields and near misses are refused.

    Readers of what others wrote pass `extra="ignore", context=TOLERANT` to the validating call instead.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


TOLERANT: dict[str, bool] = {"tolerant": True}
"""The validation context of a reader: symbols it does not know become UNKNOWN."""
LOGGED: dict[str, bool] = {"logged": True}
"""For what is on the log in our own shape: exact, but for amounts, whose bounds are younger than the oldest logs."""


class Record(Shape):
    """A message that travels on the log as one Avro record of the same name."""

    @property
    def record_name(self) -> str:
        """The record's name, the same in the .avsc, on the wire and here."""
        return type(self).__name__
