"""What orders that are over would come to if they were settled now, as their owner would; nothing is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from gridsignal_schemas.messages import Settlement, SettlementStatus
from gridsignal_schemas.rules.lifecycle import SettlementState
from gridsignal_services.audit.measured_again import measurement
from gridsignal_services.audit.settling_again import keep
from gridsignal_services.bus import LogRecord
from gridsignal_services.bus.codec import Codec, Poison
from gridsignal_services.clock import EPOCH
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.entry import entry_of
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.ledger.settlements import is_correctable, newest_of
from gridsignal_services.ledger.tracked import TrackedSettlement
from gridsignal_services.ledger.tree import leaf_of
from gridsignal_services.metering.counting import CountingReadings
from gridsignal_services.metering.readings import Said
from gridsignal_services.owning.due import Undecidable
from gridsignal_services.owning.settling import Unsettled, unsettled

_NEXT = {SettlementState.DUE: SettlementStatus.PROVISIONAL, SettlementState.PROVISIONAL: SettlementStatus.FINAL}


@dataclass(frozen=True, slots=True)
class Preview:
    """One order."""

    zone: str
    order_id: str
    newest: Settlement | None
    """The version on the log."""
    settlement: Settlement | None
    """The next one as it would be now; None where it would change nothing, or `why` says why there is none."""
    why: str = ""


class _Waiting(NamedTuple):
    unsettled: Unsettled
    counting: CountingReadings


def previews(
    partition: int,
    codec: Codec,
    records: Iterable[LogRecord],
    readings: Iterable[LogRecord],
    order_id: str | None = None,
) -> Iterator[Preview]:
    """Of every order of a partition that is over and may get another version, or of one, in the order of their ends.

    Bounded: by some kilobytes, and the readings, of each such order, also where it has left the ledger.
    """
    ledger, left = _reduced(partition, codec, records, order_id)
    waiting = sorted(_waiting(ledger, left, order_id), key=_end_of)
    by_day: dict[tuple[str, int], list[_Waiting]] = {}
    for each in waiting:
        of = each.unsettled
        for day in _days(of.since, of.terms.ends_at):
            by_day.setdefault((of.order.site, day), []).append(each)
    for logged in readings if waiting else ():
        if (held := measurement(ledger, codec, logged)) is not None:
            reading = held.reading
            for day in _days(reading.starts_at, reading.ends_at):
                for each in by_day.get((reading.site, day), ()):
                    each.counting.hear(held)
    return map(_preview, waiting)


def _end_of(waiting: _Waiting) -> tuple[datetime, str]:
    return waiting.unsettled.terms.ends_at, waiting.unsettled.order.order_id


def _days(starts_at: datetime, ends_at: datetime) -> range:
    """Since 1970, that a time touches."""
    return range((starts_at - EPOCH).days, (ends_at - EPOCH).days + 1)


def _waiting(ledger: Ledger, left: Mapping[str, Book], order_id: str | None) -> Iterator[_Waiting]:
    for name in left.keys() | ledger.book.settlements.keys() if order_id is None else {order_id}:
        kept = left.get(name)
        tracked = newest_of(ledger.book, name, None if kept is None else kept.settlements[name])
        if tracked is None or (status := _next_of(ledger, tracked)) is None:
            continue
        if (found := unsettled(ledger, name, status, left=kept)) is not None:
            yield _Waiting(found, found.counting())


def _next_of(ledger: Ledger, tracked: TrackedSettlement) -> SettlementStatus | None:
    if (status := tracked.owed or _NEXT.get(tracked.state)) is not None:
        return status
    return SettlementStatus.CORRECTED if is_correctable(ledger.book, tracked) else None


def _preview(waiting: _Waiting) -> Preview:
    found, order = waiting.unsettled, waiting.unsettled.order
    said = Said(waiting.counting.held, 0, waiting.counting.are_too_many)
    try:
        return Preview(order.zone, order.order_id, found.newest, found.settled(said))
    except Undecidable as error:
        return Preview(order.zone, order.order_id, found.newest, None, error.reason)


def _reduced(
    partition: int, codec: Codec, records: Iterable[LogRecord], order_id: str | None
) -> tuple[Ledger, dict[str, Book]]:
    """The ledger at the end of the records, and what orders that have left it were kept with."""
    ledger, left = Ledger(partition), dict[str, Book]()
    for logged in records:
        try:
            record = codec.decode(logged.value)
        except Poison:
            ledger.skip(logged.offset, leaf_of(logged))
        else:
            ledger.apply(entry_of(logged, record))
            keep(left, ledger.forgotten, lambda name: order_id in (None, name))
    return ledger, left
