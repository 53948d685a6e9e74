"""Offers: made, amended, withdrawn by their participant. Identity is (participant, offer_id, revision)."""

from __future__ import annotations

from collections.abc import Callable

from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import Decision, FlexOffer, OfferWithdrawal, Timer
from gridsignal_services.ledger.announcements import OfferKey
from gridsignal_services.ledger.book import Book, TrackedOffer
from gridsignal_services.ledger.entry import Entry, Outcome, receipt_of
from gridsignal_services.ledger.lifecycle import OFFER, ORDER, Event, OfferState, after, allows
from gridsignal_services.ledger.moves import (
    decision_of,
    end_if_over,
    fall_short,
    move_offer,
    move_order,
    offer_timer_id,
    revise_order,
)
from gridsignal_services.ledger.rules import fault, offer_faults


def offer(book: Book, entry: Entry, offer: FlexOffer) -> Outcome:
    """The receipt says that it is logged and its identity settled; broken rules follow as a REJECTED decision."""
    key: OfferKey = (offer.participant, offer.offer_id)
    tracked = book.offers.get(key)
    if (known := settled(book, offer, lambda: entry.sha256)) is not None:
        return known
    if problem := _revision_fault(tracked, offer):
        return Outcome(False, (problem,))
    if tracked is not None:
        after(OFFER, tracked.state, Event.AMEND)
    receipt = receipt_of(book.now, entry, offer_id=offer.offer_id, revision=offer.revision)
    faults = offer_faults(book, offer, book.now)
    codes = tuple(dict.fromkeys(broken.code for broken in faults))
    _file(book, key, TrackedOffer(offer, entry.offset, receipt, {}, offer.request_revision, codes=codes), entry.sha256)
    timer_id = offer_timer_id(key)
    reason = "; ".join(f"{broken.pointer}: {broken.message}" for broken in faults)
    if faults:  # an amendment that breaks rules leaves nothing standing: the site has taken back what it replaces
        book.offers[key].state = OfferState.REJECTED
        book.timers.clear(Timer.EXPIRY, timer_id)
        book.expiring.pop(timer_id, None)
    else:
        book.expiring[timer_id] = key
        book.timers.set(Timer.EXPIRY, timer_id, offer.revision, offer.expires_at, offer.zone)
    decision = Decision.REJECTED if faults else Decision.ACCEPTED_FOR_CLEARING
    book.announcements.owe(decision_of(book.offers[key], decision, codes, reason))
    return Outcome(True, tuple(faults), receipt=receipt)


def settled(book: Book, offer: FlexOffer, sha256: Callable[[], str]) -> Outcome | None:
    """The outcome of an offer whose identity is on the log already; None for a new one, whose digest is not needed."""
    tracked = book.offers.get((offer.participant, offer.offer_id))
    if tracked is None or offer.revision not in tracked.digests:
        return None
    digest, receipt = tracked.digests[offer.revision]
    if digest == sha256():
        return Outcome(False, receipt=receipt, duplicate=True)
    return Outcome(False, (fault("CONFLICT", "/offer_id", "this id and revision already has another content"),))


def _revision_fault(tracked: TrackedOffer | None, offer: FlexOffer) -> Detail | None:
    expected = 1 if tracked is None else tracked.offer.revision + 1
    if offer.revision != expected:
        return fault("REVISION", "/revision", f"expected {expected}, got {offer.revision}")
    if tracked is not None and (tracked.offer.request_id, tracked.offer.site) != (offer.request_id, offer.site):
        return fault("CONFLICT", "/request_id", "expected the request and site of the first revision")
    return None


def _file(book: Book, key: OfferKey, tracked: TrackedOffer, digest: str) -> None:
    before = book.offers.get(key)
    if before is not None:
        tracked.digests.update(before.digests)
    tracked.digests[tracked.offer.revision] = (digest, tracked.receipt)
    book.offers[key] = tracked
    request = book.requests.get(tracked.offer.request_id or "")
    if before is None and request is not None:
        request.offers.append(key)


def withdraw(book: Book, entry: Entry, withdrawal: OfferWithdrawal) -> Outcome:
    """Before the acceptance of its order a withdrawal wins, whatever crossed on the wire; after it, it is refused."""
    key: OfferKey = (withdrawal.participant, withdrawal.offer_id)
    tracked = book.offers.get(key)
    if tracked is None or (tracked.offer.zone, tracked.offer.site) != (withdrawal.zone, withdrawal.site):
        return Outcome(False, (fault("OFFER_UNKNOWN", "/offer_id", "expected an offer of this participant"),))
    if tracked.withdrawn is not None:
        return Outcome(False, receipt=tracked.withdrawn, duplicate=True)
    tentative = tracked.state is OfferState.TENTATIVE
    move_offer(book, key, Event.WITHDRAW, Decision.WITHDRAWN, reason=withdrawal.reason)
    tracked.withdrawn = receipt_of(book.now, entry, offer_id=withdrawal.offer_id)
    order = book.orders.get(tracked.order_id or "")
    if tentative and order is not None and allows(ORDER, order.state, Event.CANCEL):
        actor = f"participant:{withdrawal.participant}"
        move_order(book, order, Event.CANCEL, actor, "OFFER_WITHDRAWN", withdrawal.reason)
        revise_order(book, order, actor, "OFFER_WITHDRAWN", withdrawal.reason)
        fall_short(book, order.order.request_id)
    elif tracked.offer.request_id in book.requests:
        end_if_over(book, tracked.offer.request_id)
    return Outcome(True, receipt=tracked.withdrawn)
