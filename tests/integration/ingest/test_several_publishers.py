"""Several ingest doors on one log: each judges by what all of them have published."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from gridsignal.testing import ManualClock
from gridsignal_schemas.messages import SpotPrice
from gridsignal_services.bus import Appended, Log, LogRecord, Reader
from gridsignal_services.bus.around import AroundLog
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.ingest.feeding import Ingest
from gridsignal_services.ingest.intake import IntakeBatch
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


class OneBehind(AroundLog):
    """A log that takes no price before all of `publishers` know what it has, and whose reader is one behind."""

    def __init__(self, log: Log) -> None:
        super().__init__(log)
        self.publishers, self._all_asked = set[asyncio.Task[IntakeBatch] | None](), asyncio.Event()
        self._in_hand, self._may_go_on = asyncio.Semaphore(0), asyncio.Semaphore(0)
        self._appended = 0

    async def end_positions(self, stream: str) -> dict[int, int]:
        ends = await super().end_positions(stream)
        asking = asyncio.current_task()
        if stream == "alerts" and asking in self.publishers:  # the last one that they ask about
            self.publishers.remove(asking)
            if not self.publishers:
                self._all_asked.set()
        return ends

    async def append(
        self, stream: str, key: str, value: bytes, headers: Mapping[str, str], *, partition: int | None = None
    ) -> Appended:
        await self._all_asked.wait()
        if self._appended:
            await self._in_hand.acquire()
        appended = await super().append(stream, key, value, headers, partition=partition)
        if self._appended:
            self._may_go_on.release()
        self._appended += 1
        return appended

    async def reader(self, stream: str, positions: Mapping[int, int]) -> Reader:
        reader = await super().reader(stream, positions)
        return Hesitant(reader, self._in_hand, self._may_go_on) if stream == "prices" else reader


class Hesitant(Silent):
    """Has one record in hand, and gives it when it may."""

    def __init__(self, within: Reader, in_hand: asyncio.Semaphore, may_go_on: asyncio.Semaphore) -> None:
        super().__init__(within, {})
        self._in_hand, self._may_go_on = in_hand, may_go_on

    async def read(self, limit: int = 1000) -> list[LogRecord]:
        records = await super().read(1)
        if records:
            self._in_hand.release()
            await self._may_go_on.acquire()
        return records


async def test_what_comes_back_from_the_log_takes_no_place_of_what_was_published_after_it(embedded: SqliteLog) -> None:
    changing = [a_spot_price(status="CORRECTED", prices_per_mwh=[Decimal(n)] * 24) for n in range(4)]
    log = OneBehind(embedded)
    codec, clock = Codec.from_lock(), ManualClock(utc("12:00"))
    async with asyncio.timeout(SOON_S), run(Publishing(log, codec, clock)) as publishing:
        publishers = [asyncio.create_task(publishing.take([each], FEED)) for each in changing]
        log.publishers.update(publishers)
        batches = await asyncio.gather(*publishers)
    published = [record for batch in batches for _, record in batch.published]
    assert [record.revision for record in published if isinstance(record, SpotPrice)] == [1, 2, 3, 4]
