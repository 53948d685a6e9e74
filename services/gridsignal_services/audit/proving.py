"""Evidence made from a log in a folder: which record is meant, which head covers it, and the path between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from gridsignal_schemas.catalog import TOPICS
from gridsignal_schemas.evidence import Evidence, Extension
from gridsignal_schemas.messages import RECORDS, Record, TreeHead
from gridsignal_services.audit.evidence import proved
from gridsignal_services.audit.subtrees import FOLDER, LOCK, Subtrees
from gridsignal_services.bus import LogConfigurationError, LogRecord, flock
from gridsignal_services.bus.codec import Codec, Poison, schema_id_of
from gridsignal_services.bus.reading import LogReading
from gridsignal_services.ledger.entry import Outcome, entry_of
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.ledger.tree import leaf_of
from gridsignal_services.merkle import consistency_path, inclusion_path
from gridsignal_services.settings import ServerSettings
from gridsignal_services.tree_heads import is_signed

_DISPATCH = TOPICS["dispatch"]
_WRITTEN_AT = 65_536
"""Leaves hashed between two writes."""
_LOOKED_AT = 16
"""Heads, where the newest does not fit."""
_KINDS: dict[str, tuple[str, ...]] = {
    "decision": ("OfferDecision", "offer_id"),
    "offer": ("FlexOffer", "offer_id"),
    "order": ("DispatchOrder", "order_id"),
    "request": ("DispatchRequest", "request_id"),
    "settlement": ("Settlement", "settlement_id", "order_id"),
}
KINDS = {kind: row for kind, row in _KINDS.items() if row[0] in RECORDS}
"""What is proved by its id: the record, and the fields that may have it."""


class NotProven(Exception):
    """The log does not show it; the message says why."""


class NotThere(NotProven):
    """Nothing of that kind and id is on the log."""


@dataclass(frozen=True, slots=True)
class Found:
    """A record of the log, read."""

    logged: LogRecord
    record: Record
    outcome: Outcome | None = None
    """What the ledger made of it; None where that is not known, as the log's beginning is not kept."""

    @property
    def note(self) -> str:
        """Why it says nothing of what holds; empty where it counts."""
        if self.outcome is None:
            return "whether it counts is not known: the log's beginning is not kept"
        codes = ", ".join(dict.fromkeys(fault.code for fault in self.outcome.faults))
        if self.outcome.duplicate:
            return "it repeats an earlier one, which counts: this one was ignored"
        if self.outcome.accepted:
            return f"it was rejected ({codes}): this shows that it was said, not that it holds" if codes else ""
        return f"it was ignored ({codes}): this shows that it was said, not that it holds"


def find(log: LogReading, codec: Codec, kind: str, name: str, participant: str | None, revision: int | None) -> Found:
    """The newest record of this kind and id that the ledger took, or if it took none the newest.

    Raises NotThere, and NotProven where several participants have one.
    """
    record_name, *fields = KINDS[kind]
    found = [
        each
        for partition in range(_DISPATCH.partitions)
        for each in _read(codec, log.with_text("dispatch", partition, name))
        if each.record.record_name == record_name and name in (getattr(each.record, field) for field in fields)
    ]
    if participant is not None:
        found = [each for each in found if getattr(each.record, "participant", participant) == participant]
    if revision is not None:
        found = [each for each in found if getattr(each.record, "revision", revision) == revision]
    if not found:
        raise NotThere(f"there is no such {kind} on the log: {name}")
    whose = {getattr(each.record, "participant", "") for each in found}
    if len(whose) > 1:
        raise NotProven(f"there are {kind}s {name} of several participants, say whose: {', '.join(sorted(whose))}")
    judged = _judged(log, codec, found)
    return next((each for each in reversed(judged) if each.outcome is not None and each.outcome.accepted), judged[-1])


def judged(log: LogReading, codec: Codec, found: Found) -> Found:
    """The same, with what the ledger made of it."""
    return _judged(log, codec, [found])[0]


def _judged(log: LogReading, codec: Codec, found: Sequence[Found]) -> list[Found]:
    """All of one partition: its records are reduced up to the last of them."""
    partition, last = found[-1].logged.partition, max(each.logged.offset for each in found)
    if log.bounds("dispatch", partition)[0]:
        return list(found)
    ledger, outcomes, wanted = Ledger(partition), dict[int, Outcome](), {each.logged.offset for each in found}
    for logged in log.records("dispatch", partition, 0, last + 1):
        try:
            record = codec.decode(logged.value)
        except Poison:
            ledger.skip(logged.offset, leaf_of(logged))
            continue
        outcome = ledger.apply(entry_of(logged, record))
        if logged.offset in wanted:
            outcomes[logged.offset] = outcome
    return [replace(each, outcome=outcomes.get(each.logged.offset)) for each in found]


def record_at(log: LogReading, partition: int, offset: int) -> LogRecord:
    """The record there. Raises NotProven."""
    for logged in log.records("dispatch", partition, offset, offset + 1):
        return logged
    start, end = log.bounds("dispatch", partition)
    if start == end:
        raise NotProven(f"there is no record on partition {partition}")
    raise NotProven(f"expected an offset of partition {partition} from {start} to {end - 1}, got {offset}")


class Prover:
    """Makes evidence from one log. Everything here blocks."""

    def __init__(self, log: LogReading, codec: Codec, folder: Path, *, may_write: bool) -> None:
        """Use `prover_of`."""
        self._log, self._codec, self._folder, self._may_write = log, codec, folder, may_write

    def evidence(self, partition: int, logged: LogRecord | None, older: TreeHead | None = None) -> Evidence:
        """A record, or none, under the newest head that fits the log, and how that extends an older head.

        Raises NotProven.
        """
        subtrees = Subtrees(self._folder / self._log.epoch, partition)
        head = self._newest_head(partition, subtrees)
        record = extends = None
        if logged is not None:
            if logged.offset >= head.size:
                raise NotProven(
                    f"no head covers the record at offset {logged.offset} yet: the newest has size {head.size};"
                    f" the next is written within {ServerSettings().heads_every_s} s of it, unless"
                    " GRIDSIGNAL_HEADS_EVERY_S says otherwise: ask again then"
                )
            if leaf_of(logged) != subtrees.leaf(logged.offset):
                raise NotProven(f"the record at offset {logged.offset} was changed")
            record = proved(logged, inclusion_path(logged.offset, head.size, subtrees.full), self._schema_of(logged))
        if older is not None:
            if older.partition != partition or older.size > head.size:
                raise NotProven(
                    f"expected an older head of partition {partition}, size {head.size} at most,"
                    f" got size {older.size} of partition {older.partition}"
                )
            path = consistency_path(older.size, head.size, subtrees.full)
            extends = Extension(size=older.size, path=[each.hex() for each in path])
        return Evidence(head=head, record=record, extends=extends)

    def _schema_of(self, logged: LogRecord) -> str | None:
        try:
            return self._codec.schema_text(schema_id_of(logged.value))
        except (Poison, KeyError):
            return None

    def _newest_head(self, partition: int, subtrees: Subtrees) -> TreeHead:
        for newest in self._heads(partition, 1):  # to look for more is to look through much of the log
            self._complete(subtrees, newest.size, write=self._may_write)
            if _fitting([newest], subtrees) is not None:
                return newest
        heads = list(self._heads(partition, _LOOKED_AT))
        if not heads:
            raise NotProven(f"partition {partition} has no head: who owns it writes them, see GRIDSIGNAL_HEADS_EVERY_S")
        self._complete(subtrees, heads[0].size, write=self._may_write)
        if (head := _fitting(heads, subtrees)) is not None:
            return head
        subtrees.clear()  # they are of another log, or this one was changed: then what they say is kept
        self._complete(subtrees, heads[0].size, write=False)
        if (head := _fitting(heads, subtrees)) is None:
            raise NotProven(f"partition {partition} was changed: none of its last {len(heads)} heads fits its records")
        if self._may_write:
            subtrees.write()
        return head

    def _heads(self, partition: int, most: int) -> Iterator[TreeHead]:
        """The last ones, the newest first."""
        framings = self._codec.framings_of(TreeHead)
        for logged in self._log.newest("dispatch", partition, framings, most):
            try:
                head = self._codec.decode(logged.value)
            except Poison:
                continue
            if isinstance(head, TreeHead) and is_signed(head) and head.partition == partition:
                yield head

    def _complete(self, subtrees: Subtrees, size: int, *, write: bool) -> None:
        some: list[bytes] = []
        for logged in self._log.records("dispatch", subtrees.partition, subtrees.size, size):
            some.append(leaf_of(logged))
            if len(some) == _WRITTEN_AT:
                subtrees.append(some)
                some.clear()
                if write:
                    subtrees.write()
        subtrees.append(some)
        if write:
            subtrees.write()


def _fitting(heads: Sequence[TreeHead], subtrees: Subtrees) -> TreeHead | None:
    return next((head for head in heads if subtrees.root(head.size).hex() == head.root), None)


@contextmanager
def prover_of(log: LogReading, codec: Codec, directory: Path) -> Iterator[Prover]:
    """For the log in a folder, whose hashes it keeps there, unless another process does."""
    try:
        lock = flock.claim(directory / LOCK)
    except (LogConfigurationError, OSError):  # in use, or the folder is not ours to write to
        yield Prover(log, codec, directory / FOLDER, may_write=False)
        return
    try:
        yield Prover(log, codec, directory / FOLDER, may_write=True)
    finally:
        flock.release(lock)


def _read(codec: Codec, records: Iterator[LogRecord]) -> Iterator[Found]:
    for logged in records:
        try:
            yield Found(logged, codec.decode(logged.value))
        except Poison:
            continue
