"""A partition's records gone through again: each is the one that was signed, each head fits, each clearing follows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from gridsignal_schemas.messages import Award, BaselineFixed, Clearing, ClearingTrigger, Record, Settlement, TreeHead
from gridsignal_schemas.values import rfc3339
from gridsignal_services.audit.deciding_again import Again, Asked, DecidingAgain, asked_for, differing_awards
from gridsignal_services.audit.evidence import TrustedSigner, faults_of_head
from gridsignal_services.audit.fixing_again import FixingAgain
from gridsignal_services.audit.measured_again import MeasuredAgain
from gridsignal_services.audit.settling_again import SettledAgain, SettlingAgain
from gridsignal_services.audit.signed import SignedAgain, SigningOf
from gridsignal_services.bus import LogConfigurationError, LogRecord
from gridsignal_services.bus.codec import Codec, Poison
from gridsignal_services.ledger.entry import Outcome, entry_of
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.ledger.tree import leaf_of

MOST_FAULTS = 100
"""Told of one partition; one changed record may bring many."""


@dataclass(slots=True)
class Checked:
    """What came of one partition."""

    partition: int
    records: int = 0
    covered: int = 0
    """Below this offset all lies under a head."""
    heads: int = 0
    signers: dict[str, int] = field(default_factory=dict)
    """How many heads each key has signed."""
    clearings: int = 0
    """Decided again, with the same result."""
    settlements: int = 0
    """Computed again, with the same result; none where no readings were given."""
    baselines: int = 0
    """Of those from history: fixed again, with the same result; none where no readings were given."""
    left: int = 0
    """Settlements and baselines that can't be computed again: readings that they are from are not kept any more."""
    by_hand: int = 0
    """Made by a person: that they kept the rules is checked, that they chose as they did is not."""
    unreadable: int = 0
    """Records that no ledger reads; they are in the tree."""
    signatures: int = 0
    """Of participants, that count by the registry."""
    unchecked_signatures: int = 0
    """That are there, and no registry to check them by."""
    faults: list[str] = field(default_factory=list)


Heard = Callable[[Ledger, LogRecord, Record, Outcome, Again | None], None]
Records = Callable[[], Iterable[LogRecord]]
"""A partition's, from the first that is kept, each time anew."""


@dataclass(frozen=True, slots=True)
class Readings:
    """What settlements and baselines from history are computed again from."""

    records: Records
    are_whole: bool = True
    """Whether all that were logged are kept."""
    zone: str | None = None
    """Figures of this one alone."""
    settled: Callable[[SettledAgain], None] = lambda _: None
    """Is told what came of each settlement."""


def check(
    partition: int,
    codec: Codec,
    records: Records,
    *,
    leaves: Iterable[bytes] = (),
    readings: Readings | None = None,
    signers: Sequence[TrustedSigner] | None = None,
    signing_of: SigningOf | None = None,
    heard: Heard = lambda *_: None,
) -> Checked:
    """Goes twice through all records of a partition, and once through its readings.

    `leaves` are the hashes that were kept of them, as far as they go: a record that has another one now is named.
    `signing_of` says with which keys participants sign, and what they have to.
    `heard` is told of each record that can be read, with the ledger as it stands after it.
    """
    run = _Run(partition, codec, iter(leaves), signers, heard, None if readings is None else readings.zone)
    run.signed.signing_of = signing_of
    try:
        run.go_through(records)
        if readings is not None:
            run.settle(readings)
    except LogConfigurationError as broken:  # a record that can't even be taken off the disk
        run.found.faults.append(str(broken))
    run.end()
    return run.found


def stretches_of(partition: int, codec: Codec, records: Records, zone: str) -> Iterator[tuple[str, datetime, datetime]]:
    """The times of which a zone's figures need readings, each with its site. Raises LogConfigurationError."""
    run = _Run(partition, codec, iter(()), None, lambda *_: None, zone)
    run.go_through(records)
    return run.measuring.stretches()


def _asked(codec: Codec, records: Iterable[LogRecord]) -> tuple[DecidingAgain, MeasuredAgain]:
    framings = [framing for kind in (Clearing, Settlement, BaselineFixed) for framing in codec.framings_of(kind)]
    clearings, settlements, baselines = list[Asked](), list[tuple[int, Settlement]](), list[tuple[int, BaselineFixed]]()
    for logged in records:
        if logged.value[:5] in framings:
            try:
                record = codec.decode(logged.value)
            except Poison:
                continue
            if isinstance(record, Clearing) and (asked := asked_for(logged.offset, record)) is not None:
                clearings.append(asked)
            elif isinstance(record, Settlement):
                settlements.append((logged.offset, record))
            elif isinstance(record, BaselineFixed):
                baselines.append((logged.offset, record))
    return DecidingAgain(clearings), MeasuredAgain(SettlingAgain(settlements), FixingAgain(baselines))


class _Run:
    def __init__(
        self,
        partition: int,
        codec: Codec,
        leaves: Iterator[bytes],
        signers: Sequence[TrustedSigner] | None,
        heard: Heard,
        zone: str | None,
    ) -> None:
        self.found, self.deciding, self.measuring = Checked(partition), DecidingAgain([]), MeasuredAgain()
        self._codec, self._leaves, self._signers, self._heard = codec, leaves, signers, heard
        self._ledger, self._zone = Ledger(partition), zone
        self.signed = SignedAgain()
        self._broken = False
        """Whether a head did not fit: then none after it does."""
        self._differing: list[int] = []
        """Records whose hash is not the one that was kept, since the last head that fitted."""

    def go_through(self, records: Records) -> None:
        """All of them, in their order."""
        self.deciding, self.measuring = _asked(self._codec, records())
        for logged in records():
            self.take(logged)

    def take(self, logged: LogRecord) -> None:
        ledger = self._ledger
        self.found.records += 1
        self._look_at(logged)
        self.deciding.before(ledger)
        self.measuring.before(ledger)
        try:
            record = self._codec.decode(logged.value)
        except Poison:
            self.found.unreadable += 1
            ledger.skip(logged.offset, leaf_of(logged))
            return
        if logged.key != getattr(record, "zone", ""):
            self._say(f"the record at offset {logged.offset} was changed: its key is not its zone")
        turn = self.deciding.turn_of(ledger, record.request_id) if isinstance(record, Clearing) else None
        outcome = ledger.apply(entry_of(logged, record))
        self.measuring.settling.leave(ledger.forgotten)
        again = None
        if isinstance(record, TreeHead):
            self._head(logged, record, outcome)
        if isinstance(record, Clearing) and turn is not None:
            again = self._clearing(logged, record, outcome, turn)
        if outcome.accepted and self._zone in (None, getattr(record, "zone", None)):
            self.measuring.after(logged.offset, record)
        self.signed.look(ledger, logged, record)
        self._heard(ledger, logged, record, outcome, again)

    def settle(self, readings: Readings) -> None:
        """Fixes baselines and computes settlements again, once all is reduced."""
        looked_at = self.signed.passing(self._codec, readings.records())
        self.measuring.hear(self._ledger, self._codec, looked_at)
        deque(looked_at, maxlen=0)  # those that no figure needs
        fixing, are_gone = self.measuring.fixing, not readings.are_whole
        for fault in fixing.faults(are_gone=are_gone):
            self._say(fault)
        for again in self.measuring.settling.settled(are_gone=are_gone):
            readings.settled(again)
            self.found.settlements += again.is_same
            if again.fault:
                self._say(again.fault)
            elif not again.is_same:
                self.found.left += 1
        self.found.baselines, self.found.left = fixing.count, self.found.left + fixing.left

    def end(self) -> None:
        """What is still to be told."""
        for offset in self._differing:
            self._say(f"the record at offset {offset} was changed: its hash is not the one that was kept")
        for fault in self.signed.faults:
            self._say(fault)
        self.found.signatures, self.found.unchecked_signatures = self.signed.good, self.signed.unchecked

    def _say(self, fault: str) -> None:
        if len(self.found.faults) < MOST_FAULTS:
            self.found.faults.append(fault)

    def _look_at(self, logged: LogRecord) -> None:
        if logged.offset != self._ledger.position:
            self._say(f"the record at offset {self._ledger.position} is missing: the next is at {logged.offset}")
        for _ in range(self._ledger.position, logged.offset):
            next(self._leaves, None)
        if (kept := next(self._leaves, None)) is not None and kept != leaf_of(logged):
            self._differing.append(logged.offset)

    def _head(self, logged: LogRecord, head: TreeHead, outcome: Outcome) -> None:
        if outcome.accepted:
            self.found.heads += 1
            self.found.signers[head.signed_by] = self.found.signers.get(head.signed_by, 0) + 1
            for fault in faults_of_head(head, self._signers):
                self._say(fault)
            for offset in [offset for offset in self._differing if offset < head.size]:
                self._say(f"the hash kept of the record at offset {offset} was changed: the heads fit the record")
            self._differing = [offset for offset in self._differing if offset >= head.size]
            self.found.covered = head.size
            return
        if outcome.code != "NOT_THIS_TREE":
            self._say(f"the head at offset {logged.offset} does not count: {outcome.faults[0].message}")
        why = outcome.faults[0].pointer
        if why == "/root" and not self._broken:
            self._broken = True
            self._say(
                f"the head at offset {logged.offset}, signed {rfc3339(head.signed_at)}, does not fit:"
                f" of the records at offsets {self.found.covered} to {head.size - 1} one was changed, or the head was"
            )
        elif why == "/signature":
            self._say(f"the head at offset {logged.offset} was changed: its signature is not that of the key it names")

    def _clearing(self, logged: LogRecord, clearing: Clearing, outcome: Outcome, turn: tuple[str, int]) -> Again | None:
        if clearing.trigger is ClearingTrigger.BY_HAND:
            self.found.by_hand += outcome.accepted
            return None
        again = self.deciding.after(logged.offset, clearing, outcome, turn, self._ledger.book.now)
        if again is None:
            return None
        if again.is_same:
            self.found.clearings += 1
        elif again.again is None:
            self._say(f"the clearing at offset {logged.offset} can't be decided again: {again.why}")
        else:
            theirs, ours = differing_awards(again)
            what = f"it awards {_awards(theirs)}, the rules {_awards(ours)}" if theirs or ours else "its losers differ"
            self._say(f"the clearing at offset {logged.offset} of request {clearing.request_id} is another: {what}")
        return again


def _awards(awards: Sequence[Award]) -> str:
    return ", ".join(f"{each.power_w} W of {each.participant}/{each.offer_id}" for each in awards) or "nothing"
