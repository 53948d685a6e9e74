"""What waits for the embedded log's writer, and what of it is committed together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from heapq import heappop, heappush

from gridsignal_services.bus import LogRecord
from gridsignal_services.bus.room import RECORD_BYTES
from gridsignal_services.bus.sqlite_file import Lane

MAX_BATCH = 4096
"""Records in one transaction."""
BATCH_BYTES = 256 * 1024
"""Bytes of one transaction, give or take one record. Both bound the wait of those who come next."""


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

    Bytes count, not records: a short one that comes behind a thousand long ones of another is in the next batch. What
    goes together lies in the order in which it came, for of two offers the earlier one may win.

    Bounded: by who puts into it (see Room). When full: those wait. Conflates: nothing.
    """

    def __init__(self) -> None:
        self._lines: dict[str, deque[tuple[int, Waiting]]] = {}
        """Each append with its number."""
        self._next: list[tuple[int, int, int, str]] = []
        """A heap, one entry a line: what its first append comes after, its size, its number, whose it is."""
        self._now = 0
        """What the last one that was taken came after: a line that begins has no more claims than others."""
        self._count = 0

    def __bool__(self) -> bool:
        return bool(self._lines)

    def add(self, waiting: Waiting) -> None:
        """Behind all others of the same line."""
        self._count += 1
        if (line := self._lines.get(waiting.whose)) is None:
            line = self._lines[waiting.whose] = deque()
            heappush(self._next, (self._now, waiting.size, self._count, waiting.whose))
        line.append((self._count, waiting))

    def batch(self) -> list[Waiting]:
        """What is committed next; empty where nobody waits."""
        taken: list[tuple[int, Waiting]] = []
        size = 0
        while self._next and len(taken) < MAX_BATCH and size < BATCH_BYTES:
            self._now, _, _, whose = heappop(self._next)
            line = self._lines[whose]
            taken.append(line.popleft())
            length = taken[-1][1].size
            size += length
            if line:
                number, first = line[0]
                heappush(self._next, (self._now + length, first.size, number, whose))
            else:
                del self._lines[whose]
        return [waiting for _, waiting in sorted(taken, key=_number)]


def _number(append: tuple[int, Waiting]) -> int:
    return append[0]
