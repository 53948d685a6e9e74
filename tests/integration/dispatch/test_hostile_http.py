"""HTTP that no client library would send: repeated headers, bodies that lie, callers who hang up."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

from gridsignal_services.embedded import Stack
from tests.integration.dispatch.conftest import Caller
from tests.patience import SOON_S

HEAD = "POST /v1/requests HTTP/1.1\r\nHost: door\r\nContent-Type: application/json\r\n"


async def send(stack: Stack, head: str, *parts: bytes) -> int:
    """Writes bytes to the door; the status of its answer."""
    reader, writer = await asyncio.open_connection(*stack.dispatch.address)
    try:
        writer.write(head.encode() + b"\r\n" + b"".join(parts))
        async with asyncio.timeout(SOON_S):
            line = await reader.readline()
        return int(line.split()[1])
    finally:
        writer.close()


def bearer(stack: Stack) -> str:
    return f"Authorization: Bearer {stack.token('operator', 'tso-north')}\r\n"


@pytest.mark.parametrize("other", ["Bearer x", "Basic eDp5", "Bearer"])
async def test_two_authorizations_let_nobody_in(stack: Stack, other: str) -> None:
    for headers in (f"{bearer(stack)}Authorization: {other}\r\n", f"Authorization: {other}\r\n{bearer(stack)}"):
        assert await send(stack, f"GET /v1/requests HTTP/1.1\r\nHost: door\r\n{headers}") == 401


async def test_two_idempotency_keys_ask_for_nothing(stack: Stack) -> None:
    keys = "Idempotency-Key: one\r\nIdempotency-Key: two\r\n"
    assert await send(stack, f"{HEAD}{bearer(stack)}{keys}Content-Length: 2\r\n", b"{}") == 400


@pytest.mark.parametrize("depth", [33, 990, 1000, 5000, 30_000])
async def test_a_deep_body_is_refused_and_nothing_breaks(stack: Stack, depth: int) -> None:
    length = f"Idempotency-Key: deep\r\nContent-Length: {2 * depth}\r\n"
    assert await send(stack, f"{HEAD}{bearer(stack)}{length}", b"[" * depth, b"]" * depth) == 400


async def test_a_body_without_a_length_is_cut_off_at_the_limit(stack: Stack) -> None:
    chunked = f"{HEAD}{bearer(stack)}Idempotency-Key: big\r\nTransfer-Encoding: chunked\r\n"
    assert await send(stack, chunked, *([b"1000\r\n" + b" " * 4096 + b"\r\n"] * 17)) == 413


async def test_a_large_body_is_announced_in_vain_before_authentication(stack: Stack) -> None:
    assert await send(stack, f"{HEAD}Idempotency-Key: k\r\nContent-Length: 99999999999\r\n") == 401


async def test_a_path_is_not_redirected_to_where_the_host_header_says(
    stack: Stack, operator: httpx2.AsyncClient
) -> None:
    answer = await operator.get("/v1/requests/", headers={"Host": "elsewhere.example"})
    assert (answer.status_code, answer.headers.get("location")) == (404, None)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_who_hangs_up_in_the_middle_is_no_failure_of_ours(
    stack: Stack, caller: Caller, body: dict[str, Any]
) -> None:
    _, writer = await asyncio.open_connection(*stack.dispatch.address)
    writer.write(f"{HEAD}{bearer(stack)}Idempotency-Key: half\r\nContent-Length: 500\r\n\r\n{{".encode())
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    async with asyncio.timeout(SOON_S), httpx2.AsyncClient(base_url=stack.ops.url, timeout=SOON_S) as http:
        while 'status="408"' not in (told := (await http.get("/metrics")).text):
            pass  # each look is a round trip
    assert 'status="500"' not in told
    asked = await caller("operator", "tso-north").post("/v1/requests", json=body, headers={"Idempotency-Key": "half"})
    assert asked.status_code == 201
