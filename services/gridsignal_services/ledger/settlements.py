"""Settlements: written by a zone's owner when they are owed, disputed by the participant, answered by the operator.

The amounts are not the reduce's to check, for readings lie elsewhere: whoever has the log computes them again.
What it checks is that the order is over, that this version is the next and owed, and that the rule is the request's.

A settlement outlives its order in the book while a version of it is due, disputed or open to dispute. One that stands
leaves, too, but for what is in `past`; a correction that fits what is known there brings it back.
"""

from __future__ import annotations

from datetime import datetime

from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import (
    DisputeRejected,
    RuleName,
    Settlement,
    SettlementDispute,
    SettlementStatus,
    Timer,
)
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.rules.lifecycle import SETTLEMENT, Event, SettlementState, after
from gridsignal_schemas.rules.limits import LIMITS
from gridsignal_schemas.values import rfc3339
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.clearing import derived_id
from gridsignal_services.ledger.entry import Entry, Outcome, receipt_of
from gridsignal_services.ledger.moves import follow_settlements
from gridsignal_services.ledger.ordering import audience_of_site
from gridsignal_services.ledger.past import KnownSettlement
from gridsignal_services.ledger.tracked import SettledOrder, TrackedDispute, TrackedSettlement

_ADDRESS = ("zone", "request_id", "participant", "site")
_CORRECTABLE = frozenset({SettlementState.FINAL, SettlementState.DISPUTED, SettlementState.SETTLED})
_STANDS = frozenset({SettlementState.FINAL, SettlementState.SETTLED})
_EVENTS = {
    SettlementStatus.PROVISIONAL: Event.PROVISION,
    SettlementStatus.FINAL: Event.FINALISE,
    SettlementStatus.CORRECTED: Event.CORRECT,
}
_UNKNOWN = fault("SETTLEMENT_UNKNOWN", "/settlement_id", "expected a settlement of this order")


def settlement_id_of(order_id: str) -> str:
    """The settlement of an order, in all its versions."""
    return derived_id("settlement", order_id)


def owe(book: Book, order_id: str, status: SettlementStatus) -> None:
    """The time for a version has come: its zone's owner writes it."""
    tracked = book.settlements[order_id]
    tracked.owed = status
    book.settlements_owed[order_id] = None


def is_correctable(book: Book, tracked: TrackedSettlement) -> bool:
    """Whether a later reading still gives it another version."""
    if tracked.state not in _CORRECTABLE or tracked.owed is not None:
        return False
    return tracked.version < LIMITS.versions_of_settlement and book.now <= tracked.of.corrected_until


def newest_of(book: Book, order_id: str, kept: TrackedSettlement | None) -> TrackedSettlement | None:
    """A settlement as it stands: in the book, or as it was kept when it left, if a version may still follow that."""
    if (tracked := book.settlements.get(order_id)) is not None or kept is None or kept.newest is None:
        return tracked
    known = come_back(book, kept.newest)
    return kept if known is not None and known.version == kept.version else None


def come_back(book: Book, version: Settlement) -> TrackedSettlement | None:
    """The settlement of an order that has left and whose version this says it is, as it would be in the book."""
    known = book.past.settlements.find(version.order_id, _what(version, version.rule))
    if known is None:
        return None
    of = SettledOrder.named_by(version, known.dispute_window, known.corrected_until)
    return TrackedSettlement(version.order_id, of, known.ended_at, SettlementState.SETTLED, before=known.version)


def outlive(book: Book, tracked: TrackedSettlement) -> None:
    """From now on it is in the book without its order; of too many the first leaves, whatever it waits for."""
    theirs = book.outliving.setdefault(book.operator_of(tracked.of.request_id) or "", {})
    theirs[tracked.order_id] = None
    if len(theirs) > LIMITS.settlements_outliving:
        book.leaving[next(iter(theirs))] = None


def leave(book: Book, order_id: str) -> TrackedSettlement:
    """A settlement without its order leaves the book; one that stands is known from then on."""
    tracked = book.drop_settlement(order_id)
    operator = book.operator_of(tracked.of.request_id) or ""
    if (theirs := book.outliving.get(operator)) is not None:
        theirs.pop(order_id, None)
        if not theirs:
            del book.outliving[operator]
    for timer in (Timer.SETTLE, Timer.SETTLE_FINALLY, Timer.DISPUTE_END):
        book.timers.clear(timer, order_id)
    book.settlements_owed.pop(order_id, None)
    if tracked.state in _STANDS:
        of = tracked.of
        known = KnownSettlement(tracked.version, tracked.ended_at, of.corrected_until, of.dispute_window)
        book.past.settlements.add(order_id, _what(of, of.rule), known, book.now)
    return tracked


def _what(named: SettledOrder | Settlement, rule: RuleName) -> tuple[object, ...]:
    return (*(getattr(named, name) for name in _ADDRESS), rule.name, rule.version, rule.sha256)


def settle(book: Book, entry: Entry, settlement: Settlement) -> Outcome:
    """A version that is owed, or the correction of a final one."""
    tracked = book.settlements.get(settlement.order_id) or come_back(book, settlement)
    if tracked is None or not _is_of(tracked, settlement):
        return Outcome(False, (fault("NOT_OVER", "/order_id", "expected an order that is over and is settled"),))
    if problem := _version_fault(book, tracked, settlement):
        return Outcome(False, (problem,))
    state = after(SETTLEMENT, tracked.state, _EVENTS[settlement.status])
    if settlement.status is not SettlementStatus.CORRECTED:
        tracked.owed = None
        book.settlements_owed.pop(settlement.order_id, None)
    tracked.newest, tracked.logged_at = settlement, book.now
    book.add_version(tracked)
    _move(book, tracked, state)
    return Outcome(True, audience=audience_of_site(book, settlement))


def _version_fault(book: Book, tracked: TrackedSettlement, settlement: Settlement) -> Detail | None:
    if settlement.rule != tracked.of.rule:
        return fault("RULE_OF_REQUEST", "/rule", "expected the rule of the request")
    if settlement.version != tracked.version + 1 or settlement.supersedes != (tracked.version or None):
        expected = f"expected version {tracked.version + 1} after {tracked.version}, got {settlement.version}"
        return fault("SETTLEMENT_VERSION", "/version", expected)
    if settlement.status is SettlementStatus.CORRECTED:
        owes = is_correctable(book, tracked)
    else:
        owes = settlement.status is tracked.owed
    if not owes:
        return fault("NOT_OVER", "/status", f"expected {tracked.owed or 'no version'} now, got {settlement.status}")
    return None


def dispute(book: Book, entry: Entry, dispute: SettlementDispute) -> Outcome:
    """A participant holds the newest version to be wrong; the same again is a repeat."""
    tracked = book.settlements.get(dispute.order_id)
    if tracked is None or tracked.newest is None or not _is_of(tracked, dispute):
        return Outcome(False, (_UNKNOWN,))
    for known in tracked.disputes:
        if _is_about(known.dispute, dispute):
            if dispute.model_copy(update={"actor": known.dispute.actor}) == known.dispute:
                return Outcome(False, receipt=known.receipt, duplicate=True)
            expected = "expected what was said of this version and reason before"
            return Outcome(False, (fault("CONFLICT", "/reason_code", expected),))
    if problem := _dispute_fault(book, tracked, dispute):
        return Outcome(False, (problem,))
    receipt = receipt_of(book.now, entry)
    tracked.disputes.append(TrackedDispute(dispute, receipt))
    _move(book, tracked, after(SETTLEMENT, tracked.state, Event.DISPUTE))
    return Outcome(True, receipt=receipt, audience=audience_of_site(book, dispute))


def _dispute_fault(book: Book, tracked: TrackedSettlement, dispute: SettlementDispute) -> Detail | None:
    if dispute.version != tracked.version:
        return fault("SETTLEMENT_VERSION", "/version", f"expected {tracked.version}, got {dispute.version}")
    until = _window_ends_at(book, tracked)
    if tracked.state is SettlementState.SETTLED or book.now > until:
        return fault("DISPUTE_WINDOW", "/version", f"expected a dispute by {rfc3339(until)}")
    most = LIMITS.disputes_of_version
    if sum(each.dispute.version == dispute.version for each in tracked.disputes) >= most:
        return fault("DISPUTES", "/version", f"expected at most {most} disputes of one version")
    return None


def reject(book: Book, entry: Entry, rejected: DisputeRejected) -> Outcome:
    """The operator's answer to a dispute of the newest version that has none."""
    tracked = book.settlements.get(rejected.order_id)
    if tracked is None or not _is_of(tracked, rejected):
        return Outcome(False, (_UNKNOWN,))
    known = next((each for each in tracked.disputes if _is_about(each.dispute, rejected)), None)
    if known is not None and known.answer is not None:
        is_same = known.answer.reason == rejected.reason
        problem = fault("DISPUTE_UNKNOWN", "/reason_code", "expected a dispute without an answer")
        return Outcome(False, () if is_same else (problem,), duplicate=is_same)
    if known is None or rejected.version != tracked.version:
        return Outcome(False, (fault("DISPUTE_UNKNOWN", "/reason_code", "expected a dispute of the newest version"),))
    known.answer = rejected
    if not tracked.open_disputes:
        _move(book, tracked, after(SETTLEMENT, tracked.state, Event.REJECT_DISPUTE))
    return Outcome(True, receipt=receipt_of(book.now, entry), audience=audience_of_site(book, rejected))


def accept_in_silence(book: Book, order_id: str) -> None:
    """The window has ended, and nobody has disputed the version: it stands."""
    tracked = book.settlements[order_id]
    _move(book, tracked, after(SETTLEMENT, tracked.state, Event.SETTLE))


def _move(book: Book, tracked: TrackedSettlement, state: SettlementState) -> None:
    """Sets the end of its window, and moves its request with it."""
    tracked.state, of = state, tracked.of
    if state is SettlementState.FINAL:
        until = _window_ends_at(book, tracked)
        book.timers.set(Timer.DISPUTE_END, tracked.order_id, of.revision, until, of.zone)
    else:
        book.timers.clear(Timer.DISPUTE_END, tracked.order_id)
    if tracked.order_id not in book.orders:
        book.leaving.pop(tracked.order_id, None)
        outlive(book, tracked)
        if state is SettlementState.SETTLED:
            book.leaving[tracked.order_id] = None
    follow_settlements(book, of.request_id, state)


def _window_ends_at(book: Book, tracked: TrackedSettlement) -> datetime:
    return tracked.window_ends_at or book.now + tracked.of.dispute_window


def _is_of(tracked: TrackedSettlement, record: Settlement | SettlementDispute | DisputeRejected) -> bool:
    """Whether it names the order's own request and site, and its settlement."""
    is_its = all(getattr(tracked.of, name) == getattr(record, name) for name in _ADDRESS)
    return is_its and record.settlement_id == settlement_id_of(record.order_id)


def _is_about(known: SettlementDispute, record: SettlementDispute | DisputeRejected) -> bool:
    return (known.version, known.reason_code) == (record.version, record.reason_code)
