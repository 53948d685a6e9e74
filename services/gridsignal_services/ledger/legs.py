"""Both legs of work that moves between two zones, as the partition of each has them.

A leg stands only as long as the other one is listed, and no longer than that one: what is over here is taken from the
list, and the other partition is told to let its own go. So nothing has to be kept of those that are over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gridsignal_schemas.messages import DispatchOrder, ShiftReserve, Timer

if TYPE_CHECKING:
    from gridsignal_services.ledger.book import Book


@dataclass(slots=True)
class Shift:
    """The leg of the zone that work moves from: an order that nobody is told of before the other zone holds its part.

    Listed from the award to the end of the order.
    """

    reserve: ShiftReserve
    held_at: int | None = None
    """The offset of its ShiftReserve in the other zone's partition, once both orders stand."""


@dataclass(slots=True)
class Hold:
    """The leg of the zone that work moves to.

    Listed until it is over; one that was refused for a day longer than its deadline, so that it is refused once.
    """

    reserve: ShiftReserve
    order_id: str | None = None
    """Of what is held; None where it was refused."""
    place: int = 0
    """The offset of its ShiftReserve."""
    codes: tuple[str, ...] = ()
    """Why it was refused, or is held no more."""
    is_confirmed: bool = False


def waits(book: Book, order: DispatchOrder) -> bool:
    """Whether the order is a leg of a shift that does not stand so far: nobody was told of it."""
    if order.shift_id is None:
        return False
    shift, hold = book.shifts.get(order.order_id), book.holds.get(order.shift_id)
    if shift is not None:
        return shift.held_at is None
    return hold is not None and hold.order_id == order.order_id and not hold.is_confirmed


def leave(book: Book, order: DispatchOrder) -> None:
    """This leg is over: it is listed no more, and so the other one is let go."""
    if order.shift_id is None:
        return
    hold = book.holds.get(order.shift_id)
    if book.shifts.pop(order.order_id, None) is not None:
        book.timers.clear(Timer.SHIFT_DEADLINE, order.order_id)
    elif hold is not None and hold.order_id == order.order_id and hold.is_confirmed:
        del book.holds[order.shift_id]
    elif hold is not None and hold.order_id == order.order_id:
        hold.codes = ("SHIFT_OVER",)
