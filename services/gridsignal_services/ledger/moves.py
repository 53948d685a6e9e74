"""Moves of offers, orders and requests along their lifecycles: the timers they set, what has to be announced."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from gridsignal_schemas.codes import why_lost
from gridsignal_schemas.messages import (
    ClearingMode,
    Decision,
    DispatchOrder,
    Firmness,
    RuleName,
    RunMode,
    Timer,
)
from gridsignal_schemas.rules.answers import due_of
from gridsignal_schemas.rules.lifecycle import (
    OFFER,
    OFFER_CALLABLE,
    ORDER,
    ORDER_NEVER_HELD,
    ORDER_OVER,
    REQUEST,
    REQUEST_OVER,
    Event,
    OfferState,
    RequestState,
    SettlementState,
    after,
    allows,
)
from gridsignal_schemas.rules.profile import Block
from gridsignal_services.ledger.announcements import Decided, OfferKey
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.clearing import derived_id
from gridsignal_services.ledger.fixing import owe_baselines
from gridsignal_services.ledger.legs import leave
from gridsignal_services.ledger.pieces import Steps, pieces
from gridsignal_services.ledger.tracked import (
    SettledOrder,
    Step,
    TrackedOffer,
    TrackedOrder,
    TrackedRequest,
    TrackedSettlement,
)
from gridsignal_services.settlement.pinned import rule_of

_OUTDATES_REASONS = frozenset({Event.SELECT, Event.WITHDRAW, Event.EXPIRE})
"""After these it no longer holds why an offer was passed over before."""
_OUTBID = frozenset({("OUTBID",), ("COVERED",)})
_DECIDED = frozenset({RequestState.AWARDED, RequestState.PARTIALLY_AWARDED, RequestState.ACTIVE})
_SETTLING = frozenset({RequestState.COMPLETED, RequestState.SETTLED, RequestState.DISPUTED})

_MOVES_A_REQUEST = frozenset({None, SettlementState.DISPUTED, SettlementState.SETTLED})
"""What a settlement moves a completed request by; None: the request itself has just been completed."""


def offer_timer_id(key: OfferKey) -> str:
    """An offer's name among the timers: offer ids are unique within a participant only."""
    return derived_id("offer", *key)


def decision_of(tracked: TrackedOffer, decision: Decision, codes: tuple[str, ...] = (), reason: str = "") -> Decided:
    """The announcement of a decision, as a pure function of the offer's state."""
    return Decided(tracked.offer, decision, codes, reason, tracked.option, tracked.power_w)


def move_offer(
    book: Book,
    key: OfferKey,
    event: Event,
    decision: Decision | None = None,
    codes: tuple[str, ...] = (),
    reason: str = "",
) -> None:
    """Moves an offer; owes the site the decision, if there is one. Raises IllegalTransition."""
    tracked = book.offers[key]
    tracked.state = after(OFFER, tracked.state, event)
    if codes or event in _OUTDATES_REASONS or (event is Event.RELEASE and tracked.codes in _OUTBID):
        tracked.codes = codes
    if tracked.state not in OFFER_CALLABLE:
        book.timers.clear(Timer.EXPIRY, tracked.timer_id)
        book.expiring.pop(tracked.timer_id, None)
        if tracked.offer.request_id is None:
            book.stand_no_more(key)
    if decision is not None:
        book.announcements.owe(decision_of(tracked, decision, codes, reason))


def move_order(
    book: Book, tracked: TrackedOrder, event: Event, actor: str, reason_code: str = "", reason: str = ""
) -> None:
    """Moves an order and sets its timers anew. Raises IllegalTransition."""
    tracked.state = after(ORDER, tracked.state, event)
    tracked.history.append(Step(book.now, tracked.state, actor, reason_code, reason, book.principal))
    if tracked.state in ORDER_OVER:
        leave(book, tracked.order)
        book.end_order(tracked)
        _await_settlement(book, tracked)
    set_order_timers(book, tracked)


def _await_settlement(book: Book, tracked: TrackedOrder) -> None:
    """An order that held its site is settled when its request's rule says so; a rehearsal is not."""
    order, rule = tracked.order, book.requests[tracked.order.request_id].request.settlement
    if rule is None or tracked.state in ORDER_NEVER_HELD or order.run_mode is RunMode.DRY_RUN:
        return
    said, ended_at = rule_of(rule.parameters), order.ends_at or book.now
    of = SettledOrder(
        zone=order.zone,
        request_id=order.request_id,
        participant=order.participant,
        site=order.site,
        rule=RuleName(name=rule.name, version=rule.version, sha256=rule.sha256),
        dispute_window=timedelta(seconds=said.dispute_window_s),
        corrected_until=ended_at + timedelta(seconds=said.corrections_until_s),
        revision=order.revision,
    )
    book.settlements[order.order_id] = TrackedSettlement(order.order_id, of, ended_at)
    for timer, wait_s in ((Timer.SETTLE, said.provisional_after_s), (Timer.SETTLE_FINALLY, said.final_after_s)):
        book.timers.set(timer, order.order_id, order.revision, ended_at + timedelta(seconds=wait_s), order.zone)


def set_order_timers(book: Book, tracked: TrackedOrder) -> None:
    """The moments an order in its state waits for."""
    order = tracked.order
    obliged = book.requests[order.request_id].request.firmness is not Firmness.VOLUNTARY
    due = due_of(tracked, obliged=obliged)
    for timer in (Timer.RESPOND_BY, Timer.START, Timer.END):
        if due is None or timer is not due.timer:
            book.timers.clear(timer, order.order_id)
        else:
            book.timers.set(timer, order.order_id, order.revision, due.at, order.zone)


def revise_order(
    book: Book, tracked: TrackedOrder, actor: str, reason_code: str, reason: str, **changes: Any
) -> DispatchOrder:
    """The order's next revision in its present state, owed to the site."""
    revised = tracked.order.model_copy(
        update={
            "revision": tracked.order.revision + 1,
            "state": tracked.state,
            "actor": actor,
            "reason_code": reason_code,
            "reason": reason,
            **changes,
        }
    )
    book.change_order(tracked, revised)
    set_order_timers(book, tracked)
    book.announcements.owe(tracked.order)
    return tracked.order


def release_offer_of(book: Book, tracked: TrackedOrder, reason: str) -> None:
    """An order that its operator takes back lets go of the offer that it called."""
    if tracked.offer_key is not None and allows(OFFER, book.offers[tracked.offer_key].state, Event.RELEASE):
        move_offer(book, tracked.offer_key, Event.RELEASE, Decision.RELEASED, reason=reason)


def take_back(book: Book, tracked: TrackedOrder, since: datetime, until: datetime) -> None:
    """An operator lets an order end earlier, or not begin: nobody else is called for what it gives no more.

    `until` is how long it would have lasted. A later end takes back the less, or nothing.
    """
    if tracked.taken_back is not None:
        until = max(until, tracked.taken_back.ends_at)
    tracked.taken_back = Block(since, until, tracked.power_w) if since < until else None
    if tracked.taken_back is not None:
        _is_covered_no_longer(book, tracked.order.request_id)


def _is_covered_no_longer(book: Book, request_id: str) -> None:
    for key in book.requests[request_id].offers:
        offer = book.offers[key]
        if offer.state is OfferState.STANDBY and offer.codes in _OUTBID:
            offer.codes = ()


def move_request(book: Book, request_id: str, event: Event) -> None:
    """Moves a request, and sets the timers its state waits for; `end_offers` does more. Raises IllegalTransition."""
    tracked = book.requests[request_id]
    was_over, was_open = tracked.state in REQUEST_OVER, tracked.state is RequestState.OPEN
    tracked.state = after(REQUEST, tracked.state, event)
    if was_open and tracked.state not in REQUEST_OVER:
        owe_baselines(book, request_id)
    if tracked.state in REQUEST_OVER and not was_over:
        book.close_request(request_id)
    set_request_timers(book, request_id)


def follow_settlements(book: Book, request_id: str, moved: SettlementState | None = None) -> None:
    """A completed request stands as the settlements of its orders do: any disputed, all settled, or not yet.

    One that has left the book stays as it was. Where one has `moved`, and neither was disputed nor settled by that, a
    request that is completed stands where it stood: it may have thousands of orders, and each is settled.
    """
    tracked = book.requests.get(request_id)
    if tracked is None or (tracked.state is RequestState.COMPLETED and moved not in _MOVES_A_REQUEST):
        return
    settlements = [book.settlements[name].state for name in tracked.orders if name in book.settlements]
    if tracked.state not in _SETTLING or not settlements:
        return
    if SettlementState.DISPUTED in settlements:
        move_request(book, request_id, Event.DISPUTE)
    elif all(state is SettlementState.SETTLED for state in settlements):
        if tracked.state is RequestState.COMPLETED:
            move_request(book, request_id, Event.SETTLE)
    elif tracked.state is not RequestState.COMPLETED:
        move_request(book, request_id, Event.REOPEN)


def close_gate(book: Book, request_id: str) -> None:
    """No more offers are taken; its owner clears it, unless a person is to."""
    move_request(book, request_id, Event.GATE_CLOSURE)
    if book.requests[request_id].request.clearing_mode is ClearingMode.AUTOMATIC:
        book.await_clearing(request_id)


def set_request_timers(book: Book, request_id: str) -> None:
    """The moments a request in its state waits for."""
    tracked = book.requests[request_id]
    request, state = tracked.request, tracked.state
    undecided = state in (RequestState.OPEN, RequestState.CLEARING)
    decided = state in _DECIDED
    for timer, due_at in (
        (Timer.GATE_CLOSURE, request.gate_closure_at if state is RequestState.OPEN else None),
        (Timer.DECISION_DEADLINE, request.decision_deadline if undecided else None),
        (Timer.END, request.ends_at if decided else None),
    ):
        if due_at is None:
            book.timers.clear(timer, request_id)
        else:
            book.timers.set(timer, request_id, request.revision, due_at, request.zone)


def end_offers(book: Book) -> Steps[None]:
    """Lets go of the offers on requests that this record has ended: what comes last of every record."""
    while book.ended:
        tracked = book.requests[book.ended.pop()]
        for some in pieces(tracked.offers):
            for key in some:
                _end_offer(book, key, tracked)
            yield


def _end_offer(book: Book, key: OfferKey, request: TrackedRequest) -> None:
    """What was not called: NOT_SELECTED after a completed request, RELEASED after any other end."""
    book.offers_on_open_requests[key[0]].pop(key)
    if book.offers[key].state not in OFFER_CALLABLE:
        return
    if request.state is RequestState.COMPLETED:
        move_offer(book, key, Event.END_STANDBY, Decision.NOT_SELECTED)
    elif request.state is RequestState.UNMET and not request.clearings:  # nobody has decided, so no rule stopped it
        codes = ("NOT_CLEARED",)
        move_offer(book, key, Event.RELEASE, Decision.RELEASED, codes, reason=why_lost(codes))
    else:
        move_offer(book, key, Event.RELEASE, Decision.RELEASED, reason="the request is over")


def fall_short(book: Book, request_id: str) -> None:
    """An order gives less than it was awarded: the rest goes on to the STANDBY offers."""
    tracked = book.requests[request_id]
    _is_covered_no_longer(book, request_id)
    running = tracked.state in _DECIDED
    automatic = tracked.request.clearing_mode is ClearingMode.AUTOMATIC
    if running and automatic and book.now < tracked.request.ends_at:
        book.await_clearing(request_id)
    else:
        end_if_over(book, request_id)


def end_if_over(book: Book, request_id: str) -> None:
    """A decided request ends with its last order, unless a clearing is still to come: by its owner, or by a person."""
    tracked = book.requests[request_id]
    if tracked.state not in _DECIDED or tracked.wants_clearing or any(book.live_orders(tracked.orders)):
        return
    active = tracked.state is RequestState.ACTIVE
    automatic = tracked.request.clearing_mode is ClearingMode.AUTOMATIC
    waits = not automatic or (not active and book.taken_back(request_id))  # for a person: maybe who took an order back
    if waits and book.now < tracked.request.ends_at and book.callable_offers(request_id, book.now):
        return
    move_request(book, request_id, Event.ALL_OVER if active else Event.NOTHING_AWARDED)
    follow_settlements(book, request_id)
