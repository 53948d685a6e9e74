"""What waits for the embedded log's writer, and what of it is committed together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from heapq import heappop, heappush

from gridsignal_services.bus import SERVICE, LogRecord
from gridsignal_services.bus.room import RECORD_BYTES
from gridsignal_services.bus.sqlite_file import Lane

BATCH_BYTES = 256 * 1024
"""Bytes of one transaction, RECORD_BYTES for each record among them, give or take one record of the services and one of
others: bounds the wait of those who come next."""


@dataclass(slots=True, eq=False)
class Waiting:
    """One append on its way to the file."""

    lane: Lane
    key: str
    headers: Mapping[str, str]
    headers_text: str
    value: bytes
    logged: asyncio.Future[LogRecord]
    whose: str
    """Who caused it."""

    @property
    def size(self) -> int:
        """What it takes, in bytes."""
        return len(self.value) + RECORD_BYTES


class Lines:
    """A line for each of those who caused appends; a batch takes from whoever has written least.

    Bytes count, not records: a short one that comes behind a thousand long ones of another is in the next batch. Half
    of each batch is the services' as long as they want it, for they act for everybody: orders and timers keep pace
    however many others write. What goes together lies in the order in which it came, for of two offers the earlier one
    may win.

    Bounded: by who puts into it (see Room), and one entry for each principal. When full: those wait. Conflates:
    nothing.
    """

    def __init__(self) -> None:
        self._services, self._others = _Turns(), _Turns()
        self._count = 0

    def __bool__(self) -> bool:
        return self._services.waiting > 0 or self._others.waiting > 0

    def add(self, waiting: Waiting) -> None:
        """Behind all others of the same line."""
        self._count += 1
        turns = self._services if waiting.whose.startswith(SERVICE) else self._others
        turns.add(self._count, waiting)

    def batch(self) -> list[Waiting]:
        """What is committed next; empty where nobody waits."""
        half = BATCH_BYTES // 2
        taken = self._services.take(half) + self._others.take(half)
        for turns in (self._services, self._others):  # what one does not want is the other's
            taken += turns.take(BATCH_BYTES - sum(waiting.size for _, waiting in taken))
        return [waiting for _, waiting in sorted(taken, key=_number)]


class _Turns:
    """Whose turn it is: each line's next append comes after what the line had when the one before it was taken.

    Bounded: a line each; one that is empty is kept until all have had as much. When full: never. Conflates: nothing.
    """

    def __init__(self) -> None:
        self.waiting = 0
        """Appends in all lines."""
        self._lines: dict[str, deque[tuple[int, Waiting]]] = {}
        """Each append with its number."""
        self._next: list[tuple[int, int, int, str]] = []
        """A heap, one entry a line: what its next append comes after, its size and number as far as known, whose."""
        self._now = 0
        """What the last one that was taken came after: a line that begins has no more claims than others."""

    def add(self, number: int, waiting: Waiting) -> None:
        self.waiting += 1
        if (line := self._lines.get(waiting.whose)) is None:
            line = self._lines[waiting.whose] = deque()
            heappush(self._next, (self._now, waiting.size, number, waiting.whose))
        line.append((number, waiting))

    def take(self, most_bytes: int) -> list[tuple[int, Waiting]]:
        """The next appends until they are so many bytes, the last one whole."""
        taken: list[tuple[int, Waiting]] = []
        while self._next and most_bytes > 0:
            self._now, _, known, whose = heappop(self._next)
            if not (line := self._lines[whose]):
                del self._lines[whose]
                continue
            number, first = line[0]
            if number != known:  # it came after the line was empty
                heappush(self._next, (self._now, first.size, number, whose))
                continue
            taken.append(line.popleft())
            most_bytes -= first.size
            following, size = (line[0][0], line[0][1].size) if line else (0, 0)
            heappush(self._next, (self._now + first.size, size, following, whose))
        self.waiting -= len(taken)
        return taken


def _number(append: tuple[int, Waiting]) -> int:
    return append[0]
