"""What the door answers with: the state of things as an operator or a participant reads it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from gridsignal_schemas.frames import Receipt
from gridsignal_schemas.messages import (
    DispatchOrder,
    DispatchRequest,
    FlexOffer,
    MeterReading,
    OrderState,
    QuantityKind,
    Settlement,
    SiteRegistration,
)
from gridsignal_schemas.rules.changes import latest_end
from gridsignal_schemas.rules.lifecycle import (
    ORDER_NEVER_HELD,
    ORDER_OVER,
    OfferState,
    RequestShown,
    SettlementState,
    shown,
)
from gridsignal_schemas.values import Currency, Identifier, Money, Shape, Timestamp, Zone
from gridsignal_services.ledger.amounts import Amount
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.delivered import DeliveryInterval, OrderTotals, ordered_ws
from gridsignal_services.ledger.ordering import option_of
from gridsignal_services.ledger.tracked import TrackedOffer, TrackedOrder, TrackedRequest, TrackedSettlement
from gridsignal_services.metering.meters import PassedOver
from gridsignal_services.settlement.delivery import wh_of


class RequestView(Shape):
    """A request and where it stands."""

    request: DispatchRequest
    state: RequestShown
    """Who only sees it reads OPEN or CANCELLED; ACTIVE, AWARDED or PARTIALLY_AWARDED by their own orders alone; else
    CLEARING once offers are no longer taken, and OVER after its end: whether it was met is between its operator and
    those who offered."""
    waits_for_clearing: bool
    """True between gate closure, or a shortfall, and the clearing that answers it; for its operator alone."""
    offers: int
    """How many offers its operator has; participants see 0 here, and theirs at /v1/offers."""
    orders: list[str]
    """Orders its operator has; participants see their own here that are not over, and all of theirs at /v1/orders."""


class OrderStep(Shape):
    """One line of an order's history."""

    at: Timestamp
    state: OrderState
    actor: str
    """Who acted, by their own word."""
    principal: str
    """Who acted, by the token: role:organisation."""
    reason_code: str
    reason: str


class OrderView(Shape):
    """An order, what was accepted of it, and what was delivered as far as it has been metered."""

    order: DispatchOrder
    """The record as it was last written; its own `state` is of then."""
    state: OrderState
    """Where it stands now."""
    accepted_w: int | None
    extendable_until: Timestamp | None
    """How far its end can be moved: as long as the site has offered, should it not have promised the time elsewhere
    since. Its own end: the offer reaches no further. Null: it is over, or rests on no offer."""
    history: list[OrderStep]
    ordered_wh: int | None
    """What it is to deliver in all: 0 where that is nothing, for it never held, was released before it began, or is a
    limit. Null: it has no end."""
    delivered_wh: int | None
    """0: metered, and nothing was delivered; null: not metered yet, or nothing to deliver."""
    amount: Amount | None
    """What it is worth to the site as far as it has been metered, penalties taken off; null in a dry run, and as long
    as nothing is metered."""
    currency: Currency
    metered_s: int
    """How many seconds of its period have a figure; the sums are of all of them."""
    metered: list[DeliveryInterval]
    """A thousand intervals at most, from `metered_from` on where one was named."""
    next_metered: Timestamp | None
    """Where there are more: their `metered_from`."""


class OfferView(Shape):
    """An offer and where it stands."""

    offer: FlexOffer
    state: OfferState
    codes: list[str]
    option: str | None
    awarded_w: int | None
    order_id: str | None
    receipt: Receipt


class SiteView(Shape):
    """A connection point as operators see it: what could be asked there, and nothing of what it offers to others."""

    zone: Zone
    site: Identifier
    capacity_w: int
    """What the connection carries, in watts."""
    baseline_until: Timestamp | None
    """How far from now on a baseline is declared; null: none is, and offers of this site can't be valid."""


class Requests(Shape):
    """A page of requests; pass `next` as `after` for the following one."""

    requests: list[RequestView]
    next: str | None


class Orders(Shape):
    """A page of orders; pass `next` as `after` for the following one."""

    orders: list[OrderView]
    next: str | None


class DisputeView(Shape):
    """What a participant holds to be wrong, and the answer."""

    version: int
    reason_code: str
    text: str
    claimed: Money | None
    """The total that would be right."""
    actor: str
    received_at: Timestamp
    answer: str | None
    """Why the operator let the version stand; null: not so, a newer version is the answer or none has come."""


class SettlementView(Shape):
    """The newest version of what an order came to, and where it stands."""

    settlement: Settlement
    state: SettlementState
    logged_at: Timestamp
    """When this version was written."""
    disputable_until: Timestamp | None
    """Until when its participant may dispute it; null: it is settled."""
    disputes: list[DisputeView]
    """Of all versions, the oldest first."""


class Settlements(Shape):
    """A page of settlements; pass `next` as `after` for the following one."""

    settlements: list[SettlementView]
    next: str | None


class Offers(Shape):
    """A page of offers; pass `next` as `after` for the following one."""

    offers: list[OfferView]
    next: str | None


class IgnoredReading(Shape):
    """A reading that is on the log and counts for nothing."""

    reading: MeterReading
    code: str
    """The rule that it breaks."""
    reason: str
    """The same for people."""


class Readings(Shape):
    """Meter readings of one site, oldest first."""

    readings: list[MeterReading]
    ignored: list[IgnoredReading]
    """The newest of those that count for nothing, and why; a hundred at most."""


def request_view(name: str, book: Book, tracked: TrackedRequest, now: datetime, *, own: bool) -> RequestView:
    """`own`: for its operator; a principal of another name sees the request, and what its own orders tell."""
    theirs = [] if own else _orders_of(name, book, tracked)
    return RequestView(
        request=tracked.request,
        state=state_shown(name, book, tracked, now, own=own),
        waits_for_clearing=own and tracked.wants_clearing,
        offers=len(tracked.offers) if own else 0,
        orders=list(tracked.orders) if own else [o.order.order_id for o in theirs if o.state not in ORDER_OVER],
    )


def state_shown(name: str, book: Book, tracked: TrackedRequest, now: datetime, *, own: bool) -> RequestShown:
    """A request's state as its operator, or a principal of another name, may know it."""
    if own:
        return RequestShown(tracked.state)
    request, theirs = tracked.request, _orders_of(name, book, tracked)
    held = [(each.state, each.power_w) for each in theirs]
    return shown(tracked.state, request.power_w, held, is_past=request.ends_at <= now)


def _orders_of(name: str, book: Book, tracked: TrackedRequest) -> list[TrackedOrder]:
    orders = [each for each in map(book.orders.get, tracked.orders) if each]  # it may leave at any moment
    return [each for each in orders if f"participant:{each.order.participant}" == name]


def settlement_view(tracked: TrackedSettlement) -> SettlementView:
    """Raises LookupError where no version was written so far."""
    if tracked.newest is None or tracked.logged_at is None:
        raise LookupError("expected a version")
    return SettlementView(
        settlement=tracked.newest,
        state=tracked.state,
        logged_at=tracked.logged_at,
        disputable_until=None if tracked.state is SettlementState.SETTLED else tracked.window_ends_at,
        disputes=disputes_of(tracked),
    )


def lines_of(settlement: Settlement | None) -> int:
    """How many lines a settlement takes on a page; one where there is none so far."""
    return 1 if settlement is None else len(settlement.intervals) + 1


def disputes_of(tracked: TrackedSettlement) -> list[DisputeView]:
    """The disputes about all versions, the oldest first."""
    return [
        DisputeView(
            version=each.dispute.version,
            reason_code=each.dispute.reason_code,
            text=each.dispute.text,
            claimed=each.dispute.claimed,
            actor=each.dispute.actor,
            received_at=each.receipt.received_at,
            answer=None if each.answer is None else each.answer.reason,
        )
        for each in tracked.disputes
    ]


def stays_for(name: str, book: Book, tracked: TrackedRequest, now: datetime) -> bool:
    """Whether a request is listed without a period for a principal of this name, whose it is not: until it, and their
    own orders on it, have been over for a day. It may be in the book for longer, by what became of others' orders."""
    since = now - book.kept
    if tracked.request.ends_at > since:
        return True
    own = [each.order for each in _orders_of(name, book, tracked)]
    return any(overlaps(order.starts_at, order.ends_at, since, None) for order in own)


class Metered(NamedTuple):
    """What is shown of an order's delivery: all of it in the sums, a page of it by interval."""

    totals: OrderTotals = OrderTotals(None, None, 0)
    page: Sequence[DeliveryInterval] = ()
    next: datetime | None = None


def order_view(book: Book, tracked: TrackedOrder) -> OrderView:
    """An order as it stands, nothing of it metered yet."""
    order = tracked.order
    return OrderView(
        order=order,
        state=tracked.state,
        accepted_w=tracked.accepted_w,
        extendable_until=_extendable_until(book, tracked),
        history=[
            OrderStep(**{name: getattr(step, name) for name in OrderStep.model_fields}) for step in tracked.history
        ],
        ordered_wh=_ordered_wh(tracked),
        delivered_wh=None,
        amount=None,
        currency=book.requests[order.request_id].request.currency,
        metered_s=0,
        metered=[],
        next_metered=None,
    )


def with_metered(view: OrderView, metered: Metered) -> OrderView:
    """An order with its metered delivery."""
    sums = {name: getattr(metered.totals, name) for name in ("delivered_wh", "amount", "metered_s")}
    return view.model_copy(update=sums | {"metered": list(metered.page), "next_metered": metered.next})


def _ordered_wh(tracked: TrackedOrder) -> int | None:
    order = tracked.order
    if order.quantity_kind is QuantityKind.UNKNOWN or tracked.state in ORDER_NEVER_HELD:
        return 0
    return None if order.ends_at is None else wh_of(ordered_ws(tracked, order.ends_at))


def _extendable_until(book: Book, tracked: TrackedOrder) -> datetime | None:
    option, ends_at = option_of(book, tracked), tracked.order.ends_at
    if option is None or ends_at is None or tracked.state in ORDER_OVER:
        return None
    return max(ends_at, latest_end(tracked.order, option))


def ignored(passed_over: PassedOver) -> IgnoredReading:
    """A reading that counts for nothing, as it is shown."""
    reading, fault = passed_over
    return IgnoredReading(reading=reading, code=fault.code, reason=fault.message)


def offer_view(tracked: TrackedOffer) -> OfferView:
    """An offer's current revision."""
    return OfferView(
        offer=tracked.offer,
        state=tracked.state,
        codes=list(tracked.codes),
        option=tracked.option,
        awarded_w=tracked.power_w,
        order_id=tracked.order_id,
        receipt=tracked.receipt,
    )


def page(ids: Iterable[str], after: str | None, limit: int) -> tuple[list[str], str | None]:
    """The ids after one of them, in their order, and the last one where more follow.

    Raises LookupError where `after` is none of them.
    """
    listed = list(ids)
    if after is not None and after not in listed:
        raise LookupError("expected the `next` of a page with the same filters")
    start = 0 if after is None else listed.index(after) + 1
    chosen = listed[start : start + limit]
    more = start + limit < len(listed)
    return chosen, chosen[-1] if more and chosen else None


def overlaps(starts_at: datetime, ends_at: datetime | None, from_: datetime | None, to: datetime | None) -> bool:
    """Whether a period touches [from_, to); open ends reach for ever."""
    return (to is None or starts_at < to) and (from_ is None or ends_at is None or ends_at > from_)


def site_view(book: Book, site: SiteRegistration, now: datetime) -> SiteView:
    """A site, and how far its baseline reaches without a gap."""
    until = now
    for declared in sorted(book.declared.get(site.site, ()), key=lambda declared: declared.starts_at):
        if declared.starts_at <= until < declared.ends_at:
            until = declared.ends_at
    return SiteView(
        zone=site.zone, site=site.site, capacity_w=site.capacity_w, baseline_until=until if until > now else None
    )
