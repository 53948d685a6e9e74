"""The embedded log's one writer: a thread that commits what has gathered while it committed the last time.

It talks to the event loop by `call_soon_threadsafe` alone, and survives every error of the file: the batch under way
fails, the next one opens the file anew.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

from gridsignal_schemas.catalog import TOPICS
from gridsignal_services.bus import LogRecord, LogUnavailable, sqlite_file
from gridsignal_services.bus.sqlite_file import Lane
from gridsignal_services.bus.sqlite_lines import Lines, Waiting
from gridsignal_services.clock import steady_s

PRUNE_BATCH = 2000
"""Records deleted in one transaction: appends go on in between."""
CHECKPOINT_BYTES = 16 * 1024 * 1024
"""Values written before the write-ahead file is emptied: it grows to about twice as much."""


@dataclass(slots=True, eq=False)
class Pruning:
    """Somebody wants retention to be looked at now."""

    looked: asyncio.Future[None] | None
    """Is told when nothing is left; None where nobody asked."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Whom the writer tells what happened; every function is called on the event loop."""

    committed: Callable[[list[Waiting], list[LogRecord]], None]
    failed: Callable[[list[Waiting], LogUnavailable], None]
    """What failed, and why."""
    opened: Callable[[dict[Lane, int]], None]
    """The file was opened anew: the true end of each partition, for a commit that failed may have reached it."""
    pruned: Callable[[dict[Lane, int]], None]
    """The new first offset of partitions that lost records."""
    looked: Callable[[Pruning], None]
    """Nothing is left to prune."""
    stopped: Callable[[], None]
    """The thread is done and its connection closed."""


class Writer(threading.Thread):
    """Owns the connection that writes.

    Bounded: by who puts into it (see Room). When full: those wait. Conflates: nothing.
    """

    def __init__(
        self,
        path: Path,
        lanes: list[Lane],
        append_time_us: Callable[[], int],
        loop: asyncio.AbstractEventLoop,
        listener: Listener,
        prune_period_s: float,
        connect: Callable[[Path], sqlite3.Connection] = sqlite_file.connect,
        now_s: Callable[[], float] = steady_s,
    ) -> None:
        super().__init__(name="gridsignal-log-writer", daemon=True)
        self._path, self._connect = path, connect
        self._lanes = lanes
        self._ends: dict[Lane, int] = {}
        self._append_time_us = append_time_us
        self._loop = loop
        self._listener = listener
        self._prune_period_s, self._now_s = prune_period_s, now_s
        self._connection: sqlite3.Connection | None = None
        self._file: sqlite_file.Identity | None = None
        self._last_us = 0
        self._written_bytes = 0
        self._prune_at_s = self._now_s() + prune_period_s
        self.queue: SimpleQueue[Waiting | Pruning | None] = SimpleQueue()
        """What to do next; None ends the thread after all that lies before it."""
        self._lines = Lines()
        self._prunings: deque[Pruning] = deque()
        self._ends_soon = False

    def run(self) -> None:
        try:
            while self._turn():
                pass
        finally:
            if self._connection is not None:
                self._connection.close()
            self._tell(self._listener.stopped)

    def _turn(self) -> bool:
        """Does what has gathered; False when there will be no more."""
        left_s = self._prune_at_s - self._now_s()
        if left_s <= 0:  # whether or not appends wait: a log in use is the one that grows
            self._prune(None)
            self._prune_at_s = self._now_s() + self._prune_period_s
            return True
        self._gather(left_s)
        if batch := self._lines.batch():
            self._append(batch)
        if self._prunings:
            self._prune(self._prunings.popleft())
        return bool(self._lines) or not self._ends_soon

    def _gather(self, longest_s: float) -> None:
        """Takes all that has come, and waits for the first of it where nothing is left from before."""
        wait_s = 0.0 if self._lines or self._prunings or self._ends_soon else longest_s
        try:
            self._sort(self.queue.get(timeout=wait_s) if wait_s else self.queue.get_nowait())
            while True:
                self._sort(self.queue.get_nowait())
        except Empty:
            return

    def _sort(self, wanted: Waiting | Pruning | None) -> None:
        if isinstance(wanted, Waiting):
            self._lines.add(wanted)
        elif isinstance(wanted, Pruning):
            self._prunings.append(wanted)
        else:
            self._ends_soon = True

    def _append(self, batch: list[Waiting]) -> None:
        try:
            connection = self._open()
            records = self._stamp(batch)
            rows = [
                (w.lane.first + r.offset, r.appended_us, r.key, w.headers_text, r.value)
                for w, r in zip(batch, records, strict=True)
            ]
            sqlite_file.commit(connection, rows)
            self._must_be_there()
        except Exception as error:  # the thread must outlive whatever the file and the clock do; the callers are told
            self._reopen()
            failure = LogUnavailable(f"the embedded log can't be written now: {error}")
            self._tell(self._listener.failed, batch, failure)
            return
        for waiting, record in zip(batch, records, strict=True):
            self._ends[waiting.lane] = record.offset + 1
        self._last_us = records[-1].appended_us
        self._tell(self._listener.committed, batch, records)
        self._written_bytes += sum(len(waiting.value) for waiting in batch)
        if self._written_bytes >= CHECKPOINT_BYTES:
            self._checkpoint(connection)

    def _checkpoint(self, connection: sqlite3.Connection) -> None:
        """Empties the write-ahead file: those who read all the time never leave SQLite a moment to do it by itself."""
        self._written_bytes = CHECKPOINT_BYTES // 2  # when it is tried again, unless it is done
        try:
            if sqlite_file.checkpoint(connection):
                self._written_bytes = 0
        except sqlite3.Error:  # readers were in the way, or the disk is full: nothing is lost, and appends would fail
            return

    def _stamp(self, batch: list[Waiting]) -> list[LogRecord]:
        # one time for all that is committed together; it never runs backwards, so that times can be searched
        now_us = max(self._append_time_us(), self._last_us)
        ends = {waiting.lane: self._ends[waiting.lane] for waiting in batch}
        records = []
        for waiting in batch:
            lane = waiting.lane
            offset = ends[lane]
            ends[lane] = offset + 1
            records.append(
                LogRecord(lane.stream, lane.partition, offset, waiting.key, waiting.value, now_us, waiting.headers)
            )
        return records

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._must_be_there()  # or another, empty one would be made in its place
            connection = self._connect(self._path)
            try:
                for lane in self._lanes:
                    self._ends[lane] = sqlite_file.bounds(connection, lane)[1]
                self._last_us = max(self._last_us, sqlite_file.last_append_us(connection))
            except sqlite3.Error:
                connection.close()
                raise
            self._connection, self._file = connection, sqlite_file.identity(self._path)
            self._tell(self._listener.opened, dict(self._ends))  # before anything that is written from here on
        return self._connection

    def _must_be_there(self) -> None:
        """Raises OSError where the file is no longer the one at its path: what lies in it will not be found again."""
        if self._file is not None and sqlite_file.identity(self._path) != self._file:
            raise FileNotFoundError(f"{self._path} was moved or replaced")

    def _reopen(self) -> None:
        """Starts afresh after an error."""
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                connection.close()
            self._open()
        except (sqlite3.Error, OSError):
            return  # the next append tries again

    def _prune(self, asked: Pruning | None) -> None:
        """A batch of each partition; the space is used again, and given back where the file can."""
        starts: dict[Lane, int] = {}
        try:
            connection = self._open()
            now_us = max(self._append_time_us(), self._last_us)
            for lane in self._lanes:
                if sqlite_file.prune(connection, lane, TOPICS[lane.stream].retention_days, now_us, PRUNE_BATCH):
                    starts[lane] = sqlite_file.bounds(connection, lane)[0]
            if starts:
                sqlite_file.give_back(connection)
        except Exception:  # likewise
            self._reopen()  # records that stay too long harm nobody; the next turn tries again
        self._tell(self._listener.pruned, starts)
        if starts:  # there may be more: after the appends that wait now
            self.queue.put(asked or Pruning(None))
        elif asked is not None:
            self._tell(self._listener.looked, asked)

    def _tell(self, function: Callable[..., object], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # the loop was closed without closing the log: nobody is left to be told
            return
