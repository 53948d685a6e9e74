"""Something that answers where the schema registry should be, such as a proxy with a page of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gridsignal_services.bus import LogUnavailable
from gridsignal_services.bus.registry import SchemaRegistry

PAGE = b"<h1>Welcome</h1>"


@pytest.fixture
async def registry() -> AsyncIterator[SchemaRegistry]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(PAGE), PAGE))
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        async with SchemaRegistry(f"http://{host}:{port}") as asked:
            yield asked


async def test_an_answer_that_is_not_a_registrys_counts_as_none(registry: SchemaRegistry) -> None:
    with pytest.raises(LogUnavailable, match="expected an answer with schema"):
        await registry.schema(1)
    with pytest.raises(LogUnavailable, match="expected an answer with id"):
        await registry.id_of("prices", "{}")
