"""What one partition's ledger owes another: the legs of shifts, each of which stands as long as the other is listed.

Owed to a partition is what the state of the other one says and this one has not seen. Its own owner writes it: nobody
writes into a partition of another's. What is read of the other one may be old, and does no harm: a repeat is ignored,
a leg that was listed once and is not any more never comes back, and none ends later than it was to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from gridsignal_schemas.catalog import TOPICS, partition_of
from gridsignal_schemas.messages import ShiftConfirm, ShiftRelease, ShiftReserve, ShiftReserved
from gridsignal_schemas.rules.lifecycle import ORDER_OVER
from gridsignal_services.ledger.legs import Hold, Shift
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.ledger.shifting import counterpart_of

Crossing = ShiftReserve | ShiftReserved | ShiftConfirm | ShiftRelease


def owed_across(ledgers: Mapping[int, Ledger], partition: int) -> Iterator[Crossing]:
    """What the ledgers owe this partition, by the states of both."""
    here = ledgers[partition]
    for shift_id, hold in here.book.holds.items():
        yield from _to_target(here, ledgers[_of(hold.reserve.source_zone)], shift_id, hold)
    for ledger in ledgers.values():
        for shift_id, shift in ledger.book.shifts.items():
            if _of(shift.reserve.zone) == partition and shift.held_at is None and shift_id not in here.book.holds:
                yield shift.reserve
    for shift_id, shift in here.book.shifts.items():
        yield from _to_source(here, ledgers[_of(shift.reserve.zone)], shift_id, shift)


def _of(zone: str) -> int:
    return partition_of(zone, TOPICS["dispatch"].partitions)


def _to_target(here: Ledger, source: Ledger, shift_id: str, hold: Hold) -> Iterator[Crossing]:
    shift, reserve = source.book.shifts.get(shift_id), hold.reserve
    if hold.codes:
        return
    if shift is None and source.position <= reserve.source_position:
        return  # its award is still to be read
    if shift is not None and not hold.is_confirmed:
        if shift.held_at is not None:
            yield ShiftConfirm(zone=reserve.zone, shift_id=shift_id)
    elif not hold.is_confirmed or _outlasts(here, counterpart_of(shift_id), source, shift_id):
        yield _release(source, shift_id, shift_id, reserve.zone)


def _to_source(here: Ledger, target: Ledger, shift_id: str, shift: Shift) -> Iterator[Crossing]:
    hold = target.book.holds.get(shift_id)
    if shift.held_at is None:
        if hold is not None:
            zone = shift.reserve.source_zone
            yield ShiftReserved(zone=zone, shift_id=shift_id, position=hold.place, codes=list(hold.codes))
    elif target.position > shift.held_at and _outlasts(here, shift_id, target, counterpart_of(shift_id)):
        yield _release(target, shift_id, counterpart_of(shift_id), shift.reserve.source_zone)


def _outlasts(here: Ledger, order_id: str, other: Ledger, others_id: str) -> bool:
    """Whether a leg here would go on after the other one, which is over or ends sooner."""
    until, counterpart = here.book.orders[order_id].order.ends_at, other.book.orders.get(others_id)
    ends_at: datetime | None = other.book.now
    if counterpart is not None and counterpart.state not in ORDER_OVER:
        ends_at = counterpart.order.ends_at
    return ends_at is not None and (until is None or max(ends_at, here.book.now) < until)


def _release(other: Ledger, shift_id: str, order_id: str, zone: str) -> ShiftRelease:
    tracked = other.book.orders.get(order_id)
    ends_at: datetime | None = None
    if tracked is not None and tracked.state not in ORDER_OVER:
        ends_at = tracked.order.ends_at
    step = None if tracked is None else tracked.history[-1]
    return ShiftRelease(
        zone=zone,
        shift_id=shift_id,
        ends_at=ends_at,
        reason_code="" if step is None else step.reason_code,
        reason="" if step is None else step.reason,
    )
