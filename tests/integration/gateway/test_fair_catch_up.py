"""Who catches up slowly, or in many places at once, keeps nobody else from catching up."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gridsignal_services.slots import Slots
from tests.builders import a_grid_alert
from tests.integration.gateway_stand import Stand
from tests.integration.pipe import Pipe
from tests.patience import SOON_S

SMALL = 8 * 1024
COUNT = 400
LIMITS: dict[str, Any] = {
    "kernel_bytes": SMALL,
    "conflate_bytes": SMALL,
    "catch_up_readers": 2,
    "catch_up_batch": 20,
    "ring_records": 20,
    "stall_s": 3600.0,
}


@pytest.mark.parametrize("organisation", ["acme-ai", "volt-colo"])
async def test_a_reader_that_takes_nothing_holds_no_place(tmp_path: Path, organisation: str) -> None:
    async with Stand.open(tmp_path, **LIMITS) as stand:
        async with stand.client() as client:
            await client.subscribe("alerts")
            cursor = (await client.position())["cursor"]
        alerts = [a_grid_alert(alert_id=f"alert-{number}", text="x" * 500) for number in range(COUNT)]
        await stand.publish(*alerts)
        with Pipe.open(stand.gateway.address, stand.token()) as slow:
            await slow.say_hello()
            for number, zones in enumerate((["DE-LU"], ["FR", "DE-LU"], ["FR"], None)):
                wanted = {} if zones is None else {"filter": {"zones": zones}}
                slow.send({"t": "subscribe", "id": number + 1, "stream": "alerts", "cursor": cursor, **wanted})
            while (await slow.frame())["t"] != "signal":
                pass  # it has begun, and from here on it reads nothing
            site = {"acme-ai": "fra-1", "volt-colo": "muc-1"}[organisation]
            async with stand.client(token=stand.token(organisation), site=site) as other:
                assert (await other.subscribe("alerts", cursor=cursor))["recovery"] == "full"
                got = [(await other.signal())["body"]["alert_id"] for _ in range(COUNT)]
    assert got == [f"alert-{number}" for number in range(COUNT)]


async def test_places_go_to_organisations_in_turn_and_none_has_them_all() -> None:
    slots, order = Slots(4), []
    leave = asyncio.Event()

    async def work(organisation: str) -> None:
        async with slots.place(organisation):
            order.append(organisation)
            await leave.wait()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(10):
            tasks.create_task(work("greedy"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for organisation in ("modest", "third"):
            tasks.create_task(work(organisation))
        async with asyncio.timeout(SOON_S):
            for _ in iter(lambda: len(order) == 4, True):
                await asyncio.sleep(0)
        assert order == ["greedy", "greedy", "modest", "third"]
        assert slots.are_wanted
        leave.set()
    assert order.count("greedy") == 10
    assert not slots.are_wanted


async def test_who_gives_up_waiting_takes_no_place() -> None:
    slots = Slots(1)
    async with slots.place("one"):
        waiting = [asyncio.create_task(slots.place(name).__aenter__()) for name in ("two", "two", "three")]
        await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        assert not slots.are_wanted
    async with asyncio.timeout(SOON_S), slots.place("four"):
        pass


async def test_many_who_give_up_at_once_keep_no_place_and_hold_up_nobody() -> None:
    """As when a client hangs up: all that waits on its behalf is cancelled before any of it can leave the queue."""
    slots, served = Slots(2, most=1), []

    async def work(organisation: str) -> None:
        async with slots.place(organisation):
            served.append(organisation)
            await asyncio.sleep(0)

    holding = asyncio.Event()

    async def hold() -> None:
        async with slots.place("greedy"):
            await holding.wait()

    leaving = [asyncio.create_task(hold()), *(asyncio.create_task(work("greedy")) for _ in range(20))]
    staying = asyncio.create_task(work("greedy"))
    await asyncio.sleep(0)
    for task in leaving:
        task.cancel()
    ends = await asyncio.gather(*leaving, return_exceptions=True)
    assert [type(end) for end in ends] == [asyncio.CancelledError] * len(leaving)
    async with asyncio.timeout(SOON_S):
        await staying
        await asyncio.gather(*(work(name) for name in ("greedy", "other", "third") for _ in range(3)))
    assert len(served) == 10
    assert not slots.are_wanted
