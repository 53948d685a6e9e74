"""What was asked, offered, ordered, delivered and paid, added up by request, site or day."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Query, Request, Response

from gridsignal_schemas.messages import DispatchRequest, RunMode
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.rules.lifecycle import ORDER_NEVER_HELD, OfferState
from gridsignal_schemas.values import Currency, Shape
from gridsignal_services.access import Principal
from gridsignal_services.dispatch.door import Door, owns
from gridsignal_services.dispatch.listing import ZoneFilter, must_be_theirs
from gridsignal_services.dispatch.parts import OFFERS
from gridsignal_services.dispatch.past import PastReader
from gridsignal_services.dispatch.periods import MONTH, From, To, must_be_a_period
from gridsignal_services.dispatch.sheet import as_asked, sheet_at
from gridsignal_services.dispatch.views import overlaps
from gridsignal_services.dispatch.written import written
from gridsignal_services.ledger.amounts import Amount, exactly
from gridsignal_services.ledger.announcements import OfferKey
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.delivered import OrderTotals, ordered_ws
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.ledger.tracked import TrackedOffer, TrackedOrder, TrackedRequest
from gridsignal_services.rest import problems
from gridsignal_services.settlement.delivery import wh_of
from gridsignal_services.work import Work

MOST = 2000
"""Orders, and offers, that one answer adds up."""
_NOT_OFFERED = frozenset({OfferState.REJECTED, OfferState.WITHDRAWN})


class By(StrEnum):
    REQUEST = "request"
    SITE = "site"
    DAY = "day"


class Total(Shape):
    """One line: energies in whole watt-hours, each sum rounded once; money in its currency. Dry runs take no part."""

    key: str
    """The request's id, the site, or the day on which the request starts, by its zone's time."""
    currency: Currency
    requests: int
    asked_wh: int | None
    """Power x period of the requests; null by site, for nobody asks one site."""
    offered_wh: int
    """Of each offer that was neither rejected nor withdrawn, what its largest option gives within the request."""
    orders: int
    """Those that held: neither refused nor void nor cancelled."""
    ordered_wh: int
    delivered_wh: int | None
    """As far as it is metered; null: nothing is metered."""
    amount: Amount | None
    """What the sites get for it, penalties taken off; null: nothing is metered."""
    ordered_s: int
    metered_s: int
    """How much of the ordered time has a figure: below `ordered_s` the sums are not final."""


class Totals(Shape):
    """The lines in order of their keys."""

    by: By
    totals: list[Total]


_TOTALS = sheet_at("/v1/totals", Total, rows="totals")


def routes(door: Door) -> APIRouter:
    """The router of /v1/totals."""
    router = APIRouter(prefix="/v1", tags=["totals"])

    @router.get("/totals", response_model=Totals, summary="Add up requests, offers and orders")
    async def totals(
        request: Request,
        from_: From,
        to: To,
        by: Annotated[By, Query(description="One line for each.")] = By.REQUEST,
        zone: ZoneFilter = None,
    ) -> Response:
        """What was asked, offered, ordered, delivered and paid on requests that touch [from, to), a month at most.

        An operator reads its own requests, a participant its own offers and orders.
        """
        who = door.principal(request)
        door.only(request, "from", "to", "by", "zone")
        must_be_theirs(door, who, zone)
        must_be_a_period(from_, to, MONTH)
        await door.catch_up(request)

        def asked(entry: _Asked) -> bool:
            of = entry.tracked.request
            counts = zone in (None, of.zone) and of.run_mode is not RunMode.DRY_RUN
            return counts and overlaps(of.starts_at, of.ends_at, from_, to) and door.sees_request(who, *entry)

        async with door.turn(who) as work:
            past = door.past(who, work)
            known = await past.entries(door.ledgers(), lambda ledger: ledger.requests, OFFERS, from_, to)
            entries = (_Asked(*entry) for _, entry in known)
            chosen = [one for one in await work.each(entries, lambda e: e if asked(e) else None) if one]
            sums = await _added_up(door, who, chosen, by, work)
            lines = sorted(sums.items())
            head = Totals(by=by, totals=[])
            answer = await written(head, "totals", lines, lambda line: line[1].line(*line[0]), work)
            return await as_asked(request, answer, _TOTALS, work)

    return router


class _Asked(NamedTuple):
    ledger: Ledger
    tracked: TrackedRequest


@dataclass(slots=True)
class Sum:
    """One line while it is added up; energies in watt-seconds."""

    asked_ws: int | None
    requests: set[str] = field(default_factory=set)
    offered_ws: int = 0
    orders: int = 0
    ordered_ws: int = 0
    ordered_s: int = 0
    metered_s: int = 0
    delivered_ws: int | None = None
    amount: Decimal | None = None

    def add_ordered(self, ordered_ws: int, seconds: int) -> None:
        """Adds an order."""
        self.orders += 1
        self.ordered_ws += ordered_ws
        self.ordered_s += seconds

    def add_metered(self, metered: OrderTotals) -> None:
        """Adds what is metered of an order."""
        self.metered_s += metered.metered_s
        if metered.delivered_ws is not None:
            self.delivered_ws = (self.delivered_ws or 0) + metered.delivered_ws
        if metered.amount is not None:
            with exactly():
                self.amount = (self.amount or Decimal(0)) + metered.amount

    def line(self, key: str, currency: str) -> Total:
        """The sums as they are shown."""
        return Total(
            key=key,
            currency=currency,
            requests=len(self.requests),
            asked_wh=None if self.asked_ws is None else wh_of(self.asked_ws),
            offered_wh=wh_of(self.offered_ws),
            orders=self.orders,
            ordered_wh=wh_of(self.ordered_ws),
            delivered_wh=None if self.delivered_ws is None else wh_of(self.delivered_ws),
            amount=self.amount,
            ordered_s=self.ordered_s,
            metered_s=self.metered_s,
        )


_Sums = dict[tuple[str, str], Sum]


async def _added_up(door: Door, who: Principal, chosen: list[_Asked], by: By, work: Work) -> _Sums:
    sums: _Sums = {}
    held: list[tuple[Ledger, TrackedOrder, Sum]] = []
    offers, past = 0, door.past(who, work)
    for entry in chosen:
        tracked = entry.tracked
        ledger, mine = await _found(past, who, *entry, work)
        offers += len(mine.offers)
        if len(held) + len(mine.orders) > MOST or offers > MOST:
            expected = f"expected a shorter period, for there are more than {MOST} offers or orders in this one"
            raise problems.invalid([fault("PERIOD", "?to", expected)])
        held += await _take(sums, door, ledger, tracked.request, mine, by, work)
    for ledger, order, line in held:
        holder = await past.holding(ledger, OFFERS, order.order.request_id)
        if holder is None:
            continue
        line.add_metered((await door.measuring.of(holder.book, order, work)).totals)
    return sums


async def _found(
    past: PastReader, who: Principal, ledger: Ledger, tracked: TrackedRequest, work: Work
) -> tuple[Ledger, _Mine]:
    """What of a request is theirs, all from one ledger; nothing where it is in none any more."""
    mine, name = await _Mine.of(who, ledger.book, tracked, work), tracked.request.request_id
    if (holder := await past.holding(ledger, OFFERS, name)) is None:
        return ledger, _Mine(False, [], [])
    if holder is not ledger:  # it left while it was looked through: what was found may be a part
        mine = await _Mine.of(who, holder.book, holder.requests[name], work)
    return holder, mine


class _Mine(NamedTuple):
    """What of a request is theirs to add up."""

    asks: bool
    offers: list[TrackedOffer]
    orders: list[TrackedOrder]

    @classmethod
    async def of(cls, who: Principal, book: Book, tracked: TrackedRequest, work: Work) -> _Mine:
        asks = owns(who, tracked)

        def is_theirs(participant: str) -> bool:
            return asks or (who.role == "participant" and participant == who.organisation)

        def offered(key: OfferKey) -> TrackedOffer | None:
            offer = book.offers.get(key) if is_theirs(key[0]) else None
            return None if offer is None or offer.state in _NOT_OFFERED else offer

        def ordered(order_id: str) -> TrackedOrder | None:
            one = book.orders.get(order_id)
            theirs = one is not None and is_theirs(one.order.participant) and one.state not in ORDER_NEVER_HELD
            return one if theirs else None

        offers = await work.each(list(tracked.offers), offered)
        orders = await work.each(list(tracked.orders), ordered)
        return cls(asks, [one for one in offers if one is not None], [one for one in orders if one is not None])


async def _take(
    sums: _Sums, door: Door, ledger: Ledger, request: DispatchRequest, mine: _Mine, by: By, work: Work
) -> list[tuple[Ledger, TrackedOrder, Sum]]:
    """Adds a request to its lines; what its orders delivered is still to be measured."""
    if not (mine.asks or mine.offers or mine.orders):
        return []
    market = door.registry.zones.get(request.zone)  # a zone may have left the registry since
    day = request.starts_at.astimezone(market.tz if market else UTC).date().isoformat()

    def line_of(site: str) -> Sum:
        key = {By.REQUEST: request.request_id, By.SITE: site, By.DAY: day}[by]
        line = sums.setdefault((key, request.currency), Sum(None if by is By.SITE else 0))
        if line.asked_ws is not None and request.request_id not in line.requests:
            line.asked_ws += _energy_ws(request.power_w, request.starts_at, request.ends_at)
        line.requests.add(request.request_id)
        return line

    if by is not By.SITE:
        line_of("")

    def offered(offer: TrackedOffer) -> None:
        line_of(offer.offer.site).offered_ws += _offered_ws(request, offer)

    def ordered(one: TrackedOrder) -> tuple[Ledger, TrackedOrder, Sum]:
        line, order = line_of(one.order.site), one.order
        ends_at = order.ends_at or request.ends_at
        line.add_ordered(ordered_ws(one, ends_at), int((ends_at - order.starts_at).total_seconds()))
        return ledger, one, line

    await work.each(mine.offers, offered)
    return await work.each(mine.orders, ordered)


def _offered_ws(request: DispatchRequest, offer: TrackedOffer) -> int:
    return max(
        _energy_ws(
            option.power_w,
            max(request.starts_at, option.starts_at),
            min(request.ends_at, option.ends_at, option.starts_at + timedelta(seconds=option.max_duration_s)),
        )
        for option in offer.offer.options
    )


def _energy_ws(power_w: int, starts_at: datetime, ends_at: datetime) -> int:
    return power_w * max(0, int((ends_at - starts_at).total_seconds()))


def an_evening(request: DispatchRequest) -> Totals:
    """What the OpenAPI document shows: one request, met in full."""
    energy = wh_of(_energy_ws(request.power_w, request.starts_at, request.ends_at))
    length_s = int((request.ends_at - request.starts_at).total_seconds())
    line = Total(
        key=request.request_id,
        currency=request.currency,
        requests=1,
        asked_wh=energy,
        offered_wh=energy,
        orders=1,
        ordered_wh=energy,
        delivered_wh=energy,
        amount=Decimal("720.0000"),
        ordered_s=length_s,
        metered_s=length_s,
    )
    return Totals(by=By.REQUEST, totals=[line])
