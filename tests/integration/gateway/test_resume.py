"""Coming back: nothing is missing, nothing comes twice, and what can't be had is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gridsignal_services.checkpoints.files import files_in
from gridsignal_services.checkpoints.keeping import Checkpoints
from gridsignal_services.gateway.service import Gateway
from gridsignal_services.replica import Replica
from tests.builders import a_dispatch_request, a_grid_alert, a_request_cancellation, a_spot_price
from tests.integration.gateway_stand import Client, Stand
from tests.patience import SOON_S

ALERTS = [a_grid_alert(alert_id=f"alert-{number}") for number in range(40)]


async def alerts(client: Client, count: int) -> list[str]:
    return [(await client.signal())["body"]["alert_id"] for _ in range(count)]


def names(first: int, last: int) -> list[str]:
    return [f"alert-{number}" for number in range(first, last)]


@asynccontextmanager
async def a_second_gateway(
    stand: Stand, checkpoints: Checkpoints | None = None, **limits: Any
) -> AsyncIterator[Gateway]:
    """Another process would have another replica, too."""
    replica = Replica(stand.log, stand.codec, source="second", checkpoints=checkpoints)
    gateway = stand.another(replace(stand.gateway.settings, **limits), replica)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(work) for work in (replica.run(), replica.save(), gateway.run())]
        try:
            async with asyncio.timeout(SOON_S):
                await gateway.ready()
            yield gateway
        finally:
            for task in running:
                task.cancel()


async def test_a_client_that_was_away_gets_everything_since_its_cursor_once(stand: Stand) -> None:
    async with stand.client() as client:
        await client.subscribe("alerts")
        await stand.publish(*ALERTS[:3])
        await alerts(client, 2)
        cursor = (await client.signal())["cursor"]
    await stand.publish(*ALERTS[3:30])
    async with stand.client() as client:
        subscribed = await client.subscribe("alerts", cursor=cursor)
        assert (subscribed["recovery"], subscribed.get("reason")) == ("full", None)
        await stand.publish(*ALERTS[30:])
        assert await alerts(client, 37) == names(3, 40)
        assert [frame for frame in await client.round_trip() if frame["t"] == "signal"] == []


async def test_a_cursor_is_good_to_the_second_for_as_long_as_cursors_are_kept(tmp_path: Path) -> None:
    async with Stand.open(tmp_path, all_by_hand=True, cursor_keep_days=1) as stand:
        async with stand.client() as client:
            await client.subscribe("alerts")
            cursor = (await client.position())["cursor"]
        told = []
        for wait_s in (86_400, 1):
            stand.clock.move_to(stand.clock.now() + timedelta(seconds=wait_s))
            async with stand.client() as client:
                subscribed = await client.subscribe("alerts", cursor=cursor)
                told.append((subscribed["recovery"], subscribed.get("reason")))
    assert told == [("full", None), ("snapshot", "cursor_expired")]


async def test_any_gateway_resumes_any_client_from_the_log(stand: Stand, tmp_path: Path) -> None:
    async with stand.client() as client:
        await client.subscribe("alerts")
        await stand.publish(ALERTS[0])
        cursor = (await client.signal())["cursor"]
    await stand.publish(*ALERTS[1:20])
    async with a_second_gateway(stand, ring_records=4) as second, stand.client(gateway=second) as client:
        assert (await client.subscribe("alerts", cursor=cursor))["recovery"] == "full"
        assert await alerts(client, 19) == names(1, 20)
        await stand.publish(ALERTS[20])
        assert await alerts(client, 1) == ["alert-20"]


async def test_a_replay_from_the_log_skips_what_the_ledger_did_not_accept(stand: Stand) -> None:
    async with stand.client() as client:
        await client.subscribe("dispatch")
        cursor = (await client.position())["cursor"]
    broken = a_dispatch_request(request_id="late", gate_closure_at=stand.clock.now())
    await stand.publish(a_dispatch_request(), broken, a_dispatch_request(), principal="operator:tso-north")
    await stand.publish(a_request_cancellation(), principal="operator:tso-north")
    async with a_second_gateway(stand, ring_records=1) as second, stand.client(gateway=second) as client:
        await client.subscribe("dispatch", cursor=cursor)
        assert [(await client.signal())["type"] for _ in range(2)] == ["DispatchRequest", "RequestCancellation"]
        assert [frame for frame in await client.round_trip() if frame["t"] == "signal"] == []


async def test_a_gateway_that_begins_with_a_checkpoint_resumes_from_before_it(stand: Stand, tmp_path: Path) -> None:
    """What came before was never reduced here; it is read from the log, but for what did not count."""
    async with stand.client() as client:
        await client.subscribe("dispatch")
        cursor = (await client.position())["cursor"]
    broken = a_dispatch_request(request_id="late", gate_closure_at=stand.clock.now())
    await stand.publish(a_dispatch_request(), broken, a_dispatch_request(), principal="operator:tso-north")
    with Checkpoints.opened(tmp_path / "checkpoints", 1, stand.log, every=1) as checkpoints:
        assert checkpoints is not None
        async with a_second_gateway(stand, checkpoints):
            async with asyncio.timeout(SOON_S):
                for _ in iter(lambda: bool(files_in(checkpoints.directory)), True):
                    await asyncio.sleep(0)
        async with a_second_gateway(stand, checkpoints) as second, stand.client(gateway=second) as client:
            await client.subscribe("dispatch", cursor=cursor)
            assert (await client.signal())["type"] == "DispatchRequest"
            await stand.publish(a_request_cancellation(), principal="operator:tso-north")
            assert (await client.signal())["type"] == "RequestCancellation"
            assert [frame for frame in await client.round_trip() if frame["t"] == "signal"] == []


@pytest.mark.parametrize("cursor", ["nonsense", "AQAB" + "A" * 100, "é", "0" * 1000])
async def test_a_forged_cursor_is_told_and_answered_by_a_snapshot(stand: Stand, cursor: str) -> None:
    await stand.publish(a_spot_price())
    async with stand.client() as client:
        subscribed = await client.subscribe("prices", cursor=cursor)
        assert (subscribed["recovery"], subscribed["reason"]) == ("snapshot", "cursor_unknown")
        assert (await client.signal())["type"] == "SpotPrice"


async def test_a_cursor_of_another_stream_is_unknown(stand: Stand) -> None:
    async with stand.client() as client:
        await client.subscribe("prices")
        cursor = (await client.position())["cursor"]
        assert (await client.subscribe("carbon", cursor=cursor))["reason"] == "cursor_unknown"


async def test_a_cursor_of_another_log_is_told_even_with_the_same_keys(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    async with Stand.open(tmp_path / "one", data_directory=keys) as stand, stand.client() as client:
        await client.subscribe("alerts")
        cursor = (await client.position())["cursor"]
    async with Stand.open(tmp_path / "two", data_directory=keys) as stand, stand.client() as client:
        assert (await client.subscribe("alerts", cursor=cursor))["reason"] == "epoch_changed"


async def test_who_is_too_far_behind_gets_a_snapshot(tmp_path: Path) -> None:
    async with Stand.open(tmp_path, catch_up_records=5) as stand:
        async with stand.client() as client:
            await client.subscribe("alerts")
            cursor = (await client.position())["cursor"]
        await stand.publish(*ALERTS[:6])
        async with stand.client() as client:
            assert (await client.subscribe("alerts", cursor=cursor))["reason"] == "too_far"
            assert await alerts(client, 6) == names(0, 6)


async def test_the_latest_mode_replays_only_the_newest_of_a_series_and_says_so(stand: Stand) -> None:
    async with stand.client() as client:
        await client.subscribe("prices", mode="latest")
        cursor = (await client.position())["cursor"]
    await stand.publish(*(a_spot_price(revision=number) for number in range(1, 6)), a_spot_price(dataset="EXAA"))
    async with stand.client() as client:
        await client.subscribe("prices", mode="latest", cursor=cursor)
        frames = [await client.receive() for _ in range(3)]
    assert (frames[0]["t"], frames[0]["skipped"]) == ("conflated", 4)
    assert [(f["body"]["dataset"], f["body"]["revision"]) for f in frames[1:]] == [("SDAC", 5), ("EXAA", 1)]


async def test_joining_under_load_neither_loses_nor_repeats(stand: Stand) -> None:
    many = [a_grid_alert(alert_id=f"alert-{number}") for number in range(300)]
    async with stand.client() as client:
        await client.subscribe("alerts")
        cursor = (await client.position())["cursor"]

    async def follow() -> list[str]:
        async with stand.client() as late:
            await late.subscribe("alerts", cursor=cursor)
            return await alerts(late, 300)

    async with asyncio.TaskGroup() as tasks:
        publishing = tasks.create_task(stand.publish(*many))
        following = [tasks.create_task(follow()) for _ in range(12)]
    assert publishing.done()
    assert [task.result() for task in following] == [names(0, 300)] * 12
