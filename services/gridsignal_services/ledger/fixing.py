"""Baselines from history: fixed by the zone's owner once the gate has closed, for each site that had offered.

The figures are not the reduce's to check, for readings lie elsewhere: whoever has the log computes them again.
What it checks is that the baseline is owed, and that the method is the request's.
"""

from __future__ import annotations

from gridsignal_schemas.messages import BaselineDeclaration, BaselineFixed
from gridsignal_schemas.rules.baselines import Declared
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.rules.lifecycle import OFFER_STANDS
from gridsignal_services.ledger.book import Book, Fixed
from gridsignal_services.ledger.entry import Entry, Outcome, audience_at_site, receipt_of
from gridsignal_services.settlement.pinned import history_method


def owe_baselines(book: Book, request_id: str) -> None:
    """The request is open no more: of each site with an offer that stands, the owner writes what it would draw."""
    tracked = book.requests[request_id]
    if history_method(tracked.request) is None:
        return
    for offer in map(book.offers.__getitem__, tracked.offers):
        if offer.state in OFFER_STANDS:
            book.baselines_owed[request_id, offer.offer.site] = offer.offer.participant


def fix(book: Book, entry: Entry, fixed: BaselineFixed) -> Outcome:
    """The baseline of one site for one request, once."""
    key = (fixed.request_id, fixed.site)
    if book.baselines_owed.get(key) != fixed.participant:
        return Outcome(False, (fault("NOT_OWED", "/site", "expected a site whose baseline is owed"),))
    method = book.requests[fixed.request_id].request.baseline_method
    named = fixed.method
    if method is None or (named.name, named.version, named.sha256) != (method.name, method.version, method.sha256):
        return Outcome(False, (fault("RULE_OF_REQUEST", "/method", "expected the baseline method of the request"),))
    del book.baselines_owed[key]
    declared = None
    if fixed.power_w:
        declaration = BaselineDeclaration(
            zone=fixed.zone,
            participant=fixed.participant,
            site=fixed.site,
            starts_at=fixed.starts_at,
            resolution_s=fixed.resolution_s,
            power_w=fixed.power_w,
            method=fixed.method.name,
        )
        declared = Declared.of(entry.offset, declaration, receipt_of(book.now, entry))
    book.fixed[key] = Fixed(fixed, declared)
    return Outcome(True, audience=audience_at_site(fixed))
