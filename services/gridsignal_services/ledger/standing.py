"""Where a site's offers and orders stand while they are not over: what a snapshot and a question are answered with."""

from __future__ import annotations

from collections.abc import Iterator

from gridsignal_schemas.messages import DispatchOrder
from gridsignal_schemas.rules.lifecycle import OfferState
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.tracked import TrackedOffer, TrackedOrder

_OFFER_STANDS = frozenset({OfferState.LIVE, OfferState.STANDBY, OfferState.TENTATIVE, OfferState.AWARDED})


def told_order(book: Book, tracked: TrackedOrder) -> DispatchOrder | None:
    """The order as its site was told of it, in its present state and with the power that was accepted since."""
    told = book.announcements.last_told("order", tracked.order.participant, tracked.order.order_id)
    if not isinstance(told, DispatchOrder):
        return None
    return told.model_copy(update={"state": tracked.state, "power_w": tracked.power_w})


def orders_of(book: Book, participant: str, site: str | None) -> Iterator[tuple[DispatchOrder, TrackedOrder]]:
    """A participant's announced orders that are not over, of one site or of all; the oldest first."""
    sites = [site] if site is not None else [name for name, of in book.sites.items() if of.participant == participant]
    for tracked in (order for name in sites for order in book.live_orders(book.live_of_site.get(name, ()))):
        order = told_order(book, tracked)
        if order is not None and order.participant == participant:
            yield order, tracked


def offers_of(book: Book, participant: str, site: str | None) -> Iterator[TrackedOffer]:
    """A participant's offers that are not over, on requests that are not; the oldest first."""
    for key in book.offers_on_open_requests.get(participant, ()):
        tracked = book.offers[key]
        if site in (None, tracked.offer.site) and tracked.state in _OFFER_STANDS:
            yield tracked


def count_of(book: Book, participant: str, site: str | None) -> int:
    """No fewer than there are of either, found without a look at each."""
    sites = [site] if site is not None else [name for name, of in book.sites.items() if of.participant == participant]
    orders = sum(len(book.live_of_site.get(name, ())) for name in sites)
    return orders + len(book.offers_on_open_requests.get(participant, ()))
