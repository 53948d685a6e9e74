"""The embedded log's file: its tables, its pragmas, what is read from it. Everything here blocks.

A record's row id is its lane (the file's number of a topic's partition) and its offset in one integer, so that a
partition is one contiguous run of the table's own tree and needs no index.
"""

from __future__ import annotations

import json
import math
import shutil
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from gridsignal_schemas.catalog import TOPICS
from gridsignal_services.bus import LogConfigurationError, LogRecord

FILE, LOCK = "log.db", "log.lock"
"""The log in its directory, and what its one owner holds."""
FORMAT = 1
_DAY_US = 86_400_000_000
_APPLICATION = int.from_bytes(b"grid")
_OFFSET_BITS = 40  # a trillion records a partition
_PARTITION_BITS = 12
_TABLES = (
    "CREATE TABLE log (epoch TEXT NOT NULL)",
    "CREATE TABLE topics (topic INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, partitions INTEGER NOT NULL)",
    # place: lane x 2^40 + offset; appended_us never decreases within a partition
    "CREATE TABLE records (place INTEGER PRIMARY KEY, appended_us INTEGER NOT NULL, key TEXT NOT NULL, "
    "headers TEXT NOT NULL, value BLOB NOT NULL)",
    f"PRAGMA application_id = {_APPLICATION}",
    f"PRAGMA user_version = {FORMAT}",
)
_INSERT = "INSERT INTO records (place, appended_us, key, headers, value) VALUES "
_ROW = "(?, ?, ?, ?, ?)"
Row = tuple[int, int, str, str, bytes]
Identity = tuple[int, int]
ROWS_AT_ONCE = 32
"""Rows of one statement, which are a transaction by themselves."""

GIVEN_BACK = 1000
"""Pages returned at once: appends wait for it."""
CHECKPOINT_WAIT_MS = 200
BUSY_MS = 5000

MAX_READ_BYTES = 4 * 1024 * 1024
"""Values of one read together, give or take one record."""


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """One partition as the file knows it: one object each, compared by identity."""

    stream: str
    partition: int
    number: int

    @property
    def first(self) -> int:
        """The place of offset 0."""
        return self.number << _OFFSET_BITS

    @property
    def beyond(self) -> int:
        """The first place of the next lane."""
        return (self.number + 1) << _OFFSET_BITS


@dataclass(frozen=True, slots=True)
class Contents:
    """What lies in a file that was opened."""

    epoch: str
    lanes: dict[tuple[str, int], Lane]


def connect(path: Path) -> sqlite3.Connection:
    """A connection that commits durably. It may be closed by another thread, but is used by one."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_MS / 1000)
    try:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # counts in a new file; older ones reuse their space
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def identity(path: Path) -> Identity:
    """Which file it is, whatever its name. Raises OSError where there is none."""
    found = path.stat()
    return found.st_dev, found.st_ino


def sizes(path: Path) -> tuple[Callable[[], float], Callable[[], float]]:
    """What the log takes on disk, in bytes, and what is free there; NaN where that can't be told."""

    def taken() -> float:
        beside = (path.with_name(path.name + end) for end in ("", "-wal"))
        return float(sum(each.stat().st_size for each in beside if each.exists()))

    def told(look: Callable[[], float]) -> Callable[[], float]:
        def looked() -> float:
            try:
                return look()
            except OSError:
                return math.nan

        return looked

    return told(taken), told(lambda: float(shutil.disk_usage(path.parent).free))


def inspect(path: Path, prefix: str) -> tuple[Contents, dict[Lane, tuple[int, int]]]:
    """Makes or checks the file; what lies in it, and the bounds of each partition under `prefix`."""
    with closing(connect(path)) as connection:
        contents = create_or_check(connection, prefix)
        return contents, {lane: bounds(connection, lane) for lane in contents.lanes.values()}


def create_or_check(connection: sqlite3.Connection, prefix: str) -> Contents:
    """Makes the tables of a new file, or proves that an old one is what the contract describes."""
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables == 0:
        _create(connection)
    else:
        must_be_a_log(connection)
    lanes = _lanes(connection, prefix)
    (epoch,) = connection.execute("SELECT epoch FROM log").fetchone()
    return Contents(epoch, lanes)


def must_be_a_log(connection: sqlite3.Connection) -> None:
    """Raises LogConfigurationError for another program's file, and for a log of another format."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if (application, version) != (_APPLICATION, FORMAT):
        got = f"format {version}" if application == _APPLICATION else "another program's file"
        ((_, _, path), *_) = connection.execute("PRAGMA database_list").fetchall()
        raise LogConfigurationError(f"{path}: expected a gridsignal log of format {FORMAT}, got {got}")


def lane_of(stream: str, topic: int, partition: int) -> Lane:
    """The lane of a partition of the file's topic of this number."""
    return Lane(stream, partition, topic << _PARTITION_BITS | partition)


def _create(connection: sqlite3.Connection) -> None:
    # one transaction: a file that was interrupted here is empty and made again
    connection.execute("BEGIN IMMEDIATE")
    for statement in _TABLES:
        connection.execute(statement)
    connection.execute("INSERT INTO log VALUES (?)", (str(uuid.uuid4()),))
    connection.execute("COMMIT")


def _lanes(connection: sqlite3.Connection, prefix: str) -> dict[tuple[str, int], Lane]:
    lanes = {}
    for topic in TOPICS.values():
        name = prefix + topic.name
        row = connection.execute("SELECT topic, partitions FROM topics WHERE name = ?", (name,)).fetchone()
        if row is None:
            cursor = connection.execute("INSERT INTO topics (name, partitions) VALUES (?, ?)", (name, topic.partitions))
            row = (cursor.lastrowid, topic.partitions)
        number, partitions = row
        if partitions != topic.partitions:
            raise LogConfigurationError(f"topic {name}: expected {topic.partitions} partitions, got {partitions}")
        for partition in range(partitions):
            lanes[topic.stream, partition] = lane_of(topic.stream, number, partition)
    return lanes


def bounds(connection: sqlite3.Connection, lane: Lane) -> tuple[int, int]:
    """The first kept offset and the next one. Retention never takes the last record, so the file knows both."""
    span = (lane.first, lane.beyond)
    (first,) = connection.execute("SELECT min(place) FROM records WHERE place >= ? AND place < ?", span).fetchone()
    (last,) = connection.execute("SELECT max(place) FROM records WHERE place >= ? AND place < ?", span).fetchone()
    return (0, 0) if first is None else (first - lane.first, last - lane.first + 1)


def read(connection: sqlite3.Connection, lane: Lane, offset: int, limit: int) -> list[LogRecord]:
    """The records from `offset` on, or from the first kept one after it: at most `limit`, and MAX_READ_BYTES."""
    rows: Iterator[tuple[int, int, str, str, bytes]] = connection.execute(
        "SELECT place, appended_us, key, headers, value FROM records WHERE place >= ? AND place < ? "
        "ORDER BY place LIMIT ?",
        (lane.first + offset, lane.beyond, limit),
    )
    records, size = [], 0
    for place, appended_us, key, headers, value in rows:
        at = place - lane.first
        records.append(LogRecord(lane.stream, lane.partition, at, key, value, appended_us, json.loads(headers)))
        size += len(value)
        if size >= MAX_READ_BYTES:
            break
    return records


def offset_at(connection: sqlite3.Connection, lane: Lane, appended_us: int) -> int:
    """The first kept offset appended at or after this time; the end where there is none."""
    low, high = bounds(connection, lane)
    while low < high:  # append times never decrease within a partition
        middle = (low + high) // 2
        # pruning may run at the same time: the row at `middle` or the first kept one after it
        place, appended = connection.execute(
            "SELECT place, appended_us FROM records WHERE place >= ? AND place < ? ORDER BY place LIMIT 1",
            (lane.first + middle, lane.beyond),
        ).fetchone()
        if appended < appended_us:
            low = place - lane.first + 1
        else:
            high = middle
    return low


def prune(connection: sqlite3.Connection, lane: Lane, kept_days: int, now_us: int, limit: int) -> int:
    """Deletes at most `limit` of the oldest records that are older than so many days, never the last; how many.

    Of what is kept for ever, 0 days, none.
    """
    if not kept_days:
        return 0
    before_us = now_us - kept_days * _DAY_US
    start, end = bounds(connection, lane)
    stop = min(offset_at(connection, lane, before_us), end - 1, start + limit)
    if stop <= start:
        return 0
    connection.execute("DELETE FROM records WHERE place >= ? AND place < ?", (lane.first, lane.first + stop))
    return stop - start


def give_back(connection: sqlite3.Connection, pages: int = GIVEN_BACK) -> None:
    """Returns at most so many free pages to the disk; nothing in a file that was made without it."""
    connection.execute(f"PRAGMA incremental_vacuum({pages})").fetchall()


def checkpoint(connection: sqlite3.Connection) -> bool:
    """Moves the write-ahead file into the main one and empties it; False where readers were in the way for long."""
    connection.execute(f"PRAGMA busy_timeout = {CHECKPOINT_WAIT_MS}")
    try:
        ((is_busy, *_),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    return not is_busy


def commit(connection: sqlite3.Connection, rows: list[Row]) -> None:
    """Writes rows durably, all of them or none. Raises sqlite3.Error; whether they are there is then unknown.

    A few are one statement: with each further step the thread lets go of the interpreter, and those that compute
    meanwhile give it back milliseconds late.
    """
    if len(rows) <= ROWS_AT_ONCE:
        connection.execute(_INSERT + ", ".join([_ROW] * len(rows)), [field for row in rows for field in row])
        return
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(_INSERT + _ROW, rows)
    connection.execute("COMMIT")


def last_append_us(connection: sqlite3.Connection) -> int:
    """The append time of the newest record of the partitions' last ones; 0 for an empty log."""
    topics = connection.execute("SELECT topic, partitions FROM topics").fetchall()
    newest = 0
    for topic, partitions in topics:
        for partition in range(partitions):
            lane = lane_of("", topic, partition)
            row = connection.execute(
                "SELECT appended_us FROM records WHERE place >= ? AND place < ? ORDER BY place DESC LIMIT 1",
                (lane.first, lane.beyond),
            ).fetchone()
            newest = max(newest, row[0] if row else 0)
    return newest
