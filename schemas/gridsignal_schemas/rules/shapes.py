"""What is wrong with the shape of something from outside: pydantic's findings in the words and codes of every door."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gridsignal_schemas.frames import Detail

_CODES = {
    "extra_forbidden": "UNKNOWN_FIELD",
    "missing": "MISSING_FIELD",
    "literal_error": "UNKNOWN_SYMBOL",
    "enum": "UNKNOWN_SYMBOL",
}
_LENGTHS = {
    "string_too_short": ("at least", "min_length", "characters"),
    "too_short": ("at least", "min_length", "values"),
    "string_too_long": ("at most", "max_length", "characters"),
    "too_long": ("at most", "max_length", "values"),
}
PATTERNS: Mapping[str, str] = {
    "^[A-Za-z0-9_-]{1,64}$": "1 to 64 letters, digits, - and _",
    "^[A-Z]{3}$": "three capitals, such as EUR",
    "^[A-Za-z0-9_.:-]{0,64}$": "at most 64 letters, digits, _, ., : and -",
    "^[A-Za-z0-9_.:-]{1,64}$": "1 to 64 letters, digits, _, ., : and -",
    "^[A-Za-z0-9_.:/-]{1,128}$": "1 to 128 letters, digits, _, ., :, / and -",
    "^[0-9a-f]{64}$": "64 hexadecimal digits, in small letters",
    "^[0-9a-f]{128}$": "128 hexadecimal digits, in small letters",
    "^[a-z0-9_]{1,32}$": "1 to 32 small letters, digits and _",
    "^[12][0-9]{3}-[01][0-9]-[0-3][0-9]$": "a day such as 2030-05-12",
}
"""What the contract's patterns take, for people."""
_SECRET = "token"  # noqa: S105 - the name of a field that is never said back


def pointer(at: str, step: str | int) -> str:
    """A JSON pointer (RFC 6901) one step further; a key from outside is cut where it is longer than any of ours."""
    return f"{at}/{str(step)[:100].replace('~', '~0').replace('/', '~1')}"


def shape_fault(error: ErrorDetails) -> Detail:
    """One finding: its code, where, and what was expected and got."""
    at = ""
    for step in error["loc"]:
        at = pointer(at, step)
    return Detail(code=_CODES.get(error["type"], "INVALID_VALUE"), pointer=at, message=message_of(error))


def findings(error: ValidationError) -> str:
    """The first three, for logs: without the values, which may be prices."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)[:3]
    return "; ".join(f"{'/'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults)


def message_of(error: ErrorDetails) -> str:
    """What was expected and what was got."""
    if error["type"] in _LENGTHS:
        bound, length, unit = _LENGTHS[error["type"]]
        count = error["ctx"][length]
        return f"expected {bound} {count} {unit if count != 1 else unit.removesuffix('s')}, {_got(error)}"
    match error["type"]:
        case "extra_forbidden":
            return "expected no such field"
        case "missing":
            return "expected a value, got nothing"
        case "json_invalid":
            return "expected JSON"
        case "string_pattern_mismatch":
            pattern = error["ctx"]["pattern"]
            return f"expected {PATTERNS.get(pattern, f'text like {pattern}')}, {_got(error)}"
        case _:
            message = error["msg"].removeprefix("Value error, ").replace("Input should be ", "expected ", 1)
            message = message[0].lower() + message[1:].replace("'UNKNOWN', ", "", 1)  # on which nobody acts
            return message if ", got " in message else f"{message}, {_got(error)}"


def _got(error: ErrorDetails) -> str:
    """What was sent, said back briefly; only the sender reads it."""
    if error["loc"][-1:] == (_SECRET,):
        return "got another"
    value: Any = error["input"]
    if isinstance(value, str | int | float | bool | None):
        return f"got {value!r:.60}"
    if isinstance(value, list):
        return f"got a list of {len(value)}" if value else "got an empty list"
    return "got an object"
