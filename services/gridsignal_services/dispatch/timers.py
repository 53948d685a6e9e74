"""What a zone's owner does next: a decision on the ledger's state, one step at a time."""

from __future__ import annotations

from datetime import datetime

from gridsignal_schemas.messages import Clearing, ClearingTrigger, Record, TimerFired
from gridsignal_services.ledger.clearing import decide
from gridsignal_services.ledger.lifecycle import RequestState
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.ledger.timers import Due

ACTOR = "ledger"


def next_records(ledger: Ledger, now: datetime) -> list[Record]:
    """What to append now, in this order; empty when there is nothing to do before `next_due`.

    Announcements precede the next clearing, a clearing precedes the next timers, so that what a moment brings is
    decided before the following moment is looked at. One automatic decision at a time.
    """
    now = max(now, ledger.book.now)
    if owed := ledger.owed:
        return list(owed)
    if waiting := ledger.due_clearings(now):
        return [_clearing(ledger, waiting[0], now)]
    return [_fired(timer) for timer in ledger.book.timers.due(now)]


def next_due(ledger: Ledger) -> datetime | None:
    """The next moment the partition waits for; None where it waits for nothing."""
    timer = ledger.book.timers.next()
    return None if timer is None else timer.due_at


def _clearing(ledger: Ledger, request_id: str, now: datetime) -> Clearing:
    tracked = ledger.requests[request_id]
    first = tracked.state is RequestState.CLEARING
    return decide(
        ledger.book,
        request_id,
        now=now,
        position=ledger.position,
        trigger=ClearingTrigger.GATE_CLOSURE if first else ClearingTrigger.SHORTFALL,
        actor=ACTOR,
        reason="gate closure" if first else "an order gave less than was awarded",
    )


def _fired(timer: Due) -> TimerFired:
    return TimerFired(
        zone=timer.zone,
        timer=timer.timer,
        subject_id=timer.subject_id,
        revision=timer.revision,
        due_at=timer.due_at,
    )
