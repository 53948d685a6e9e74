"""The book of a request as its operator reads it: every offer in the order of the clearing, and why it lost."""

from __future__ import annotations

from datetime import datetime

from gridsignal_schemas.codes import why_lost, why_rejected
from gridsignal_schemas.messages import Clearing, DispatchRequest, OfferOption, OrderState, Rejection
from gridsignal_schemas.rules.lifecycle import OFFER_CALLABLE, OfferState, RequestState
from gridsignal_schemas.values import Money, Shape, Timestamp
from gridsignal_services.ledger.amounts import Amount
from gridsignal_services.ledger.announcements import OfferKey
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.ranking import price_of_whole, priced_at
from gridsignal_services.ledger.tracked import TrackedOffer, TrackedRequest


class OptionLine(Shape):
    """One option of an offer, priced over the order it would have."""

    option: str
    power_w: int
    starts_at: Timestamp
    ends_at: Timestamp
    price_per_mwh: Money
    effective_price_per_mwh: Amount | None
    """Activation fee included, per MWh of the option's whole power over the order it would have; null: it would have
    none."""
    divisible: bool
    min_power_w: int


class OfferLine(Shape):
    """One offer's line in the book."""

    place: int
    """1: first to be called. First those that were called, then those that can be, in the clearing's order."""
    rank: int | None
    """Place among the awards it was given in."""
    participant: str
    site: str
    offer_id: str
    revision: int
    state: OfferState
    codes: list[str]
    """The rules that stopped it."""
    reason: str
    """The same for people, with the area whose limit it was."""
    area: str | None = None
    """The area whose limit stopped it, where it was one's."""
    limit: str | None = None
    """Which of the area's limits, by its field in AreaRegistration."""
    option: str | None
    """The option awarded."""
    awarded_w: int | None
    options: list[OptionLine]
    received_at: Timestamp
    """Append time: of two equal prices the earlier wins."""
    expires_at: Timestamp
    order_id: str | None
    order_state: OrderState | None


class BookView(Shape):
    """A request with everything its operator needs to decide, or to explain a decision."""

    request: DispatchRequest
    state: RequestState
    offered_w: int
    """What the LIVE and STANDBY offers and the awards add up to."""
    awarded_w: int
    """What orders that are not over add up to."""
    offers: list[OfferLine]
    clearings: list[Clearing]
    """Every valid clearing, oldest first."""


def head(book: Book, request_id: str) -> BookView:
    """The book of one request without its offers and clearings."""
    tracked = book.requests[request_id]
    held = [book.offers[key] for key in tracked.offers]
    awarded_w = sum(order.power_w for order in book.live_orders(tracked.orders))
    standing_w = sum(max(o.power_w for o in each.offer.options) for each in held if each.state in OFFER_CALLABLE)
    return BookView(
        request=tracked.request,
        state=tracked.state,
        offered_w=awarded_w + standing_w,
        awarded_w=awarded_w,
        offers=[],
        clearings=[],
    )


def line(book: Book, key: OfferKey, place: int) -> OfferLine:
    """One offer's line."""
    held = book.offers[key]
    tracked = book.requests[held.offer.request_id or ""]
    offer, at = held.offer, priced_at(book, tracked, held)
    order = book.orders.get(held.order_id) if held.order_id else None
    cut = _cut(tracked, key, held)
    reason = (why_rejected if held.state is OfferState.REJECTED else why_lost)(held.codes)
    return OfferLine(
        place=place,
        rank=held.rank,
        participant=offer.participant,
        site=offer.site,
        offer_id=offer.offer_id,
        revision=offer.revision,
        state=held.state,
        codes=list(held.codes),
        reason=reason if cut is None else f"{reason}: {cut.area}, {cut.limit}",
        area=None if cut is None else cut.area,
        limit=None if cut is None else cut.limit,
        option=held.option,
        awarded_w=order.power_w if order else held.power_w,
        options=[_option_line(tracked.request, option, at) for option in offer.options],
        received_at=held.receipt.received_at,
        expires_at=offer.expires_at,
        order_id=held.order_id,
        order_state=order.state if order else None,
    )


def _cut(tracked: TrackedRequest, key: OfferKey, held: TrackedOffer) -> Rejection | None:
    """What the newest clearing that listed it says of an offer that an area's limit stopped."""
    if not {"AREA_RAMP", "AREA_LIMIT"} & set(held.codes):
        return None
    rejected = (loser for made in reversed(tracked.clearings) for loser in made.rejected)
    return next((each for each in rejected if (each.participant, each.offer_id) == key and each.area), None)


def _option_line(request: DispatchRequest, option: OfferOption, at: datetime) -> OptionLine:
    return OptionLine(
        option=option.option,
        power_w=option.power_w,
        starts_at=option.starts_at,
        ends_at=option.ends_at,
        price_per_mwh=option.price_per_mwh,
        effective_price_per_mwh=price_of_whole(request, option, at),
        divisible=option.divisible,
        min_power_w=option.min_power_w,
    )
