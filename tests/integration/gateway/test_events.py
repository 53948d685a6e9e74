"""Without WebSocket: a stream of events and a poll say what a subscription says, to whoever may see it."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gridsignal_schemas.messages import DispatchRequest
from gridsignal_schemas.rules.limits import LIMITS
from gridsignal_services.access import OFFER_WRITE
from tests.builders import a_dispatch_request, a_grid_alert, a_spot_price
from tests.integration.gateway_stand import Stand
from tests.patience import SOON_S

Event = dict[str, Any]


def desk(stand: Stand, token: str | None = None, **headers: str) -> httpx2.AsyncClient:
    host, port = stand.gateway.address
    given = {"Authorization": f"Bearer {token or stand.token()}"} | headers
    return httpx2.AsyncClient(base_url=f"http://{host}:{port}", headers=given, timeout=SOON_S)


@asynccontextmanager
async def events(stand: Stand, query: str, token: str | None = None, **headers: str) -> AsyncIterator[Any]:
    """The events of a stream, one after the other."""
    async with desk(stand, token, **headers) as client, client.stream("GET", f"/v1/events?{query}") as answer:
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream")
        yield read(answer)


async def read(answer: httpx2.Response) -> AsyncIterator[Event]:
    event: Event = {}
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if not line and "event" in event:
            yield {**event, "data": json.loads(event["data"])}
        event = event | {name: value} if line and name else {}


async def until(stream: Any, kind: str) -> list[Event]:
    """Everything up to the first event of a kind."""
    got: list[Event] = []
    async with asyncio.timeout(SOON_S):
        while not got or got[-1]["event"] != kind:
            got.append(await anext(stream))
    return got


async def poll(stand: Stand, query: str, token: str | None = None, **headers: str) -> Any:
    async with desk(stand, token, **headers) as client:
        answer = await client.get(f"/v1/poll?{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def until_so(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON_S):
        for _ in iter(condition, True):
            await asyncio.sleep(0)


def alerts_of(frames: list[Any]) -> list[str]:
    return [frame["body"]["alert_id"] for frame in frames if frame["t"] == "signal"]


# --- the stream ---------------------------------------------------------------------------------------------------


async def test_an_event_is_the_frame_with_its_cursor_as_its_id(stand: Stand) -> None:
    async with stand.client() as client, events(stand, "stream=alerts") as stream:
        await client.subscribe("alerts")
        begun = await until(stream, "position")
        assert [event["event"] for event in begun] == ["welcome", "subscribed", "position"]
        await stand.publish(a_grid_alert())
        (event,), signal = await until(stream, "signal"), await client.signal()
    assert event["data"]["body"] == signal["body"]
    assert (event["data"]["t"], event["data"]["type"]) == ("signal", "GridAlert")
    assert event["id"] == event["data"]["cursor"]


async def test_a_snapshot_comes_first_and_has_no_ids(stand: Stand) -> None:
    await stand.publish(a_grid_alert())
    async with events(stand, "stream=alerts&snapshot=true") as stream:
        begun = await until(stream, "position")
    assert [(event["event"], "id" in event) for event in begun[2:]] == [("signal", False), ("position", True)]


async def test_who_comes_back_with_the_last_id_misses_nothing_and_gets_nothing_twice(stand: Stand) -> None:
    async with events(stand, "stream=alerts") as stream:
        last = (await until(stream, "position"))[-1]["id"]
    heard: list[str] = []
    for start in range(0, 9, 3):
        await stand.publish(*(a_grid_alert(alert_id=f"a-{number}") for number in range(start, start + 3)))
        async with events(stand, "stream=alerts&cursor=the-first", **{"Last-Event-ID": last}) as stream:
            begun = await until(stream, "position")
        assert next(event["data"]["recovery"] for event in begun if event["event"] == "subscribed") == "full"
        heard += alerts_of([event["data"] for event in begun])
        last = begun[-1]["id"]
    assert heard == [f"a-{number}" for number in range(9)]


async def test_a_stream_tells_nobody_what_a_socket_would_not(stand: Stand) -> None:
    await stand.publish(
        a_dispatch_request(request_id="theirs", visibility="LISTED", audience=["hyper-infer"]),
        a_dispatch_request(request_id="everybodys"),
        principal="operator:tso-north",
    )
    heard = {}
    for organisation in ("acme-ai", "hyper-infer"):
        async with events(stand, "stream=dispatch&snapshot=true", stand.token(organisation)) as stream:
            begun = await until(stream, "position")
        heard[organisation] = [e["data"]["body"]["request_id"] for e in begun if e["event"] == "signal"]
    assert heard == {"acme-ai": ["everybodys"], "hyper-infer": ["theirs", "everybodys"]}


async def test_a_stream_says_why_it_ends(tmp_path: Path) -> None:
    async with (
        Stand.open(tmp_path, all_by_hand=True, ping_s=1) as stand,
        events(stand, "stream=alerts", stand.token(ttl_s=2)) as stream,
    ):
        await until(stream, "position")
        stand.clock.move_to(stand.clock.now() + timedelta(seconds=2))
        end = (await until(stream, "close"))[-1]
        assert [event async for event in stream] == []
    assert end["data"]["code"] == 4005


async def test_a_listener_that_leaves_is_gone(stand: Stand) -> None:
    async with events(stand, "stream=alerts") as stream:
        await until(stream, "position")
        assert stand.gateway.gauges.registry.get_sample_value("gridsignal_gateway_connections") == 1
    await stand.gateway._conversations.gone(SOON_S)
    assert stand.gateway.gauges.registry.get_sample_value("gridsignal_gateway_subscriptions") == 0


# --- the poll -----------------------------------------------------------------------------------------------------


async def test_polls_in_a_row_get_everything_once(stand: Stand) -> None:
    begun = await poll(stand, "stream=alerts&wait_s=0")
    assert alerts_of(begun["frames"]) == []
    cursor, heard = begun["cursor"], []

    async def publish_all() -> None:
        for number in range(60):
            await stand.publish(a_grid_alert(alert_id=f"a-{number}"))

    publishing = asyncio.create_task(publish_all())
    async with asyncio.timeout(SOON_S):
        while len(heard) < 60:
            answer = await poll(stand, f"stream=alerts&cursor={cursor}")
            heard += alerts_of(answer["frames"])
            cursor = answer["cursor"]
    await publishing
    assert heard == [f"a-{number}" for number in range(60)]


async def test_a_poll_is_answered_as_soon_as_there_is_something(stand: Stand) -> None:
    cursor = (await poll(stand, "stream=prices&zones=DE-LU&wait_s=0"))["cursor"]
    waiting = asyncio.create_task(poll(stand, "stream=prices&zones=DE-LU&wait_s=60", **{"Last-Event-ID": cursor}))
    await stand.publish(a_spot_price())
    async with asyncio.timeout(SOON_S):
        answer = await waiting
    assert [frame["type"] for frame in answer["frames"] if frame["t"] == "signal"] == ["SpotPrice"]
    assert answer["cursor"] != cursor


async def test_a_poll_of_the_present_state_is_the_snapshot(stand: Stand) -> None:
    await stand.publish(a_grid_alert())
    answer = await poll(stand, "stream=alerts&snapshot=true")
    assert [frame["t"] for frame in answer["frames"]] == ["welcome", "subscribed", "signal", "position"]
    assert answer["frames"][-1]["cursor"] == answer["cursor"]


def asking_for_all_one_may() -> Iterator[DispatchRequest]:
    """As many open requests as one operator may have in a zone, of the longest texts a person can write."""
    words = dict.fromkeys(("product", "control_area", "congestion_point"), "\U0001f600" * 128)
    for number in range(LIMITS.requests_open):
        request_id = f"{number:064}"
        yield a_dispatch_request(request_id=request_id, operator="tso-north", text="\U0001f600" * 512, **words)


async def test_one_operators_open_requests_close_the_poll_to_nobody(tmp_path: Path) -> None:
    """The state is longer than an answer is cut at: it comes whole, and what follows comes with the next, once."""
    async with Stand.open(tmp_path, organisation_polls=1) as stand:
        asked = list(asking_for_all_one_may())
        async with asyncio.TaskGroup() as tasks:
            for request in asked:
                tasks.create_task(stand.publish(request, principal="operator:tso-north"))
        victim = stand.token("volt-colo")
        answer = await poll(stand, "stream=dispatch&snapshot=true&wait_s=0", victim)
        assert sum(len(json.dumps(frame, ensure_ascii=False).encode()) for frame in answer["frames"]) > 2**20
        shown = [frame["body"]["request_id"] for frame in answer["frames"] if frame["t"] == "signal"]
        assert sorted(shown) == [request.request_id for request in asked]
        assert answer["frames"][-1]["cursor"] == answer["cursor"]
        await stand.publish(a_dispatch_request(request_id="later", operator="supplier-one"))
        following = await poll(stand, f"stream=dispatch&cursor={answer['cursor']}", victim)
        came = [frame["body"]["request_id"] for frame in following["frames"] if frame["t"] == "signal"]
        assert came == ["later"]


def counted(stand: Stand, name: str) -> float | None:
    return stand.gateway.gauges.registry.get_sample_value(f"gridsignal_gateway_{name}")


@pytest.mark.parametrize("reset", [True, False])
async def test_a_poll_whose_caller_is_gone_leaves_nothing_behind(tmp_path: Path, reset: bool) -> None:
    """Between its beginning and the first signal, and its organisation has room for one."""
    async with Stand.open(tmp_path, organisation_polls=1) as stand:
        head = (
            f"GET /v1/poll?stream=alerts&wait_s=60 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {stand.token()}\r\n\r\n"
        )
        with socket.create_connection(stand.gateway.address) as caller:
            caller.sendall(head.encode())
            await until_so(lambda: (counted(stand, "polls"), counted(stand, "subscriptions")) == (1, 1))
            if reset:
                caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await until_so(lambda: (counted(stand, "polls"), counted(stand, "subscriptions")) == (0, 0))
        assert (await poll(stand, "stream=alerts&wait_s=0"))["cursor"]
        await stand.gateway._conversations.gone(SOON_S)


async def test_an_organisation_polls_so_often_at_once_and_others_as_before(tmp_path: Path) -> None:
    async with Stand.open(tmp_path, organisation_polls=2) as stand, desk(stand) as client:
        cursor = (await poll(stand, "stream=alerts&wait_s=0"))["cursor"]
        waiting = [asyncio.create_task(client.get(f"/v1/poll?stream=alerts&cursor={cursor}")) for _ in range(3)]
        async with asyncio.timeout(SOON_S):
            (refused,), held = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        assert (refused.result().status_code, "at most 2" in refused.result().text) == (429, True)
        assert int(refused.result().headers["Retry-After"]) >= 1
        assert (await poll(stand, "stream=alerts&wait_s=0", stand.token("hyper-infer")))["cursor"]
        await stand.publish(a_grid_alert())
        async with asyncio.timeout(SOON_S):
            assert {(await each).status_code for each in held} == {200}
        assert (await poll(stand, f"stream=alerts&cursor={cursor}"))["cursor"]


# --- refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", ["events", "poll"])
@pytest.mark.parametrize(
    ("query", "status", "word"),
    [
        ("", 400, "stream"),
        ("stream=weather", 404, "weather"),
        ("stream=prices&zones=GB", 403, "zone"),
        ("stream=prices&zone=DE-LU", 400, "zone"),
        ("stream=prices&zones=DE-LU&zones=FR", 400, "zones"),
        ("stream=prices&zones=", 400, "zones"),
        ("stream=alerts&mode=latest", 400, "conflated"),
        ("stream=alerts&mode=some", 400, "mode"),
        ("stream=alerts&snapshot=yes", 400, "snapshot"),
        ("stream=alerts&site=par-1", 403, "site"),
        ("stream=alerts&token=secret", 400, "token"),
        ("stream=alerts&cursor=", 400, "cursor"),
        ("&".join(["stream=alerts"] * 60), 400, "parameters"),
    ],
)
async def test_a_wrong_request_is_refused_with_a_sentence(
    stand: Stand, door: str, query: str, status: int, word: str
) -> None:
    async with desk(stand) as client:
        answer = await client.get(f"/v1/{door}?{query}")
    assert (answer.status_code, word in answer.text) == (status, True), answer.text
    assert "secret" not in answer.text


@pytest.mark.parametrize("door", ["events", "poll"])
@pytest.mark.parametrize(
    ("query", "status", "code", "where"),
    [
        ("zones=DE-LU,GB", 403, "ZONE_UNKNOWN", "?zones"),
        ("products=DAY_AHEAD,p17", 400, "UNKNOWN_SYMBOL", "?products"),
        ("accounting=GUESSED", 400, "UNKNOWN_SYMBOL", "?accounting"),
    ],
)
async def test_what_is_wrong_with_a_filter_has_a_code_and_its_parameter(
    stand: Stand, door: str, query: str, status: int, code: str, where: str
) -> None:
    async with desk(stand) as client:
        answer = await client.get(f"/v1/{door}?stream=prices&{query}")
    (fault,) = answer.json()["errors"]
    assert (answer.status_code, fault["code"], fault["pointer"]) == (status, code, where)
    assert fault["message"] == answer.json()["detail"]


@pytest.mark.parametrize("door", ["events", "poll"])
async def test_two_places_to_go_on_from_are_refused(stand: Stand, door: str) -> None:
    async with desk(stand) as client:
        twice = [("Last-Event-ID", "one"), ("Last-Event-ID", "two")]
        answer = await client.get(f"/v1/{door}?stream=alerts", headers=twice)
    assert (answer.status_code, answer.json()["detail"]) == (400, "Last-Event-ID: expected it once")


@pytest.mark.parametrize("wait_s", ["61", "-1", "soon", "1e9", "²"])
async def test_a_poll_waits_for_a_minute_at_most(stand: Stand, wait_s: str) -> None:
    async with desk(stand) as client:
        answer = await client.get(f"/v1/poll?stream=alerts&wait_s={wait_s}")
    assert (answer.status_code, "0 to 60" in answer.text) == (400, True)


async def test_without_a_good_token_nobody_gets_in(stand: Stand) -> None:
    host, port = stand.gateway.address
    async with httpx2.AsyncClient(base_url=f"http://{host}:{port}", timeout=SOON_S) as nobody:
        assert (await nobody.get("/v1/events?stream=alerts")).status_code == 401
    bad = [("e30.e30.e30", 401), (stand.token("nobody-known"), 403), (stand.token(scopes=(OFFER_WRITE,)), 403)]
    for token, status in bad:
        async with desk(stand, token) as client:
            answer = await client.get("/v1/poll?stream=alerts&zones=DE-LU&wait_s=0")
        assert answer.status_code == status, answer.text


@pytest.mark.parametrize("door", ["events?stream=alerts", "poll?stream=alerts&wait_s=0"])
async def test_a_page_of_an_allowed_origin_reads_and_another_does_not(tmp_path: Path, door: str) -> None:
    """As a browser asks: first whether it may ask with these headers, then with them."""
    page = {"Origin": "https://desk.example"}
    asks = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization,last-event-id"}
    async with Stand.open(tmp_path, origins=("https://desk.example",)) as stand, desk(stand) as client:
        may = await client.options(f"/v1/{door}", headers=page | asks)
        assert (may.status_code, may.headers["Access-Control-Allow-Methods"]) == (204, "GET")
        allowed = may.headers["Access-Control-Allow-Headers"].lower().split(", ")
        assert set(asks["Access-Control-Request-Headers"].split(",")) <= set(allowed)
        for headers, status in (
            (page, 200),
            (page | {"Authorization": "Bearer no"}, 401),
            ({"Origin": "https://x"}, 403),
        ):
            async with client.stream("GET", f"/v1/{door}", headers=headers) as answer:
                assert answer.status_code == status
                assert answer.headers.get("Access-Control-Allow-Origin") == (page["Origin"] if status != 403 else None)
        async with client.stream("GET", f"/v1/{door}") as answer:
            assert (answer.status_code, "Access-Control-Allow-Origin" in answer.headers) == (200, False)
