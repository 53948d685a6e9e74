"""What a door's refusal means to whoever asked: read once, for the SDK and for all commands.

A decision: status and problem+json in, a meaning out; or what the gateway has told, already read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any

from gridsignal_schemas.codes import CODES
from gridsignal_schemas.frames import Detail


class Meaning(Enum):
    """What to do about it."""

    TOKEN = auto()
    """Get another token."""
    NOT_YOURS = auto()
    """It is not there, or not theirs."""
    QUESTION = auto()
    """Ask otherwise: the address has what can't be answered, or what was named is not there to be named."""
    AGAIN = auto()
    """Try again: the door is busy or away."""
    REFUSED = auto()
    """The door knows what was meant, and says no."""


_AGAIN = frozenset({429, 502, 503, 504})
_QUESTION = frozenset({400, 422})


def meaning_of(status: int, problem: Any) -> Meaning:
    """The meaning of an answer that is no success; `problem` is its JSON, or None where it has none."""
    fields: Mapping[str, Any] = problem if isinstance(problem, Mapping) else {}
    if status == 401:
        return Meaning.TOKEN
    if status in _AGAIN or fields.get("retriable") is True:
        return Meaning.AGAIN
    if status in (403, 404):
        return Meaning.NOT_YOURS
    faults = fields.get("errors")
    if status in _QUESTION and isinstance(faults, list) and faults and all(map(_is_of_the_question, faults)):
        return Meaning.QUESTION
    return Meaning.REFUSED


def codes_of(problem: Any) -> frozenset[str]:
    """The codes of a problem's faults; none of what is no problem."""
    faults = problem.get("errors") if isinstance(problem, Mapping) else None
    named = [fault.get("code") for fault in faults if isinstance(fault, Mapping)] if isinstance(faults, list) else []
    return frozenset(code for code in named if isinstance(code, str))


def is_usage(details: Sequence[Detail]) -> bool:
    """Whether a refusal, of whichever door, tells of wrong usage alone: its codes decide, not its words."""
    return bool(details) and all(_is_usage(detail.code) for detail in details)


def _is_usage(code: object) -> bool:
    known = CODES.get(code) if isinstance(code, str) else None
    return known is not None and known.usage


def _is_of_the_question(fault: Any) -> bool:
    if not isinstance(fault, Mapping):
        return False
    return str(fault.get("pointer", "")).startswith("?") or _is_usage(fault.get("code"))
