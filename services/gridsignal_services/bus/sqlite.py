"""The embedded log: one SQLite file, durable before an append returns, read without polling.

WAL and `synchronous=FULL`: what was acknowledged survives kill -9 and loss of power. One thread writes, and commits
together whatever has gathered; readers at the tip are served from memory, others by a few reading threads. SQLite is
never called on the event loop.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gridsignal_schemas.catalog import TOPICS, partition_of
from gridsignal_services.bus import (
    PRINCIPAL,
    Appended,
    Election,
    Log,
    LogConfigurationError,
    LogRecord,
    LogUnavailable,
    Unwritable,
    flock,
    sqlite_file,
)
from gridsignal_services.bus.codec import MAX_VALUE_BYTES
from gridsignal_services.bus.condition import Condition
from gridsignal_services.bus.private_files import make_private
from gridsignal_services.bus.room import RECORD_BYTES, Room
from gridsignal_services.bus.sqlite_file import Contents, Lane
from gridsignal_services.bus.sqlite_lines import Waiting
from gridsignal_services.bus.sqlite_partitions import Partitions
from gridsignal_services.bus.sqlite_reader import SqliteReader
from gridsignal_services.bus.sqlite_threads import ReadingThreads
from gridsignal_services.bus.sqlite_writer import Listener, Pruning, Writer
from gridsignal_services.bus.steady_clock import SteadyWall
from gridsignal_services.telemetry import Outage, logger

MAX_WAITING_BYTES = 32 * 1024 * 1024
"""Appends under way together; more wait for their turn."""
READING_THREADS = 4
PRUNE_PERIOD_S = 3600.0
CLOSE_TIMEOUT_S = 5.0


Connect = Callable[[Path], sqlite3.Connection]
"""How the writer opens the file."""


class SqliteLog(Log):
    """The log in a directory of its own, for one process and one event loop.

    Bounded: appends under way by MAX_WAITING_BYTES, memory per partition by Tail.
    When full: appends wait. Conflates: nothing.
    """

    def __init__(
        self, opened: _Opened, append_time_us: Callable[[], int] | None, prune_period_s: float, connect: Connect
    ) -> None:
        """Use `open`."""
        self.epoch = opened.contents.epoch
        self._lanes = opened.contents.lanes
        self._lock = opened.lock
        self._partitions = Partitions(opened.spans)
        self._threads = ReadingThreads(opened.path, READING_THREADS)
        self._room = Room(MAX_WAITING_BYTES)
        self._under_way: set[asyncio.Future[Any]] = set()
        self._stopped = asyncio.Event()
        self.condition = Condition()
        self.condition.measured(*sqlite_file.sizes(opened.path))
        self._by_the_wall = append_time_us is None
        self._closing: asyncio.Task[None] | None = None
        self._outage = Outage(logger("log"), "the embedded log", doing="appends")
        self._writer = Writer(
            opened.path,
            list(self._lanes.values()),
            append_time_us or SteadyWall(),
            asyncio.get_running_loop(),
            Listener(
                committed=self._on_commit,
                failed=self._on_failure,
                opened=self._partitions.correct,
                pruned=self._partitions.prune,
                looked=self._on_looked,
                stopped=self._stopped.set,
            ),
            prune_period_s,
            connect,
        )
        self._writer.start()

    @classmethod
    async def open(
        cls,
        directory: Path,
        *,
        prefix: str = "",
        append_time_us: Callable[[], int] | None = None,
        prune_period_s: float = PRUNE_PERIOD_S,
        connect: Connect = sqlite_file.connect,
    ) -> SqliteLog:
        """Opens the log in `directory`, or makes one; `prefix` stands before every topic's name.

        `append_time_us` is asked once for each commit, in the writer's thread; should it run backwards, the last time
        is kept. Without it this machine's clock is asked, and not believed where it leaps. `connect` opens the file to
        write. Raises LogConfigurationError where somebody else owns the log or it was made for other topics.
        """
        opened = await asyncio.to_thread(_open, directory / sqlite_file.FILE, prefix)
        return cls(opened, append_time_us, prune_period_s, connect)

    async def append(
        self, stream: str, key: str, value: bytes, headers: Mapping[str, str], *, partition: int | None = None
    ) -> Appended:
        """See Log.append. Raises ValueError for a stream or partition that isn't there, Unwritable for a long value."""
        lane = self._lane(stream, self._partition_of(stream, key) if partition is None else partition)
        if len(value) > MAX_VALUE_BYTES:
            raise Unwritable(f"expected a value of at most {MAX_VALUE_BYTES} bytes, got {len(value)}")
        key.encode()  # what can't be written must fail its own caller, not everyone in the same transaction
        headers_text = json.dumps(headers := dict(headers))
        self._partitions.must_be_open()
        whose, began_s = headers.get(PRINCIPAL, ""), self.condition.begin()
        await self._room.take(len(value) + RECORD_BYTES, whose)
        self._partitions.must_be_open()  # it may have been closed while we waited for room
        sent_us = self.condition.now_us()
        logged: asyncio.Future[LogRecord] = self._promise()
        self._writer.queue.put(Waiting(lane, key, headers, headers_text, value, logged, whose))
        record = await logged
        self.condition.written_since(began_s)
        if self._by_the_wall:  # a simulation has a time of its own
            self.condition.stamped(sent_us, record.appended_us)
        return Appended(record.partition, record.offset, record.appended_us)

    async def reader(self, stream: str, positions: Mapping[int, int]) -> SqliteReader:
        """See Log.reader."""
        self._partitions.must_be_open()
        lanes = {self._lane(stream, partition): offset for partition, offset in positions.items()}
        return SqliteReader(self._partitions, self._threads, lanes)

    async def start_positions(self, stream: str) -> dict[int, int]:
        """See Log.start_positions."""
        self._partitions.must_be_open()
        return {lane.partition: self._partitions.start(lane) for lane in self._lanes_of(stream)}

    async def end_positions(self, stream: str) -> dict[int, int]:
        """See Log.end_positions."""
        self._partitions.must_be_open()
        return {lane.partition: self._partitions.end(lane) for lane in self._lanes_of(stream)}

    async def position_at(self, stream: str, appended_us: int) -> dict[int, int]:
        """See Log.position_at."""
        self._partitions.must_be_open()
        lanes = self._lanes_of(stream)
        return {lane.partition: await self._threads.call(sqlite_file.offset_at, lane, appended_us) for lane in lanes}

    def stand(self, stream: str) -> SoleCandidate:
        """See Log.stand: who has the file's lock has every partition."""
        return SoleCandidate(frozenset(lane.partition for lane in self._lanes_of(stream)))

    async def prune(self) -> None:
        """Lets go of records older than their topic's retention, now. The log does it by itself every hour."""
        self._partitions.must_be_open()
        looked: asyncio.Future[None] = self._promise()
        self._writer.queue.put(Pruning(looked))
        await looked

    @property
    def at_rest(self) -> bool:
        """Whether no append is under way: what a simulation asks before its clock steps on."""
        return not self._under_way

    async def aclose(self) -> None:
        """Commits what was accepted and lets go of the directory. Returns within seconds."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        self._partitions.close()
        self._room.close(LogUnavailable("the log was closed"))
        self._writer.queue.put(None)
        with suppress(TimeoutError):  # a disk that hangs keeps its threads; they die with the process
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._stopped.wait()
                await asyncio.to_thread(self._threads.close)
        for promise in list(self._under_way):
            self._settle(promise, LogUnavailable("the log was closed"))
        flock.release(self._lock)

    def _promise(self) -> asyncio.Future[Any]:
        promise: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._under_way.add(promise)
        return promise

    def _settle(self, promise: asyncio.Future[Any], outcome: Any) -> None:
        self._under_way.discard(promise)
        if promise.done():  # its caller was cancelled
            return
        if isinstance(outcome, LogUnavailable):
            promise.set_exception(outcome)
        else:
            promise.set_result(outcome)

    # --- what the writer tells, on the event loop ---------------------------------------------------------------

    def _on_commit(self, batch: list[Waiting], records: list[LogRecord]) -> None:
        try:
            self._partitions.add([waiting.lane for waiting in batch], records)
        finally:  # they lie on the log, whatever becomes of what we know of it
            for waiting, record in zip(batch, records, strict=True):
                self._settle(waiting.logged, record)
            self._room.free(_size(batch))
        self.condition.written(sqlite_file.FILE)
        self._outage.over()

    def _on_failure(self, batch: list[Waiting], error: LogUnavailable) -> None:
        self.condition.failed(sqlite_file.FILE, error)
        self._outage.say(error)
        for waiting in batch:
            self._settle(waiting.logged, error)
        self._room.free(_size(batch))

    def _on_looked(self, pruning: Pruning) -> None:
        if pruning.looked is not None:
            self._settle(pruning.looked, None)

    # --- names of partitions ------------------------------------------------------------------------------------

    def _lane(self, stream: str, partition: int) -> Lane:
        if (lane := self._lanes.get((stream, partition))) is None:
            raise ValueError(f"expected a stream and partition of topics.toml, got {stream!r} {partition}")
        return lane

    def _partition_of(self, stream: str, key: str) -> int:
        return partition_of(key, TOPICS[stream].partitions) if stream in TOPICS else 0

    def _lanes_of(self, stream: str) -> list[Lane]:
        lanes = [lane for lane in self._lanes.values() if lane.stream == stream]
        return lanes or [self._lane(stream, 0)]


class SoleCandidate(Election):
    """An election without opponents."""

    def __init__(self, partitions: frozenset[int]) -> None:
        self._partitions = partitions
        self._changed = asyncio.Event()
        self._changed.set()

    @property
    def mine(self) -> frozenset[int]:
        """See Election.mine: all of them, always."""
        return self._partitions

    async def changed(self) -> None:
        """See Election.changed."""
        await self._changed.wait()
        self._changed.clear()

    async def aclose(self) -> None:
        """See Election.aclose."""


class _Opened:
    """A file that is ours, checked, and where its partitions begin and end."""

    def __init__(self, path: Path, lock: int, contents: Contents, spans: dict[Lane, tuple[int, int]]) -> None:
        self.path, self.lock, self.contents, self.spans = path, lock, contents, spans


def _open(path: Path, prefix: str) -> _Opened:
    try:
        make_private(path, path.with_name(sqlite_file.LOCK))
    except OSError as error:
        raise LogUnavailable(f"{path}: the embedded log can't be opened: {error.strerror or error}") from error
    lock = flock.claim(path.with_name(sqlite_file.LOCK))
    try:
        return _Opened(path, lock, *sqlite_file.inspect(path, prefix))
    except sqlite3.OperationalError as error:
        flock.release(lock)
        raise LogUnavailable(f"{path}: the embedded log can't be opened: {error}") from error
    except sqlite3.DatabaseError as error:
        flock.release(lock)
        raise LogConfigurationError(f"{path}: expected a log, got a file SQLite can't read: {error}") from error
    except BaseException:
        flock.release(lock)
        raise


def _size(batch: list[Waiting]) -> int:
    return sum(waiting.size for waiting in batch)
