"""A long record keeps nobody: it is read beside the loop, and what follows it stays behind it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

from gridsignal.testing import ManualClock
from gridsignal_schemas.messages import Record
from gridsignal_services.bus.codec import Codec, Poison
from gridsignal_services.bus.publish import publish
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.gateway.history import StreamEntry
from gridsignal_services.gateway.lastvalues import utc_day_start
from gridsignal_services.gateway.settings import GatewaySettings
from gridsignal_services.gateway.sources import Sources
from gridsignal_services.replica import Replica
from tests.builders import a_spot_price, utc
from tests.patience import SOON_S

LONG = [Decimal("50.0001")] * 3000


class Held(Codec):
    """Reads no long record before it is let: on the loop, nobody would let it."""

    def __init__(self, ids: Mapping[str, int]) -> None:
        super().__init__(ids)
        self.reads, self.go = threading.Event(), threading.Event()

    def decode(self, value: bytes) -> Record:
        if len(value) > 10_000:
            self.reads.set()
            if not self.go.wait(SOON_S):
                raise Poison("expected to be let, and nobody could")
        return super().decode(value)


@asynccontextmanager
async def gateway_sources(directory: Path) -> AsyncIterator[tuple[SqliteLog, Held, Sources]]:
    log, codec = await SqliteLog.open(directory / "log"), Held.from_lock()
    settings, clock = GatewaySettings(data_directory=directory / "gateway", port=0), ManualClock(utc("12:00"))
    replica = Replica(log, codec, source="tests")
    try:
        yield log, codec, Sources(log, codec, replica, clock, utc_day_start, settings)
    finally:
        codec.go.set()
        await log.aclose()


async def test_what_arrives_keeps_its_order_and_holds_no_loop(tmp_path: Path) -> None:
    async with gateway_sources(tmp_path) as (log, codec, sources):
        seen: list[StreamEntry] = []
        sources.deliver_to(lambda _, entry: seen.append(entry))
        following = asyncio.create_task(sources.followed["prices"].run())
        await sources.followed["prices"].caught_up()
        for values in ([Decimal(1)], LONG, [Decimal(2)]):
            record = a_spot_price(prices_per_mwh=values, resolution_s=300)
            await publish(log, codec, record, principal="service:tests", source="tests")
        async with asyncio.timeout(SOON_S):
            await asyncio.to_thread(codec.reads.wait)
            assert [entry.offset for entry in seen] == [0]
            codec.go.set()
            await sources.until(lambda: len(seen) == 3)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    assert [(entry.offset, entry.is_deliverable) for entry in seen] == [(0, True), (1, True), (2, True)]


async def test_what_is_read_again_holds_no_loop(tmp_path: Path) -> None:
    async with gateway_sources(tmp_path) as (log, codec, sources):
        record = a_spot_price(prices_per_mwh=LONG, resolution_s=300)
        appended = await publish(log, codec, record, principal="service:tests", source="tests")
        reader = await log.reader("prices", {appended.partition: appended.offset})
        (logged,) = await reader.read(1)
        await reader.aclose()
        reading = asyncio.create_task(sources.entry(logged))
        await asyncio.to_thread(codec.reads.wait, SOON_S)
        codec.go.set()
        assert (await reading).is_deliverable
