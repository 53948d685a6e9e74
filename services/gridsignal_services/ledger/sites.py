"""Sites and their baselines, as the log tells them."""

from __future__ import annotations

from gridsignal_schemas.messages import BaselineDeclaration, SiteRegistration
from gridsignal_services.ledger.book import Book, Declared
from gridsignal_services.ledger.entry import Entry, Outcome, receipt_of
from gridsignal_services.ledger.rules import fault


def register(book: Book, entry: Entry, site: SiteRegistration) -> Outcome:
    """A new site, or the next revision of one; its zone never changes."""
    known = book.sites.get(site.site)
    if known is not None and site.revision <= known.revision:
        expected = f"expected a revision above {known.revision}, got {site.revision}"
        return Outcome(False, (fault("REVISION", "/revision", expected),))
    if known is not None and site.zone != known.zone:
        return Outcome(False, (fault("ZONE", "/zone", f"expected {known.zone}, got {site.zone}"),))
    book.sites[site.site] = site
    return Outcome(True, receipt=receipt_of(book.now, entry))


def declare(book: Book, entry: Entry, baseline: BaselineDeclaration) -> Outcome:
    """A baseline counts for the requests that are logged after it."""
    site = book.sites.get(baseline.site)
    if site is None or site.participant != baseline.participant or site.zone != baseline.zone:
        expected = "expected a registered site of this participant and zone"
        return Outcome(False, (fault("SITE_UNKNOWN", "/site", expected),))
    over = [i for i, power_w in enumerate(baseline.power_w) if power_w > site.capacity_w]
    if over:
        expected = f"expected at most the connection's {site.capacity_w} W, got {baseline.power_w[over[0]]}"
        return Outcome(False, (fault("OVER_CAPACITY", f"/power_w/{over[0]}", expected),))
    newest = book.declared.get(baseline.site, [])[-1:]
    if newest and newest[0].baseline == baseline:
        return Outcome(False, receipt=newest[0].receipt, duplicate=True)
    receipt = receipt_of(book.now, entry)
    book.declare(Declared.of(entry.offset, baseline, receipt))
    return Outcome(True, receipt=receipt)
