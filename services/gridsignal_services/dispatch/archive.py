"""Reads back from the log what was published about one zone, for questions about the past."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from gridsignal_schemas.catalog import TOPICS, partition_of
from gridsignal_schemas.messages import CarbonIntensity, GridClock, SpotPrice
from gridsignal_schemas.rules.vintages import Logged
from gridsignal_services.bus import Log, LogRecord, Reader
from gridsignal_services.bus.codec import Codec, Poison, UnknownSchema
from gridsignal_services.clock import append_us, grid_time, micros
from gridsignal_services.dispatch.contents import BLOCK, Contents, ListedSeries
from gridsignal_services.work import NOBODYS, Work

AHEAD = timedelta(days=14)
"""How long before its first interval a series is looked for: no feed forecasts further."""
MAX_RECORDS = 1_000_000
_READERS = 2
_NEAR = 256
"""Records between two that are wanted that cost less to read than another start."""
_PIECE_BYTES = 8 * 1024
"""Records that are decoded together: in a millisecond or two."""


_END = datetime.max.replace(tzinfo=UTC)


class TooMuch(Exception):
    """The question spans more of the log than one answer may read."""


class Archive:
    """The public streams, read anew for each question; what lies where is remembered, so that it is looked for once.

    Decoding is done away from the event loop, a batch at a time.
    Bounded: `max_records` of one partition an answer, two answers at once, Contents. When full: TooMuch; the third
    waits. Conflates: nothing.
    """

    def __init__(self, log: Log, codec: Codec, *, max_records: int = MAX_RECORDS) -> None:
        self._log, self._codec, self._max_records = log, codec, max_records
        self._contents = Contents()
        self._turns = asyncio.Semaphore(_READERS)

    async def published(
        self,
        stream: str,
        zone: str,
        from_: datetime,
        as_of: datetime,
        grid: GridClock | None,
        *,
        to: datetime = _END,
        work: Work = NOBODYS,
    ) -> list[Logged]:
        """The zone's series logged until `as_of` that say something of [from, to); poison is passed over.

        Raises LogUnavailable, TooMuch, and PositionGone where retention has gone by meanwhile.
        """
        partition = partition_of(zone, TOPICS[stream].partitions)
        since = append_us(grid, min(from_, as_of) - AHEAD)
        first = (await self._log.position_at(stream, since))[partition]
        last = (await self._log.position_at(stream, append_us(grid, as_of) + 1))[partition]
        if last - first > self._max_records:
            raise TooMuch
        async with self._turns, _opened(self._log, self._codec, stream, partition, zone, work) as lane:
            wanted = await self._wanted(lane, work, first, last, (micros(from_), micros(to)))
            chosen = frozenset(wanted)
            return [known for run in _runs(wanted) for known in await lane.decoded(*run, chosen, grid)]

    async def _wanted(self, lane: _Lane, work: Work, first: int, last: int, period_us: tuple[int, int]) -> list[int]:
        """The offsets in [first, last) of what touches the period, oldest first."""
        wanted: list[int] = []
        for block in range(first // BLOCK, -(-last // BLOCK)):
            place = (lane.stream, lane.zone, block)
            with work.here():
                offsets = self._contents.touching(place, *period_us)
            await work.breath()
            if offsets is None:
                since, until = max(first, block * BLOCK), min(last, (block + 1) * BLOCK)
                entries, is_final = await lane.entries(since, until)
                if is_final and until - since == BLOCK:
                    self._contents.keep(place, entries)
                offsets = [e.offset for e in entries if e.starts_us < period_us[1] and e.ends_us > period_us[0]]
            wanted += [offset for offset in offsets if first <= offset < last]
        return wanted


class _Lane:
    """One zone's records among those of its partition, read forwards."""

    def __init__(self, log: Log, codec: Codec, stream: str, partition: int, zone: str, work: Work) -> None:
        self.stream, self.zone = stream, zone
        self._log, self._codec, self._partition, self._work = log, codec, partition, work
        self._reader: Reader | None = None

    async def entries(self, first: int, last: int) -> tuple[list[ListedSeries], bool]:
        """The entries of [first, last), and whether they will always be the same."""
        records = await self._records(first, last, lambda record: record.key == self.zone)
        listed = await self._work.each_away(map(self._listed, _pieces(records)))
        return [entry for entries, _ in listed for entry in entries], all(is_final for _, is_final in listed)

    async def decoded(self, first: int, last: int, wanted: frozenset[int], grid: GridClock | None) -> list[Logged]:
        """The wanted records of [first, last)."""
        records = await self._records(first, last, lambda record: record.offset in wanted)
        pieces = await self._work.each_away(self._logged(piece, grid) for piece in _pieces(records))
        return [known for piece in pieces for known in piece]

    async def _records(self, first: int, last: int, keeps: Callable[[LogRecord], bool]) -> list[LogRecord]:
        if self._reader is None or self._reader.positions[self._partition] != first:
            await self.aclose()
            self._reader = await self._log.reader(self.stream, {self._partition: first})
        found: list[LogRecord] = []
        while (position := self._reader.positions[self._partition]) < last:
            found += filter(keeps, await self._reader.read(min(BLOCK, last - position)))
        return found

    async def aclose(self) -> None:
        """Lets go of the reader."""
        if self._reader is not None:
            await self._reader.aclose()
            self._reader = None

    def _listed(self, records: list[LogRecord]) -> tuple[list[ListedSeries], bool]:
        entries, is_final = [], True
        for record in records:
            try:
                series = self._codec.decode(record.value)
            except UnknownSchema:  # a registry may yet know it
                is_final = False
                continue
            except Poison:
                continue
            if isinstance(series, SpotPrice | CarbonIntensity):
                intervals = series.intervals()
                entries.append(ListedSeries(record.offset, micros(intervals[0][0]), micros(intervals[-1][1])))
        return entries, is_final

    def _logged(self, records: list[LogRecord], grid: GridClock | None) -> list[Logged]:
        decoded = []
        for record in records:
            try:
                series = self._codec.decode(record.value)
            except Poison:
                continue
            if isinstance(series, SpotPrice | CarbonIntensity):
                decoded.append(Logged(grid_time(grid, record.appended_us), series))
        return decoded


def _pieces(records: list[LogRecord]) -> Iterator[list[LogRecord]]:
    piece, size = list[LogRecord](), 0
    for record in records:
        piece.append(record)
        size += len(record.value)
        if size >= _PIECE_BYTES:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


@asynccontextmanager
async def _opened(log: Log, codec: Codec, stream: str, partition: int, zone: str, work: Work) -> AsyncIterator[_Lane]:
    lane = _Lane(log, codec, stream, partition, zone, work)
    try:
        yield lane
    finally:
        await lane.aclose()


def _runs(offsets: list[int]) -> Iterator[tuple[int, int]]:
    """[first, last) of offsets that lie close together, from offsets in order."""
    since = until = -1
    for offset in offsets:
        if since >= 0 and offset - until <= _NEAR:
            until = offset + 1
            continue
        if since >= 0:
            yield since, until
        since, until = offset, offset + 1
    if since >= 0:
        yield since, until
