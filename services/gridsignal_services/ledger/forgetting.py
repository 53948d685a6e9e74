"""Letting go of what is over: a function of the log's own clock, so that every node lets go at the same record.

A request leaves the book when it has been over for a day, or its operator has too many of them, nothing of it runs any
more and nobody waits for word of it.
It leaves as a book of its own, with all that a reader of it asks for. That is put together piece by piece while the
request is still in the book; then it leaves at once, whole; what nobody finds any more is cleared away piece by piece.
A settlement that waits for something stays behind, and leaves as a book of its own once it stands.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import accumulate

from gridsignal_schemas.rules.baselines import FOR_EVER
from gridsignal_schemas.rules.lifecycle import ORDER_NEVER_HELD, SettlementState
from gridsignal_schemas.rules.limits import LIMITS
from gridsignal_services.ledger import settlements
from gridsignal_services.ledger.announcements import OfferKey
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.delivered import block_ahead
from gridsignal_services.ledger.pieces import Steps, pieces
from gridsignal_services.ledger.tracked import Ahead, TrackedOrder, TrackedRequest, TrackedSettlement

_COMPARED = 256
"""Pairs of orders in one piece, about a millisecond."""
A_RECORD = 2048
"""Revisions, offers and orders that one record lets go of, some ten milliseconds: whoever writes or reads waits until a
record is whole. What is left goes on with the next one; a request's offers and orders go together."""
_A_REQUEST = 16
"""What one counts for that has neither."""


def forget(book: Book, gone: list[Book]) -> Steps[None]:
    """Adds what can go by now, each request and settlement as a book of its own; called before a record is reduced."""
    left = A_RECORD
    while left > 0 and book.leaving:
        left -= _A_REQUEST
        order_id = next(iter(book.leaving))
        del book.leaving[order_id]
        gone.append(Book(now=book.now, settlements={order_id: settlements.leave(book, order_id)}))
        yield
    while left > 0 and book.stood and _leaves(book, *book.stood[0]):
        left -= _A_REQUEST
        _, key = book.stood.popleft()
        for revision, (digest, received_at) in book.offers[key].digests.items():
            book.past.offers.add((*key, revision), digest, received_at)
        del book.offers[key]
        book.announcements.drop("offer", *key)
        yield
    while left > 0 and (queue := _next_queue(book)) is not None:
        since, request_id = queue[0]
        tracked = book.requests[request_id]
        whole = _A_REQUEST + len(tracked.offers) + len(tracked.orders)
        if _is_needed(book, tracked):
            left -= whole
            queue.popleft()
            queue.append((book.now, request_id))
            book.over[tracked.request.operator] = book.over.pop(tracked.request.operator)  # others come first now
            yield
            if since + book.kept > book.now:
                return  # one too many, but all of them may be needed: not each is looked at with each record
            continue
        if (rest := (yield from _remember(book, tracked, left))) is None:
            return
        left = rest - whole  # not before: one of more than a record's would never begin
        queue.popleft()
        if not queue:
            del book.over[tracked.request.operator]
        book.remembered = ("", 0, 0)
        alone, taken = yield from _alone(book, tracked)
        _leave(book, alone, taken)
        gone.append(alone)
        yield
        yield from _clear_away(book, alone)


def _leaves(book: Book, since: datetime, key: OfferKey) -> bool:
    """Whether a standing offer that is over goes now: it had its time, or is one too many; nobody waits for word."""
    is_due = since + book.kept <= book.now or len(book.stood) > LIMITS.offers_set_aside
    return is_due and not book.announcements.owes("offer", *key)


def _next_queue(book: Book) -> deque[tuple[datetime, str]] | None:
    """An operator's requests that are over, the first of which has had its time, or is one too many."""
    for queue in book.over.values():
        if queue[0][0] + book.kept <= book.now or len(queue) > LIMITS.requests_kept:
            return queue
    return None


def _is_needed(book: Book, tracked: TrackedRequest) -> bool:
    if any(True for _ in book.live_orders(tracked.orders)) or _is_unsettled(book, tracked):
        return True
    owes = book.announcements.owes
    orders = (book.orders[order_id].order for order_id in tracked.orders)
    return any(owes("offer", *key) for key in tracked.offers) or any(
        owes("order", order.participant, order.order_id) for order in orders
    )


def _is_unsettled(book: Book, tracked: TrackedRequest) -> bool:
    if len(book.over[tracked.request.operator]) > LIMITS.requests_unsettled:
        return False
    found = (book.settlements[name] for name in tracked.orders if name in book.settlements)
    return any(settlement.state is not SettlementState.SETTLED for settlement in found)


class _Taken:
    """What orders take of the delivery of others, to be kept with those."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._of: dict[str, tuple[TrackedOrder, list[Ahead]]] = {}

    def take(self, one: TrackedOrder, other: TrackedOrder) -> None:
        """What the one takes of the other's deviation, in its turn."""
        if found := block_ahead(self._book, one, other):
            self._of.setdefault(other.order.order_id, (other, []))[1].extend(found)

    def keep(self) -> None:
        """Whoever asks about an order is told from now on."""
        for order, taken in self._of.values():
            order.ahead += taken


def _alone(book: Book, tracked: TrackedRequest) -> Steps[tuple[Book, _Taken]]:
    """The request with its offers, orders and sites; and what takes of the delivery of its and of other orders.

    Changes nothing of the book.
    """
    alone = Book(now=book.now)
    alone.requests[tracked.request.request_id] = tracked
    alone.offers = {key: book.offers[key] for key in tracked.offers}
    asked = {(tracked.request.request_id, book.offers[key].offer.site) for key in tracked.offers}
    alone.fixed = {key: book.fixed[key] for key in asked & book.fixed.keys()}
    yield
    taken = _Taken(book)
    orders_of_site: dict[str, list[TrackedOrder]] = {}
    for order in _orders(book, tracked):
        alone.orders[order.order.order_id] = order
        if (settlement := book.settlements.get(order.order.order_id)) is not None:
            alone.settlements[order.order.order_id] = as_it_is(settlement)
        orders_of_site.setdefault(order.order.site, []).append(order)
    for site, orders in orders_of_site.items():
        alone.orders_of_site[site] = dict.fromkeys(order.order.order_id for order in orders)
        if site in book.sites:
            alone.sites[site] = book.sites[site]
        beside = _Beside(book, site, orders)
        declared = [each for each in book.declared.get(site, ()) if each.place < tracked.place]
        counted: set[int] = set()
        yield
        for order in orders:
            period = order.block()
            counted |= {
                each.place for each in declared if each.starts_at < period.ends_at and period.starts_at < each.ends_at
            }
            for some in pieces(() if order.state in ORDER_NEVER_HELD else beside.during(order), _COMPARED):
                for other in some:
                    taken.take(other, order)
                    taken.take(order, other)
                yield
            yield
        alone.declared[site] = [each for each in declared if each.place in counted]
    return alone, taken


class _Beside:
    """A site's orders on other requests that deliver something: one that was never held takes nobody's turn."""

    def __init__(self, book: Book, site: str, orders: Sequence[TrackedOrder]) -> None:
        """Of the days that these orders of one request touch."""
        request_id, until = orders[0].order.request_id, max(map(_ends_at, orders))
        found = book.beside(site, min(map(_starts_at, orders)), None if until == FOR_EVER else until)
        held = [each for each in found if each.state not in ORDER_NEVER_HELD and each.order.request_id != request_id]
        self._orders = sorted(held, key=_starts_at)
        self._until = list(accumulate(map(_ends_at, self._orders), max))
        """How far each of them and those before it reach."""

    def during(self, order: TrackedOrder) -> list[TrackedOrder]:
        """Those whose period has a moment in common with this order's."""
        starts_at, ends_at = _starts_at(order), _ends_at(order)
        first, last = bisect_right(self._until, starts_at), bisect_left(self._orders, ends_at, key=_starts_at)
        return [other for other in self._orders[first:last] if _ends_at(other) > starts_at]


def _starts_at(tracked: TrackedOrder) -> datetime:
    return tracked.order.starts_at


def _ends_at(tracked: TrackedOrder) -> datetime:
    return tracked.order.ends_at or FOR_EVER


def as_it_is(tracked: TrackedSettlement) -> TrackedSettlement:
    """A copy: the settlement may go on."""
    return replace(tracked, disputes=[replace(each) for each in tracked.disputes])


def _orders(book: Book, tracked: TrackedRequest) -> Iterator[TrackedOrder]:
    return map(book.orders.__getitem__, tracked.orders)


def _remember(book: Book, tracked: TrackedRequest, most: int) -> Steps[int | None]:
    """Keeps what is kept of its offers, of which there may be fifty revisions each, while they are still there.

    Returns how many of `most` are left; None where there is more of it, which is the next record's to go on with. An
    offer may still be amended, in vain: then all are looked at again, and of each the first stays.
    """
    offers = [(key, book.offers[key].digests) for key in tracked.offers]
    of, at = sum(len(digests) for _, digests in offers), 0
    request_id = tracked.request.request_id
    whose, done, before = book.remembered
    done = done if (whose, before) == (request_id, of) else 0
    for key, digests in offers:
        at += len(digests)
        if at <= done:
            continue
        if most <= 0:
            book.remembered = (request_id, done, of)
            return None
        for revision, (digest, received_at) in digests.items():
            book.past.offers.add((*key, revision), digest, received_at)
        done, most = at, most - len(digests)
        yield
    return most


def _leave(book: Book, alone: Book, taken: _Taken) -> None:
    """In one go: from here on nobody finds the request, its offers and its orders in the book."""
    taken.keep()
    for order in alone.orders.values():
        book.drop_order(order.order)
    for key in alone.fixed:
        del book.fixed[key]
    for offer in alone.offers.values():
        book.baselines_owed.pop((offer.offer.request_id or "", offer.offer.site), None)
    for key in alone.offers:
        del book.offers[key]
    for request_id, tracked in alone.requests.items():
        for revision, digest in tracked.digests.items():
            book.past.requests.add((request_id, revision), digest, tracked.receipts[revision].received_at)
        book.past.keep_audience(request_id, tracked.audience)
        book.announcements.drop_orders_of(request_id)
        del book.requests[request_id]
    for order_id in alone.settlements:
        if book.settlements[order_id].state is SettlementState.SETTLED:
            settlements.leave(book, order_id)
        else:
            settlements.outlive(book, book.settlements[order_id])


def _clear_away(book: Book, alone: Book) -> Steps[None]:
    """What was said of offers and orders that nobody finds any more."""
    for keys in pieces(list(alone.offers)):
        for key in keys:
            book.announcements.drop("offer", *key)
        yield
    for orders in pieces(list(alone.orders.values())):
        for tracked in orders:
            participant = tracked.order.participant
            book.announcements.drop("order", participant, tracked.order.order_id)
            book.drop_swing(tracked.order)
            for response_id in tracked.response_ids:
                del book.responses[participant, response_id]
        yield
