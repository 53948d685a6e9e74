"""What a zone's owner does next: a decision on the ledger's state, one step at a time."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import NamedTuple

from pydantic import ValidationError

from gridsignal_schemas.messages import (
    BaselineFixed,
    Clearing,
    ClearingTrigger,
    DispatchOrder,
    OfferDecision,
    Record,
    Settlement,
    ShiftConfirm,
    ShiftRelease,
    ShiftReserve,
    ShiftReserved,
    TimerFired,
)
from gridsignal_schemas.rules.lifecycle import RequestState
from gridsignal_schemas.rules.products import product_of
from gridsignal_schemas.rules.shapes import findings
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.clearing import decide
from gridsignal_services.ledger.overtaken import NOTHING, LeftOut
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.ledger.timers import DueTimer
from gridsignal_services.owning.best import Solver, decide_best

ACTOR = "ledger"
AT_ONCE = 32
"""Records appended before any of them is waited for."""
_BASELINES_S = timedelta(seconds=10)
_DECISIONS = 16
"""Of a crowd of decisions written before gates and orders are looked at again."""

Subject = tuple[str, ...]
"""What a record of the owner is about, at this turn of its life."""
PassedOver = dict[Subject, None]
"""What can't be decided or written, and so is not tried again."""


class Undecidable(Exception):
    """One request that can't be decided; nobody else is held up by it."""

    def __init__(self, subject: Subject, reason: str) -> None:
        super().__init__(f"{'/'.join(subject)}: {reason}")
        self.subject = subject
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Undecided:
    """A request that waits for a clearing, and what it is decided from beside its book."""

    request_id: str
    subject: Subject
    position: int
    """The next offset of the partition, where the book stands."""
    now: datetime
    trigger: ClearingTrigger

    def decided(self, book: Book, left_out: LeftOut = NOTHING, solver: Solver | None = None) -> Clearing:
        """The clearing without what is left out, from the ledger's book or an excerpt of it. Raises Undecidable."""
        decided = decide if solver is None else partial(decide_best, solver=solver)
        try:
            return decided(
                book,
                self.request_id,
                now=self.now,
                position=self.position,
                trigger=self.trigger,
                actor=ACTOR,
                reason=self._reason(book),
                left_out=left_out,
            )
        except Exception as error:  # whatever it is, it concerns one request
            raise Undecidable(self.subject, why(error)) from error

    def _reason(self, book: Book) -> str:
        if self.trigger is not ClearingTrigger.GATE_CLOSURE:
            return "called from standby"
        terms = product_of(book.requests[self.request_id].request)
        return "called at once from offers that stand" if terms is not None and terms.from_standing else "gate closure"


class Step(NamedTuple):
    """What is appended together, in this order."""

    records: list[Record]
    is_telling: bool
    """Announcements alone; what is due has its turn with the next step."""


def next_step(ledger: Ledger, now: datetime, passed_over: Container[Subject] = (), *, has_told: bool = False) -> Step:
    """What an owner appends now; without records where nothing is to be done before `next_due` but a clearing.

    What a moment brings is announced before the next is looked at. But offers that are rejected as fast as they come
    put off nobody's gate: where that was done in the step before (`has_told`), or a crowd is owed, the timers that have
    come go with the orders that are owed before them, for hundreds may come at one moment, and a few decisions behind.
    """
    owed = owed_records(ledger, passed_over)
    if 0 < len(owed) < AT_ONCE and not has_told:
        return Step(owed, is_telling=True)
    if due := due_records(ledger, now):
        orders = max((at for at, each in enumerate(owed, 1) if isinstance(each, DispatchOrder)), default=0)
        return Step([*owed[:orders], *due, *owed[orders:_DECISIONS]], is_telling=False)
    return Step(owed, is_telling=False)


def owed_records(ledger: Ledger, passed_over: Container[Subject] = ()) -> list[Record]:
    """The announcements that have to be written next, oldest first: so many at most as are appended together."""
    owed = (each for each in ledger.next_owed() if not passed_over or subject_of(ledger, each) not in passed_over)
    return list(islice(owed, AT_ONCE))


def next_undecided(ledger: Ledger, now: datetime, passed_over: Container[Subject] = ()) -> Undecided | None:
    """The request whose turn it is to be cleared; None where none waits."""
    now = max(now, ledger.book.now)
    for request_id in ledger.due_clearings(now):
        if (subject := _turn(ledger, request_id)) not in passed_over:
            first = ledger.requests[request_id].state is RequestState.CLEARING
            trigger = ClearingTrigger.GATE_CLOSURE if first else ClearingTrigger.SHORTFALL
            return Undecided(request_id, subject, ledger.position, now, trigger)
    return None


def awaiting_baselines(ledger: Ledger, now: datetime, passed_over: Container[Subject] = ()) -> dict[Subject, datetime]:
    """Requests that are cleared once baselines from history are there, for headroom goes by them; and until when each
    waits at most: nobody's meters hold up a decision for long."""
    found: dict[Subject, datetime] = {}
    for request_id, site in ledger.book.baselines_owed:
        request = ledger.requests[request_id].request
        to_decide = request.decision_deadline - request.gate_closure_at
        until = request.gate_closure_at + min(_BASELINES_S, to_decide / 2)
        if now < until and baseline_subject(request_id, site) not in passed_over:
            found[_turn(ledger, request_id)] = until
    return found


def due_records(ledger: Ledger, now: datetime) -> list[Record]:
    """The first timers that have come, in the order in which they fire."""
    return [_fired(timer) for timer in ledger.book.timers.due(max(now, ledger.book.now))]


def next_due(ledger: Ledger) -> datetime | None:
    """The next moment the partition waits for; None where it waits for nothing."""
    timer = ledger.book.timers.next()
    return None if timer is None else timer.due_at


def subject_of(ledger: Ledger, record: Record) -> Subject:
    """What one of the owner's records is about."""
    match record:
        case Clearing():
            return _turn(ledger, record.request_id)
        case TimerFired():
            return ("timer", record.timer, record.subject_id, record.due_at.isoformat())
        case OfferDecision():
            return ("offer", record.participant, record.offer_id, str(record.revision), record.decision)
        case DispatchOrder():
            return ("order", record.order_id, str(record.revision))
        case BaselineFixed():
            return baseline_subject(record.request_id, record.site)
        case Settlement():
            return ("settlement", record.order_id, str(record.version))
        case ShiftRelease():
            ends_at = "" if record.ends_at is None else record.ends_at.isoformat()
            return ("shift", record.record_name, record.zone, record.shift_id, ends_at)
        case ShiftReserve() | ShiftReserved() | ShiftConfirm():
            return ("shift", record.record_name, record.zone, record.shift_id)
        case _:
            raise TypeError(f"expected a record that owners write, got a {record.record_name}")


def baseline_subject(request_id: str, site: str) -> Subject:
    """A site's baseline for a request."""
    return ("baseline", request_id, site)


def why(error: Exception) -> str:
    """What was wrong, without the values: they may be prices."""
    return findings(error) if isinstance(error, ValidationError) else f"{type(error).__name__}: {error!s:.200}"


def waiting_for_clearing(ledger: Ledger) -> set[Subject]:
    """The requests that wait for one, each at the turn of its life."""
    return {_turn(ledger, request_id) for request_id in ledger.book.waiting_in_turn()}


def _turn(ledger: Ledger, request_id: str) -> Subject:
    """The request as it waits now: after another clearing it may be decided again."""
    return ("request", request_id, str(len(ledger.requests[request_id].clearings)))


def _fired(timer: DueTimer) -> TimerFired:
    return TimerFired(
        zone=timer.zone,
        timer=timer.timer,
        subject_id=timer.subject_id,
        revision=timer.revision,
        due_at=timer.due_at,
    )
