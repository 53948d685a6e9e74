"""Reads back from the log what was published about one zone, for questions about the past."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from gridsignal_schemas.catalog import TOPICS, partition_of
from gridsignal_schemas.messages import CarbonIntensity, GridClock, SpotPrice
from gridsignal_services.bus import Log, LogRecord
from gridsignal_services.bus.codec import Codec, Poison
from gridsignal_services.clock import append_us, grid_time
from gridsignal_services.dispatch.vintages import Logged

AHEAD = timedelta(days=14)
"""How long before its first interval a series is looked for: no feed forecasts further."""
MAX_RECORDS = 50_000
_READERS = 4


class TooMuch(Exception):
    """The question spans more of the log than one answer may read."""


class Archive:
    """The public streams, read anew for each question.

    Bounded: `max_records` of one partition an answer, four answers at once. When full: TooMuch; the fifth waits.
    Conflates: nothing.
    """

    def __init__(self, log: Log, codec: Codec, *, max_records: int = MAX_RECORDS) -> None:
        self._log, self._codec, self._max_records = log, codec, max_records
        self._turns = asyncio.Semaphore(_READERS)

    async def published(
        self, stream: str, zone: str, from_: datetime, as_of: datetime, grid: GridClock | None
    ) -> list[Logged]:
        """The zone's series logged until `as_of` that can say something of `from_` or later; poison is passed over.

        Raises LogUnavailable, TooMuch.
        """
        partition = partition_of(zone, TOPICS[stream].partitions)
        first = (await self._log.position_at(stream, append_us(grid, min(from_, as_of) - AHEAD)))[partition]
        last = (await self._log.position_at(stream, append_us(grid, as_of) + 1))[partition]
        if last - first > self._max_records:
            raise TooMuch
        async with self._turns:
            read = await self._read(stream, partition, first, last)
        return [known for record in read if record.key == zone and (known := self._known(record, grid)) is not None]

    async def _read(self, stream: str, partition: int, first: int, last: int) -> list[LogRecord]:
        if first >= last:
            return []
        found: list[LogRecord] = []
        reader = await self._log.reader(stream, {partition: first})
        try:
            while reader.positions[partition] < last:
                found += await reader.read()
        finally:
            await reader.aclose()
        return [record for record in found if record.offset < last]

    def _known(self, record: LogRecord, grid: GridClock | None) -> Logged | None:
        try:
            series = self._codec.decode(record.value)
        except Poison:
            return None
        if not isinstance(series, SpotPrice | CarbonIntensity):
            return None
        return Logged(grid_time(grid, record.appended_us), series)
