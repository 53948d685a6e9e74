"""Reads the readings stream into memory, for the door to answer from."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gridsignal_schemas.messages import GridClock, MeterReading
from gridsignal_schemas.rules.readings import reading_faults
from gridsignal_services.bus import Log, LogRecord, LogUnavailable, PositionGone
from gridsignal_services.bus.codec import Codec, Poison
from gridsignal_services.clock import grid_time
from gridsignal_services.dispatch.meters import Meters
from gridsignal_services.registry import Registry
from gridsignal_services.telemetry import logger

STREAM = "readings"
_PAUSE_S = 1.0


class Readings:
    """What the meters said, read from the first kept record on.

    Poison and strangers' readings are passed over, and so is what was no measurement when it was logged.
    """

    def __init__(self, log: Log, codec: Codec, registry: Registry, grid: Callable[[], GridClock | None]) -> None:
        """`grid` is the simulation's clock, once the ledger knows it."""
        self.meters = Meters()
        self._grid = grid
        self._log, self._codec, self._registry = log, codec, registry
        self._positions: dict[int, int] = {}
        self._ends: dict[int, int] | None = None
        self._moved = asyncio.Condition()
        self._out = logger("dispatch")

    def entitle(self, registry: Registry) -> None:
        """Takes a changed registry: a site's readings are those of whoever runs it now."""
        self._registry = registry

    async def run(self) -> None:
        """For ever; the log being away is waited for."""
        while True:
            try:
                await self._read_on()
            except LogUnavailable:
                await asyncio.sleep(_PAUSE_S)  # the reader is made anew
            except PositionGone:
                self._positions = {}

    async def caught_up(self) -> None:
        """Returns once everything has been read that was there when reading began."""
        async with self._moved:
            await self._moved.wait_for(lambda: self._ends is not None and self._beyond(self._ends))

    async def at_rest(self) -> bool:
        """Whether all that is on the log has been read."""
        return self._positions == await self._log.end_positions(STREAM)

    async def passed(self, partition: int, offset: int) -> None:
        """Returns once the record at this offset has been read."""
        async with self._moved:
            await self._moved.wait_for(lambda: self._positions.get(partition, 0) > offset)

    def _beyond(self, ends: dict[int, int]) -> bool:
        return all(self._positions.get(partition, 0) >= end for partition, end in ends.items())

    async def _read_on(self) -> None:
        starts = await self._log.start_positions(STREAM)
        ends = await self._log.end_positions(STREAM)
        positions = {p: max(start, self._positions.get(p, 0)) for p, start in starts.items()}
        reader = await self._log.reader(STREAM, positions)
        try:
            await self._move(positions, ends)
            while True:
                records = await reader.read()
                for record in records:
                    self._take(record)
                await self._move(dict(reader.positions), ends)
        finally:
            await reader.aclose()

    async def _move(self, positions: dict[int, int], ends: dict[int, int]) -> None:
        async with self._moved:
            self._positions = positions
            self._ends = self._ends or ends
            self._moved.notify_all()

    def _take(self, record: LogRecord) -> None:
        try:
            reading = self._codec.decode(record.value)
        except Poison as poison:
            where = {"partition": record.partition, "offset": record.offset}
            self._out.warning("a reading can't be decoded", reason=str(poison), **where)
            return
        if not isinstance(reading, MeterReading):
            return
        site = self._registry.sites.get(reading.site)
        if site is None or (site.participant, site.zone) != (reading.participant, reading.zone):
            return
        if faults := reading_faults(reading, grid_time(self._grid(), record.appended_us), site.capacity_w):
            self.meters.pass_over(reading, faults[0])
        else:
            self.meters.add(reading)
