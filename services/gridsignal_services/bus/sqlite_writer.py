"""The embedded log's one writer: a thread that commits whatever has gathered while it committed the last time.

It talks to the event loop by `call_soon_threadsafe` alone, and survives every error of the file: the batch under way
fails, the next one opens the file anew.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

from gridsignal_schemas.catalog import TOPICS
from gridsignal_services.bus import LogRecord, LogUnavailable, sqlite_file
from gridsignal_services.bus.sqlite_file import Lane

MAX_BATCH = 4096
"""Records in one transaction: bounds the wait of those who come next."""
PRUNE_BATCH = 2000
"""Records deleted in one transaction: appends go on in between."""
_DAY_US = 86_400_000_000


@dataclass(slots=True, eq=False)
class Waiting:
    """One append on its way to the file."""

    lane: Lane
    key: str
    headers: Mapping[str, str]
    headers_text: str
    value: bytes
    logged: asyncio.Future[LogRecord]


@dataclass(slots=True, eq=False)
class Pruning:
    """Somebody wants retention to be looked at now."""

    looked: asyncio.Future[None]


@dataclass(frozen=True, slots=True)
class Listener:
    """Whom the writer tells what happened; every function is called on the event loop."""

    committed: Callable[[list[Waiting], list[LogRecord]], None]
    failed: Callable[[list[Waiting], LogUnavailable, dict[Lane, int]], None]
    """What failed, why, and the true end of each partition as far as it could be read."""
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
    ) -> None:
        super().__init__(name="gridsignal-log-writer", daemon=True)
        self._path = path
        self._lanes = lanes
        self._ends: dict[Lane, int] = {}
        self._append_time_us = append_time_us
        self._loop = loop
        self._listener = listener
        self._prune_period_s = prune_period_s
        self._connection: sqlite3.Connection | None = None
        self._last_us = 0
        self.queue: SimpleQueue[Waiting | Pruning | None] = SimpleQueue()
        """What to do next, in order; None ends the thread after all that lies before it."""

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
        try:
            first = self.queue.get(timeout=self._prune_period_s)
        except Empty:
            self._prune(None)
            return True
        batch: list[Waiting] = []
        last = first
        while isinstance(last, Waiting):
            batch.append(last)
            if len(batch) == MAX_BATCH:
                break
            try:
                last = self.queue.get_nowait()
            except Empty:
                break
        if batch:
            self._append(batch)
        if isinstance(last, Pruning):
            self._prune(last)
        return last is not None

    def _append(self, batch: list[Waiting]) -> None:
        try:
            connection = self._open()
            records = self._stamp(batch)
            rows = [
                (w.lane.first + r.offset, r.appended_us, r.key, w.headers_text, r.value)
                for w, r in zip(batch, records, strict=True)
            ]
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(sqlite_file.INSERT, rows)
            connection.execute("COMMIT")
        except Exception as error:  # the thread must outlive whatever the file and the clock do; the callers are told
            ends = self._reopen()
            failure = LogUnavailable(f"the embedded log can't be written now: {error}")
            self._tell(self._listener.failed, batch, failure, ends)
            return
        for waiting, record in zip(batch, records, strict=True):
            self._ends[waiting.lane] = record.offset + 1
        self._last_us = records[-1].appended_us
        self._tell(self._listener.committed, batch, records)

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
            connection = sqlite_file.connect(self._path)
            try:
                for lane in self._lanes:
                    self._ends[lane] = sqlite_file.bounds(connection, lane)[1]
                self._last_us = max(self._last_us, sqlite_file.last_append_us(connection))
            except sqlite3.Error:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _reopen(self) -> dict[Lane, int]:
        """Starts afresh after an error, since a failed commit may have reached the file; the ends that are true."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        try:
            self._open()
        except (sqlite3.Error, OSError):
            return {}  # the next append tries again
        return dict(self._ends)

    def _prune(self, asked: Pruning | None) -> None:
        starts: dict[Lane, int] = {}
        try:
            connection = self._open()
            now_us = max(self._append_time_us(), self._last_us)
            for lane in self._lanes:
                days = TOPICS[lane.stream].retention_days
                if days and sqlite_file.prune(connection, lane, now_us - days * _DAY_US, PRUNE_BATCH):
                    starts[lane] = sqlite_file.bounds(connection, lane)[0]
        except Exception:  # likewise
            self._reopen()  # records that stay too long harm nobody; the next turn tries again
        self._tell(self._listener.pruned, starts)
        if asked is not None and starts:
            self.queue.put(asked)  # there may be more: after the appends that wait now
        elif asked is not None:
            self._tell(self._listener.looked, asked)

    def _tell(self, function: Callable[..., object], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # the loop was closed without closing the log: nobody is left to be told
            return
