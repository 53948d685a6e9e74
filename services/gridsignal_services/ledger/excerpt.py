"""A part of the book as it is at a moment: to be read beside the event loop, while the book goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from itertools import product
from operator import attrgetter
from typing import TypeVar

from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.tracked import TrackedOffer, TrackedOrder

T = TypeVar("T", TrackedOffer, TrackedOrder)


def _copies(kind: type[T]) -> Callable[[T], T]:
    """How one is copied in a microsecond: there may be thousands, and the event loop waits."""
    values = attrgetter(*(field.name for field in fields(kind)))
    return lambda tracked: kind(*values(tracked))


_offer, _order = _copies(TrackedOffer), _copies(TrackedOrder)


def excerpt(book: Book, request_id: str) -> Book:
    """A request, its offers, and what their sites and their areas' have declared and have been ordered: all that its
    book view rests on.

    Raises KeyError for a request this book doesn't hold.
    """
    asked = book.requests[request_id]
    offers = {key: _offer(book.offers[key]) for key in asked.offers}
    sites = {offer.offer.site for offer in offers.values()}
    live_of_site = {site: dict(book.live_of_site.get(site, {})) for site in sites}
    areas = {key: book.areas[key] for site in sites for key in book.areas_of_site.get(site, ())}
    beside = {site for area in areas.values() for site in area.sites}
    orders = {name: _order(book.orders[name]) for names in (asked.orders, *live_of_site.values()) for name in names}
    held = replace(asked, offers=list(asked.offers), orders=list(asked.orders), clearings=list(asked.clearings))
    return Book(
        requests={request_id: held},
        offers=offers,
        orders=orders,
        sites={site: book.sites[site] for site in sites | beside if site in book.sites},
        areas=areas,
        areas_of_site={site: dict(book.areas_of_site[site]) for site in sites if site in book.areas_of_site},
        swings={site: dict(book.swings[site]) for site in beside if site in book.swings},
        declared={site: list(book.declared.get(site, ())) for site in sites | beside},
        fixed={key: book.fixed[key] for site in sites if (key := (request_id, site)) in book.fixed},
        live_of_site=live_of_site,
        active={name: book.active[name].copy() for name in product(sites, (False, True)) if name in book.active},
        now=book.now,
    )
