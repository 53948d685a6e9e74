"""The HTTP server under the doors: prompt callers are answered, others are hung up on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from gridsignal_services.asgi import HttpServer, add_pages
from gridsignal_services.settings import ServerSettings
from gridsignal_services.telemetry import Health

GET = b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
async def server() -> AsyncIterator[HttpServer]:
    app = FastAPI()
    add_pages(app, Health("reading the log"), CollectorRegistry())
    served = HttpServer(app, ServerSettings(), 0, header_s=0.2)
    served.listen()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(served.serve())
        yield served
        served.stop()


@contextlib.asynccontextmanager
async def connected(server: HttpServer) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(*server.address)
    try:
        async with asyncio.timeout(10):
            yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@pytest.mark.parametrize("sent", [b"", b"GET /readyz HTTP/1.1\r\nHost:"])
async def test_who_does_not_say_what_they_want_is_hung_up_on(server: HttpServer, sent: bytes) -> None:
    async with connected(server) as (reader, writer):
        writer.write(sent)
        assert await reader.read() == b""


async def test_a_second_request_that_drips_is_hung_up_on(server: HttpServer) -> None:
    async with connected(server) as (reader, writer):
        writer.write(GET)
        assert (await reader.readuntil(b"reading the log\n")).startswith(b"HTTP/1.1 503 ")
        writer.write(b"GET /")
        assert await reader.read() == b""


async def test_a_connection_is_kept_between_prompt_requests(server: HttpServer) -> None:
    async with connected(server) as (reader, writer):
        for _ in range(3):
            writer.write(GET)
            assert (await reader.readuntil(b"reading the log\n")).startswith(b"HTTP/1.1 503 ")


async def test_what_is_no_http_is_told_so(server: HttpServer) -> None:
    async with connected(server) as (reader, writer):
        writer.write(b"\x16\x03\x01\x00\xa5\x01\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
