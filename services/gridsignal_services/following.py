"""One way to read the log: a stream's records from a position on, up to an end or for ever.

Whoever follows a stream fills up to the end that the log had at first, has then caught up, and goes on as records come.
Three things are the same for everybody:

- The log is away: that is told once in a while, and tried again from where it stands.
- What comes next is no longer kept: who can begin at the first record that is, does, and says so. Who must not miss any
  ends, and its process with it: the next one begins anew, and tells its clients.
- A record that can't be decoded is its taker's to pass over: the partition goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from gridsignal_services.bus import Log, LogRecord, LogUnavailable, PositionGone
from gridsignal_services.telemetry import Outage

Take = Callable[[list[LogRecord]], Awaitable[None]]
"""Takes in some records, those of each partition in their order."""
Begin = Callable[[], Awaitable[Mapping[int, int]]]
"""The position in each partition where reading begins. Raises LogUnavailable, and is then asked again."""
Away = Callable[[str, LogUnavailable], None]
"""Is told which stream can't be read, and why."""


class Following:
    """One stream, followed for ever.

    Bounded: `batch` records at once. When full: the log keeps the rest. Conflates: nothing.
    """

    def __init__(
        self,
        log: Log,
        stream: str,
        take: Take,
        out: structlog.typing.FilteringBoundLogger,
        *,
        begin: Begin | None = None,
        begins_again: bool = False,
        batch: int = 1000,
        retry_s: float = 1.0,
        away: Away = lambda stream, why: None,
    ) -> None:
        """Without `begin` it begins with the first kept record; `begins_again` where that is no longer kept."""
        self._log, self._stream, self._take, self._out = log, stream, take, out
        self._begin, self._begins_again = begin or self._first_kept, begins_again
        self._batch, self._retry_s, self._away = batch, retry_s, away
        self.positions: dict[int, int] = {}
        """The next offset of each partition: what lies before it was taken, or was not wanted."""
        self._goal: dict[int, int] | None = None
        """The end of the log as it was at first."""
        self._moved = asyncio.Condition()

    async def run(self) -> None:
        """For ever. Raises PositionGone where what comes next is not kept, and it may not begin again."""
        outage = Outage(self._out, "log", stream=self._stream)
        while True:
            try:
                await self._read_on(outage)
            except LogUnavailable as away:
                outage.told(away)
                self._away(self._stream, away)
                await asyncio.sleep(self._retry_s)
            except PositionGone as gone:
                if not self._begins_again:
                    raise
                self._out.warning("begins again", stream=self._stream, reason=str(gone))
                await asyncio.sleep(self._retry_s)

    async def caught_up(self) -> None:
        """Returns once everything has been taken that was there when reading began."""
        async with self._moved:
            await self._moved.wait_for(lambda: self._goal is not None and self._is_beyond(self._goal))

    async def at_rest(self) -> bool:
        """Whether all that is on the log has been taken. Raises LogUnavailable."""
        return self.positions == await self._log.end_positions(self._stream)

    def _is_beyond(self, ends: Mapping[int, int]) -> bool:
        return all(self.positions.get(partition, 0) >= end for partition, end in ends.items())

    async def _first_kept(self) -> Mapping[int, int]:
        return await self._log.start_positions(self._stream)

    async def _read_on(self, outage: Outage) -> None:
        if self._goal is None:
            begins, goal = await self._begin(), await self._log.end_positions(self._stream)
            self.positions, self._goal = dict(begins), goal
        elif self._begins_again:
            await self._pass_over_what_is_gone()
        reader = await self._log.reader(self._stream, self.positions)
        try:
            await self._move(self.positions)
            while True:
                records = await reader.read(self._batch)
                outage.over()
                await self._take(records)
                await self._move(reader.positions)
        finally:
            await reader.aclose()

    async def _pass_over_what_is_gone(self) -> None:
        starts, ends = await self._log.start_positions(self._stream), await self._log.end_positions(self._stream)
        for partition, start in starts.items():
            position = self.positions.get(partition, 0)
            if position < start:
                gone = start - position
                self._out.warning("records are gone unread", stream=self._stream, partition=partition, records=gone)
            if not start <= position <= ends[partition]:  # beyond the end: the log was cut off, or is another one
                self.positions[partition] = start

    async def _move(self, positions: Mapping[int, int]) -> None:
        async with self._moved:
            self.positions = dict(positions)
            self._moved.notify_all()


async def read_between(
    log: Log, stream: str, starts: Mapping[int, int], ends: Mapping[int, int], take: Callable[[LogRecord], None]
) -> dict[int, int]:
    """Takes every record of [start, end) of each partition, and maybe some that came since; where it stands then.

    Raises LogUnavailable, and PositionGone where retention went by meanwhile.
    """
    wanted = {partition: start for partition, start in starts.items() if start < ends[partition]}
    if not wanted:
        return dict(starts)
    reader = await log.reader(stream, wanted)
    try:
        while any(reader.positions[partition] < ends[partition] for partition in wanted):
            for record in await reader.read():
                take(record)
        return {**starts, **reader.positions}
    finally:
        await reader.aclose()
