"""Who does not read waits alone: conflated, told, closed with a way back; nobody else notices."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from gridsignal_schemas.messages import Record
from tests.builders import a_grid_alert, a_spot_price
from tests.integration.gateway_stand import AVRO, Stand
from tests.integration.pipe import Pipe
from tests.patience import SOON_S

SMALL = 8 * 1024
LIMITS: dict[str, Any] = {
    "kernel_bytes": SMALL,
    "conflate_bytes": SMALL,
    "lag_bytes": 4 * SMALL,
    "close_bytes": 16 * SMALL,
}


def closes(stand: Stand, code: int) -> float:
    name, labels = "gridsignal_gateway_closes_total", {"code": str(code)}
    return stand.gateway.gauges.registry.get_sample_value(name, labels) or 0.0


async def publish_until(stand: Stand, is_enough: Callable[[], bool], make: Callable[[int], Record]) -> int:
    """Publishes until it is enough, and returns how many."""
    published = 0
    async with asyncio.timeout(SOON_S):
        while not is_enough():
            await stand.publish(*(make(number) for number in range(published, published + 20)))
            published += 20
    return published


def a_long_alert(number: int) -> Record:
    return a_grid_alert(alert_id=f"alert-{number}", text="x" * 500)


async def test_a_reader_that_stops_is_closed_and_comes_back_without_a_gap(tmp_path: Path) -> None:
    async with Stand.open(tmp_path, **LIMITS) as stand, stand.client() as other:
        await other.subscribe("alerts")
        with Pipe.open(stand.gateway.address, stand.token()) as pipe:
            await pipe.subscribe("alerts")
            total = await publish_until(stand, lambda: closes(stand, 4002) > 0, a_long_alert)
            got = [await pipe.frame()]
            while got[-1]["t"] != "close":
                got.append(await pipe.frame())
        assert got[-1]["code"] == 4002
        seen = [frame["body"]["alert_id"] for frame in got if frame["t"] == "signal"]
        cursor = [frame["cursor"] for frame in got if "cursor" in frame][-1]
        async with stand.client() as back:
            assert (await back.subscribe("alerts", cursor=cursor))["recovery"] == "full"
            rest = [(await back.signal())["body"]["alert_id"] for _ in range(total - len(seen))]
        assert 0 < len(seen) < total
        assert seen + rest == [f"alert-{number}" for number in range(total)]
        mine = [(await other.signal())["body"]["alert_id"] for _ in range(total)]
        assert mine == [f"alert-{number}" for number in range(total)]


async def test_who_lags_is_told_before_being_closed(tmp_path: Path) -> None:
    async with Stand.open(tmp_path, **LIMITS | {"close_bytes": 1 << 30}) as stand:
        with Pipe.open(stand.gateway.address, stand.token()) as pipe:
            await pipe.subscribe("alerts")
            await stand.publish(*(a_long_alert(number) for number in range(200)))
            got = [await pipe.frame()]
            while got[-1].get("body", {}).get("alert_id") != "alert-199":
                got.append(await pipe.frame())
    lags = [frame for frame in got if frame["t"] == "lag"]
    assert [lag["behind"] > 10 for lag in lags] == [True]
    assert got.index(lags[0]) < 199
    assert len([frame for frame in got if frame["t"] == "signal"]) == 200


async def test_the_latest_mode_conflates_for_a_slow_reader_and_says_so(tmp_path: Path) -> None:
    count = 500
    async with Stand.open(tmp_path, **LIMITS) as stand:
        with Pipe.open(stand.gateway.address, stand.token()) as pipe:
            await pipe.subscribe("prices", "latest")
            await stand.publish(*(a_spot_price(revision=number) for number in range(1, count + 1)))
            revisions, skipped = [0], 0
            while revisions[-1] != count:
                frame = await pipe.frame()
                if frame["t"] == "signal":
                    revisions.append(frame["body"]["revision"])
                elif frame["t"] == "conflated":
                    skipped += frame["skipped"]
        assert revisions == sorted(revisions)
        assert skipped > 0
        assert len(revisions) - 1 + skipped == count
        assert closes(stand, 4002) == 0


async def test_a_peer_that_takes_nothing_for_too_long_is_closed(tmp_path: Path) -> None:
    async with Stand.open(tmp_path, **LIMITS | {"close_bytes": 1 << 30, "stall_s": 0.5}) as stand:
        with Pipe.open(stand.gateway.address, stand.token()) as pipe:
            await pipe.subscribe("alerts")
            await publish_until(stand, lambda: closes(stand, 4002) > 0, a_long_alert)


async def test_what_an_organisation_leaves_unread_is_bounded_over_all_its_connections(tmp_path: Path) -> None:
    """None of its connections is beyond its own bound; a neighbour that reads as little keeps its connection."""
    bound = 40 * SMALL
    limits = LIMITS | {"close_bytes": 1 << 30, "lag_bytes": 1 << 29, "organisation_unsent_bytes": bound}
    async with Stand.open(tmp_path, **limits) as stand, AsyncExitStack() as stack:
        for _ in range(4):
            pipe = stack.enter_context(Pipe.open(stand.gateway.address, stand.token()))
            await pipe.subscribe("alerts")
        neighbour = stack.enter_context(Pipe.open(stand.gateway.address, stand.token("volt-colo")))
        await neighbour.subscribe("alerts")
        total = await publish_until(stand, lambda: closes(stand, 4002) > 0, a_long_alert)
        got = [await neighbour.frame() for _ in range(total)]
    assert [frame["t"] for frame in got] == ["signal"] * total


async def test_a_replay_goes_no_faster_than_its_reader(tmp_path: Path) -> None:
    async with Stand.open(tmp_path, **LIMITS) as stand:
        await stand.publish(*(a_long_alert(number) for number in range(600)))
        async with stand.client() as client:
            await client.subscribe("alerts", snapshot=True)
            shown = [(await client.signal())["body"]["alert_id"] for _ in range(600)]
    assert shown == [f"alert-{number}" for number in range(600)]


async def test_avro_clients_get_the_logs_bytes_and_each_schema_once(stand: Stand) -> None:
    async with stand.client(subprotocol=AVRO) as client:
        await client.subscribe("alerts")
        await stand.publish(a_grid_alert(), a_grid_alert(revision=2))
        frames = [frame for frame in [await client.receive() for _ in range(4)] if frame["t"] != "position"]
        assert [frame["t"] for frame in frames] == ["schema", "signal", "signal"]
        assert json.loads(frames[0]["schema"])["name"] == "GridAlert"
        assert [stand.codec.decode(frame["value"]) for frame in frames[1:]] == [
            a_grid_alert(),
            a_grid_alert(revision=2),
        ]
        cursor = frames[1]["cursor"]
    async with stand.client() as client:
        await client.subscribe("alerts", cursor=cursor)
        assert (await client.signal())["body"]["revision"] == 2
    async with stand.client(subprotocol=AVRO) as client:
        await client.subscribe("alerts", snapshot=True)
        shown = [await client.receive() for _ in range(3)]
        assert [frame["t"] for frame in shown] == ["schema", "signal", "position"]
        assert shown[1]["cursor"] is None
