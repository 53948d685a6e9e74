"""What a REST door's refusal means to whoever asked: read once, for the SDK and for all commands.

A decision: status and problem+json in, a meaning out.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any


class Meaning(Enum):
    """What to do about it."""

    TOKEN = auto()
    """Get another token."""
    NOT_YOURS = auto()
    """It is not there, or not theirs."""
    QUESTION = auto()
    """Ask otherwise: the address has what can't be answered."""
    AGAIN = auto()
    """Try again: the door is busy or away."""
    REFUSED = auto()
    """The door knows what was meant, and says no."""


_AGAIN = frozenset({429, 502, 503, 504})
_QUESTION = frozenset({400, 422})


def meaning_of(status: int, problem: Any) -> Meaning:
    """The meaning of an answer that is no success; `problem` is its JSON, or None where it has none."""
    told: Mapping[str, Any] = problem if isinstance(problem, Mapping) else {}
    if status == 401:
        return Meaning.TOKEN
    if status in _AGAIN or told.get("retriable") is True:
        return Meaning.AGAIN
    if status in (403, 404):
        return Meaning.NOT_YOURS
    faults = told.get("errors")
    if status in _QUESTION and isinstance(faults, list) and faults and all(map(_is_of_the_address, faults)):
        return Meaning.QUESTION
    return Meaning.REFUSED


def _is_of_the_address(fault: Any) -> bool:
    return isinstance(fault, Mapping) and str(fault.get("pointer", "")).startswith("?")
