"""What a timer's moment does. A TimerFired only triggers; it is valid only if the log's clock agrees."""

from __future__ import annotations

from gridsignal_schemas.messages import Decision, SettlementStatus, Timer, TimerFired
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.rules.lifecycle import Event, RequestState
from gridsignal_schemas.values import rfc3339
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.entry import Entry, Outcome
from gridsignal_services.ledger.moves import close_gate, end_if_over, move_offer, move_request
from gridsignal_services.ledger.ordering import ended, silent, started
from gridsignal_services.ledger.settlements import accept_in_silence, owe
from gridsignal_services.ledger.shifting import unanswered
from gridsignal_services.ledger.timers import DueTimer


def fire(book: Book, entry: Entry, fired: TimerFired) -> Outcome:
    """Ignored when it is not the timer that is set, or when the log's clock is not there yet."""
    if not book.timers.is_set(DueTimer(fired.due_at, fired.timer, fired.subject_id, fired.revision, fired.zone)):
        return Outcome(False, (fault("NOT_SET", "/subject_id", "expected a timer that is set"),))
    if book.now < fired.due_at:
        expected = f"expected the log's clock at {rfc3339(fired.due_at)}, got {rfc3339(book.now)}"
        return Outcome(False, (fault("TOO_EARLY", "/due_at", expected),))
    book.timers.clear(fired.timer, fired.subject_id)
    match fired.timer:
        case Timer.GATE_CLOSURE:
            close_gate(book, fired.subject_id)
        case Timer.DECISION_DEADLINE:
            _undecided(book, fired.subject_id)
        case Timer.RESPOND_BY:
            silent(book, book.orders[fired.subject_id])
        case Timer.START:
            started(book, book.orders[fired.subject_id])
        case Timer.END:
            _end(book, fired.subject_id)
        case Timer.EXPIRY:
            _expire(book, fired.subject_id)
        case Timer.SHIFT_DEADLINE:
            unanswered(book, fired.subject_id)
        case Timer.SETTLE:
            owe(book, fired.subject_id, SettlementStatus.PROVISIONAL)
        case Timer.SETTLE_FINALLY:
            owe(book, fired.subject_id, SettlementStatus.FINAL)
        case Timer.DISPUTE_END:
            accept_in_silence(book, fired.subject_id)
    return Outcome(True)


def _undecided(book: Book, request_id: str) -> None:
    if book.requests[request_id].state is RequestState.OPEN:
        move_request(book, request_id, Event.GATE_CLOSURE)
    move_request(book, request_id, Event.NOTHING_AWARDED)


def _expire(book: Book, subject_id: str) -> None:
    key = book.expiring.get(subject_id)
    if key is not None:
        move_offer(book, key, Event.EXPIRE, Decision.EXPIRED, ("EXPIRED",))
        if (request_id := book.offers[key].offer.request_id) is not None:
            end_if_over(book, request_id)


def _end(book: Book, subject_id: str) -> None:
    if subject_id in book.requests:
        end_if_over(book, subject_id)
    else:
        ended(book, book.orders[subject_id])
