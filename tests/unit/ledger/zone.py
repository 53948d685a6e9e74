"""One zone's partition without a log: records are applied one after the other, and the owner's decisions with them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta

from gridsignal_schemas.messages import Record
from gridsignal_services.bus.codec import Codec
from gridsignal_services.clock import micros
from gridsignal_services.ledger.book import KEPT
from gridsignal_services.ledger.entry import Entry, Outcome
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.merkle import leaf_hash
from gridsignal_services.owning.best import Solver
from gridsignal_services.owning.due import next_due
from tests.owning import next_records

CODEC = Codec.from_lock()
_STEPS = 500
"""An owner that has not come to rest after so many steps never will."""


def digest(record: Record) -> str:
    """What a record says, in short."""
    return hashlib.sha256(record.model_dump_json().encode()).hexdigest()


def leaf_of(record: Record) -> bytes:
    """A hash that tells records apart, as that of a logged one does."""
    return leaf_hash(record.model_dump_json().encode())


def entry_of(zone: Zone, record: Record, principal: str) -> Entry:
    """A record as it would be logged now."""
    return Entry(0, zone.ledger.position, micros(zone.now), record, "0" * 64, principal, leaf_of(record))


class Zone:
    """Applies records at a time of your choosing and lets the owner act."""

    def __init__(self, now: datetime, kept: timedelta = KEPT) -> None:
        self.ledger = Ledger(0, kept)
        self.now = now
        self.solver: Solver | None = None
        self.log: list[tuple[Entry, Outcome]] = []

    def add(self, record: Record, principal: str = "service:test") -> Outcome:
        """Logs one record now."""
        entry = Entry(
            partition=0,
            offset=self.ledger.position,
            appended_us=micros(self.now),
            record=record,
            sha256=digest(record),
            principal=principal,
            leaf=leaf_of(record),
        )
        outcome = self.ledger.apply(entry)
        self.log.append((entry, outcome))
        return outcome

    def act(self) -> list[Record]:
        """Everything the owner does until nothing is due; what was accepted of it."""
        accepted: list[Record] = []
        for _ in range(_STEPS):
            records = next_records(self.ledger, self.now, self.solver)
            if not records:
                return accepted
            accepted += [record for record in records if self.add(record).accepted]
        raise AssertionError(f"the owner does not come to rest: {records}")

    def run_until(self, when: datetime) -> list[Record]:
        """Lets time pass, timer by timer."""
        accepted = self.act()
        while (due := next_due(self.ledger)) is not None and due <= when:
            self.now = max(self.now, due)
            accepted += self.act()
        self.now = max(self.now, when)
        return accepted + self.act()

    def run_for(self, **span: float) -> list[Record]:
        """`run_until` by a duration."""
        return self.run_until(self.now + timedelta(**span))

    def replayed(self) -> Ledger:
        """A second node, which reads the bytes: the same records, the same outcomes and the same state."""
        ledger = Ledger(0, self.ledger.book.kept)
        for entry, outcome in self.log:
            read = CODEC.decode(CODEC.encode(entry.record))
            assert ledger.apply(replace(entry, record=read)) == outcome
        assert ledger.book == self.ledger.book
        assert ledger.refused_offsets == self.ledger.refused_offsets
        assert ledger.tree == self.ledger.tree
        return ledger
