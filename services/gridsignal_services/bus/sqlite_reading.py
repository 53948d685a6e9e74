"""The embedded log read by somebody who doesn't own it: beside a running process, or where none runs. All blocks."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gridsignal_schemas.catalog import TOPICS
from gridsignal_services.bus import LogConfigurationError, LogRecord, sqlite_file
from gridsignal_services.bus.reading import LogReading
from gridsignal_services.bus.sqlite_file import FILE, Lane
from gridsignal_services.bus.sqlite_keeping import read_only

_AT_ONCE = 1000


class SqliteReading(LogReading):
    """The embedded log in a folder."""

    def __init__(self, connection: sqlite3.Connection, prefix: str) -> None:
        """Use `log_in`."""
        self._connection = connection
        (self.epoch,) = connection.execute("SELECT epoch FROM log").fetchone()
        self._lanes: dict[tuple[str, int], Lane] = {}
        for topic in TOPICS.values():
            row = connection.execute("SELECT topic FROM topics WHERE name = ?", (prefix + topic.name,)).fetchone()
            for partition in range(topic.partitions if row is not None else 0):
                self._lanes[topic.stream, partition] = sqlite_file.lane_of(topic.stream, row[0], partition)

    def bounds(self, stream: str, partition: int) -> tuple[int, int]:
        """See LogReading.bounds."""
        return sqlite_file.bounds(self._connection, self._lane(stream, partition))

    def records(self, stream: str, partition: int, start: int = 0, end: int | None = None) -> Iterator[LogRecord]:
        """See LogReading.records."""
        lane = self._lane(stream, partition)
        end = self.bounds(stream, partition)[1] if end is None else end
        while start < end:
            some = self._some(lane, start, min(_AT_ONCE, end - start))
            if not some:
                return
            for record in some:
                if record.offset < end:
                    yield record
            start = some[-1].offset + 1

    def with_text(self, stream: str, partition: int, text: str) -> Iterator[LogRecord]:
        """See LogReading.with_text."""
        lane = self._lane(stream, partition)
        places = self._connection.execute(
            "SELECT place FROM records WHERE place >= ? AND place < ? AND instr(value, ?) ORDER BY place",
            (lane.first, lane.beyond, text.encode()),
        )
        for (place,) in places.fetchall():
            yield from self.records(stream, partition, place - lane.first, place - lane.first + 1)

    def newest(self, stream: str, partition: int, framings: Sequence[bytes], limit: int) -> list[LogRecord]:
        """See LogReading.newest."""
        lane, wanted = self._lane(stream, partition), ", ".join("?" * len(framings))
        places = self._connection.execute(
            f"SELECT place FROM records WHERE place >= ? AND place < ? AND substr(value, 1, 5) IN ({wanted}) "  # noqa: S608 - question marks
            "ORDER BY place DESC LIMIT ?",
            (lane.first, lane.beyond, *framings, limit),
        )
        offsets = [place - lane.first for (place,) in places.fetchall()]
        return [record for offset in offsets for record in self.records(stream, partition, offset, offset + 1)]

    def _some(self, lane: Lane, start: int, limit: int) -> list[LogRecord]:
        try:
            return sqlite_file.read(self._connection, lane, start, limit)
        except (ValueError, sqlite3.OperationalError):  # headers that are no JSON, text that is no UTF-8
            if limit > 1:
                one_by_one = (self._some(lane, at, 1) for at in range(start, start + limit))
                return [record for at, some in enumerate(one_by_one, start) for record in some if record.offset == at]
            message = f"the record at offset {start} was changed: its key or headers can't be read"
            raise LogConfigurationError(message) from None

    def _lane(self, stream: str, partition: int) -> Lane:
        if (lane := self._lanes.get((stream, partition))) is None:
            raise LogConfigurationError(f"expected a partition of {stream} on this log, got {partition}")
        return lane


@contextmanager
def log_in(directory: Path, prefix: str = "") -> Iterator[SqliteReading]:
    """The log in a folder. Raises LogConfigurationError where there is none, LogUnavailable where it can't be read."""
    with read_only(directory / FILE) as connection:
        yield SqliteReading(connection, prefix)
