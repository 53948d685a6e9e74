"""Reads partitions of the embedded log: from memory at the tip, from the file behind it."""

from __future__ import annotations

from collections.abc import Mapping

from gridsignal_services.bus import LogRecord, PositionGone, Reader, sqlite_file
from gridsignal_services.bus.sqlite_file import Lane
from gridsignal_services.bus.sqlite_partitions import Partitions
from gridsignal_services.bus.sqlite_threads import ReadingThreads


class SqliteReader(Reader):
    """One reader's positions; no thread or connection is its own.

    One `read` at a time. A cancelled one loses nothing: positions move only when records are handed out.
    """

    def __init__(self, partitions: Partitions, threads: ReadingThreads, positions: Mapping[Lane, int]) -> None:
        """Raises PositionGone for a position outside [start, end]."""
        self._partitions = partitions
        self._threads = threads
        self._next = dict(positions)
        for lane, offset in positions.items():
            self._must_be_kept(lane, offset)

    @property
    def positions(self) -> Mapping[int, int]:
        """See Reader.positions."""
        return {lane.partition: offset for lane, offset in self._next.items()}

    async def read(self, limit: int = 1000) -> list[LogRecord]:
        """See Reader.read."""
        lanes = frozenset(self._next)
        while True:
            self._partitions.must_be_open()
            behind = [lane for lane, offset in self._next.items() if offset < self._partitions.end(lane)]
            if behind and (records := await self._from(behind, limit)):
                return records
            if not behind:
                await self._partitions.change(lanes)

    async def aclose(self) -> None:
        """See Reader.aclose: there is nothing to let go of."""

    async def _from(self, behind: list[Lane], limit: int) -> list[LogRecord]:
        records: list[LogRecord] = []
        for lane in behind:
            share = (limit - len(records)) // (len(behind) - behind.index(lane))
            if share > 0:
                records += await self._of(lane, share)
        self._advance(behind, records)
        return records

    async def _of(self, lane: Lane, limit: int) -> list[LogRecord]:
        offset = self._next[lane]
        self._must_be_kept(lane, offset)
        records = self._partitions.newest(lane, offset, limit)
        if records is None:
            records = await self._threads.call(sqlite_file.read, lane, offset, limit)
            if not records or records[0].offset != offset:  # retention went by while we read
                raise PositionGone(f"{lane.stream} {lane.partition}: offset {offset} is no longer kept")
        return records

    def _advance(self, behind: list[Lane], records: list[LogRecord]) -> None:
        by_partition = {lane.partition: lane for lane in behind}
        for record in records:
            self._next[by_partition[record.partition]] = record.offset + 1
        if behind:  # whoever was first is last the next time, so that none is kept waiting
            first = behind[0]
            self._next[first] = self._next.pop(first)

    def _must_be_kept(self, lane: Lane, offset: int) -> None:
        start, end = self._partitions.start(lane), self._partitions.end(lane)
        if not start <= offset <= end:
            raise PositionGone(f"{lane.stream} {lane.partition}: expected a position in [{start}, {end}], got {offset}")
