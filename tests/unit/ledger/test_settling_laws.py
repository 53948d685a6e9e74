"""What is settled follows from the log: cut off anywhere and gone on with, nothing is repeated and nothing lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridsignal_schemas.messages import MeterReading, Record, Settlement, SettlementStatus
from gridsignal_schemas.messages.settlements import MAX_INTERVALS
from gridsignal_schemas.rules.lifecycle import SettlementState
from gridsignal_schemas.values import MW
from gridsignal_services.bus.codec import Codec
from gridsignal_services.clock import from_micros, micros
from gridsignal_services.dispatch.parts import Kind, parts_of, read
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.entry import Outcome
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.metering.older_readings import Held
from gridsignal_services.metering.readings import Said
from gridsignal_services.owning.settling import Unsettled, owed_versions, readings_sha256, unsettled
from gridsignal_services.settlement.pinned import pinned
from gridsignal_services.settlement.rules import SettlementRule
from tests.builders import a_meter_reading, utc
from tests.effort import examples
from tests.unit.checkpoints.test_replay_is_a_checkpoint_and_the_rest import restarted
from tests.unit.ledger.market import Market
from tests.unit.ledger.zone import digest

CODEC = Codec.from_lock()
HOUR, QUARTER = timedelta(hours=1), timedelta(minutes=15)
RULE = pinned(
    SettlementRule(
        name="short",
        version=1,
        provisional_after_s=3600,
        missing_after_s=0,
        final_after_s=7200,
        dispute_window_s=3600,
        corrections_until_s=36_000,
    )
)
START, END = utc("18:00"), utc("18:45")
OVER = END + timedelta(hours=10)
KEPT = timedelta(minutes=10)
"""Its order leaves memory when it is settled, three hours after its end."""


MINUTES = pinned(SettlementRule(name="minutes", version=1, interval_s=60))


class Spoken(NamedTuple):
    """A reading of a quarter hour of the order, and how long after the order's end it comes."""

    quarter: int
    import_mw: int
    seq: int
    after: timedelta


spoken = st.builds(
    Spoken,
    st.integers(0, 2),
    st.integers(20, 45),
    st.integers(1, 3),
    st.integers(0, 39).map(lambda quarters: quarters * QUARTER),
)
at_times = st.lists(st.integers(0, 39).map(lambda quarters: END + quarters * QUARTER), max_size=4)
"""Something else is logged: what can leave leaves."""


class Settling(Market):
    """A market whose owner settles from what was said by then; it may go on where another has stopped."""

    def __init__(self, said: list[Spoken], others: list[datetime]) -> None:
        self.left: dict[str, Book] = {}
        super().__init__("acme", kept=KEPT, settlement=RULE)
        self.said, self.others = sorted(said, key=lambda each: each.after), others

    def add(self, record: Any, principal: str = "service:test") -> Outcome:
        outcome = super().add(record, principal)
        keep(self.left, self.ledger.forgotten)
        return outcome

    def act(self) -> list[Record]:
        accepted = super().act()
        while made := self._settle():
            accepted += [*made, *super().act()]
        return accepted

    def run_until(self, when: datetime) -> list[Record]:
        accepted: list[Record] = []
        spoken = {END + each.after for each in self.said}
        for moment in sorted(each for each in spoken.union(self.others) if self.now < each <= when):
            accepted += super().run_until(moment)
            if moment in self.others:
                self.cancel("none")
        return accepted + super().run_until(when)

    def heard(self) -> Said:
        held: dict[int, Held] = {}
        position = 0
        for offset, each in enumerate(self.said):
            if END + each.after > self.now:
                break
            position = offset + 1
            if each.quarter not in held or each.seq > held[each.quarter].reading.seq:
                reading = reading_of(each)
                held[each.quarter] = Held(offset, reading, bytes.fromhex(digest(reading)))
        return Said(sorted(held.values(), key=lambda each: each.offset), position)

    def _settle(self) -> list[Record]:
        said = self.heard()
        due = due_of(self.ledger, self.left)
        made = [found for each in due if each.has_news(said) and (found := each.settled(said)) is not None]
        return [record for record in made if self.add(record).accepted]

    def settlements(self) -> list[Settlement]:
        """All versions, in their order on the log."""
        return [
            entry.record for entry, outcome in self.log if outcome.accepted and isinstance(entry.record, Settlement)
        ]

    def gone_on_with(self, cut: int) -> Settling:
        """Another owner, which begins with a checkpoint after the first `cut` records."""
        other = Settling(self.said, self.others)
        ledger, other.log, other.left = Ledger(0, KEPT), [], {}
        for entry, _ in self.log[:cut]:
            other.log.append((entry, ledger.apply(entry)))
            keep(other.left, ledger.forgotten)
        other.ledger = restarted(ledger)
        other.ledger.book.kept = KEPT
        other.now = from_micros(self.log[cut - 1][0].appended_us)
        return other


def keep(left: dict[str, Book], books: list[Book]) -> None:
    """What leaves a ledger, by the order, as it is read from disk."""
    for book in books:
        if book.requests:
            bodies = [part.body for part in parts_of(book) if part.kind in (Kind.OWNED, Kind.ORDERED)]
            ((ledger,),) = (found for found in read([(0, bodies)]) if found)
            left.update(dict.fromkeys(ledger.orders, ledger.book))
        else:
            for order_id, settlement in book.settlements.items():
                left[order_id].settlements[order_id] = settlement


def due_of(ledger: Ledger, left: dict[str, Book]) -> list[Unsettled]:
    """The versions that are owed, and those that a later reading may give."""
    due = [*owed_versions(ledger)]
    due += [(order_id, SettlementStatus.CORRECTED) for order_id in {**ledger.orders, **left}]
    found = (unsettled(ledger, order_id, status, left=left.get(order_id)) for order_id, status in due)
    return [each for each in found if each is not None]


def standing(market: Settling) -> dict[str, tuple[SettlementState, int]]:
    """In memory."""
    return {name: (each.state, each.version) for name, each in market.ledger.book.settlements.items()}


def reading_of(each: Spoken) -> MeterReading:
    starts_at = START + each.quarter * QUARTER
    return a_meter_reading(
        site="acme-1",
        participant="acme",
        starts_at=starts_at,
        ends_at=starts_at + QUARTER,
        import_w=each.import_mw * MW,
        seq=each.seq,
    )


def a_day(said: list[Spoken], others: list[datetime]) -> Settling:
    market = Settling(said, others)
    market.offer("acme")
    market.close()
    market.answer("acme")
    market.run_until(OVER)
    return market


@settings(max_examples=examples(40), deadline=None)
@given(st.lists(spoken, max_size=8), at_times, st.data())
def test_cut_off_between_any_two_records_nothing_is_repeated_and_nothing_lost(
    said: list[Spoken], others: list[datetime], data: st.DataObject
) -> None:
    whole = a_day(said, others)
    first = next(at for at, (entry, _) in enumerate(whole.log, start=1) if entry.appended_us >= micros(END))
    other = whole.gone_on_with(data.draw(st.integers(first, len(whole.log))))
    other.run_until(OVER)

    assert [what(each) for each in other.settlements()] == [what(each) for each in whole.settlements()]
    assert [*other.left] == [*whole.left]
    assert standing(other) == standing(whole)
    whole.replayed()


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(spoken, max_size=8), at_times)
def test_versions_only_grow_and_the_last_is_what_all_readings_come_to(
    said: list[Spoken], others: list[datetime]
) -> None:
    market = a_day(said, others)
    versions = market.settlements()

    assert [each.version for each in versions] == list(range(1, len(versions) + 1))
    assert [each.supersedes for each in versions] == [None, *range(1, len(versions))]
    assert [each.status for each in versions[:2]] == [SettlementStatus.PROVISIONAL, SettlementStatus.FINAL]
    assert {each.status for each in versions[2:]} <= {SettlementStatus.CORRECTED}
    last = versions[-1]
    counting = {held.reading.starts_at: held.reading for held in market.heard().held}
    owed = [worth(counting[line.starts_at].import_w) for line in last.intervals if line.starts_at in counting]
    assert last.total == sum(owed, Decimal(0))
    assert {each.starts_at for each in last.missing} == {START + at * QUARTER for at in range(3)} - counting.keys()
    assert sum(line.amount or Decimal(0) for line in last.intervals) == last.total


@settings(max_examples=examples(40), deadline=None)
@given(st.lists(spoken, max_size=8), at_times)
def test_another_node_reads_the_same_and_computes_the_same_bytes(said: list[Spoken], others: list[datetime]) -> None:
    market = a_day(said, others)
    ledger, at, left = Ledger(0, KEPT), 0, dict[str, Book]()

    for entry, _ in market.log:
        if isinstance(entry.record, Settlement):
            then = computed(ledger, left, market, entry.record)
            assert [CODEC.encode(record) for record in then] == [CODEC.encode(entry.record)]
            at += 1
        ledger.apply(entry)
        keep(left, ledger.forgotten)
    assert at == len(market.settlements())


def computed(ledger: Ledger, left: dict[str, Book], market: Settling, version: Settlement) -> list[Settlement]:
    """That version once more, from the ledger at its place and the readings that it names."""
    assert version.inputs.root == ledger.tree.root().hex()
    for cut in range(len(market.said) + 1):
        again = Settling(market.said[:cut], [])
        again.now = OVER
        if readings_sha256(again.heard().held) == version.inputs.readings_sha256:
            break
    return [found for each in due_of(ledger, left) if (found := each.settled(again.heard())) is not None]


def what(settlement: Settlement) -> tuple[object, ...]:
    return settlement.version, settlement.status, settlement.total, settlement.intervals, settlement.missing


def worth(import_w: int) -> Decimal:
    """A quarter hour of 12 MW at 90 EUR/MWh, of what a baseline of 40 MW leaves; what lacks costs 44."""
    delivered = min(max(40 * MW - import_w, 0), 12 * MW)
    lacks = max(12 * MW - (40 * MW - import_w), 0)
    return Decimal(delivered) / MW / 4 * 90 - Decimal(lacks) / MW / 4 * 44


@pytest.mark.parametrize(("days", "interval_s"), [(2, 60), (3, 120), (31, 960)])
def test_an_order_of_more_periods_than_a_record_holds_has_the_narrowest_that_fit(days: int, interval_s: int) -> None:
    market = Market("acme", settlement=RULE)
    market.offer("acme")
    market.close()
    market.answer("acme")
    market.run_until(END + HOUR)
    (due,) = due_of(market.ledger, {})
    long = replace(due, rule=MINUTES, terms=replace(due.terms, ends_at=START + timedelta(days=days)))

    made = long.settled(Said([], 0))

    assert made is not None
    lengths = [each.ends_at - each.starts_at for each in made.intervals]
    assert max(lengths) == timedelta(seconds=interval_s)  # the last before midnight may be shorter
    assert len(lengths) <= MAX_INTERVALS
