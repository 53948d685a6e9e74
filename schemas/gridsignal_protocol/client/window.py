"""What was entrusted to the outbox and waits for the log: sent oldest first, a bounded number under way at once.

A decision: entries, answers and the time in; frames and outcomes out. An entry keeps its id through every connection,
so that the log, which knows the first of each identity, makes one of all repeats.

Bounded: `size` entries under way (the gateway's offer_window); those that wait are bounded by who awaits them.
When full: later entries wait. Conflates: nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from gridsignal_protocol.client.entry import DeadlineOver, Entry, Refusal, Settled
from gridsignal_schemas import frames

_SHORTEST_RETRY_S = 0.5


class Window:
    """The entries that wait for their receipts, over all connections."""

    def __init__(self, ids: Iterator[int]) -> None:
        self.size = 1
        self._ids = ids
        self._entries: dict[int, Entry] = {}  # by seq, oldest first
        self._under_way: dict[int, int] = {}  # request id -> seq
        self._asked: dict[int, int] = {}  # request id of a query -> seq
        self._held: dict[int, float] = {}  # refused for now: seq -> when it may be sent again, by the steady clock

    @property
    def empty(self) -> bool:
        """Nothing waits for the log."""
        return not self._entries

    def entrust(self, entry: Entry) -> None:
        """Takes an entry that the outbox holds."""
        in_order = not self._entries or entry.seq > next(reversed(self._entries))
        self._entries[entry.seq] = entry
        if not in_order:
            self._entries = dict(sorted(self._entries.items()))

    @property
    def next_due_s(self) -> float | None:
        """When the next of those that were refused for now may be sent again."""
        return min(self._held.values(), default=None)

    def release(self, now_s: float) -> None:
        """Lets go of those whose time has come."""
        for seq in [seq for seq, due_s in self._held.items() if due_s <= now_s]:
            del self._held[seq]

    def due(self, now: datetime) -> Sequence[frames.Frame | Settled]:
        """The frames to send now, and the entries whose deadline has passed; only while connected."""
        out: list[frames.Frame | Settled] = []
        busy = set(self._under_way.values()) | set(self._asked.values())
        threads = set()
        for seq, entry in list(self._entries.items()):
            waits = seq in busy or seq in self._held or (entry.thread in threads)
            if entry.thread:
                threads.add(entry.thread)
            if waits:
                continue
            if entry.deadline is not None and entry.deadline <= now:
                out.append(self._late(entry))
            elif len(self._under_way) < self.size:
                request_id = next(self._ids)
                self._under_way[request_id] = seq
                out.append(entry.frame(request_id))
        return out

    def expire(self, seq: int) -> list[Settled]:
        """The entry's deadline has passed: if it was never sent, it never will be."""
        entry = self._entries.get(seq)
        if entry is None or entry.maybe_sent or seq in self._under_way.values():
            return []
        return [self._too_late(entry)]

    def received(self, frame: frames.Received) -> list[Settled]:
        """The log has it."""
        entry = self._answered(frame.id)
        return [Settled(entry, frame.receipt)] if entry else []

    def refused(self, frame: frames.Refused, now_s: float) -> list[Settled]:
        """The gateway would not have it: for now, or for good."""
        if not frame.retriable:
            entry = self._answered(frame.id)
            return [Settled(entry, Refusal(frame.code, tuple(frame.details), entry.what))] if entry else []
        seq = self._under_way.pop(frame.id, None)
        if seq is None:
            return []
        self._held[seq] = now_s + max(frame.retry_after_ms / 1000, _SHORTEST_RETRY_S)
        self._mark_sent(seq)  # an unavailable log may hold it all the same
        return []

    def states(self, frame: frames.States) -> list[Settled]:
        """The answer to a query about an entry that was sent, never answered, and is too late to be sent again."""
        seq = self._asked.pop(frame.id, None)
        if seq is None or seq not in self._entries:
            return []
        entry = self._entries[seq]
        state = frame.offers.get(entry.ident)
        if state is not None and state.receipt is not None and state.receipt.revision == entry.body.get("revision", 1):
            del self._entries[seq]
            return [Settled(entry, state.receipt)]
        return [self._too_late(entry)]

    def unknown(self, frame: frames.Error, now_s: float) -> None:
        """Such a query was not answered: it is asked again in a while."""
        seq = None if frame.id is None else self._asked.pop(frame.id, None)
        if seq is not None and seq in self._entries:
            self._held[seq] = now_s + _SHORTEST_RETRY_S

    def lost(self) -> None:
        """The connection is gone, and with it the answers: whatever was under way is sent again on the next one."""
        for seq in self._under_way.values():
            self._mark_sent(seq)
        self._under_way.clear()
        self._asked.clear()

    def _answered(self, request_id: int) -> Entry | None:
        seq = self._under_way.pop(request_id, None)
        return None if seq is None else self._entries.pop(seq, None)

    def _mark_sent(self, seq: int) -> None:
        self._entries[seq] = replace(self._entries[seq], maybe_sent=True)

    def _late(self, entry: Entry) -> frames.Frame | Settled:
        if not entry.maybe_sent or entry.kind != "offer":
            return self._too_late(entry)
        request_id = next(self._ids)
        self._asked[request_id] = entry.seq
        return frames.Query(id=request_id, offer_ids=[entry.ident])

    def _too_late(self, entry: Entry) -> Settled:
        self._entries.pop(entry.seq, None)
        return Settled(entry, DeadlineOver(entry.what, was_sent=entry.maybe_sent))
