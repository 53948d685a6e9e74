"""A zone that two nodes read, each with what it has heard of meters: one owns it, the other would write the same."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from gridsignal_schemas.messages import MeterReading, Record, Settlement, SettlementStatus
from gridsignal_schemas.rules.readings import reading_faults
from gridsignal_services.bus.codec import Codec
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.entry import Entry, Outcome
from gridsignal_services.ledger.forgetting import forget
from gridsignal_services.ledger.pieces import in_one_go
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.metering.meters import Meters
from gridsignal_services.metering.readings import Said
from gridsignal_services.owning.settling import Unsettled, owed_versions, unsettled
from tests.owning import next_records
from tests.unit.checkpoints.test_replay_is_a_checkpoint_and_the_rest import restarted
from tests.unit.ledger.market import Market
from tests.unit.ledger.test_settling_laws import keep

CODEC = Codec.from_lock()
KEPT = timedelta(minutes=10)
"""Orders leave memory that long after they are settled."""
_STEPS = 500
"""An owner that has not come to rest after so many steps never will."""

T = TypeVar("T")


class Node:
    """One process: its ledger, what has left that, and what meters said."""

    def __init__(self, ledger: Ledger, left: dict[str, Book] | None = None) -> None:
        self.ledger, self.left = ledger, {} if left is None else left
        self.meters = Meters(Path())
        self.heard = 0

    def apply(self, entry: Entry) -> Outcome:
        """Reduces what was read from the log."""
        outcome = self.ledger.apply(replace(entry, record=CODEC.decode(CODEC.encode(entry.record))))
        keep(self.left, self.ledger.forgotten)
        return outcome

    def hear(self, reading: MeterReading, logged_at: datetime) -> None:
        """Takes the next reading, as the reader of readings does."""
        if not reading_faults(reading, logged_at, None):
            self.meters.add(reading, self.heard, sha256(CODEC.encode(reading)).digest())
        self.heard += 1

    def unsettled(self) -> Iterator[tuple[Unsettled, Said]]:
        """The versions that are owed, and those that a later reading may give; with the readings of each."""
        owed = [*owed_versions(self.ledger)]
        owed += [(order_id, SettlementStatus.CORRECTED) for order_id in {**self.ledger.orders, **self.left}]
        for order_id, status in owed:
            each = unsettled(self.ledger, order_id, status, left=self.left.get(order_id))
            if each is not None:
                yield each, self.said(each.order.site, each.order.participant, each.since, each.terms.ends_at)

    def said(self, site: str, participant: str, starts_at: datetime, ends_at: datetime) -> Said:
        """What counts of the site's readings by now."""
        return Said(_at_once(self.meters.held(site, participant, starts_at, ends_at)), self.heard)

    def owes(self, now: datetime) -> list[Record]:
        """What it would write now, were it the owner: settlements once nothing else is due."""
        if records := next_records(self.ledger, now):
            return records
        made = (each.settled(said) for each, said in self.unsettled() if each.has_news(said))
        return [settlement for settlement in made if settlement is not None]


def _at_once(answer: Coroutine[Any, Any, T]) -> T:
    """What is in memory is answered without waiting for anything."""
    try:
        answer.send(None)
    except StopIteration as done:
        answered: T = done.value
        return answered
    raise AssertionError("it waits for a disk")


class TwoNodes(Market):
    """A market whose owner settles, and another node that reads the same bytes."""

    def __init__(self) -> None:
        super().__init__(kept=KEPT)
        self.owner, self.other = Node(self.ledger), Node(Ledger(0, KEPT))
        self.said: list[tuple[MeterReading, datetime]] = []
        self.settled: dict[str, list[tuple[Settlement, datetime]]] = {}
        """The versions of each order that were accepted, and when."""

    def add(self, record: Record, principal: str = "service:test") -> Outcome:
        outcome = super().add(record, principal)
        keep(self.owner.left, self.ledger.forgotten)
        assert self.other.apply(self.log[-1][0]) == outcome
        if outcome.accepted and isinstance(record, Settlement):
            self.settled.setdefault(record.order_id, []).append((record, self.ledger.book.now))
        return outcome

    def add_again(self, at: int) -> None:
        """What was accepted once changes nothing when it comes again; nor does it give the owner anything to do."""
        accepted = [entry for entry, outcome in self.log if outcome.accepted]
        entry = accepted[at % len(accepted)]
        book = restarted(self.ledger).book
        outcome = self.add(entry.record, entry.principal)
        assert not outcome.accepted, f"{entry.record.record_name} counts twice"
        book.now, book.kept = self.ledger.book.now, KEPT
        in_one_go(forget(book, []))
        assert book == self.ledger.book

    def say(self, reading: MeterReading) -> None:
        """A meter speaks, and both nodes hear it."""
        self.said.append((reading, self.now))
        for node in (self.owner, self.other):
            node.hear(reading, self.now)

    def act(self) -> list[Record]:
        accepted: list[Record] = []
        for _ in range(_STEPS):
            if not (records := self.owed()):
                return accepted
            accepted += [record for record in records if self.add(record).accepted]
        raise AssertionError(f"the owner does not come to rest: {records}")

    def owed(self) -> list[Record]:
        """What the owner writes next; the other node would write the same bytes."""
        mine, theirs = (node.owes(self.now) for node in (self.owner, self.other))
        assert list(map(CODEC.encode, mine)) == list(map(CODEC.encode, theirs))
        return mine

    def replace_owner(self, *, by_checkpoint: bool) -> None:
        """The owner is gone: another begins with a checkpoint, or with the first record."""
        if by_checkpoint:
            self.owner = Node(restarted(self.other.ledger), dict(self.other.left))
            self.owner.ledger.book.kept = KEPT
        else:
            self.owner = Node(Ledger(0, KEPT))
            for entry, outcome in self.log:
                assert self.owner.apply(entry) == outcome
        for reading, logged_at in self.said:
            self.owner.hear(reading, logged_at)
        self.ledger = self.owner.ledger

    def are_the_same(self) -> None:
        """Both nodes know the same."""
        mine, theirs = self.owner, self.other
        assert mine.ledger.book == theirs.ledger.book
        assert mine.ledger.tree == theirs.ledger.tree
        assert mine.ledger.refused_offsets == theirs.ledger.refused_offsets
        assert mine.left.keys() == theirs.left.keys()
        self.owed()
