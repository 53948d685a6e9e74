"""A request that is over, in parts: itself, how it was cleared, and what was offered and ordered at each site.

Each part says whom it concerns, so that others' are neither read nor parsed for an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from gridsignal_schemas.rules.lifecycle import RequestState
from gridsignal_services.access import Audience
from gridsignal_services.checkpoints.lines import bytes_of, fill
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.ledger.requesting import audience_of_request
from gridsignal_services.ledger.tracked import TrackedOrder, TrackedRequest

_PIECE_BYTES = 64 * 1024
"""Read together: in some ten milliseconds."""


class Kind(StrEnum):
    REQUEST = "request"
    """The request, for whoever may see it: nothing of what was offered on it or became of that."""
    OWNED = "owned"
    """The request with all that hangs on it but its clearings, for its operator."""
    ORDERED = "ordered"
    """A site's offers and orders, where it has an order."""
    OFFERED = "offered"
    """A site's offers, where it has none."""
    CLEARED = "cleared"
    """The request with its clearings, for its operator."""


REQUESTS = (Kind.REQUEST, Kind.OWNED)
ORDERS = (Kind.ORDERED,)
OFFERS = (*REQUESTS, Kind.ORDERED, Kind.OFFERED)
WHOLE = tuple(Kind)


class Part(NamedTuple):
    """As much of a book as one asks for at once."""

    kind: Kind
    site: str
    """Empty but for a site's."""
    names: frozenset[str]
    """Whom it concerns, as `names_of` has them."""
    book: Book

    @property
    def body(self) -> bytes:
        """As it is kept."""
        return bytes_of(self.book)


def names_of(audience: Audience) -> frozenset[str]:
    """The names under which an audience is found: of its organisations, as principals have them, and of its zone."""
    operators = (f"operator:{each}" for each in audience.operators)
    participants = (f"participant:{each}" for each in audience.participants)
    return frozenset({*operators, *participants, *(() if audience.zone is None else (zone_name(audience.zone),))})


def zone_name(zone: str) -> str:
    """Everybody who is entitled to it."""
    return f"zone:{zone}"


def parts_of(book: Book) -> Iterator[Part]:
    """The parts of a book that holds one request, the request first."""
    (tracked,) = book.requests.values()
    name, operator = tracked.request.request_id, f"operator:{tracked.request.operator}"
    everybodys = names_of(audience_of_request(tracked.request)) - {operator}
    yield Part(Kind.REQUEST, "", everybodys, Book(requests={name: _bare(tracked)}))
    owned = Book(requests={name: replace(tracked, clearings=[])}, now=book.now)
    yield Part(Kind.OWNED, "", frozenset({operator}), owned)
    sites: dict[str, Book] = {}
    named: dict[str, set[str]] = {}
    for key, offer in book.offers.items():
        sites.setdefault(offer.offer.site, Book()).offers[key] = offer
        named.setdefault(offer.offer.site, {operator}).add(f"participant:{key[0]}")
    for order_id, order in book.orders.items():
        sites.setdefault(order.order.site, Book()).orders[order_id] = order
        named.setdefault(order.order.site, {operator}).add(f"participant:{order.order.participant}")
        if order_id in book.settlements:
            sites[order.order.site].settlements[order_id] = book.settlements[order_id]
    for site, part in sites.items():
        for field in ("sites", "declared", "orders_of_site"):
            if site in (held := getattr(book, field)):
                getattr(part, field)[site] = held[site]
        part.fixed = {key: fixed for key, fixed in book.fixed.items() if key[1] == site}
        yield Part(Kind.ORDERED if part.orders else Kind.OFFERED, site, frozenset(named[site]), part)
    yield Part(Kind.CLEARED, "", frozenset({operator}), Book(requests={name: tracked}))


def _bare(tracked: TrackedRequest) -> TrackedRequest:
    """As whoever has no part in it may know it: neither its size nor its state says what others offered."""
    is_cancelled = tracked.state is RequestState.CANCELLED
    return TrackedRequest(
        request=tracked.request,
        place=tracked.place,
        digests=tracked.digests,
        receipts=tracked.receipts,
        audience=tracked.audience,
        state=RequestState.CANCELLED if is_cancelled else RequestState.COMPLETED,
        cancelled=tracked.cancelled,
    )


def read(kept: Iterable[tuple[int, Sequence[bytes]]]) -> Iterator[list[Ledger]]:
    """Of each partition and bodies, the request's first, a ledger in which they are all there is.

    In pieces, of which most have none yet: each is read in some ten milliseconds.
    """
    done, size = list[Ledger](), 0
    for partition, bodies in kept:
        ledger = Ledger(partition)
        for line in (line for body in bodies for line in body.splitlines()):
            fill(ledger.book, line)
            size += len(line)
            if size >= _PIECE_BYTES:
                yield done
                done, size = [], 0
        _put_in_order(ledger.book)
        done.append(ledger)
    yield done


def _put_in_order(book: Book) -> None:
    """By the request's lists, where they are its operator's; else these list what was read."""
    (tracked,) = book.requests.values()
    tracked.offers = tracked.offers or sorted(book.offers, key=lambda key: book.offers[key].place)
    tracked.orders = tracked.orders or sorted(book.orders, key=lambda name: _since(book, book.orders[name]))
    book.offers = {key: book.offers[key] for key in tracked.offers if key in book.offers}
    book.orders = {name: book.orders[name] for name in tracked.orders if name in book.orders}


def _since(book: Book, order: TrackedOrder) -> tuple[datetime, int, int]:
    """When it was issued, by which of the clearings of that moment, and in which turn."""
    offer = None if order.offer_key is None else book.offers.get(order.offer_key)
    return order.history[0].at, order.issued_place, (offer and offer.rank) or 0
