"""Where a site's offers and orders stand, and what they came to: what a snapshot and a question are answered with."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from gridsignal_schemas.messages import DispatchOrder, OrderState, Record, Settlement
from gridsignal_schemas.rules.lifecycle import OFFER_STANDS, RequestState
from gridsignal_services.access import Principal
from gridsignal_services.ledger.announcements import OfferKey
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.tracked import TrackedOffer, TrackedOrder, TrackedRequest

SETTLEMENTS_SHOWN = 256
INTERVALS_SHOWN = 5000
"""Of settlements in a snapshot; a test holds the page of the protocol to both."""


class Announced(NamedTuple):
    """An order as its site was told of it, and where it stands: put together when somebody wants it."""

    order: DispatchOrder
    state: OrderState
    power_w: int

    def in_full(self) -> DispatchOrder:
        """In its present state, and with the power that was accepted since."""
        limit_w = self.order.limit_at(self.power_w)
        return self.order.model_copy(update={"state": self.state, "power_w": self.power_w, "import_limit_w": limit_w})


def announced_order(book: Book, tracked: TrackedOrder) -> DispatchOrder | None:
    """The order as its site was told of it, in its present state and with the power that was accepted since."""
    announced = _announced(book, tracked)
    return None if announced is None else announced.in_full()


def _announced(book: Book, tracked: TrackedOrder) -> Announced | None:
    announced = book.announcements.last_announced("order", tracked.order.participant, tracked.order.order_id)
    return Announced(announced, tracked.state, tracked.power_w) if isinstance(announced, DispatchOrder) else None


def seen_by(book: Book, viewer: Principal) -> list[Record | Announced]:
    """The present state of the stream for an organisation: requests, the decisions on them, orders as they stand, and
    of settlements that are in memory the newest versions.

    Of others' requests those that take offers and those on which an offer of its own still stands: how long a request
    lasts after its gate tells whether it was met, which is between its operator and those who offered.
    All of one moment, and each found in a microsecond: the rest of the work can wait.
    """
    offered = list(offers_seen_by(book, viewer))
    standing = {book.offers[key].offer.request_id for key in offered if book.offers[key].state in OFFER_STANDS}
    asked = [
        tracked.request
        for tracked in map(book.requests.__getitem__, book.open_requests)
        if tracked.state is RequestState.OPEN or tracked.request.request_id in standing or _owns(viewer, tracked)
    ]
    shown = {None, *(request.request_id for request in asked)}  # None: what stands for a product
    found: list[Record | Announced] = [*asked]
    last_announced = book.announcements.last_announced
    found.extend(
        filter(None, [last_announced("offer", *key) for key in offered if book.offers[key].offer.request_id in shown])
    )
    found.extend(filter(None, [_announced(book, order) for order in orders_seen_by(book, viewer)]))
    found.extend(settlements_seen_by(book, viewer))
    return found


def _owns(viewer: Principal, tracked: TrackedRequest) -> bool:
    return viewer.role == "operator" and tracked.request.operator == viewer.organisation


def orders_of(book: Book, participant: str, site: str | None) -> Iterator[tuple[DispatchOrder, TrackedOrder]]:
    """A participant's announced orders that are not over, of one site or of all; the oldest first."""
    for tracked in map(book.orders.__getitem__, book.live_of.get(("participant", participant), ())):
        name = tracked.order.site
        wanted = name == site if site is not None else book.sites[name].participant == participant
        if wanted and (order := announced_order(book, tracked)) is not None:
            yield order, tracked


def offers_of(book: Book, participant: str, site: str | None) -> Iterator[TrackedOffer]:
    """A participant's offers that are not over, on requests that are not; the oldest first."""
    for key in book.offers_on_open_requests.get(participant, ()):
        tracked = book.offers[key]
        if site in (None, tracked.offer.site) and tracked.state in OFFER_STANDS:
            yield tracked


def offers_seen_by(book: Book, viewer: Principal) -> Iterator[OfferKey]:
    """Offers on open requests: a participant's own, those on an operator's own requests."""
    if viewer.role == "participant":
        yield from book.offers_on_open_requests.get(viewer.organisation, ())
    elif viewer.role == "operator":
        for tracked in map(book.requests.__getitem__, book.open_requests):
            if _owns(viewer, tracked):
                yield from tracked.offers


def orders_seen_by(book: Book, viewer: Principal) -> Iterator[TrackedOrder]:
    """Orders that are not over: to a participant, whosever the site is by now, or on an operator's own requests."""
    return map(book.orders.__getitem__, book.live_of.get((viewer.role, viewer.organisation), ()))


def settlements_seen_by(book: Book, viewer: Principal) -> list[Settlement]:
    """The newest versions of an organisation's settlements, or of those on its requests; the longest ago first.

    As many of those that were written last as a snapshot may show. One that stands has left with its order, and is not
    among them: a gateway has no file of what is over.
    """
    shown, room = list[Settlement](), INTERVALS_SHOWN
    for order_id in islice(reversed(book.settled_of.get((viewer.role, viewer.organisation), {})), SETTLEMENTS_SHOWN):
        newest = book.settlements[order_id].newest
        if newest is None or len(newest.intervals) > room:
            break
        room -= len(newest.intervals)
        shown.append(newest)
    return shown[::-1]


def count_of(book: Book, participant: str, site: str | None) -> int:
    """No fewer than there are of either, found without a look at each."""
    orders = book.live_of.get(("participant", participant), ()) if site is None else book.live_of_site.get(site, ())
    return len(orders) + len(book.offers_on_open_requests.get(participant, ()))
