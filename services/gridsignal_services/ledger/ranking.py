"""The order in which a request's offers are called: the clearing's own, and so the operator's book's."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from datetime import datetime
from decimal import Decimal

from gridsignal_schemas.messages import DispatchRequest, OfferOption
from gridsignal_schemas.rules.lifecycle import OFFER_CALLABLE
from gridsignal_schemas.rules.limits import LIMITS
from gridsignal_schemas.rules.profile import Block
from gridsignal_services.ledger.amounts import exactly
from gridsignal_services.ledger.announcements import OfferKey
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.merit_order import Round, effective_price, in_merit_order, order_window
from gridsignal_services.ledger.tracked import TrackedOffer, TrackedRequest

_FOUR_PLACES = Decimal("0.0001")

MeritRank = tuple[Decimal, int]
"""Where an offer stands in the merit order: its price, then its place in time."""


def price_in_full(request: DispatchRequest, offer: TrackedOffer, now: datetime) -> Decimal:
    """Where an offer stands in the merit order as long as nobody knows how much of it would be called."""
    return min(
        effective_price(option, Block(*order_window(request, option, now), option.power_w))
        for option in offer.offer.options
    )


def left_over(
    lot: Round, candidates: Sequence[tuple[OfferKey, TrackedOffer]], chosen: Container[OfferKey]
) -> Iterator[tuple[MeritRank, OfferKey, TrackedOffer]]:
    """Those who were not chosen, in no order; the rank is what they are sorted by."""
    for key, offer in candidates:
        if key not in chosen:
            yield (price_in_full(lot.request, offer, lot.now), offer.place), key, offer


def call_order(book: Book, request_id: str) -> list[OfferKey]:
    """Every offer of a request, the first to be called first.

    Those that were called, in the order of the clearings; then those that can be called, as a clearing would list them
    that was made now: its awards, then its losers; then all others, by their price at the decision.
    Raises KeyError for a request this book doesn't hold.
    """
    tracked = book.requests[request_id]
    order = {(award.participant, award.offer_id): None for made in tracked.clearings for award in made.awards}
    candidates = book.callable_offers(request_id, book.now)
    if candidates:
        lot = Round(book, request_id, book.now)
        fits, _ = in_merit_order(lot, candidates, LIMITS.awards_of_clearing)
        order |= {fit.key: None for fit in fits}
        order |= {key: None for _, key, _ in sorted(left_over(lot, candidates, order), key=_rank)}
    return [*order, *sorted((key for key in tracked.offers if key not in order), key=lambda key: _last(book, key))]


def _rank(left: tuple[MeritRank, OfferKey, TrackedOffer]) -> MeritRank:
    return left[0]


def _last(book: Book, key: OfferKey) -> MeritRank:
    offer = book.offers[key]
    tracked = book.requests[offer.offer.request_id or ""]
    return price_in_full(tracked.request, offer, priced_at(book, tracked, offer)), offer.place


def priced_at(book: Book, tracked: TrackedRequest, offer: TrackedOffer) -> datetime:
    """The moment whose order an offer is priced by: now; the decision's deadline, once it can't be called any more."""
    return book.now if offer.state in OFFER_CALLABLE else min(book.now, tracked.request.decision_deadline)


def price_of_whole(request: DispatchRequest, option: OfferOption, at: datetime) -> Decimal | None:
    """(price x MWh + fee) / MWh of the option's whole power over the order it would have at a moment, four places.

    None where it would have none.
    """
    starts_at, ends_at = order_window(request, option, at)
    if starts_at >= ends_at:
        return None
    with exactly():
        return effective_price(option, Block(starts_at, ends_at, option.power_w)).quantize(_FOUR_PLACES)
