"""Where a site's offers and orders stand while they are not over: what a snapshot and a question are answered with."""

from __future__ import annotations

from collections.abc import Iterator

from gridsignal_schemas.messages import DispatchOrder
from gridsignal_schemas.rules.lifecycle import OfferState
from gridsignal_services.access import Principal
from gridsignal_services.ledger.announcements import OfferKey
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


def offers_seen_by(book: Book, viewer: Principal) -> Iterator[OfferKey]:
    """Offers on open requests: a participant's own, those on an operator's own requests."""
    if viewer.role == "participant":
        yield from book.offers_on_open_requests.get(viewer.organisation, ())
    elif viewer.role == "operator":
        for tracked in map(book.requests.__getitem__, book.open_requests):
            if tracked.request.operator == viewer.organisation:
                yield from tracked.offers


def orders_seen_by(book: Book, viewer: Principal) -> Iterator[TrackedOrder]:
    """Orders that are not over: to a participant, whosever the site is by now, or on an operator's own requests."""
    for tracked in (book.orders[name] for names in book.live_of_site.values() for name in names):
        if viewer.role == "participant":
            sees = tracked.order.participant == viewer.organisation
        else:
            operator = book.requests[tracked.order.request_id].request.operator
            sees = viewer.role == "operator" and operator == viewer.organisation
        if sees:
            yield tracked


def count_of(book: Book, participant: str, site: str | None) -> int:
    """No fewer than there are of either, found without a look at each."""
    sites = [site] if site is not None else [name for name, of in book.sites.items() if of.participant == participant]
    orders = sum(len(book.live_of_site.get(name, ())) for name in sites)
    return orders + len(book.offers_on_open_requests.get(participant, ()))
