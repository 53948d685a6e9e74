"""Reads the readings stream, for the door to answer from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gridsignal_schemas.messages import GridClock, MeterReading
from gridsignal_schemas.rules.readings import reading_faults
from gridsignal_services.bus import Log, LogRecord
from gridsignal_services.bus.codec import Codec
from gridsignal_services.clock import grid_time
from gridsignal_services.dispatch.meters import Meters
from gridsignal_services.following import Following
from gridsignal_services.registry import Registry
from gridsignal_services.telemetry import logger

STREAM = "readings"


class ReadingsReader:
    """What the meters said, read from the first kept record on.

    A site's readings are those of whoever had it when they came: its next owner changes nothing of them. Poison and
    strangers' readings are passed over, and so is what was no measurement when it was logged.
    """

    def __init__(
        self, log: Log, codec: Codec, registry: Registry, grid: Callable[[], GridClock | None], directory: Path
    ) -> None:
        """`grid` is the simulation's clock, once the ledger knows it; older readings lie in `directory`."""
        self.meters = Meters(directory)
        self._grid = grid
        self._registry = registry
        self.following = Following(
            log, codec, STREAM, self._take_all, logger("dispatch"), by="meters", begins_again=True
        )
        """How far it has read."""

    def entitle(self, registry: Registry) -> None:
        """Takes a changed registry: what comes from now on is held against it."""
        self._registry = registry

    async def _take_all(self, records: list[LogRecord]) -> None:
        for record in records:
            reading = await self.following.read(record)
            if isinstance(reading, MeterReading):
                self._take(record, reading)
        await self.meters.write()

    def _take(self, record: LogRecord, reading: MeterReading) -> None:
        site = self._registry.sites.get(reading.site)
        is_known = reading.participant in self._registry.participants  # who had the site before has said it, too
        if site is None or site.zone != reading.zone or not is_known:
            return
        if faults := reading_faults(reading, grid_time(self._grid(), record.appended_us), site.capacity_w):
            self.meters.pass_over(reading, faults[0])
        else:
            self.meters.add(reading)
