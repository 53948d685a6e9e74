"""Letting go of what is over: a function of the log's own clock, so that every node lets go at the same record.

A request leaves the book when it has been over for a day, nothing of it runs any more and nobody waits for word of it.
It leaves as a book of its own, with all that a reader of it asks for.
"""

from __future__ import annotations

from collections.abc import Iterator

from gridsignal_schemas.rules.lifecycle import ORDER_NEVER_HELD
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.delivered import block_ahead
from gridsignal_services.ledger.pieces import Steps
from gridsignal_services.ledger.tracked import TrackedOrder, TrackedRequest

A_RECORD = 4
"""Requests that one record lets go of: whoever reads waits until a record is whole, and each request had several."""


def forget(book: Book, gone: list[Book]) -> Steps[None]:
    """Adds requests that can go by now, each as a book of its own; called before a record is reduced."""
    for _ in range(A_RECORD):
        if not book.over or book.over[0][0] + book.kept > book.now:
            return
        _, request_id = book.over.popleft()
        tracked = book.requests[request_id]
        if _is_needed(book, tracked):
            book.over.append((book.now, request_id))
        else:
            yield from _remember(book, tracked)
            gone.append(_alone(book, tracked))
            _drop(book, tracked)
            yield


def _is_needed(book: Book, tracked: TrackedRequest) -> bool:
    if any(True for _ in book.live_orders(tracked.orders)):
        return True
    owes = book.announcements.owes
    orders = (book.orders[order_id].order for order_id in tracked.orders)
    return any(owes("offer", *key) for key in tracked.offers) or any(
        owes("order", order.participant, order.order_id) for order in orders
    )


def _alone(book: Book, tracked: TrackedRequest) -> Book:
    """The request with its offers, orders and sites, and what its orders' delivery is measured by."""
    alone = Book(now=book.now)
    alone.requests[tracked.request.request_id] = tracked
    alone.offers = {key: book.offers[key] for key in tracked.offers}
    beside: dict[str, list[TrackedOrder]] = {}
    for order in _orders(book, tracked):
        site, period = order.order.site, order.block()
        if site not in beside:
            beside[site] = _held_beside(book, site, tracked)
        for other in () if order.state in ORDER_NEVER_HELD else beside[site]:
            order.ahead += block_ahead(other, order)
            other.ahead += block_ahead(order, other)
        alone.orders[order.order.order_id] = order
        alone.orders_of_site.setdefault(site, []).append(order.order.order_id)
        if site in book.sites:
            alone.sites[site] = book.sites[site]
        counted = alone.declared.setdefault(site, [])
        counted += [
            declared
            for declared in book.declared.get(site, ())
            if declared.place < tracked.place
            and declared.starts_at < period.ends_at
            and period.starts_at < declared.ends_at
            and declared not in counted
        ]
        counted.sort(key=lambda declared: declared.place)
    return alone


def _held_beside(book: Book, site: str, tracked: TrackedRequest) -> list[TrackedOrder]:
    """The site's orders on other requests that deliver something: one that was never held takes nobody's turn."""
    orders = map(book.orders.__getitem__, book.orders_of_site[site])
    request_id = tracked.request.request_id
    return [each for each in orders if each.state not in ORDER_NEVER_HELD and each.order.request_id != request_id]


def _orders(book: Book, tracked: TrackedRequest) -> Iterator[TrackedOrder]:
    return map(book.orders.__getitem__, tracked.orders)


def _remember(book: Book, tracked: TrackedRequest) -> Steps[None]:
    """Keeps what is kept of its offers, of which there may be fifty revisions each, while they are still there."""
    for key in tracked.offers:
        for revision, (digest, received_at) in book.offers[key].digests.items():
            book.past.offers.add((*key, revision), digest, received_at)
        yield


def _drop(book: Book, tracked: TrackedRequest) -> None:
    past, request_id = book.past, tracked.request.request_id
    for key in tracked.offers:
        del book.offers[key]
        book.announcements.drop("offer", *key)
    for order in list(_orders(book, tracked)):
        _drop_order(book, order)
    for revision, digest in tracked.digests.items():
        past.requests.add((request_id, revision), digest, tracked.receipts[revision].received_at)
    past.keep_audience(request_id, tracked.audience)
    book.announcements.drop_orders_of(request_id)
    del book.requests[request_id]


def _drop_order(book: Book, tracked: TrackedOrder) -> None:
    order = tracked.order
    for response_id in tracked.response_ids:
        del book.responses[order.participant, response_id]
    book.announcements.drop("order", order.participant, order.order_id)
    book.orders_of_site[order.site].remove(order.order_id)
    del book.orders[order.order_id]
