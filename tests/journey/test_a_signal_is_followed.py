"""A recorded signal of two seconds reaches a site that follows it, and what it did is scored; on both logs."""

from __future__ import annotations

import asyncio
import math
from datetime import datetime, timedelta

import httpx2

import gridsignal
from gridsignal import DispatchOrder, DispatchRequest, RampToBase, RegulationSetpoint
from gridsignal_protocol.client.regulation import Followed
from gridsignal_schemas.values import rfc3339
from gridsignal_services.clock import SteppedClock
from gridsignal_services.regulation.scoring import METHODS, Sample
from gridsignal_services.regulation.signal_file import signal_of
from tests.builders import utc
from tests.journey.conftest import TEN_MW, World, hear
from tests.patience import LONG_S

BASE_W = 36_000_000
CYCLES = 5 * 30
"""Five minutes: an interval that is scored."""


def recorded() -> list[str]:
    """A signal that goes up and down as RegD does, in the form of PJM's files."""
    levels = [0.6 * math.sin(at / 19) + 0.4 * math.sin(at / 5 + 1) for at in range(CYCLES)]
    return [",RegD", *(f"0:{at // 30:02}:{2 * at % 60:02},{level:.5f}" for at, level in enumerate(levels))]


class Resource:
    """A site whose load comes a share of the way to its setpoint in each cycle."""

    def __init__(self, share: float) -> None:
        self._share, self._power_w = share, float(BASE_W)
        self.rows: list[tuple[float, float]] = []
        """What was asked for and what was done in each cycle, in MW."""

    def follow(self, followed: Followed) -> None:
        wanted_w = followed.power_w(TEN_MW)
        self._power_w += self._share * (wanted_w - self._power_w)
        self.rows.append(((BASE_W - wanted_w) / 1e6, (BASE_W - self._power_w) / 1e6))

    def samples(self) -> list[Sample]:
        """Means of ten seconds, as they are scored."""
        tens = [self.rows[at : at + 5] for at in range(0, len(self.rows), 5)]
        return [Sample(*(sum(column) / 5 for column in zip(*ten, strict=True))) for ten in tens]


async def accepted(world: World, grid: gridsignal.Grid) -> DispatchOrder:
    """An order of ten megawatts that the site has accepted and whose period has begun."""
    stream = grid.subscribe("dispatch")
    await world.ask()
    await grid.offer(await hear(stream, DispatchRequest), TEN_MW, "80")
    await world.reach(utc("17:00"))
    order = await hear(stream, DispatchOrder)
    await grid.accept(order)
    await world.reach(order.starts_at)
    return order


async def until(clock: SteppedClock, when: datetime) -> None:
    """Steps the clock; nothing else has to be over before the next setpoint."""
    waiting = asyncio.ensure_future(clock.sleep_until(when))
    await asyncio.sleep(0)
    while clock.now() < when:
        clock.step()
        await asyncio.sleep(0)
    await waiting


async def test_a_recorded_signal_is_followed_scored_and_its_loss_leads_to_base(world: World) -> None:
    signal = signal_of(recorded())
    follower, laggard = Resource(1.0), Resource(0.2)
    async with asyncio.timeout(LONG_S), world.site("acme-ai", "fra-1") as grid, world.desk() as desk:
        order = await accepted(world, grid)
        told = grid.regulate(order)
        async with world.site("volt-colo", "muc-1") as rival:
            rivals = rival.subscribe("regulation")
            for number, level_ppm in enumerate(signal.levels_ppm):
                await until(world.clock, order.starts_at + number * timedelta(seconds=signal.cycle_s))
                await send(desk, world, order, number, level_ppm)
                followed = await anext(told)
                assert isinstance(followed, RegulationSetpoint)
                assert (followed.cycle_no, followed.level_ppm) == (number, level_ppm)
                for resource in (follower, laggard):
                    resource.follow(followed)
            lost = asyncio.ensure_future(anext(told))
            await world.reach(followed.valid_until)
            assert await lost == RampToBase(order.order_id, BASE_W, followed)
            assert rivals.waiting() is None

    exact, late = (METHODS["pjm-2025"](each.samples()) for each in (follower, laggard))
    assert exact.composite > 0.999
    assert 0 < late.composite < 0.9


async def send(desk: httpx2.AsyncClient, world: World, order: DispatchOrder, number: int, level_ppm: int) -> None:
    target_at = rfc3339(world.clock.now())
    setpoint = {"cycle_no": number, "level_ppm": level_ppm, "base_w": BASE_W, "target_at": target_at}
    path = f"/v1/regulation/{order.order_id}/setpoints"
    answer = await desk.post(path, json={"cycle_s": 2, "setpoints": [setpoint]})
    assert answer.status_code == 200, answer.text
