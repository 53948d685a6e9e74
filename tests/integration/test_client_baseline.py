"""What a site has declared is read back with the SDK: the same from the stack and from the gateway in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

import gridsignal
from gridsignal import MW, BaselineStretch
from gridsignal.testing import FakeGrid, FakeSite
from gridsignal_services.embedded import Stack
from gridsignal_services.gateway.settings import GatewaySettings
from tests.patience import SOON_S

QUARTER = timedelta(minutes=15)


@pytest.fixture(params=["stack", "fake"])
async def where(request: pytest.FixtureRequest, stack: Stack) -> AsyncIterator[dict[str, Any]]:
    """What `connect` takes; of the site nothing is declared yet."""
    if request.param == "stack":
        yield {"url": stack.gateway_url, "api": stack.api_url, "token": stack.token("participant", "acme-ai")}
    else:
        async with FakeGrid(sites={"fra-1": FakeSite(baseline_w=None)}) as fake:
            yield {"url": fake.url, "api": fake.api, "token": fake.token}


def shown(found: list[BaselineStretch], start: datetime) -> list[tuple[timedelta, timedelta, int]]:
    return [(each.starts_at - start, each.ends_at - start, each.power_w) for each in found]


async def test_what_was_declared_is_read_back_as_it_counts(where: dict[str, Any]) -> None:
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=1)
    async with asyncio.timeout(SOON_S), gridsignal.connect(**where, site="fra-1", outbox=":memory:") as grid:
        assert await grid.baseline(start, start + 8 * QUARTER) == []
        await grid.declare_baseline(start, [30 * MW, 30 * MW, 36 * MW, 36 * MW], method="first")
        await grid.declare_baseline(start + QUARTER, [20 * MW], method="second")
        await grid.declare_baseline(start + 5 * QUARTER, [10 * MW], method="after a gap")
        found = await grid.baseline(start - QUARTER, start + 8 * QUARTER)
        part = await grid.baseline(start + QUARTER / 3, start + QUARTER / 2)
    assert shown(found, start) == [
        (0 * QUARTER, 1 * QUARTER, 30 * MW),
        (1 * QUARTER, 2 * QUARTER, 20 * MW),
        (2 * QUARTER, 4 * QUARTER, 36 * MW),
        (5 * QUARTER, 6 * QUARTER, 10 * MW),
    ]
    assert [each.method for each in found] == ["first", "second", "first", "after a gap"]
    assert all(each.declared_at.tzinfo is not None and each.declared_at < start for each in found)
    assert shown(part, start) == [(QUARTER / 3, QUARTER / 2, 30 * MW)]


async def test_a_baseline_of_weeks_is_one_part_where_it_is_one_power(where: dict[str, Any]) -> None:
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=1)
    async with asyncio.timeout(SOON_S), gridsignal.connect(**where, site="fra-1", outbox=":memory:") as grid:
        await grid.declare_baseline(start, [30 * MW] * 30, resolution_s=86_400)
        await grid.declare_baseline(start + timedelta(days=7), [30 * MW] * 7, resolution_s=86_400, method="another")
        await grid.declare_baseline(start + timedelta(days=21), [20 * MW], resolution_s=86_400)
        found = await grid.baseline(start - timedelta(hours=3), start + timedelta(days=40))
    days = [((each.starts_at - start).days, (each.ends_at - start).days, each.power_w // MW) for each in found]
    assert days == [(0, 7, 30), (7, 14, 30), (14, 21, 30), (21, 22, 20), (22, 30, 30)]


NO_PERIODS = {
    "from=2024-05-12T18:00:00&to=2024-05-12T19:00:00": "PARAMETER",
    "from=2024-05-12&to=2024-05-13": "PARAMETER",
    "from=2024-05-12T18:00:00Z&to=2024-05-12T19:00:00": "PARAMETER",
    "from=2024-05-12T18:00:00Z": "PARAMETER",
    "from=&to=soon": "PARAMETER",
    "from=2024-05-12T18:00:00Z&to=2024-05-12T18:00:00Z": "PERIOD",
    "from=2024-05-12T18:00:00Z&to=2024-05-22T18:00:00Z": "PERIOD",
}


async def test_both_refuse_a_period_that_is_none_alike(where: dict[str, Any]) -> None:
    headers = {"Authorization": f"Bearer {where['token']}"}
    async with (
        asyncio.timeout(SOON_S),
        httpx2.AsyncClient(base_url=where["api"], headers=headers, timeout=SOON_S) as http,
    ):
        for asked, code in NO_PERIODS.items():
            for what in ("baselines", "readings"):
                refused = await http.get(f"/v1/{what}?site=fra-1&{asked}")
                assert refused.status_code == 422, asked
                assert {fault["code"] for fault in refused.json()["errors"]} == {code}, asked


async def test_it_is_read_back_without_async(where: dict[str, Any]) -> None:
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=1)

    def script() -> list[BaselineStretch]:
        with gridsignal.sync.connect(**where, site="fra-1", outbox=":memory:") as grid:
            grid.declare_baseline(start, [30 * MW])
            return grid.baseline(start, start + QUARTER)

    async with asyncio.timeout(SOON_S):
        assert shown(await asyncio.to_thread(script), start) == [(0 * QUARTER, QUARTER, 30 * MW)]


async def test_what_can_not_be_read_back_is_said(where: dict[str, Any]) -> None:
    start, away = datetime.now(UTC), where | {"api": None}
    async with asyncio.timeout(SOON_S), gridsignal.connect(**where, site="fra-1", outbox=":memory:") as grid:
        with pytest.raises(gridsignal.UsageError, match="start before the end"):
            await grid.baseline(start, start)
    async with asyncio.timeout(SOON_S), gridsignal.connect(**where) as grid:
        with pytest.raises(gridsignal.UsageError, match=r"connect\(site="):
            await grid.baseline(start, start + QUARTER)
    async with asyncio.timeout(SOON_S), gridsignal.connect(**away, site="fra-1", outbox=":memory:") as grid:
        with pytest.raises(gridsignal.UsageError, match=r"connect\(api="):
            await grid.baseline(start, start + QUARTER)


async def test_writes_beyond_the_allowance_of_the_gateway_in_memory_are_put_off() -> None:
    async with asyncio.timeout(SOON_S), FakeGrid(writes_per_s=20, write_burst=2) as fake:
        async with gridsignal.connect(fake.url, token=fake.token, site="fra-1", outbox=":memory:") as grid:
            start = datetime.now(UTC)
            for day in range(4):
                await grid.declare_baseline(start + timedelta(days=day), [30 * MW])
        declared = [await fake.next(gridsignal.BaselineDeclaration) for _ in range(4)]
    assert len({each.starts_at for each in declared}) == 4
    settings = GatewaySettings.__dataclass_fields__
    known = FakeGrid()
    assert known.allowance.per_s == settings["organisation_writes_per_s"].default
    assert known.allowance.burst == settings["organisation_write_burst"].default


async def test_frames_that_come_too_fast_for_a_connection_are_put_off_and_a_flood_ends_it() -> None:
    async with asyncio.timeout(SOON_S), FakeGrid(frames_per_s=50, frame_burst=4) as fake:
        async with gridsignal.connect(fake.url, token=fake.token, site="fra-1", outbox=":memory:") as grid:
            start = datetime.now(UTC)
            async with asyncio.TaskGroup() as tasks:
                for day in range(6):
                    tasks.create_task(grid.declare_baseline(start + timedelta(days=day), [30 * MW]))
        declared = [await fake.next(gridsignal.BaselineDeclaration) for _ in range(6)]
    assert len({each.starts_at for each in declared}) == 6
