"""Lists as feeds give them: one bad element costs itself, and the rest is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import TypeVar

from gridsignal_services.ingest.feed import BODY_FAULTS, Ask, Malformed, Unsupported, first_line
from gridsignal_services.ingest.figures import decimal_or_gap

_Element = TypeVar("_Element")
_Read = TypeVar("_Read")


def each(
    elements: Iterable[_Element], name: str, read_one: Callable[[_Element], _Read], ask: Ask, *, some: bool = True
) -> list[_Read]:
    """What each element of a list says; one that can't be read is left out and told.

    Raises what is wrong with the first where none can be read.
    """
    found: list[_Read] = []
    faults: list[Malformed | Unsupported] = []
    for number, element in enumerate(elements, 1):
        try:
            found.append(read_one(element))
        except (Malformed, Unsupported) as fault:
            faults.append(type(fault)(f"{name} {number}: {fault}"))
        except BODY_FAULTS as fault:
            faults.append(Malformed(f"{name} {number} is not what the feed documents: {first_line(fault)}"))
    if faults and some and not found:
        raise faults[0]
    for left_out in faults:
        ask.left_out.add(str(left_out))
    return found


def figure(value: object, name: str, ask: Ask) -> Decimal | None:
    """One figure of a list; one that can't be read is a gap and told."""
    try:
        return decimal_or_gap(value)
    except Malformed as fault:
        ask.left_out.add(f"{name}: {fault}")
        return None
