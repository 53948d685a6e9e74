"""Orders: announced by the ledger, answered by their site, changed by their operator."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import (
    Decision,
    DispatchOrder,
    Firmness,
    OfferDecision,
    OfferOption,
    OrderResponse,
    Record,
    ResponseKind,
)
from gridsignal_schemas.rules.answers import UNKNOWN_ORDER, answer_fault, event_of, is_so_already, is_to
from gridsignal_schemas.rules.changes import change_faults, event_of_change
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.rules.lifecycle import (
    OFFER,
    ORDER,
    REQUEST,
    Event,
    after,
    allows,
)
from gridsignal_services.access import Audience
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.coming_back import faults_of_coming_back
from gridsignal_services.ledger.entry import Entry, Outcome, audience_at_site, receipt_of
from gridsignal_services.ledger.legs import waits
from gridsignal_services.ledger.moves import (
    end_if_over,
    fall_short,
    move_offer,
    move_order,
    move_request,
    release_offer_of,
    revise_order,
    take_back,
)
from gridsignal_services.ledger.tracked import TrackedOrder, TrackedResponse


def audience_of_site(book: Book, record: Record) -> Audience:
    """The participant at that site, and the operator who asked: a site may have another owner by now."""
    operator = book.operator_of(getattr(record, "request_id", None) or "")
    operators = frozenset({operator}) if operator else frozenset()
    return replace(audience_at_site(record), operators=operators)


# --- announcements ----------------------------------------------------------------------------------------------


def decision(book: Book, entry: Entry, decision: OfferDecision) -> Outcome:
    """Accepted only as the announcement that is owed: a repeat or a second decision reaches nobody."""
    if not book.announcements.announced(decision):
        return Outcome(False, (fault("NOT_OWED", "", "expected the announcement that is owed"),))
    if (decision.participant, decision.offer_id) not in book.offers:
        book.announcements.forget(decision)
    return Outcome(True, audience=audience_of_site(book, decision))


def order(book: Book, entry: Entry, order: DispatchOrder) -> Outcome:
    """The announcement that is owed, or an operator's change of an order that stands."""
    audience = audience_of_site(book, order)
    if not entry.principal.startswith("operator:") and book.announcements.announced(order):
        return Outcome(True, audience=audience)
    tracked = book.orders.get(order.order_id)
    operator = book.requests[order.request_id].request.operator if order.request_id in book.requests else ""
    if tracked is None or entry.principal != f"operator:{operator}":
        return Outcome(False, (fault("NOT_OWED", "", "expected the announcement that is owed"),))
    if order == tracked.order:
        return Outcome(False, duplicate=True, receipt=tracked.changed)
    if waits(book, tracked.order):
        return Outcome(False, (_NOT_TOLD,))
    if faults := _change_faults(book, tracked, order):
        return Outcome(False, tuple(faults))
    event = event_of_change(order)
    after(ORDER, tracked.state, event)
    until = tracked.block().ends_at
    book.change_order(tracked, order)
    take_back(book, tracked, order.starts_at if event is Event.CANCEL else tracked.block().ends_at, until)
    move_order(book, tracked, event, order.actor, order.reason_code, order.reason)
    tracked.changed = receipt_of(book.now, entry, revision=order.revision)
    book.announcements.decided(order)
    if event is Event.CANCEL:
        release_offer_of(book, tracked, order.reason)
        end_if_over(book, order.request_id)
    return Outcome(True, receipt=tracked.changed, audience=audience)


_NOT_TOLD = fault("ILLEGAL_STATE", "/order_id", "expected an order whose counterpart in the other zone is held")


def option_of(book: Book, tracked: TrackedOrder) -> OfferOption | None:
    """What the order's site has offered; None for an order that rests on no offer."""
    offer = book.offers.get(tracked.offer_key) if tracked.offer_key else None
    return offer.option_named(tracked.order.option or "") if offer else None


def _change_faults(book: Book, tracked: TrackedOrder, order: DispatchOrder) -> list[Detail]:
    request = book.requests[tracked.order.request_id]

    def room_w(since: datetime, until: datetime) -> int | None:
        promised = book.committed(tracked.order.site, request.request)
        return book.headroom_w(
            tracked.order.site, request.request, since, until, before=request.place, promised=promised
        )

    faults = change_faults(tracked, order, option_of(book, tracked), book.now, room_w=room_w)
    return faults or list(faults_of_coming_back(book, tracked, order))


# --- responses --------------------------------------------------------------------------------------------------


def respond(book: Book, entry: Entry, response: OrderResponse) -> Outcome:
    """A site's answer; a response that is refused leaves no trace and may be repeated."""
    key = (response.participant, response.response_id)
    if (known := book.responses.get(key)) is not None:
        if _says_the_same(known.response, response):
            return Outcome(False, receipt=known.receipt, duplicate=True)
        return Outcome(False, (fault("CONFLICT", "/response_id", "this id already has another content"),))
    tracked = book.orders.get(response.order_id)
    if tracked is None or not is_to(tracked.order, response) or waits(book, tracked.order):
        return Outcome(False, (UNKNOWN_ORDER,))
    obliged = book.requests[tracked.order.request_id].request.firmness is not Firmness.VOLUNTARY
    if problem := answer_fault(tracked, response, book.now, obliged=obliged):
        return Outcome(False, (problem,))
    if not is_so_already(tracked, response):
        _answer(book, entry, tracked, response)
    tracked.answered[response.response] = None
    tracked.response_ids.append(response.response_id)
    receipt = receipt_of(book.now, entry, response_id=response.response_id)
    book.responses[key] = TrackedResponse(response, receipt)
    return Outcome(True, receipt=receipt)


def _says_the_same(known: OrderResponse, response: OrderResponse) -> bool:
    """Whether both say the same: who said it, and when by the site's clock, differs after a restart."""
    return known == response.model_copy(update={"actor": known.actor, "at": known.at})


def _answer(book: Book, entry: Entry, tracked: TrackedOrder, response: OrderResponse) -> None:
    if response.response is ResponseKind.UNAVAILABLE:
        _derate(book, tracked, response)
        return
    event = event_of(response)
    move_order(book, tracked, event, response.actor, response.reason_code, response.reason)
    match event:
        case Event.ACCEPT:
            _accepted(book, entry, tracked, response)
        case Event.REFUSE:
            _failed(book, tracked, "REFUSED", response.reason)
        case Event.START:
            _started(book, tracked)
        case Event.COMPLETE:
            _completed_by_its_site(book, tracked)


def _accepted(book: Book, entry: Entry, tracked: TrackedOrder, response: OrderResponse) -> None:
    tracked.accepted_w = response.accepted_w or tracked.order.power_w
    tracked.accepted_place = entry.offset
    if tracked.offer_key is not None:
        book.offers[tracked.offer_key].power_w = tracked.accepted_w
        move_offer(book, tracked.offer_key, Event.ORDER_ACCEPTED, Decision.AWARDED)
    if tracked.accepted_w < tracked.order.power_w:
        book.follow(tracked)
        fall_short(book, tracked.order.request_id)


def _failed(book: Book, tracked: TrackedOrder, code: str, reason: str) -> None:
    if tracked.offer_key is not None:
        move_offer(book, tracked.offer_key, Event.ORDER_FAILED, Decision.FAILED_AWARD, (code,), reason)
    fall_short(book, tracked.order.request_id)


def silent(book: Book, tracked: TrackedOrder) -> None:
    """Silence at respond_by: the order is void, and the site is told before anyone else is ordered."""
    move_order(book, tracked, Event.SILENCE, "ledger", "NO_ANSWER", "no answer by respond_by")
    revise_order(book, tracked, "ledger", "NO_ANSWER", "no answer by respond_by")
    _failed(book, tracked, "NO_ANSWER", "no answer by respond_by")


def _started(book: Book, tracked: TrackedOrder) -> None:
    if tracked.accepted_w is None:  # an obligation needs no answer
        tracked.accepted_w = tracked.order.power_w
        if tracked.offer_key is not None:
            move_offer(book, tracked.offer_key, Event.ORDER_ACCEPTED, Decision.AWARDED)
    request_id = tracked.order.request_id
    if allows(REQUEST, book.requests[request_id].state, Event.FIRST_START):  # not one that was cancelled meanwhile
        move_request(book, request_id, Event.FIRST_START)


def started(book: Book, tracked: TrackedOrder) -> None:
    """The period begins; without an answer only where the order is an obligation."""
    move_order(book, tracked, Event.START, "ledger")
    _started(book, tracked)


def _completed_by_its_site(book: Book, tracked: TrackedOrder) -> None:
    if tracked.order.ends_at is None or book.now < tracked.order.ends_at:
        fall_short(book, tracked.order.request_id)  # before its end: the others go on with what is left of it
    completed(book, tracked)


def completed(book: Book, tracked: TrackedOrder) -> None:
    """The period is over, by the site's word or by the clock; what was delivered is for the meters to say."""
    if tracked.offer_key is not None and allows(OFFER, book.offers[tracked.offer_key].state, Event.DELIVER):
        move_offer(book, tracked.offer_key, Event.DELIVER)
    end_if_over(book, tracked.order.request_id)


def ended(book: Book, tracked: TrackedOrder) -> None:
    """The end of the ordered period."""
    move_order(book, tracked, Event.COMPLETE, "ledger")
    completed(book, tracked)


def _derate(book: Book, tracked: TrackedOrder, response: OrderResponse) -> None:
    """Less than was accepted is possible from now on: the order is revised, the rest goes on to the STANDBY offers.

    Work moves to another zone as a whole or not at all.
    """
    available = 0 if tracked.order.shift_id is not None else response.available_w or 0
    event = Event.DERATE if available else Event.ABORT
    move_order(book, tracked, event, response.actor, response.reason_code, response.reason)
    tracked.derate(book.now, available)
    code = response.reason_code or ("DERATED" if available else "ABORTED")
    less: dict[str, int | None] = {"power_w": available, "import_limit_w": tracked.order.limit_at(available)}
    revise_order(book, tracked, response.actor, code, response.reason, **less)
    if not available and tracked.offer_key is not None:
        move_offer(book, tracked.offer_key, Event.DEFAULT)
    fall_short(book, tracked.order.request_id)
