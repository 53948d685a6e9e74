"""`grid.regulate`: the newest setpoint to the program, the base once the signal is lost, the end with the order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import gridsignal
from gridsignal import MW, DispatchOrder, RampToBase, RegulationSetpoint
from gridsignal.testing import FakeGrid, ManualClock
from tests.builders import a_setpoint, an_order
from tests.integration.client_stage import HASTY
from tests.patience import SOON_S

ORDER = an_order()
SECOND = timedelta(seconds=1)


def cycle(number: int, **changes: object) -> RegulationSetpoint:
    target_at = ORDER.starts_at + 2 * number * SECOND
    return a_setpoint(cycle_no=number, target_at=target_at, **{"valid_until": target_at + 6 * SECOND} | changes)


@asynccontextmanager
async def regulated(fake: FakeGrid, clock: ManualClock) -> AsyncIterator[gridsignal.Grid]:
    options = {"token": fake.token, "site": "fra-1", "outbox": ":memory:", "limits": HASTY, "clock": clock}
    async with asyncio.timeout(SOON_S), gridsignal.connect(fake.url, **options) as grid:
        yield grid


async def test_a_site_follows_the_newest_goes_to_base_comes_back_and_ends_with_its_order() -> None:
    clock = ManualClock(ORDER.starts_at)
    async with FakeGrid(now=clock.now) as fake, regulated(fake, clock) as grid:
        for setpoint in (cycle(0), cycle(1), cycle(1), cycle(0), cycle(5, order_id="another")):
            fake.publish(setpoint)
        signal = grid.regulate(ORDER)
        told = [await anext(signal)]

        coming = asyncio.ensure_future(anext(signal))
        clock.move_to(cycle(4).target_at)  # three cycles after the second
        told.append(await coming)
        fake.publish(cycle(4))
        told.append(await anext(signal))

        assert ORDER.ends_at is not None
        clock.move_to(ORDER.ends_at)
        assert [each async for each in signal] == []
    assert [type(each) for each in told] == [RegulationSetpoint, RampToBase, RegulationSetpoint]
    assert [each.power_w(12 * MW) for each in told] == [37 * MW, 40 * MW, 37 * MW]
    assert told[0] == cycle(1)
    assert isinstance(told[1], RampToBase)
    assert told[1].last == cycle(1)


async def test_a_program_without_async_is_told_the_same() -> None:
    clock = ManualClock(ORDER.starts_at)
    async with FakeGrid(now=clock.now) as fake:
        fake.publish(cycle(0))

        def program(order: DispatchOrder) -> list[int]:
            options = {"token": fake.token, "site": "fra-1", "outbox": ":memory:", "limits": HASTY, "clock": clock}
            with gridsignal.sync.connect(fake.url, **options) as grid, grid.regulate(order, timeout=SOON_S) as signal:
                return [next(signal).power_w(12 * MW)]

        assert await asyncio.to_thread(program, ORDER) == [37 * MW]
