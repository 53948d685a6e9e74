"""What was found wrong, in the words of whoever typed the command: options and arguments, not fields of a body."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from difflib import get_close_matches

from gridsignal.errors import Refused
from gridsignal_schemas.codes import CODES

Options = Mapping[str, str]
"""The option, or the argument, that says each field of a body: {"ends_at": "--end", "order_id": "ORDER_ID"}.

"" says what the whole is about.
"""
NONE: Options = {}
Units = tuple[tuple[str, int, int], ...]
"""Each with its size, and into how many parts it may be cut; the largest first."""
SPANS: Units = (("d", 86_400, 1), ("h", 3600, 1), ("m", 60, 1), ("s", 1, 1))
_UNITS: Mapping[str, Units] = {
    "_w": (("MW", 10**6, 1000), ("kW", 1000, 1000), ("W", 1, 1)),
    "_s": SPANS,
}
"""How the fields with such an end are typed."""
_NUMBERS = re.compile(r"\b((?:expected|to|got|most|least|than|connection's) )(\d+)(?: [sW]\b)?(?![\w.:]| [kMG]W\b)")
_NAME = re.compile(r"[a-z]+(?:_[a-z]+)+")
_POINTERS = re.compile(r"(?:(?<=^)|(?<=; ))(/[a-z0-9_/]*|): ")


def in_their_words(pointer: str, message: str, options: Options) -> str:
    """One fault as a line; what no option says keeps the door's own name, and a pointer where there are no options."""
    where = _where(pointer, options)
    named = names_in(_in_units(pointer, message) if options else message, options)
    return f"{where}: {named}" if where else named


def _in_units(pointer: str, message: str) -> str:
    """A message about a power or a span with its numbers as they are typed, which takes a unit."""
    name = pointer.rstrip("/0123456789")
    units = next((units for end, units in _UNITS.items() if name.endswith(end)), None)
    if units is None:
        return message
    return _NUMBERS.sub(lambda found: f"{found[1]}{in_units(int(found[2]), units)}", message)


def in_units(number: int, units: Units) -> str:
    """A number in the largest unit in which it is short; exactly."""
    for unit, size, parts in units:
        if number >= size and number % (size // parts) == 0:
            return f"{Decimal(number) / size:f}{unit}"
    return f"{number}{units[-1][0]}"


def names_in(message: str, options: Options) -> str:
    """A message with options in place of the fields that they say."""
    return _NAME.sub(lambda name: options.get(name[0], name[0]), message)


def reason_in(text: str, options: Options) -> str:
    """A reason of several faults, each with its pointer, likewise."""
    return _POINTERS.sub(lambda found: f"{where}: " if (where := _where(found[1], options)) else "", text)


def refusal_in(refused: Refused, options: Options) -> str:
    """What a door refused: its faults, or its code where it names none."""
    if not refused.details:
        return str(refused)
    lines = (_line(detail.code, detail.pointer, detail.message, options) for detail in refused.details)
    return "\n  ".join(lines)


def _line(code: str, pointer: str, message: str, options: Options) -> str:
    shown = in_their_words(pointer, message, options)
    known = CODES.get(code)
    return shown if code == "NOT_FOUND" or (known is not None and known.usage) else f"{shown} ({code})"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Which of the known names was meant, in brackets; empty where none is near."""
    by_capitals = {each.upper(): each for each in known}
    near = get_close_matches(name.upper(), by_capitals, n=1)
    return f" (did you mean {by_capitals[near[0]]}?)" if near else ""


def _where(pointer: str, options: Options) -> str:
    """The option of a JSON pointer, a query parameter or a header; the innermost name that has one."""
    if pointer.startswith("?"):
        return options.get(pointer[1:], f"--{pointer[1:].replace('_', '-')}")
    if not options:  # of a file, say, that was not typed: its places are the door's
        return pointer or "request"
    names = [name for name in pointer.split("/") if name and not name.isdigit()]
    known = (options[name] for name in reversed(names) if name in options)
    return next(known, names[-1] if names else options.get("", ""))
