"""What orders that are over would come to if they were settled now, as their owner would; nothing is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter

from gridsignal_schemas.messages import Settlement, SettlementStatus
from gridsignal_schemas.rules.lifecycle import SettlementState
from gridsignal_services.audit.measured_again import measurement
from gridsignal_services.bus import LogRecord
from gridsignal_services.bus.codec import Codec, Poison
from gridsignal_services.ledger.entry import entry_of
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.ledger.settlements import is_correctable
from gridsignal_services.ledger.tracked import TrackedSettlement
from gridsignal_services.ledger.tree import leaf_of
from gridsignal_services.metering.older_readings import MOST_READ, Held, Place, place_of, says_more
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


@dataclass(slots=True)
class _Waiting:
    unsettled: Unsettled
    held: dict[Place, Held] = field(default_factory=dict)

    def hear(self, held: Held) -> None:
        reading, of = held.reading, self.unsettled
        touches = reading.starts_at < of.terms.ends_at and reading.ends_at > of.since
        if touches and reading.participant == of.order.participant and says_more(self.held, held):
            self.held[place_of(reading)] = held


def previews(
    partition: int, codec: Codec, records: Iterable[LogRecord], readings: Iterable[LogRecord]
) -> Iterator[Preview]:
    """Of every order of a partition that is over and may get another version, in the order of their ends."""
    ledger = _ledger_of(partition, codec, records)
    waiting = list[_Waiting]()
    for tracked in ledger.book.settlements.values():
        if (status := _next_of(ledger, tracked)) is None:
            continue
        if (found := unsettled(ledger, tracked.order_id, status)) is not None:
            waiting.append(_Waiting(found))
    sites = {each.unsettled.order.site: list[_Waiting]() for each in waiting}
    for each in waiting:
        sites[each.unsettled.order.site].append(each)
    for logged in readings if waiting else ():
        if (held := measurement(ledger, codec, logged)) is not None:
            for each in sites.get(held.reading.site, ()):
                each.hear(held)
    return map(_preview, waiting)


def _next_of(ledger: Ledger, tracked: TrackedSettlement) -> SettlementStatus | None:
    if (status := tracked.owed or _NEXT.get(tracked.state)) is not None:
        return status
    return SettlementStatus.CORRECTED if is_correctable(ledger.book, tracked) else None


def _preview(waiting: _Waiting) -> Preview:
    found, order = waiting.unsettled, waiting.unsettled.order
    are_too_many = len(waiting.held) > MOST_READ
    said = Said([] if are_too_many else sorted(waiting.held.values(), key=attrgetter("offset")), 0, are_too_many)
    try:
        return Preview(order.zone, order.order_id, found.newest, found.settled(said))
    except Undecidable as error:
        return Preview(order.zone, order.order_id, found.newest, None, error.reason)


def _ledger_of(partition: int, codec: Codec, records: Iterable[LogRecord]) -> Ledger:
    ledger = Ledger(partition)
    for logged in records:
        try:
            record = codec.decode(logged.value)
        except Poison:
            ledger.skip(logged.offset, leaf_of(logged))
        else:
            ledger.apply(entry_of(logged, record))
    return ledger
