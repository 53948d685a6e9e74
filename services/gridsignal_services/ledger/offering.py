"""Offers: made, amended, withdrawn by their participant. Identity is (participant, offer_id, revision)."""

from __future__ import annotations

from collections.abc import Callable

from gridsignal_schemas.frames import Receipt
from gridsignal_schemas.messages import Decision, FlexOffer, OfferWithdrawal, Timer
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.rules.lifecycle import OFFER, OFFER_CALLABLE, ORDER, Event, OfferState, after, allows
from gridsignal_schemas.rules.limits import LIMITS
from gridsignal_schemas.rules.offers import is_listed, revision_fault
from gridsignal_services.ledger.announcements import OfferKey
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.entry import Entry, Outcome, SetAside, receipt_of
from gridsignal_services.ledger.moves import (
    decision_of,
    end_if_over,
    fall_short,
    move_offer,
    move_order,
    offer_timer_id,
    revise_order,
)
from gridsignal_services.ledger.needs import needs_of
from gridsignal_services.ledger.rules import offer_faults
from gridsignal_services.ledger.tracked import TrackedOffer, TrackedRequest


def offer(book: Book, entry: Entry, offer: FlexOffer) -> Outcome:
    """The receipt says that it is logged and its identity settled; broken rules follow as a REJECTED decision."""
    key: OfferKey = (offer.participant, offer.offer_id)
    before = book.offers.get(key)
    if (known := settled(book, offer, lambda: entry.sha256)) is not None:
        return known
    if offer.revision != 1 and book.past.knows_offer(key):  # of the first one `settled` knows
        return Outcome(False, (_OVER,))
    aside = aside_of(book, key)
    latest = before.offer if before is not None else None if aside is None else offer.model_copy(update={"revision": 1})
    if problem := revision_fault(offer, latest):
        return Outcome(False, (problem,))
    if latest is not None:
        after(OFFER, before.state if before is not None else OfferState.REJECTED, Event.AMEND)
    receipt = receipt_of(book.now, entry, offer_id=offer.offer_id, revision=offer.revision)
    faults = offer_faults(book, offer)
    if faults and book.announcements.decisions_owed(offer.participant) >= LIMITS.decisions_owed:
        return Outcome(False, (_CROWDED,))
    codes = tuple(dict.fromkeys(broken.code for broken in faults))
    timer_id = offer_timer_id(key) if before is None else before.timer_id
    tracked = TrackedOffer(offer, entry.offset, receipt, {}, timer_id, offer.request_revision, codes=codes)
    tracked.state = OfferState.REJECTED if faults else OfferState.LIVE
    tracked.needs = None if faults else needs_of(offer)
    _file(book, key, tracked, entry.sha256)
    reason = "; ".join(f"{broken.pointer}: {broken.message}" for broken in faults)
    if offer.request_id is None and before is not None:
        if faults:
            book.stand_no_more(key)
        _withdraw_called(book, key, f"revision {offer.revision} took the place of your standing offer")
    if faults:  # an amendment that breaks rules leaves nothing standing: the site has taken back what it replaces
        book.timers.clear(Timer.EXPIRY, timer_id)
        book.expiring.pop(timer_id, None)
    else:
        book.expiring[timer_id] = key
        book.timers.set(Timer.EXPIRY, timer_id, offer.revision, offer.expires_at, offer.zone)
    decision = Decision.REJECTED if faults else Decision.ACCEPTED_FOR_CLEARING
    book.announcements.owe(decision_of(tracked, decision, codes, reason))
    return Outcome(True, tuple(faults), receipt=receipt)


_OVER = fault("ILLEGAL_STATE", "/offer_id", "expected an offer on a request that is not over")
_CROWDED = fault(
    "DECISIONS_OWED", "", f"expected fewer than {LIMITS.decisions_owed} decisions on your offers still to be announced"
)


def settled(book: Book, offer: FlexOffer, sha256: Callable[[], str]) -> Outcome | None:
    """The outcome of an offer whose identity is on the log already; None for a new one, whose digest is not needed."""
    key: OfferKey = (offer.participant, offer.offer_id)
    tracked, aside = book.offers.get(key), aside_of(book, key)
    if tracked is not None and offer.revision in tracked.digests:
        digest, received_at = tracked.digests[offer.revision]
    elif aside is not None and offer.revision == 1:
        digest, received_at, _ = aside
    elif (past := book.past.offers.find((*key, offer.revision))) is not None:
        digest, received_at = (sha256() if past.is_of(sha256()) else ""), past.received_at
    else:
        return None
    if digest == sha256():
        first = Receipt(offer_id=offer.offer_id, revision=offer.revision, sha256=digest, received_at=received_at)
        return Outcome(False, receipt=first, duplicate=True)
    return Outcome(False, (fault("CONFLICT", "/offer_id", "this id and revision already has another content"),))


def aside_of(book: Book, key: OfferKey) -> SetAside | None:
    """What is kept of an offer that no book lists."""
    participant, offer_id = key
    return book.set_aside.get(participant, {}).get(offer_id)


def _file(book: Book, key: OfferKey, tracked: TrackedOffer, digest: str) -> None:
    before, offer = book.offers.get(key), tracked.offer
    request = book.requests.get(offer.request_id or "")
    if not tracked.codes and offer.standing is not None:
        book.stand(key, offer.standing.product)
    if before is not None:
        tracked.digests = before.digests
    elif not tracked.codes and offer.request_id is None:
        pass  # it stands for a product, and no request lists it
    elif request is None or not is_listed(tracked.codes, request.turned_down[key[0]]):
        _put_aside(book, key, SetAside(digest, tracked.receipt.received_at, tracked.codes))
        return
    else:
        book.add_offer(request, key)
        _count(book, request, tracked)
    tracked.digests[offer.revision] = (digest, tracked.receipt.received_at)
    book.offers[key] = tracked


def _put_aside(book: Book, key: OfferKey, kept: SetAside) -> None:
    of_participant = book.set_aside.setdefault(key[0], {})
    of_participant[key[1]] = kept
    if len(of_participant) > LIMITS.offers_set_aside:
        del of_participant[next(iter(of_participant))]


def _count(book: Book, request: TrackedRequest, tracked: TrackedOffer) -> None:
    participant, site = tracked.offer.participant, tracked.offer.site
    if tracked.codes:
        request.turned_down[participant] += 1
        return
    request.offers_of[participant] += 1
    request.offers_of_site[participant, site] += 1
    book.standing[participant] += 1


def withdraw(book: Book, entry: Entry, withdrawal: OfferWithdrawal) -> Outcome:
    """Before the acceptance of its order a withdrawal wins, whatever crossed on the wire; after it, it is refused."""
    key: OfferKey = (withdrawal.participant, withdrawal.offer_id)
    tracked = book.offers.get(key)
    if book.past.knows_offer(key):
        return Outcome(False, (_OVER,))
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
    elif tracked.offer.request_id is None:
        _withdraw_called(book, key, withdrawal.reason)
    elif tracked.offer.request_id in book.requests:
        end_if_over(book, tracked.offer.request_id)
    return Outcome(True, receipt=tracked.withdrawn)


def _withdraw_called(book: Book, key: OfferKey, reason: str) -> None:
    """With a standing offer goes what requests have made of it and not ordered so far."""
    for made in list(book.offers_on_open_requests.get(key[0], ())):
        called = book.offers[made]
        if called.offer.called_from == key[1] and called.state in OFFER_CALLABLE:
            move_offer(book, made, Event.WITHDRAW, Decision.WITHDRAWN, reason=reason)
            end_if_over(book, called.offer.request_id or "")
