"""Where on the log a record lies that is named by its id: near the time at which the ledger took it.

What is looked through is bounded, however long the log is.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from gridsignal_schemas.messages import DispatchOrder, FlexOffer, Record, Settlement
from gridsignal_schemas.rules.faults import fault
from gridsignal_services.access import Principal
from gridsignal_services.bus import Log, LogRecord
from gridsignal_services.bus.between import read_between
from gridsignal_services.bus.codec import Codec, Poison
from gridsignal_services.clock import append_us
from gridsignal_services.dispatch.door import Door
from gridsignal_services.dispatch.parts import OFFERS
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.ledger.tracked import TrackedOffer
from gridsignal_services.rest import problems
from gridsignal_services.work import Work

MOST = 16_384
"""Records looked through from where a record can be."""
_BLOCK = 1000
_MOST_STEPS = 4
"""Changes of an order, from the newest back, at which its present revision is looked for."""
_EARLIER = timedelta(seconds=1)
"""A simulation's clock is a fraction of the log's."""


class Kind(StrEnum):
    OFFER = "offer"
    ORDER = "order"
    REQUEST = "request"
    SETTLEMENT = "settlement"


class Sought(NamedTuple):
    """A record that somebody may see, and where it can lie."""

    partition: int
    near: list[int | datetime]
    """Offsets, or when it was logged, by grid time: it lies at one of them or soon after."""
    text: str
    """It stands in the record's bytes."""
    is_it: Callable[[Record], bool]


async def sought(
    door: Door, who: Principal, kind: Kind, name: str, participant: str | None, request_id: str | None, work: Work
) -> Sought:
    """The newest revision of what has this id, or of the settlement of the order that has it. Raises Problem 404."""
    match kind:
        case Kind.REQUEST:
            ledger, asked = await door.request(who, name, work=work)
            revision = asked.request.revision
            near = [asked.receipts[revision].received_at]
            return Sought(ledger.partition, [*near], name, lambda record: record == asked.request)
        case Kind.OFFER:
            return await _offer(door, who, (participant or who.organisation, name), request_id, work)
        case Kind.ORDER:
            ledger, ordered = await door.order(who, name, work=work)
            revision, steps = ordered.order.revision, ordered.history[: -_MOST_STEPS - 1 : -1]
            since = [ordered.issued_place] if revision == 1 else [step.at for step in steps]

            def is_order(record: Record) -> bool:
                return isinstance(record, DispatchOrder) and record.order_id == name and record.revision == revision

            return Sought(ledger.partition, [*since], name, is_order)
        case Kind.SETTLEMENT:
            ledger, _ = await door.order(who, name, work=work)
            settled = ledger.book.settlements.get(name)
            if settled is None or (newest := settled.newest) is None or settled.logged_at is None:
                raise problems.nothing_yet("This order is not settled yet.")

            def is_settlement(record: Record) -> bool:
                return isinstance(record, Settlement) and record == newest

            return Sought(ledger.partition, [settled.logged_at], name, is_settlement)


async def _offer(door: Door, who: Principal, key: tuple[str, str], request_id: str | None, work: Work) -> Sought:
    ledger, offered = await _offered(door, who, key, request_id, work)
    return Sought(ledger.partition, [offered.place], key[1], lambda record: _is_offer(record, offered.offer))


def _is_offer(record: Record, offer: FlexOffer) -> bool:
    return isinstance(record, FlexOffer) and record == offer


async def _offered(
    door: Door, who: Principal, key: tuple[str, str], request_id: str | None, work: Work
) -> tuple[Ledger, TrackedOffer]:
    """Of offers on requests that are over only those of a request that is named. Raises Problem 404."""
    past = door.past(who, work)
    known = await past.entries(door.ledgers(), lambda ledger: ledger.book.offers, OFFERS, request_id=request_id)
    for name, (ledger, offered) in known:
        if name == key and door.sees_offer(who, ledger, offered):
            return ledger, offered
    raise problems.not_found("offer")


async def found(door: Door, place: Sought) -> LogRecord:
    """The record itself. Raises Problem 404 where it lies elsewhere, LogUnavailable, PositionGone."""
    log, codec = door.heads.log, door.heads.codec
    for near in place.near:
        start = near if isinstance(near, int) else await _position(log, door, place.partition, near)
        end = min(start + MOST, (await log.end_positions("dispatch"))[place.partition])
        if (record := await _first(log, codec, place, start, end)) is not None:
            return record
    raise problems.nothing_yet("This record is not found near where it was logged: name its zone and offset.")


async def _position(log: Log, door: Door, partition: int, when: datetime) -> int:
    since_us = append_us(door.replica.grid, when) - round(_EARLIER.total_seconds() * 1_000_000)
    return (await log.position_at("dispatch", max(0, since_us)))[partition]


async def _first(log: Log, codec: Codec, place: Sought, start: int, end: int) -> LogRecord | None:
    wanted, some = place.text.encode(), list[LogRecord]()

    def take(logged: LogRecord) -> None:
        if wanted in logged.value:
            some.append(logged)

    while start < end and not some:
        until = min(end, start + _BLOCK)
        await read_between(log, "dispatch", {place.partition: start}, {place.partition: until}, take)
        some[:] = [logged for logged in some if _is(codec, logged, place.is_it)]
        start = until
    return some[0] if some else None


def _is(codec: Codec, logged: LogRecord, is_it: Callable[[Record], bool]) -> bool:
    try:
        return is_it(codec.decode(logged.value))
    except Poison:
        return False


async def at(log: Log, partition: int, offset: int) -> LogRecord | None:
    """The record at an offset that the log has reached; None: retention has gone by."""
    some = list[LogRecord]()
    if offset < (await log.start_positions("dispatch"))[partition]:
        return None
    await read_between(log, "dispatch", {partition: offset}, {partition: offset + 1}, some.append)
    return some[0] if some else None


def must_name_one(kind: Kind | None, name: str | None, zone: str | None, offset: int | None) -> None:
    """Raises Problem 422 unless it is a kind and an id, or a place."""
    named = {"kind": kind, "id": name, "zone": zone, "offset": offset}
    given = [each for each, value in named.items() if value is not None]
    if given not in (["kind", "id"], ["zone", "offset"]):
        message = f"expected kind and id, or zone and offset, got {' and '.join(given) or 'none of them'}"
        raise problems.invalid([fault("ONE_RECORD", "?kind", message)])
