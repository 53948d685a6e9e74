"""Several ingest doors on one log: each judges by what all of them have published."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from gridsignal.testing import ManualClock
from gridsignal_schemas.catalog import partition_of
from gridsignal_schemas.messages import SpotPrice
from gridsignal_services.bus import Log, LogRecord, Reader
from gridsignal_services.bus.around import AroundLog
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.cache.memory import MemoryCache
from gridsignal_services.ingest.feeding import Ingest
from gridsignal_services.ingest.publishing import Origin, Publishing
from tests.builders import a_spot_price, utc
from tests.integration.failing_logs import Away, Silent, Stuck
from tests.patience import SOON_S

FEED = Origin("replay", "price", "DE-LU")
Two = tuple[Publishing, Publishing]


@asynccontextmanager
async def run(publishing: Publishing) -> AsyncIterator[Publishing]:
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(publishing.run())
        yield publishing
        running.cancel()


@pytest.fixture
async def embedded(tmp_path: Path) -> AsyncIterator[SqliteLog]:
    log = await SqliteLog.open(tmp_path)
    yield log
    await log.aclose()


@pytest.fixture
async def doors(embedded: SqliteLog) -> AsyncIterator[Two]:
    codec, clock = Codec.from_lock(), ManualClock(utc("12:00"))
    async with run(Publishing(embedded, codec, clock)) as one, run(Publishing(embedded, codec, clock)) as other:
        yield one, other


async def test_what_one_has_published_another_does_not_repeat(doors: Two) -> None:
    one, other = doors
    assert len((await one.take([a_spot_price()], FEED)).published) == 1
    batch = await other.take([a_spot_price()], FEED)
    assert (batch.published, batch.known) == ([], 1)


async def test_a_correction_is_the_next_revision_whoever_gets_it(doors: Two) -> None:
    one, other = doors
    await one.take([a_spot_price()], FEED)
    changed = a_spot_price(status="CORRECTED", prices_per_mwh=[Decimal(7)] * 24)
    ((_, second),) = (await other.take([changed], FEED)).published
    assert isinstance(second, SpotPrice)
    assert second.revision == 2
    assert (await one.take([changed], FEED)).published == []


async def test_a_partition_that_is_stuck_keeps_no_other_zone_from_being_published(embedded: SqliteLog) -> None:
    log = Stuck(embedded)
    await log.append("prices", "FR", b"", {})
    async with run(Publishing(log, Codec.from_lock(), ManualClock(utc("12:00")))) as publishing:
        assert len((await publishing.take([a_spot_price()], FEED)).published) == 1


async def test_a_door_that_starts_while_the_log_is_away_waits_for_it(embedded: SqliteLog) -> None:
    log = Away(embedded)
    log.times = 1
    ingest = Ingest(log, Codec.from_lock(), ManualClock(utc("12:00")))
    async with asyncio.timeout(SOON_S), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(ingest.run())
        await ingest.recalled()
        assert (log.times, ingest.health.ready) == (0, True)
        running.cancel()


class OneByOne(AroundLog):
    """A log that hands out one price each time it may."""

    def __init__(self, log: Log) -> None:
        super().__init__(log)
        self.may = asyncio.Semaphore(0)

    async def reader(self, stream: str, positions: Mapping[int, int]) -> Reader:
        reader = await super().reader(stream, positions)
        return Hesitant(reader, self.may) if stream == "prices" else reader


class Hesitant(Silent):
    """Reads one record each time it may."""

    def __init__(self, within: Reader, may: asyncio.Semaphore) -> None:
        super().__init__(within, {})
        self._may = may

    async def read(self, limit: int = 1000) -> list[LogRecord]:
        await self._may.acquire()
        return await super().read(1)


class Between(MemoryCache):
    """A cache that takes its time: meanwhile, what was published before the last comes back from the log."""

    def __init__(self, log: OneByOne) -> None:
        super().__init__()
        self._log, self.came_back, self._noted = log, asyncio.Event(), 0

    async def note(self, name: str, text: str, keep_s: float) -> None:
        self._noted += 1
        if self._noted > 1:
            self.came_back.clear()
            self._log.may.release()
            await self.came_back.wait()


async def test_what_comes_back_from_the_log_takes_no_place_of_what_was_published_after_it(embedded: SqliteLog) -> None:
    log = OneByOne(embedded)
    cache = Between(log)
    changing = [a_spot_price(status="CORRECTED", prices_per_mwh=[Decimal(n)] * 24) for n in range(4)]
    async with run(Publishing(log, Codec.from_lock(), ManualClock(utc("12:00")), cache=cache)) as publishing:

        async def look() -> None:
            prices = publishing.followed["prices"]
            for count in range(1, len(changing)):
                await prices.reach({partition_of("DE-LU", 6): count}, SOON_S)
                cache.came_back.set()

        async with asyncio.timeout(SOON_S), asyncio.TaskGroup() as tasks:
            tasks.create_task(look())
            published = (await publishing.take(changing, FEED)).published
    assert [record.revision for _, record in published if isinstance(record, SpotPrice)] == [1, 2, 3, 4]


async def test_the_newest_of_a_series_is_noted_for_readers_of_the_cache(embedded: SqliteLog) -> None:
    cache = MemoryCache()
    price = a_spot_price()
    async with run(Publishing(embedded, Codec.from_lock(), ManualClock(utc("12:00")), cache=cache)) as publishing:
        await publishing.take([price], FEED)
        await publishing.take([a_spot_price(status="CORRECTED", prices_per_mwh=[Decimal(7)] * 24)], FEED)
    text = await cache.recall(f"SpotPrice|{price.series_id}")
    assert text is not None
    noted = SpotPrice.model_validate_json(text)
    assert (noted.revision, noted.prices_per_mwh[0]) == (2, Decimal(7))
