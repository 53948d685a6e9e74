"""What a client does wrong gets a typed answer with the same id, then an end; nobody else notices."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from tests.builders import a_grid_alert
from tests.integration.gateway_stand import Stand


async def test_a_site_that_is_not_yours_ends_the_connection(stand: Stand) -> None:
    async with stand.client(hello=False) as client:
        await client.send({"t": "hello", "client": "tests/1", "site": "muc-1"})
        assert (await client.closed())[0] == 4503


async def test_a_browser_shows_its_token_in_the_hello(stand: Stand) -> None:
    async with stand.client(hello=False, token=None) as client:
        assert (await client.hello(token=stand.token(), site="fra-1"))["t"] == "welcome"
    async with stand.client(hello=False, token=None) as client:
        await client.send({"t": "hello", "client": "tests/1", "token": "nonsense"})
        assert (await client.closed())[0] == 4501
    async with stand.client(hello=False, token=None) as client:
        await client.send({"t": "hello", "client": "tests/1"})
        assert (await client.closed())[0] == 4501


async def test_nothing_is_done_before_the_hello(stand: Stand) -> None:
    async with stand.client(hello=False) as client:
        assert (await client.subscribe("prices"))["code"] == "hello_first"
        assert (await client.hello())["t"] == "welcome"
        assert (await client.hello())["code"] == "hello_twice"


async def test_no_hello_in_time_ends_the_connection(tmp_path: Path) -> None:
    async with Stand.open(tmp_path, hello_timeout_s=0.1) as stand, stand.client(hello=False) as client:
        assert (await client.closed())[0] == 4008


@pytest.mark.parametrize(
    ("text", "code", "frame_id"),
    [
        ("{", "bad_frame", None),
        ("[1]", "bad_frame", None),
        ("NaN", "bad_frame", None),
        ('{"t": "fly", "id": 7}', "unknown_frame", 7),
        ('{"id": 7}', "unknown_frame", 7),
        ('{"t": 5, "id": 7}', "unknown_frame", 7),
        ('{"t": "subscribe", "id": 7}', "schema", 7),
        ('{"t": "subscribe", "id": "7", "stream": "prices"}', "schema", None),
        ('{"t": "subscribe", "id": 7, "stream": "prices", "filter": {"zone": "FR"}}', "schema", 7),
        ('{"t": "query", "id": 7, "offer_ids": [5]}', "schema", 7),
        ("[" * 60000, "bad_frame", None),
    ],
)
async def test_a_malformed_frame_gets_an_error(stand: Stand, text: str, code: str, frame_id: int | None) -> None:
    async with stand.client() as client:
        await client.websocket.send(text)
        error = await client.receive()
        assert (error["t"], error["code"], error.get("id")) == ("error", code, frame_id)
        assert (await client.subscribe("prices"))["t"] == "subscribed"


async def test_a_malformed_write_is_refused_with_its_ids(stand: Stand) -> None:
    async with stand.client() as client:
        await client.websocket.send('{"t": "offer", "id": 7, "offer_id": "o-1", "body": 5}')
        refused = await client.receive()
    assert (refused["t"], refused["id"], refused["offer_id"], refused["code"]) == ("refused", 7, "o-1", "schema")
    assert refused["details"][0]["pointer"] == "/body"


async def test_the_third_malformed_frame_ends_the_connection(stand: Stand) -> None:
    async with stand.client() as client:
        for frame in ("{", "[]", b"binary"):
            await client.websocket.send(frame)
        codes = [(await client.receive())["code"] for _ in range(3)]
        assert codes == ["bad_frame", "bad_frame", "bad_frame"]
        assert (await client.closed())[0] == 4500


async def test_a_frame_that_is_too_long_ends_the_connection(stand: Stand) -> None:
    async with stand.client() as client:
        await client.websocket.send(json.dumps({"t": "query", "id": 1, "x": "y" * 70_000}))
        assert (await client.closed())[0] == 1009


async def test_text_that_is_not_utf_8_ends_the_connection(stand: Stand) -> None:
    async with stand.client() as client:
        await client.websocket.send(b"\xff\xfe", text=True)
        assert (await client.closed())[0] == 1007


def different_filters() -> list[dict[str, Any]]:
    """Every filter of prices that acme-ai may have."""
    products = ["DAY_AHEAD", "INTRADAY", "REAL_TIME", "IMBALANCE"]
    named = [list(some) for size in range(1, 5) for some in combinations(products, size)]
    return [{"zones": zones, "products": some} for zones in (["DE-LU"], ["FR"], ["DE-LU", "FR"]) for some in named]


async def test_a_thousand_subscriptions_are_refused_one_by_one(tmp_path: Path) -> None:
    filters = different_filters()
    async with Stand.open(tmp_path, max_subscriptions=16) as stand, stand.client() as client:
        for number in range(1000):
            wanted = filters[number % len(filters)]
            await client.send({"t": "subscribe", "id": number + 10, "stream": "prices", "filter": wanted})
        answers = {}
        while len(answers) < 1000:
            frame = await client.until(lambda frame: "id" in frame)
            answers[frame["id"] - 10] = frame.get("code", frame["t"])
        assert [answers[number] for number in range(1000)] == ["subscribed"] * 16 + ["too_many_subscriptions"] * 984


async def test_an_organisation_has_no_more_different_filters_than_it_may(tmp_path: Path) -> None:
    filters = different_filters()
    async with Stand.open(tmp_path, organisation_filters=4) as stand, stand.client() as one, stand.client() as another:
        for wanted in filters[:4]:
            assert (await one.subscribe("prices", filter=wanted))["t"] == "subscribed"
        assert (await another.subscribe("prices", filter=filters[4]))["code"] == "too_many_subscriptions"
        same = await another.subscribe("prices", filter=filters[0])
        assert same["t"] == "subscribed"
        async with stand.client(token=stand.token("volt-colo"), site="muc-1") as neighbour:
            assert (await neighbour.subscribe("prices"))["t"] == "subscribed"
        await one.ask("unsubscribe", sub=same["sub"])
        assert (await one.subscribe("prices", filter=filters[4]))["code"] == "too_many_subscriptions"
        await another.ask("unsubscribe", sub=same["sub"])
        assert (await one.subscribe("prices", filter=filters[4]))["t"] == "subscribed"


async def test_an_organisation_has_no_more_subscriptions_than_it_may(tmp_path: Path) -> None:
    limits = {"organisation_subscriptions": 2}
    async with Stand.open(tmp_path, **limits) as stand, stand.client() as one, stand.client() as another:
        first = await one.subscribe("prices")
        assert (await another.subscribe("prices"))["t"] == "subscribed"
        assert (await another.subscribe("carbon"))["code"] == "too_many_subscriptions"
        await one.ask("unsubscribe", sub=first["sub"])
        assert (await another.subscribe("carbon"))["t"] == "subscribed"


async def test_what_can_not_be_subscribed_to_says_why(stand: Stand) -> None:
    async with stand.client() as client:
        assert (await client.subscribe("weather"))["code"] == "unknown_stream"
        assert (await client.subscribe("readings"))["code"] == "unknown_stream"
        assert (await client.subscribe("alerts", mode="latest"))["code"] == "unsupported_mode"
        assert (await client.subscribe("dispatch", mode="latest"))["code"] == "unsupported_mode"
        for foreign, zones in (("GB", ["DE-LU", "GB"]), ("GB", ["GB", "DE-LU"]), ("ATLANTIS", ["ATLANTIS"])):
            refused = await client.subscribe("prices", filter={"zones": zones})
            assert (refused["code"], refused["message"].split()[-1]) == ("forbidden", repr(foreign))
        assert (await client.subscribe("prices"))["t"] == "subscribed"
        assert (await client.subscribe("prices"))["code"] == "already_subscribed"
    async with stand.client(token=stand.token(scopes=("offer:write",))) as client:
        assert (await client.subscribe("prices"))["code"] == "forbidden"


async def test_a_flood_is_slowed_down_and_then_ended(tmp_path: Path) -> None:
    async with Stand.open(tmp_path, frames_per_s=0.001, frame_burst=5) as stand, stand.client() as client:
        for number in range(4):
            await client.send({"t": "unsubscribe", "id": number + 10, "sub": "x"})
        await client.send({"t": "offer", "id": 20, "offer_id": "o-1", "body": {}})
        answers = [await client.receive() for _ in range(5)]
        assert [answer["code"] for answer in answers] == ["unknown_subscription"] * 4 + ["rate"]
        assert (answers[-1]["t"], answers[-1]["offer_id"], answers[-1]["retriable"]) == ("refused", "o-1", True)
        for _ in range(6):
            await client.send({"t": "query"})
        assert (await client.closed())[0] == 4029


async def test_an_organisation_writes_no_faster_than_it_may_over_all_its_connections(tmp_path: Path) -> None:
    limits = {"organisation_writes_per_s": 0.001, "organisation_write_burst": 3}
    async with Stand.open(tmp_path, **limits) as stand, stand.client() as one, stand.client() as another:
        await stand.register()
        body = {"starts_at": "2024-05-12T00:00:00Z", "resolution_s": 3600, "power_w": [1], "method": "m"}
        answers = [await client.ask("baseline", body=body) for client in (one, another, one, another)]
        assert [answer["t"] for answer in answers] == ["received", "received", "received", "refused"]
        assert (answers[-1]["code"], answers[-1]["retriable"], answers[-1]["retry_after_ms"] > 0) == (
            "rate",
            True,
            True,
        )
        other = stand.token("volt-colo")
        async with stand.client(token=other, site="muc-1") as neighbour:
            assert (await neighbour.ask("baseline", body=body))["code"] != "rate"


async def test_an_organisation_has_no_more_connections_than_it_may(tmp_path: Path) -> None:
    async with Stand.open(tmp_path, organisation_connections=1) as stand:
        async with stand.client() as first, stand.client(hello=False) as second:
            await second.send({"t": "hello", "client": "tests/1"})
            assert (await second.closed())[0] == 4029
            assert (await first.subscribe("prices"))["t"] == "subscribed"
            async with stand.client(token=stand.token("volt-colo"), site="muc-1") as neighbour:
                assert neighbour.welcome["t"] == "welcome"
        async with stand.client() as again:
            assert again.welcome["t"] == "welcome"


async def test_a_newer_session_of_the_same_instance_replaces_the_older(stand: Stand) -> None:
    async with stand.client(hello=False) as older, stand.client(hello=False) as newer:
        await older.hello(site="fra-1", instance="planner-1")
        await newer.hello(site="fra-1", instance="planner-1")
        assert (await older.closed())[0] == 4509
        assert (await newer.subscribe("prices"))["t"] == "subscribed"


async def test_only_like_replaces_like(stand: Stand) -> None:
    """Nobody who may not write, or speaks in another role, ends a program that follows orders."""
    async with stand.client(hello=False) as planner:
        await planner.hello(site="fra-1", instance="planner-1")
        for token in (stand.token(scopes=("signal:read",)), stand.token(role="operator"), stand.token("volt-colo")):
            async with stand.client(hello=False, token=token) as other:
                assert (await other.hello(instance="planner-1"))["t"] == "welcome"
                assert (await planner.ask("query"))["t"] == "states"


async def test_a_dead_socket_silences_nobody(stand: Stand) -> None:
    async with stand.client() as client:
        await client.subscribe("alerts")
        async with stand.client() as dying:
            await dying.subscribe("alerts")
            dying.websocket.transport.abort()
        await stand.publish(a_grid_alert())
        assert (await client.signal())["type"] == "GridAlert"
