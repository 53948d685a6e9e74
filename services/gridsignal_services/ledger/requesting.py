"""Requests: made, amended, cancelled by their operator."""

from __future__ import annotations

from collections.abc import Iterator

from gridsignal_schemas.frames import Detail, Receipt
from gridsignal_schemas.messages import (
    Decision,
    DispatchRequest,
    RequestCancellation,
    Visibility,
)
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.rules.lifecycle import (
    ORDER,
    ORDER_OVER,
    REQUEST,
    Event,
    OfferState,
    after,
    allows,
)
from gridsignal_schemas.rules.limits import LIMITS
from gridsignal_schemas.rules.products import product_faults, product_of
from gridsignal_schemas.rules.requests import request_faults, revision_faults
from gridsignal_services.access import Audience
from gridsignal_services.ledger.announcements import OfferKey
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.calling import call
from gridsignal_services.ledger.coming_back import comes_back_at
from gridsignal_services.ledger.entry import Entry, Outcome, receipt_of
from gridsignal_services.ledger.moves import (
    close_gate,
    move_offer,
    move_order,
    move_request,
    release_offer_of,
    revise_order,
    set_request_timers,
)
from gridsignal_services.ledger.pieces import Steps, pieces, weighed
from gridsignal_services.ledger.rules import Amended
from gridsignal_services.ledger.tracked import TrackedOrder, TrackedRequest
from gridsignal_services.settlement.pinned import rule_faults


def audience_of_request(request: DispatchRequest) -> Audience:
    """PUBLIC: everyone entitled to the zone. LISTED: the audience alone; an empty one is nobody."""
    operators = frozenset({request.operator})
    if request.visibility is Visibility.PUBLIC:
        return Audience(zone=request.zone, operators=operators)
    return Audience(participants=frozenset(request.audience), operators=operators)


def _widened(seen: Audience, also: Audience) -> Audience:
    return Audience(
        zone=seen.zone or also.zone,
        participants=seen.participants | also.participants,
        operators=seen.operators | also.operators,
    )


def request(book: Book, entry: Entry, request: DispatchRequest) -> Steps[Outcome]:
    """A new request, a repeat, or the next revision of one."""
    tracked = book.requests.get(request.request_id)
    if tracked is not None and request.revision in tracked.digests:
        receipt = tracked.receipts[request.revision]
        if tracked.digests[request.revision] == entry.sha256:
            return Outcome(False, receipt=receipt, duplicate=True)
        return Outcome(False, (fault("CONFLICT", "/request_id", "this id and revision already has another content"),))
    if request.request_id in book.past.audiences:
        return _late(book, entry, request)
    if faults := revision_faults(None if tracked is None else tracked.request, request):
        return Outcome(False, tuple(faults))
    rules = [*request_faults(request, book.now), *rule_faults(request), *product_faults(request)]
    if faults := [*_bounds(book, tracked, request), *rules]:
        return Outcome(False, tuple(faults))
    receipt = receipt_of(book.now, entry, revision=request.revision)
    is_new = tracked is None
    if tracked is None:
        tracked = TrackedRequest(request, entry.offset, {}, {}, audience_of_request(request))
        book.open_request(tracked)
    else:
        yield from _amend(book, tracked, request)
    tracked.digests[request.revision] = entry.sha256
    tracked.receipts[request.revision] = receipt
    set_request_timers(book, request.request_id)
    if is_new and (terms := product_of(request)) is not None and terms.from_standing:
        yield from call(book, tracked)
        close_gate(book, request.request_id)
    return Outcome(True, receipt=receipt, audience=audience_of_request(request))


def _late(book: Book, entry: Entry, request: DispatchRequest) -> Outcome:
    """What a request gets that the book has let go of."""
    past = book.past.requests.find((request.request_id, request.revision))
    if past is None:
        return Outcome(False, (_OVER,))
    if not past.is_of(entry.sha256):
        return Outcome(False, (fault("CONFLICT", "/request_id", "this id and revision already has another content"),))
    first = Receipt(revision=request.revision, sha256=entry.sha256, received_at=past.received_at)
    return Outcome(False, receipt=first, duplicate=True)


_OVER = fault("ILLEGAL_STATE", "/request_id", "expected a request that is not over")


def _bounds(book: Book, tracked: TrackedRequest | None, request: DispatchRequest) -> Iterator[Detail]:
    if tracked is None and book.open_of[request.operator, request.zone] >= LIMITS.requests_open:
        expected = f"expected at most {LIMITS.requests_open} requests of an operator that are not over"
        yield fault("OPEN_REQUESTS", "/request_id", expected)


def _amend(book: Book, tracked: TrackedRequest, request: DispatchRequest) -> Steps[None]:
    after(REQUEST, tracked.state, Event.AMEND)
    tracked.request = request
    tracked.audience = _widened(tracked.audience, audience_of_request(request))
    amended = Amended(book, tracked)
    for some in weighed(tracked.offers, (len(book.offers[key].offer.options) for key in tracked.offers)):
        for key in some:
            _look_again(book, amended, key)
        yield


def _look_again(book: Book, amended: Amended, key: OfferKey) -> None:
    offer = book.offers[key]
    if offer.state is not OfferState.LIVE:
        return
    if faults := amended.faults(offer):
        codes = tuple(dict.fromkeys(broken.code for broken in faults))
        move_offer(book, key, Event.FAIL_RULES, Decision.REJECTED, codes, faults[0].message)
    else:
        offer.request_revision = amended.revision


def cancel(book: Book, entry: Entry, cancellation: RequestCancellation) -> Steps[Outcome]:
    """Open offers are released and orders cancelled; one that already runs is released early and stays settled."""
    tracked = book.requests.get(cancellation.request_id)
    if cancellation.request_id in book.past.audiences:
        return Outcome(False, (_OVER,))
    if tracked is None or tracked.request.zone != cancellation.zone:
        return Outcome(False, (fault("REQUEST_UNKNOWN", "/request_id", "expected a request of this operator"),))
    if tracked.cancelled is not None and tracked.cancelled[0] == entry.sha256:
        return Outcome(False, receipt=tracked.cancelled[1], duplicate=True)
    after(REQUEST, tracked.state, Event.CANCEL)
    for some in pieces(tracked.orders):
        for order_id in some:
            _cancel_order(book, book.orders[order_id], cancellation)
        yield
    move_request(book, cancellation.request_id, Event.CANCEL)
    tracked.cancelled = (entry.sha256, receipt_of(book.now, entry))
    return Outcome(True, receipt=tracked.cancelled[1], audience=tracked.audience)


def _cancel_order(book: Book, order: TrackedOrder, cancellation: RequestCancellation) -> None:
    code, reason = cancellation.reason_code or "REQUEST_CANCELLED", cancellation.reason
    if order.state in ORDER_OVER:
        return
    if not allows(ORDER, order.state, Event.CANCEL):
        now = max(book.now, order.order.starts_at)
        ends_at = now if order.order.ends_at is None else min(now, order.order.ends_at)
        restores_at = comes_back_at(book, order, ends_at) or order.order.restore_not_before
        revise_order(book, order, cancellation.actor, code, reason, ends_at=ends_at, restore_not_before=restores_at)
        return
    restores_at = comes_back_at(book, order, None) or order.order.restore_not_before
    order.order = order.order.model_copy(update={"restore_not_before": restores_at})
    move_order(book, order, Event.CANCEL, cancellation.actor, code, reason)
    revise_order(book, order, cancellation.actor, code, reason)
    release_offer_of(book, order, reason)
