"""A site whose meters never fall silent holds up nobody who asks what they said."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import count
from pathlib import Path

from gridsignal_schemas.values import MW
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.publish import publish
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.clock import micros
from gridsignal_services.metering.readings import ReadingsReader
from gridsignal_services.registry import example_registry
from tests.builders import PARTICIPANT, a_meter_reading, utc
from tests.patience import SOON_S

_BEFORE, _SENDERS = 6000, 8
"""Enough that reading what is on disk takes longer than the next reading."""
_BEGAN = utc("08:00")
_SECOND = timedelta(seconds=1)


async def test_what_a_site_said_is_told_while_it_goes_on_and_is_all_before_one_position(tmp_path: Path) -> None:
    codec = Codec.from_lock()
    log = await SqliteLog.open(tmp_path, append_time_us=lambda: micros(utc("20:00")))
    reader = ReadingsReader(log, codec, example_registry(), lambda: None, tmp_path)

    async def say(number: int) -> None:
        starts_at = _BEGAN + number * _SECOND
        said = a_meter_reading(starts_at=starts_at, ends_at=starts_at + _SECOND, import_w=28 * MW, seq=number)
        await publish(log, codec, said, principal=f"participant:{PARTICIPANT}", source="/tests")

    numbers = count(_BEFORE)

    async def go_on() -> None:
        while True:
            await say(next(numbers))

    for first in range(0, _BEFORE, 1000):
        await asyncio.gather(*map(say, range(first, first + 1000)))
    following = asyncio.create_task(reader.following.run())
    flood = [asyncio.create_task(go_on()) for _ in range(_SENDERS)]
    zone, site = "DE-LU", "fra-1"
    try:
        async with asyncio.timeout(SOON_S):
            for _ in range(3):
                said = await reader.said(zone, site, PARTICIPANT, _BEGAN, utc("20:00"))
                assert [held.offset for held in said.held] == list(range(said.position))
    finally:
        for task in (*flood, following):
            task.cancel()
        await asyncio.gather(*flood, following, return_exceptions=True)
        reader.meters.close()
        await log.aclose()

    assert said.position > _BEFORE
