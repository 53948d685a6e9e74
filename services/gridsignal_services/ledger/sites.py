"""Sites, their areas and their baselines, as the log tells them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from gridsignal_schemas.messages import AreaRegistration, BaselineDeclaration, SiteRegistration
from gridsignal_schemas.rules.baselines import (
    FOR_EVER,
    NEVER_LOGGED,
    TOO_MANY,
    Declared,
    Question,
    are_too_many,
    declaration_fault,
    is_replaced,
    still_asked_for,
)
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.rules.limits import LIMITS
from gridsignal_services.clock import EPOCH
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.entry import Entry, Outcome, receipt_of

_LOOK_THROUGH_AGAIN = timedelta(minutes=1)
"""A site's declarations are looked through no sooner again: it costs more than declaring."""


def register(book: Book, entry: Entry, site: SiteRegistration) -> Outcome:
    """A new site, or the next revision of one; its zone never changes."""
    known = book.sites.get(site.site)
    if known is not None and site.revision <= known.revision:
        expected = f"expected a revision above {known.revision}, got {site.revision}"
        return Outcome(False, (fault("REVISION", "/revision", expected),))
    if known is not None and site.zone != known.zone:
        return Outcome(False, (fault("ZONE", "/zone", f"expected {known.zone}, got {site.zone}"),))
    book.sites[site.site] = site
    for order in book.live_orders(book.live_of_site.get(site.site, ())):
        order.capacity_w = max(order.capacity_w or 0, site.capacity_w)
    return Outcome(True, receipt=receipt_of(book.now, entry))


def register_area(book: Book, entry: Entry, area: AreaRegistration) -> Outcome:
    """A new area, or the next revision of one: what is ordered stays, what is decided from now on goes by it."""
    key = area.zone, area.area
    known = book.areas.get(key)
    if known is not None and area.revision <= known.revision:
        expected = f"expected a revision above {known.revision}, got {area.revision}"
        return Outcome(False, (fault("REVISION", "/revision", expected),))
    for site in known.sites if known is not None else ():
        book.areas_of_site[site].pop(key, None)
        if not book.areas_of_site[site]:
            del book.areas_of_site[site]
    for site in area.sites:
        book.areas_of_site.setdefault(site, {})[key] = None
    book.areas[key] = area
    return Outcome(True, receipt=receipt_of(book.now, entry))


def declare(book: Book, entry: Entry, baseline: BaselineDeclaration) -> Outcome:
    """A baseline counts for the requests that are logged after it."""
    site = book.sites.get(baseline.site)
    if site is None or site.participant != baseline.participant or site.zone != baseline.zone:
        expected = "expected a registered site of this participant and zone"
        return Outcome(False, (fault("SITE_UNKNOWN", "/site", expected),))
    if problem := declaration_fault(baseline, site.capacity_w):
        return Outcome(False, (problem,))
    newest = book.declared.get(baseline.site, [])[-1:]
    if newest and newest[0].baseline == baseline:
        return Outcome(False, receipt=newest[0].receipt, duplicate=True)
    receipt = receipt_of(book.now, entry)
    if not _keep(book, Declared.of(entry.offset, baseline, receipt)):
        return Outcome(False, (TOO_MANY,))
    return Outcome(True, receipt=receipt)


def _keep(book: Book, declared: Declared) -> bool:
    """Remembers a declaration, and drops those nobody can count on any more; False where there is no room for it.

    Bounded: those of a site that a request or order may still ask for, and a limited number of further ones.
    """
    declarations = book.declared.setdefault(declared.baseline.site, [])
    unused = declarations and declarations[-1].place > book.last_request
    replaced = declarations.pop() if unused and is_replaced(declarations[-1], declared, book.now) else None
    if not _has_room(book, declared):
        if replaced is not None:
            book.declared[declared.baseline.site].append(replaced)
        return False
    book.declared[declared.baseline.site].append(declared)
    return True


def _has_room(book: Book, declared: Declared) -> bool:
    site = declared.baseline.site
    at, past = book.looked_through.get(site, (EPOCH, 0))
    if _is_full(book, declared, past) and book.now - at >= _LOOK_THROUGH_AGAIN:
        book.declared[site] = still_asked_for(book.declared[site], list(_questions(book, site)))
        past = sum(kept.ends_at <= book.now for kept in book.declared[site])
        book.looked_through[site] = book.now, past
    return not _is_full(book, declared, past)


def _is_full(book: Book, declared: Declared, past: int) -> bool:
    declarations = book.declared[declared.baseline.site]
    current = [kept for kept in declarations if kept.ends_at > book.now]
    unlooked = len(declarations) - past >= 2 * LIMITS.baselines_of_site
    return unlooked or are_too_many(current, declared.baseline)


def _questions(book: Book, site: str) -> Iterator[Question]:
    """What may still be asked of a site's declarations."""
    yield Question(NEVER_LOGGED, book.now, FOR_EVER)
    for request_id in book.open_requests:
        tracked = book.requests[request_id]
        yield Question(tracked.place, tracked.request.starts_at, FOR_EVER)
    for order_id in book.orders_of_site.get(site, ()):
        order = book.orders[order_id].order
        yield Question(book.requests[order.request_id].place, order.starts_at, order.ends_at or FOR_EVER)
