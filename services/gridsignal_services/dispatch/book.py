"""The book of a request as its operator reads it: every offer in merit order, where it stands, and why it lost."""

from __future__ import annotations

from decimal import Decimal

from gridsignal_schemas.messages import Clearing, DispatchRequest, OfferOption, OrderState
from gridsignal_schemas.rules.lifecycle import OfferState, RequestState
from gridsignal_schemas.values import Money, Shape, Timestamp
from gridsignal_services.dispatch.amounts import Amount, exactly
from gridsignal_services.ledger.announcements import OfferKey
from gridsignal_services.ledger.book import Book, TrackedOffer, TrackedRequest

REASONS: dict[str, str] = {
    "OUTBID": "cheaper offers, or earlier ones at the same price, covered what was asked",
    "COVERED": "what was asked for is covered by others already, not all of them cheaper",
    "NEXT_CLEARING": "it is called in the clearing that follows at once: there was no room for more in this one",
    "NOT_PICKED": "somebody awarded by hand and picked others",
    "INDIVISIBLE": "it can only be taken whole, and that is more than was lacking",
    "LEVELS": "none of its levels fits into what was lacking",
    "STEP": "its power is no multiple of the request's step",
    "MIN_POWER": "what was lacking is below the offer's floor",
    "MIN_QUANTITY": "what was left for it is below the request's smallest award",
    "DURATION": "the period is shorter than it can be activated for",
    "TOO_LATE": "there was no time left to answer, ramp and serve its shortest activation",
    "OVERCOMMITTED": "more than the site can still move: its baseline, its limits, or what it has promised elsewhere",
    "PRICE_CAP": "its price is above the request's cap",
    "NOTICE": "it needs more notice than the request gives",
    "FULL_ACTIVATION": "it reaches full power too late",
    "RAMP": "its ramp does not reach the power in time",
    "REST": "the site still rests after its last activation",
    "EXPIRED": "it expired before it was called",
    "ACTIVATIONS": "the site has been activated as often as it can be in a day",
    "ORDERS_OF_SITE": "the site has as many orders as one may have at a time",
    "NO_ANSWER": "the site did not answer its order in time",
    "REFUSED": "the site refused its order",
    "NOT_CONSIDERED": "it came while the decision was being made, or had expired by then",
}
"""What a code means to a person; codes without a line here speak for themselves."""


class OptionLine(Shape):
    """One option of an offer, priced over the whole period."""

    option: str
    power_w: int
    starts_at: Timestamp
    ends_at: Timestamp
    price_per_mwh: Money
    effective_price_per_mwh: Amount | None
    """Activation fee included, per MWh of the option's whole power; null: it does not overlap the request."""
    divisible: bool
    min_power_w: int


class OfferLine(Shape):
    """One offer's line in the book."""

    place: int
    """1: first in merit order, as offers stand now."""
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
    """The same for people."""
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


def book_view(book: Book, request_id: str) -> BookView:
    """The book of one request. Raises KeyError for a request this book doesn't hold."""
    tracked = book.requests[request_id]
    lines = sorted(
        ((_merit(tracked.request, book.offers[key]), key) for key in tracked.offers), key=lambda line: line[0]
    )
    offers = [_line(book, tracked, key, place) for place, (_, key) in enumerate(lines, 1)]
    standing = {OfferState.LIVE, OfferState.STANDBY}
    awarded_w = sum(order.power_w for order in book.live_orders(tracked.orders))
    return BookView(
        request=tracked.request,
        state=tracked.state,
        offered_w=awarded_w + sum(max(o.power_w for o in line.options) for line in offers if line.state in standing),
        awarded_w=awarded_w,
        offers=offers,
        clearings=list(tracked.clearings),
    )


def _merit(request: DispatchRequest, offer: TrackedOffer) -> tuple[bool, Decimal, int]:
    prices = [price for option in offer.offer.options if (price := effective_price(request, option)) is not None]
    return not prices, min(prices, default=Decimal(0)), offer.place


def effective_price(request: DispatchRequest, option: OfferOption) -> Decimal | None:
    """(price x MWh + fee) / MWh of the option's whole power over what it overlaps; None without an overlap."""
    starts_at, ends_at = max(request.starts_at, option.starts_at), min(request.ends_at, option.ends_at)
    if starts_at >= ends_at:
        return None
    with exactly():
        mwh = Decimal(option.power_w) * int((ends_at - starts_at).total_seconds()) / Decimal(3_600_000_000)
        if not mwh:
            return None
        return (option.price_per_mwh + (option.activation_fee or Decimal(0)) / mwh).quantize(Decimal("0.0001"))


def _line(book: Book, tracked: TrackedRequest, key: OfferKey, place: int) -> OfferLine:
    held = book.offers[key]
    offer = held.offer
    order = book.orders.get(held.order_id) if held.order_id else None
    codes = list(held.codes)
    return OfferLine(
        place=place,
        rank=held.rank,
        participant=offer.participant,
        site=offer.site,
        offer_id=offer.offer_id,
        revision=offer.revision,
        state=held.state,
        codes=codes,
        reason=reason_of(codes),
        option=held.option,
        awarded_w=order.power_w if order else held.power_w,
        options=[_option_line(tracked.request, option) for option in offer.options],
        received_at=held.receipt.received_at,
        expires_at=offer.expires_at,
        order_id=held.order_id,
        order_state=order.state if order else None,
    )


def reason_of(codes: list[str]) -> str:
    """The codes as one line for people."""
    return "; ".join(REASONS.get(code, code) for code in codes)


def _option_line(request: DispatchRequest, option: OfferOption) -> OptionLine:
    return OptionLine(
        option=option.option,
        power_w=option.power_w,
        starts_at=option.starts_at,
        ends_at=option.ends_at,
        price_per_mwh=option.price_per_mwh,
        effective_price_per_mwh=effective_price(request, option),
        divisible=option.divisible,
        min_power_w=option.min_power_w,
    )
