"""What a process tells about itself: a word in public, everything on the operations port, and that port is bounded."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from prometheus_client import CollectorRegistry, Counter

from gridsignal_services.embedded import Stack
from gridsignal_services.headway import Headway
from gridsignal_services.ops import CONNECTIONS, HEADER_BYTES, OpsServer, Watched
from gridsignal_services.settings import ServerSettings
from gridsignal_services.telemetry import Health
from tests.patience import SOON_S


@asynccontextmanager
async def serving(settings: ServerSettings, *doors: Watched, deadline_s: float = SOON_S) -> AsyncIterator[OpsServer]:
    ops = OpsServer(settings, 0, doors, deadline_s=deadline_s)
    ops.listen()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(ops.serve())
        yield ops
        task.cancel()


def a_door(name: str, health: Health) -> Watched:
    counted = CollectorRegistry()
    Counter(f"gridsignal_{name}_things", "Things.", registry=counted).inc()
    return Watched(name, health, counted)


async def said(ops: OpsServer, text: bytes) -> bytes:
    """All that is answered to what was sent."""
    host, _, port = ops.url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(text)
    async with asyncio.timeout(SOON_S):
        try:
            return await reader.read()
        finally:
            writer.close()


@pytest.mark.parametrize("door", ["gateway", "dispatch", "feeds"])
async def test_a_public_port_tells_a_word_and_a_status_and_counts_nothing_in_public(stack: Stack, door: str) -> None:
    host, port = getattr(stack, door).address
    async with httpx2.AsyncClient(base_url=f"http://{host}:{port}", timeout=SOON_S) as anybody:
        pages = {path: await anybody.get(path) for path in ("/healthz", "/readyz", "/metrics")}
    assert [(page.status_code, page.text) for page in pages.values()][:2] == [(200, "ok\n"), (200, "ready\n")]
    assert pages["/metrics"].status_code == 404
    assert "gridsignal_" not in pages["/metrics"].text


async def test_the_operations_port_shows_all_doors_of_the_process(stack: Stack) -> None:
    async with httpx2.AsyncClient(base_url=stack.ops.url, timeout=SOON_S) as ours:
        counted, state = (await ours.get("/metrics")).text, (await ours.get("/healthz")).json()
        assert (await ours.get("/readyz")).text == "ready\n"
    for name in ("gridsignal_gateway_connections", "gridsignal_dispatch_answers", "gridsignal_feed_", "process_"):
        assert name in counted
    for by, stream in [("ledger", "dispatch"), ("gateway", "prices"), ("gateway", "alerts"), ("meters", "readings")]:
        assert f'gridsignal_follow_state{{by="{by}",partition="0",state="live",stream="{stream}"}} 1.0' in counted
    assert state == {
        name: {"live": True, "ready": True, "reason": ""} for name in ("gateway", "dispatch", "ingest", "log")
    }


async def test_a_door_that_is_no_use_is_named_with_its_reason() -> None:
    well, ill = Health(), Health()
    well.set_ready(True)
    ill.set_ready(False, "draining")
    async with (
        serving(ServerSettings(), a_door("well", well), a_door("ill", ill)) as ops,
        httpx2.AsyncClient(base_url=ops.url, timeout=SOON_S) as ours,
    ):
        health, ready = await ours.get("/healthz"), await ours.get("/readyz")
    assert (health.status_code, ready.status_code) == (200, 503)
    assert health.json() == {
        "well": {"live": True, "ready": True, "reason": ""},
        "ill": {"live": True, "ready": False, "reason": "draining"},
    }


async def test_a_door_that_is_not_ready_names_the_stream_and_the_partition() -> None:
    headway = Headway("tests", "prices", 2, now_s=float)
    headway.begin({0: 0, 1: 3}, {0: 4, 1: 3})
    door = Watched("one", Health(), CollectorRegistry(), followed=[headway])
    async with serving(ServerSettings(), door) as ops, httpx2.AsyncClient(base_url=ops.url, timeout=SOON_S) as ours:
        assert (await ours.get("/healthz")).json()["one"]["reason"] == "starting; prices 0: filling"
        headway.move({0: 4, 1: 3})
        assert (await ours.get("/healthz")).json()["one"]["reason"] == "starting"


@pytest.mark.parametrize("given", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic right"}])
async def test_with_a_token_only_who_carries_it_reads(given: dict[str, str]) -> None:
    async with (
        serving(ServerSettings(ops_token="right"), a_door("one", Health())) as ops,
        httpx2.AsyncClient(base_url=ops.url, timeout=SOON_S) as ours,
    ):
        for path in ("/metrics", "/healthz", "/readyz", "/nothing"):
            refused = await ours.get(path, headers=given)
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        answer = await ours.get("/metrics", headers={"Authorization": "Bearer right"})
    assert "gridsignal_one_things_total 1.0" in answer.text


async def test_other_paths_and_methods_are_refused_and_head_has_no_body() -> None:
    async with serving(ServerSettings(), a_door("one", Health())) as ops:
        async with httpx2.AsyncClient(base_url=ops.url, timeout=SOON_S) as ours:
            assert (await ours.get("/v1/orders")).status_code == 404
            refused = await ours.post("/metrics")
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
        answer = await said(ops, b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\n")


async def test_a_header_without_end_and_one_that_drips_are_not_waited_for() -> None:
    async with serving(ServerSettings(), a_door("one", Health()), deadline_s=0.1) as ops:
        long = await said(ops, b"GET /metrics HTTP/1.1\r\nX: " + b"x" * (2 * HEADER_BYTES))
        assert long.startswith(b"HTTP/1.1 431")
        for drip in (b"", b"GET /metrics HTTP/1.1\r\nX"):
            assert await said(ops, drip) == b""


async def test_who_asks_and_is_gone_before_the_answer_ends_nothing() -> None:
    """What is written to a socket that is closed there resets it here, and then it can't even be shut down."""
    async with serving(ServerSettings(), a_door("one", Health())) as ops:
        host, _, port = ops.url.removeprefix("http://").rpartition(":")
        with socket.create_connection((host, int(port))) as gone:
            gone.sendall(b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await said(ops, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")).startswith(b"HTTP/1.1 200")


async def test_lines_that_could_not_be_written_are_counted() -> None:
    async with (
        serving(ServerSettings(), a_door("one", Health())) as ops,
        httpx2.AsyncClient(base_url=ops.url, timeout=SOON_S) as ours,
    ):
        assert "gridsignal_log_lines_dropped_total" in (await ours.get("/metrics")).text


async def test_what_is_not_http_is_refused() -> None:
    async with serving(ServerSettings(), a_door("one", Health())) as ops:
        assert (await said(ops, b"\x16\x03\x01\r\n\r\n")).startswith(b"HTTP/1.1 400")


async def test_more_connections_than_there_is_room_for_are_hung_up_on_and_room_comes_back() -> None:
    async with serving(ServerSettings(), a_door("one", Health())) as ops:
        host, _, port = ops.url.removeprefix("http://").rpartition(":")
        held = [await asyncio.open_connection(host, int(port)) for _ in range(CONNECTIONS)]
        assert await said(ops, b"") == b""
        for _, writer in held:
            writer.close()
            await writer.wait_closed()
        async with asyncio.timeout(SOON_S), httpx2.AsyncClient(base_url=ops.url, timeout=SOON_S) as ours:
            while True:
                try:
                    assert (await ours.get("/metrics")).status_code == 200
                    break
                except httpx2.TransportError:
                    continue  # the server has not noticed yet that they left


async def test_it_listens_on_ipv6_too() -> None:
    async with serving(ServerSettings(ops_host="::1"), a_door("one", Health())) as ops:
        assert ops.url.startswith("http://[::1]:")
        async with httpx2.AsyncClient(base_url=ops.url, timeout=SOON_S) as ours:
            assert (await ours.get("/metrics")).status_code == 200


@pytest.mark.parametrize(("given", "door", "port"), [(None, 8081, 9081), (None, 0, 0), (None, 65000, 64000), (7, 1, 7)])
def test_its_port_is_a_thousand_above_the_doors_unless_it_is_set(given: int | None, door: int, port: int) -> None:
    assert ServerSettings(ops_port=given).ops_port_beside(door) == port
