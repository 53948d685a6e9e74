"""How the commands read their words: what is wrong is one line and a hint, quantities carry their unit."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from typing import Annotated, Any, NoReturn

from pydantic import Field, TypeAdapter, ValidationError

from gridsignal.__main__ import USAGE
from gridsignal.cli.grid_time import grid_now
from gridsignal.cli.tables import market_time, printable
from gridsignal.errors import UsageError
from gridsignal_schemas.messages.certificates import Certificates, EnergyCertificate
from gridsignal_schemas.rules.shapes import message_of, shape_fault
from gridsignal_schemas.values import EXACT_MAX, MAX_POWER_W, Code, Identifier, Money, ShortText, text_of_decimal

_NUMBER = r"[0-9]{1,14}(?:\.[0-9]{1,9})?"
_QUANTITY = re.compile(rf"({_NUMBER})\s*([^\W\d_]*)")
_POWER = {"w": 1, "kw": 10**3, "mw": 10**6, "gw": 10**9}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LONGEST = timedelta(days=3660)
CERTIFICATE = "ID[=ENERGY[,SOURCE]]"
"""How a certificate is typed."""
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
TIMES = """\
A TIME is a day such as 2030-05-12 (its first moment, in the zone's market time),
a time with its offset such as 2030-05-12T18:00+02:00, or a span from now such as -1d or +2h."""
"""Below the help of every command that takes a time."""


@dataclass(frozen=True, slots=True)
class Day:
    """A day as it was typed: when it begins is known once its zone is."""

    date: date

    def begins(self, zone_time: tzinfo) -> datetime:
        """Its first moment in a zone's time; in UTC, for sums of times in another zone skip the hour of summer."""
        return datetime.combine(self.date, time(0), zone_time).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class FromNow:
    """A span before or after now, as it was typed."""

    span: timedelta


class Arguments(argparse.ArgumentParser):
    """A command's arguments; its description keeps its lines, and its errors are short."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"formatter_class": argparse.RawDescriptionHelpFormatter} | options)
        self._negative_number_matcher = re.compile(r"-[0-9]")  # -1d is a value, as -1 is

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]  # its overloads are argparse's own affair
        """As argparse does; a day that was typed becomes its first moment in market time, a span a time.

        `from_now` is then the set of what was typed as a span: the same words mean another time a moment later.
        """
        found, rest = super().parse_known_args(args, namespace)
        if rest:  # told by the action that has no such option, and not by the whole command
            self.error(f"expected nothing more than its options and arguments, got {' '.join(rest):.200}")
        spans = {name: value for name, value in vars(found).items() if isinstance(value, FromNow)}
        if spans:
            found.from_now = frozenset(spans)
            now = grid_now().replace(microsecond=0)
            for name, typed in spans.items():
                setattr(found, name, now + typed.span)
        days = {name: value for name, value in vars(found).items() if isinstance(value, Day)}
        if days:
            zone_time = self.market(found)
            for name, day in days.items():
                setattr(found, name, day.begins(zone_time))
        return found, rest

    def market(self, found: argparse.Namespace) -> tzinfo:
        """The time that days are meant in: that of the zone which was named, else Central Europe's, as in tables."""
        zone = getattr(found, "zone", None)
        return market_time(zone if isinstance(zone, str) else "")

    def format_help(self) -> str:
        """As argparse does, and how times are written where there are any."""
        takes_times = any(action.metavar == "TIME" for action in self._actions)
        return super().format_help() + (f"\n{TIMES}\n" if takes_times else "")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Words that are none of the choices are refused like any other: what was expected, what was got."""
        if action.choices is not None and value not in action.choices:
            known = ", ".join(map(str, action.choices))
            raise argparse.ArgumentError(action, f"expected one of {known}, got {value!r:.60}")

    def error(self, message: str) -> NoReturn:
        """Ends the process with 2: one line on what is wrong, one on where to read more."""
        message_shown = printable(message.removeprefix("argument "))
        self.exit(USAGE, f"{self.prog}: {message_shown}\nTry: {self.prog} --help\n")


def give_examples(actions: Any, examples: str) -> None:
    """Below the help of each action of `add_subparsers`, its own lines of the command's examples."""
    for action in actions.choices.values():
        own = [line for line in examples.splitlines() if line.split()[:3] == action.prog.split()]
        action.epilog = "\n".join(["example:" if len(own) == 1 else "examples:", *own])


def power_w(text: str) -> int:
    """Watts of a power with its unit, such as 12MW, 9.2 MW or 500kW. A number alone is a question."""
    match = _QUANTITY.fullmatch(text.strip())
    number, unit = match.groups() if match else ("", "")
    if match and not unit:
        raise argparse.ArgumentTypeError(f"{number} what? Write {number}MW or {number}kW.")
    if unit == "mW":
        raise argparse.ArgumentTypeError(f"{number}mW is milliwatts. Write {number}MW or {number}kW.")
    if unit.lower().removesuffix("h") in _POWER and unit.lower().endswith("h"):
        raise argparse.ArgumentTypeError(f"expected a power such as 12MW, got an energy: {text!r:.60}")
    watts = Decimal(number) * _POWER[unit.lower()] if unit.lower() in _POWER else Decimal(0)
    if watts != int(watts) or not 1 <= watts <= MAX_POWER_W:
        most = MAX_POWER_W // _POWER["gw"]
        raise argparse.ArgumentTypeError(f"expected a power such as 12MW or 500kW, {most}GW at most, got {text!r:.60}")
    return int(watts)


def certificate(text: str) -> EnergyCertificate:
    """An energy certificate as ID, ID=ENERGY or ID=ENERGY,SOURCE."""
    ident, _, rest = text.partition("=")
    energy, _, source = rest.partition(",")
    said = {"certificate_id": ident, "energy_wh": _energy_wh(energy) if rest else None, "source": source or None}
    try:
        return EnergyCertificate.model_validate(said)
    except ValidationError as wrong:
        fault = shape_fault(wrong.errors(include_url=False)[0])
        raise argparse.ArgumentTypeError(f"{fault.pointer[1:]}: {fault.message}") from None


def certificates(found: Sequence[EnergyCertificate] | None) -> list[EnergyCertificate] | None:
    """Those that were typed, where they are as many as a record names. Raises UsageError."""
    try:
        return TypeAdapter(Certificates | None).validate_python(found)
    except ValidationError as wrong:
        raise UsageError(f"--certificate: {message_of(wrong.errors(include_url=False)[0])}") from None


def _energy_wh(text: str) -> int:
    match = _QUANTITY.fullmatch(text.strip())
    number, unit = match.groups() if match else ("", "")
    power = _POWER.get(unit.lower().removesuffix("h"), 0) if unit.lower().endswith("h") and unit[:1] != "m" else 0
    energy = Decimal(number or 0) * power
    if not power or energy != int(energy) or energy > EXACT_MAX:
        raise argparse.ArgumentTypeError(f"expected an energy in whole Wh such as 250kWh or 1MWh, got {text!r:.60}")
    return int(energy)


def whole(least: int, most: int) -> Callable[[str], int]:
    """Reads a whole number within these bounds."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"expected a number from {least} to {most}, got {text!r:.60}")
        return int(text)

    return read


port = whole(0, 65_535)
"""Reads a TCP port; 0: any that is free."""


def price(text: str) -> str:
    """A price per MWh in the request's currency, such as 89.90, as the contract writes money."""
    try:
        return text_of_decimal(TypeAdapter(Money).validate_python(text.strip()))
    except ValidationError:
        raise argparse.ArgumentTypeError(
            f"expected a price per MWh such as 89.90, in the request's currency and without its name, got {text!r:.60}"
        ) from None


def _of(kind: Any, expected: str) -> Callable[[str], str]:
    """Reads a text that the contract has a shape for."""
    shape: TypeAdapter[str] = TypeAdapter(kind)

    def read(text: str) -> str:
        try:
            return shape.validate_python(text)
        except ValidationError:
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r:.60}") from None

    return read


identifier = _of(Identifier, "an id of at most 64 letters, digits, - and _")
code = _of(Code, "a code of at most 64 letters, digits and _.:-")
words = _of(ShortText, "a text of at most 512 characters that can be printed")
a_code = _of(Annotated[Code, Field(min_length=1)], "a code of 1 to 64 letters, digits and _.:-")
a_reason = _of(Annotated[ShortText, Field(min_length=1)], "a text of 1 to 512 characters that can be printed")


def span(text: str) -> timedelta:
    """A length of time with its unit, such as 45m, 2h, 90s."""
    match = _QUANTITY.fullmatch(text.strip())
    number, unit = match.groups() if match else ("", "")
    if match and not unit:
        raise argparse.ArgumentTypeError(f"{number} what? Write {number}m or {number}s.")
    length = timedelta(0)
    if unit in _SECONDS and len(number) < 10 and number.isdigit():
        length = timedelta(seconds=int(number) * _SECONDS[unit])
    if not timedelta(0) < length <= _LONGEST:
        raise argparse.ArgumentTypeError(f"expected a length of time such as 45m or 2h, got {text!r:.60}")
    return length


def moment(text: str) -> datetime | Day | FromNow:
    """A time as `TIMES` says it is typed, on the grid's clock. The only reader of times that commands have."""
    way = {"+": 1, "-": -1}.get(text[:1])
    if way is not None and not text[1:].startswith(("+", "-")):
        return FromNow(way * span(text[1:]))
    try:
        when = Day(date.fromisoformat(text)) if _DAY.fullmatch(text) else datetime.fromisoformat(text)
    except ValueError:
        when = None
    year = when.date.year if isinstance(when, Day) else when.year if when is not None and when.tzinfo else 0
    if when is None or not 1900 < year < 2200:  # sums of times stay in the calendar
        expected = "expected a time such as 2030-05-12T18:00+02:00, 2030-05-12, -1d or +2h"
        raise argparse.ArgumentTypeError(f"{expected}, got {text!r:.60}")
    return when
