"""What many wait for at once, and much at once, keeps nobody waiting longer than it must."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gridsignal_schemas.catalog import TOPICS, partition_of
from gridsignal_services.bus import LogRecord
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.replica import _BREATH_S, Replica
from tests.builders import a_dispatch_request

PARTITION = partition_of(a_dispatch_request().zone, TOPICS["dispatch"].partitions)


@pytest.fixture
async def replica(tmp_path: Path) -> AsyncIterator[Replica]:
    log = await SqliteLog.open(tmp_path)
    yield Replica(log, Codec.from_lock(), source="/tests")
    await log.aclose()


def logged(count: int) -> list[LogRecord]:
    codec = Codec.from_lock()
    return [
        LogRecord("dispatch", PARTITION, offset, "DE-LU", codec.encode(a_dispatch_request(request_id=f"r-{offset}")), 0)
        for offset in range(count)
    ]


@pytest.mark.parametrize("seed", range(5))
async def test_each_who_waits_is_woken_by_the_record_it_waits_for(replica: Replica, seed: int) -> None:
    chosen = random.Random(seed)
    offsets = [chosen.randrange(12) for _ in range(40)]  # in no order, some by several
    waiting = [(offset, asyncio.create_task(replica.passed(PARTITION, offset))) for offset in offsets]
    for record in logged(12):
        await asyncio.sleep(0)
        await replica._reduce_all([record])
        await asyncio.sleep(0)
        woken = [offset for offset, waiter in waiting if waiter.done()]
        assert sorted(woken) == sorted(offset for offset in offsets if offset <= record.offset)


async def test_reducing_much_leaves_the_loop_to_others(replica: Replica) -> None:
    def keep_the_loop(*_: object) -> None:
        until_s = time.perf_counter() + 1.5 * _BREATH_S
        while time.perf_counter() < until_s:
            pass

    replica.listen(keep_the_loop)
    reducing = asyncio.create_task(replica._reduce_all(logged(10)))
    seen = set()
    while not reducing.done():
        await asyncio.sleep(0)
        seen.add(replica.positions[PARTITION])
    assert seen >= set(range(1, 11))
