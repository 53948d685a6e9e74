"""Reads the readings stream, for the door to answer from."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from gridsignal_schemas.catalog import TOPICS, partition_of
from gridsignal_schemas.messages import GridClock, MeterReading
from gridsignal_schemas.rules.readings import capacity_faults, reading_faults
from gridsignal_services.bus import Log, LogRecord
from gridsignal_services.bus.codec import Codec, sha256_of
from gridsignal_services.clock import grid_time, steady_s
from gridsignal_services.following import Following
from gridsignal_services.kept_file import TooMany
from gridsignal_services.metering.meters import Meters
from gridsignal_services.metering.older_readings import Held
from gridsignal_services.registry import Registry
from gridsignal_services.telemetry import logger

STREAM = "readings"


_WITHIN_S = 20.0
"""How long the end of the log is waited for."""
Heard = Callable[[MeterReading, datetime], None]
"""Told of a reading, and when it was logged by grid time."""


class Said(NamedTuple):
    """What the meters of a site said of a period."""

    held: list[Held]
    """As it came; of one meter and interval what counts."""
    position: int
    """The next offset of their partition: all before it were read."""
    are_too_many: bool = False
    """More than are added up: none is here."""


class ReadingsReader:
    """What the meters said, read from the first kept record on.

    A site's readings are those of whoever had it when they came: its next owner changes nothing of them. Poison is
    passed over, and so is what was no measurement when it was logged. Whose word counts, and what the connection
    carries, is asked of the log by who measures an order: what the registry says by now changes nothing of the past.
    """

    def __init__(
        self,
        log: Log,
        codec: Codec,
        registry: Registry,
        grid: Callable[[], GridClock | None],
        directory: Path,
        now_s: Callable[[], float] = steady_s,
    ) -> None:
        """`grid` is the simulation's clock, once the ledger knows it; older readings lie in `directory`."""
        self.meters = Meters(directory)
        self._grid = grid
        self._registry = registry
        self.following = Following(
            log, codec, STREAM, self._take_all, logger("dispatch"), by="meters", begins_again=True, now_s=now_s
        )
        """How far it has read."""
        self._read: dict[int, int] = {}
        """The same, record by record."""
        self._newest: dict[str, int] = {}
        """Where the newest reading of each site lies."""
        self._listeners: list[Heard] = []
        self._still = asyncio.Lock()
        """Held in turn by who takes readings and by who asks for all before a position: else a part of an answer would
        be of before, a part of after, and a site that never falls silent would never be told of."""

    @property
    def registry(self) -> Registry:
        """Who and what there is by now."""
        return self._registry

    def listen(self, heard: Heard) -> None:
        """Calls back for every reading that counts, from now on."""
        self._listeners.append(heard)

    def newest(self, site: str) -> int:
        """Where the newest reading of a site lies that counts; -1 where there is none."""
        return self._newest.get(site, -1)

    async def said(self, zone: str, site: str, participant: str, starts_at: datetime, ends_at: datetime) -> Said:
        """All that is on the log when it is called, and may be more. Raises LogUnavailable, Unreadable."""
        partition = partition_of(zone, TOPICS[STREAM].partitions)
        await self.following.reach_end([partition], _WITHIN_S)
        async with self._still:
            try:
                held = await self.meters.held(site, participant, starts_at, ends_at)
            except TooMany:
                held = None
            read = max(self._read.get(partition, 0), self.following.headway.positions.get(partition, 0))
            return Said(held or [], read, are_too_many=held is None)

    def entitle(self, registry: Registry) -> None:
        """Takes a changed registry: what comes from now on is held against it."""
        self._registry = registry

    async def _take_all(self, records: list[LogRecord]) -> None:
        grid = self._grid()
        async with self._still:
            for record in records:
                reading = await self.following.read(record)
                if isinstance(reading, MeterReading):
                    self._take(record, reading, grid)
                self._read[record.partition] = record.offset + 1
            await self.meters.write()

    def _take(self, record: LogRecord, reading: MeterReading, grid: GridClock | None) -> None:
        site = self._registry.sites.get(reading.site)
        if site is not None and site.zone != reading.zone:
            return
        logged_at = grid_time(grid, record.appended_us)
        if faults := reading_faults(reading, logged_at, None):
            self.meters.pass_over(reading, faults[0])
            return
        if site is not None and (above := capacity_faults(reading, site.capacity_w)):
            self.meters.pass_over(reading, above[0])  # for who looks for it: whether it counts is for the log to say
        self._newest[reading.site] = record.offset
        self.meters.add(reading, record.offset, bytes.fromhex(sha256_of(record.value)))
        for heard in self._listeners:
            heard(reading, logged_at)
