"""What an order came to: a version of its settlement, as a pure function of the ledger's state and what meters said."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from hashlib import sha256
from itertools import islice

from gridsignal_schemas.messages import (
    DispatchOrder,
    MeterReading,
    MissingPeriod,
    PinnedRule,
    RuleName,
    SettledInterval,
    Settlement,
    SettlementInputs,
    SettlementStatus,
)
from gridsignal_schemas.messages.settlements import MAX_INTERVALS
from gridsignal_schemas.rules.baselines import Declared
from gridsignal_schemas.rules.readings import is_carried
from gridsignal_schemas.values import MAX_POWER_W
from gridsignal_services.ledger.book import Book, Fixed
from gridsignal_services.ledger.delivered import Terms, terms_of
from gridsignal_services.ledger.ordering import option_of
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.ledger.settled import settled
from gridsignal_services.ledger.settlements import is_correctable, newest_of, settlement_id_of
from gridsignal_services.metering.counting import CountingReadings
from gridsignal_services.metering.older_readings import Held
from gridsignal_services.metering.readings import Said
from gridsignal_services.owning.due import Subject, Undecidable, why
from gridsignal_services.settlement.baselines import adjusted, adjustment
from gridsignal_services.settlement.days import Slot
from gridsignal_services.settlement.energy import Gap
from gridsignal_services.settlement.history import History
from gridsignal_services.settlement.methods import XOfY
from gridsignal_services.settlement.periods import Netting
from gridsignal_services.settlement.pinned import history_method, rule_of
from gridsignal_services.settlement.rules import SettlementRule
from gridsignal_services.settlement.settling import Line, Settled

_REASONS = {
    SettlementStatus.PROVISIONAL: "the rule's time for a first version has come",
    SettlementStatus.FINAL: "the rule's time for the final version has come",
    SettlementStatus.CORRECTED: "a later reading has changed an interval",
}


_INSTANT = timedelta(microseconds=1)
_WIDEST_S = 366 * 86_400


@dataclass(frozen=True, slots=True)
class Unsettled:
    """An order of which a version is due, and all that it is computed from beside its readings: a copy."""

    order: DispatchOrder
    status: SettlementStatus
    rule: PinnedRule
    currency: str
    newest: Settlement | None
    """The version before."""
    terms: Terms
    activation_fee: Decimal | None
    root: bytes
    """Of the partition's tree, where the book stands."""
    fixed: Fixed | None = None
    """Its baseline from history, where there is one: adjusted by the hours before the order."""
    method: XOfY | None = None

    @property
    def version(self) -> int:
        """Which it will be."""
        return 1 if self.newest is None else self.newest.version + 1

    @property
    def subject(self) -> Subject:
        """The order, at this version."""
        return settlement_subject(self.order.order_id, self.version)

    def has_news(self, said: Said) -> bool:
        """Whether it is owed, or something was said that the version before it has not counted."""
        if self.newest is None or self.status is not SettlementStatus.CORRECTED:
            return True
        counted = self.newest.inputs
        if len(said.held) < counted.readings:  # readings replace one another, none goes: some can't be read just now
            return False
        return counted.readings_sha256 != readings_sha256(said.held)

    @property
    def since(self) -> datetime:
        """From when on readings count: the order's start, or that of its adjustment's window.

        One that ends there says what its meter's register was.
        """
        window = None if self.fixed is None else self.fixed.record.window_starts_at
        return min(self.terms.starts_at, window or self.terms.starts_at) - _INSTANT

    def counting(self) -> CountingReadings:
        """What of its readings counts, for who hears them one by one."""
        return CountingReadings(self.since, self.terms.ends_at, self.order.participant)

    def settled(self, said: Said) -> Settlement | None:
        """The version; None for a correction that changes nothing. Raises Undecidable."""
        try:
            made = self._settled(said)
        except Exception as error:  # whatever it is, it concerns one order
            raise Undecidable(self.subject, why(error)) from error
        is_news = self.status is not SettlementStatus.CORRECTED or not _say_the_same(self.newest, made)
        return made if is_news else None

    def _settled(self, said: Said) -> Settlement:
        order, rule = self.order, self.rule
        made = self._lines(said)
        return Settlement(
            zone=order.zone,
            request_id=order.request_id,
            participant=order.participant,
            site=order.site,
            order_id=order.order_id,
            settlement_id=settlement_id_of(order.order_id),
            version=self.version,
            rule=RuleName(name=rule.name, version=rule.version, sha256=rule.sha256),
            status=self.status,
            intervals=[_interval(line) for line in made.lines],
            activation_fee=made.activation_fee if self.activation_fee else None,
            total=made.total,
            currency=self.currency,
            inputs=SettlementInputs(
                position=0,
                readings_position=0,
                readings=len(said.held),
                readings_sha256=readings_sha256(said.held),
                baseline_sha256=_digest(bytes.fromhex(each.receipt.sha256) for each in self.terms.baselines),
                root=self.root.hex(),
            ),
            missing=[
                MissingPeriod(starts_at=line.starts_at, ends_at=line.ends_at, code=line.gap or "")
                for line in made.missing
            ],
            reason=_REASONS[self.status],
            supersedes=None if self.newest is None else self.newest.version,
        )

    def _lines(self, said: Said) -> Settled:
        """Where there are more than a record holds, of periods twice as long, until they are few enough."""
        rule = rule_of(self.rule.parameters)
        capacity_w = self.terms.capacity_w  # as the log has it: what a meter says of more is no measurement
        readings = (
            None if said.are_too_many else [each.reading for each in said.held if is_carried(each.reading, capacity_w)]
        )
        terms = self.terms if readings is None else self._adjusted(readings)
        is_awaited = self.status is SettlementStatus.PROVISIONAL and rule.provisional_after_s < rule.missing_after_s
        fee = self.activation_fee or Decimal(0)
        while _are_too_many(terms, rule) and rule.interval_s <= _WIDEST_S:
            rule = rule.model_copy(update={"interval_s": 2 * rule.interval_s})
        return settled(terms, readings, rule, self.currency, fee, is_awaited=is_awaited)

    def _adjusted(self, readings: list[MeterReading]) -> Terms:
        """The terms with the history as the hours before the order make it; as it is where they have a gap."""
        if self.fixed is None or self.fixed.declared is None or self.method is None:
            return self.terms
        record, declared = self.fixed.record, self.fixed.declared
        if record.window_starts_at is None or record.window_ends_at is None or record.window_w is None:
            return self.terms
        window = Slot(record.window_starts_at, record.window_ends_at)
        today_w = History(readings, [window], self.terms.meters).mean_w(*window)
        if isinstance(today_w, Gap):
            return self.terms
        found = adjustment(self.method, today_w, Fraction(record.window_w))
        power_w = [min(MAX_POWER_W, max(0, round(adjusted(Fraction(each), found)))) for each in record.power_w]
        changed = Declared.of(
            declared.place, declared.baseline.model_copy(update={"power_w": power_w}), declared.receipt
        )
        others = (each for each in self.terms.baselines if each.place != declared.place)
        return replace(self.terms, baselines=(*others, changed))


def _are_too_many(terms: Terms, rule: SettlementRule) -> bool:
    """Whether an order has more periods than a record holds: counted, for to settle them takes seconds."""
    time = Netting.of(rule, terms.starts_at, terms.ends_at)
    return any(True for _ in islice(time.grid.periods(time.starts_at, time.ends_at), MAX_INTERVALS, None))


def _interval(line: Line) -> SettledInterval:
    return SettledInterval(
        starts_at=line.starts_at,
        ends_at=line.ends_at,
        baseline_wh=line.baseline_wh,
        actual_wh=line.actual_wh,
        ordered_wh=line.ordered_wh,
        delivered_wh=line.delivered_wh,
        deficiency_wh=line.deficiency_wh,
        ramp_ok=line.ramp_ok,
        qualities=list(line.qualities),
        amount=line.amount,
    )


def settlement_subject(order_id: str, version: int) -> Subject:
    """A version of an order's settlement."""
    return ("settlement", order_id, str(version))


def owed_versions(ledger: Ledger, passed_over: Container[Subject] = ()) -> Iterator[tuple[str, SettlementStatus]]:
    """The orders of which a version is owed, the longest first, and which."""
    for order_id in ledger.book.settlements_owed:
        settlement = ledger.book.settlements[order_id]
        if settlement.owed is not None and settlement_subject(order_id, settlement.version + 1) not in passed_over:
            yield order_id, settlement.owed


def unsettled(
    ledger: Ledger,
    order_id: str,
    status: SettlementStatus,
    passed_over: Container[Subject] = (),
    left: Book | None = None,
) -> Unsettled | None:
    """The order's next version, of this status; None where it is passed over or none can follow.

    `left` has what was kept of its request, where that has left the ledger's book.
    """
    book = ledger.book if order_id in ledger.book.orders else left
    settlement = newest_of(ledger.book, order_id, None if left is None else left.settlements.get(order_id))
    if book is None or settlement is None:
        return None
    if status is SettlementStatus.CORRECTED and not is_correctable(ledger.book, settlement):
        return None
    tracked = book.orders[order_id]
    request = book.requests[tracked.order.request_id].request
    if settlement_subject(order_id, settlement.version + 1) in passed_over or request.settlement is None:
        return None
    if (terms := terms_of(book, tracked)) is None:
        return None
    option = option_of(book, tracked)
    fee = None if option is None or not option.activation_fee else option.activation_fee
    return Unsettled(
        order=tracked.order,
        status=status,
        rule=request.settlement,
        currency=request.currency,
        newest=settlement.newest,
        terms=replace(terms, ends_at=settlement.ended_at),
        activation_fee=fee,
        root=ledger.tree.root(),
        fixed=book.fixed.get((tracked.order.request_id, tracked.order.site)),
        method=history_method(request),
    )


def _say_the_same(before: Settlement | None, made: Settlement) -> bool:
    """Whether both come to the same, line by line."""
    return before is not None and all(
        getattr(before, name) == getattr(made, name) for name in ("intervals", "missing", "total")
    )


def readings_sha256(held: Iterable[Held]) -> str:
    """By which a settlement names its readings, in the order of the log."""
    return _digest(each.sha256 for each in held)


def _digest(digests: Iterable[bytes]) -> str:
    return sha256(b"".join(digests)).hexdigest()
