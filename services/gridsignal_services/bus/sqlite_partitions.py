"""What the event loop knows of the embedded log's partitions: bounds, newest records, and who waits for more."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from gridsignal_services.bus import LogRecord, LogUnavailable
from gridsignal_services.bus.sqlite_file import Lane
from gridsignal_services.bus.tail import Tail


class Partitions:
    """Touched on the event loop alone, so that nobody can miss a wake-up between looking and waiting.

    Bounded: memory by Tail, waiters by the number of readers. When full: see Tail. Conflates: nothing.
    """

    def __init__(self, spans: Mapping[Lane, tuple[int, int]]) -> None:
        self._starts = {lane: start for lane, (start, _) in spans.items()}
        self._tails = {lane: Tail(end) for lane, (_, end) in spans.items()}
        self._waiting: dict[asyncio.Future[None], frozenset[Lane]] = {}
        self._closed = False

    def must_be_open(self) -> None:
        """Raises LogUnavailable once the log was closed."""
        if self._closed:
            raise LogUnavailable("the log was closed")

    def start(self, lane: Lane) -> int:
        """The first kept offset."""
        return self._starts[lane]

    def end(self, lane: Lane) -> int:
        """The next offset; everything acknowledged lies before it."""
        return self._tails[lane].end

    def newest(self, lane: Lane, offset: int, limit: int) -> list[LogRecord] | None:
        """Records from memory; None where they are on disk alone."""
        return self._tails[lane].since(offset, limit)

    async def change(self, lanes: frozenset[Lane]) -> None:
        """Returns when one of these partitions has changed. Raises LogUnavailable when the log is closed."""
        self.must_be_open()
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[waiting] = lanes
        try:
            await waiting
        finally:
            del self._waiting[waiting]

    def add(self, lanes: Iterable[Lane], records: Iterable[LogRecord]) -> None:
        """Takes records that were committed, each with its lane."""
        changed = set()
        for lane, record in zip(lanes, records, strict=True):
            self._tails[lane].add(record)
            changed.add(lane)
        self._wake(changed)

    def correct(self, ends: Mapping[Lane, int]) -> None:
        """Takes the ends read from the file after an error: a commit that failed may have reached it."""
        changed = {lane for lane, end in ends.items() if end != self._tails[lane].end}
        for lane in changed:
            self._tails[lane].forget(ends[lane])
        self._wake(changed)

    def prune(self, starts: Mapping[Lane, int]) -> None:
        """Takes the new first offsets."""
        self._starts.update(starts)
        self._wake(set(starts))

    def close(self) -> None:
        """Sends away everyone who waits."""
        self._closed = True
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_exception(LogUnavailable("the log was closed"))

    def _wake(self, changed: set[Lane]) -> None:
        for waiting, lanes in self._waiting.items():
            if not waiting.done() and not lanes.isdisjoint(changed):
                waiting.set_result(None)
