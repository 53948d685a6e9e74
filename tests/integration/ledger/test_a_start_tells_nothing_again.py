"""What the meters said before a start was told then: the start neither counts it again nor writes it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry

from gridsignal_services.bus.publish import publish
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.clock import micros
from gridsignal_services.event_log import EventLog
from gridsignal_services.metering.readings import ReadingsReader
from gridsignal_services.owning.telling import Telling
from gridsignal_services.registry import example_registry
from gridsignal_services.replica import Replica
from tests.builders import PARTICIPANT, a_meter_reading, utc
from tests.integration.ledger.owner_stage import ALL
from tests.patience import SOON_S
from tests.unit.ledger.zone import CODEC


async def test_of_the_readings_on_the_log_those_are_told_that_come_after_the_start(tmp_path: Path) -> None:
    log = await SqliteLog.open(tmp_path, append_time_us=lambda: micros(utc("20:00")))
    replica, counted = Replica(log, CODEC, source="/tests"), CollectorRegistry()
    reader = ReadingsReader(log, CODEC, example_registry(), lambda: None, tmp_path)
    Telling(replica, reader, lambda: ALL, EventLog("dispatch", counted), counted)

    async def say(minute: int) -> None:
        starts_at = utc("08:00") + timedelta(minutes=minute)
        said = a_meter_reading(starts_at=starts_at, ends_at=starts_at + timedelta(minutes=1), seq=minute)
        await publish(log, CODEC, said, principal=f"participant:{PARTICIPANT}", source="/tests")

    def told() -> float | None:
        return counted.get_sample_value("gridsignal_dispatch_events_total", {"event": "metered"})

    for minute in range(5):
        await say(minute)
    following = asyncio.create_task(reader.following.run())
    try:
        async with asyncio.timeout(SOON_S):
            await reader.following.caught_up()
            assert told() == 0
            await say(5)
            await reader.following.reach_end(ALL, SOON_S)
            assert told() == 1
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        reader.meters.close()
        await log.aclose()
