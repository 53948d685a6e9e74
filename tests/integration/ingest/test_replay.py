"""The replay on a real log: deterministic under a stepped clock, and a restart repeats nothing."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

from gridsignal_schemas.messages import CarbonIntensity, Record, SpotPrice
from gridsignal_services.bus import Log
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.clock import SteppedClock, micros
from gridsignal_services.ingest.feeding import Ingest
from gridsignal_services.ingest.replay import shipped
from tests.builders import utc
from tests.patience import SOON_S

START = utc("2024-05-11T10:00")


async def played(directory: Path, until: datetime, day: str = "2024-05-12") -> list[bytes]:
    """Plays a day to a log in this directory, stepping while everybody waits, and returns all values on it."""
    clock = SteppedClock(START)
    log = await SqliteLog.open(directory, append_time_us=lambda: micros(clock.now()))
    try:
        ingest = Ingest(log, Codec.from_lock(), clock, playback=[p for p in shipped(day) if p.at <= until])
        running = asyncio.create_task(ingest.run())
        await ingest.recalled()
        while ingest.playing is None or not ingest.playing.done():
            await asyncio.sleep(0)  # lets the replay reach its next wait
            if clock.next_due is not None and clock.next_due <= until:
                clock.step()
        running.cancel()
        await asyncio.wait([running])
        return [value for stream in ("prices", "carbon") for value in await values_on(log, stream)]
    finally:
        await log.aclose()


async def values_on(log: Log, stream: str) -> list[bytes]:
    starts, ends = await log.start_positions(stream), await log.end_positions(stream)
    wanted = sum(ends[p] - starts[p] for p in starts)
    found: list[tuple[int, int, bytes]] = []
    if not wanted:
        return []
    reader = await log.reader(stream, starts)
    try:
        while len(found) < wanted:
            found += [(r.partition, r.offset, r.value) for r in await reader.read()]
    finally:
        await reader.aclose()
    return [value for _, _, value in sorted(found)]


def records(values: list[bytes]) -> list[Record]:
    return [Codec.from_lock().decode(value) for value in values]


async def test_a_day_is_published_with_the_clock_s_times(tmp_path: Path) -> None:
    async with asyncio.timeout(SOON_S):
        told = records(await played(tmp_path, utc("2024-05-12T22:00")))
    prices = [record for record in told if isinstance(record, SpotPrice)]
    carbon = [record for record in told if isinstance(record, CarbonIntensity)]
    assert {(p.zone, p.observed_at) for p in prices} == {(zone, utc("2024-05-11T10:57")) for zone in ("DE-LU", "FR")}
    assert len(carbon) == 24
    assert all(c.observed_at == c.ends_at for c in carbon)


async def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    async with asyncio.timeout(SOON_S):
        assert await played(tmp_path / "one", utc("23:00")) == await played(tmp_path / "two", utc("23:00"))


async def test_a_restarted_ingest_repeats_nothing(tmp_path: Path) -> None:
    async with asyncio.timeout(SOON_S):
        half = await played(tmp_path, utc("10:00"))
        whole = await played(tmp_path, utc("2024-05-12T22:00"))
        again = await played(tmp_path, utc("2024-05-12T22:00"))
    assert 0 < len(half) < len(whole) == 26
    assert again == whole
