"""What may stand between the SDK and a gateway: an ingress that answers in its place, and keeps what it was sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ssl import SSLContext
from typing import Any

import gridsignal
from tests.integration.client_stage import HASTY
from tests.patience import SOON_S

TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl"  # it opens nothing


class Front:
    """An ingress: it answers as it is told to, or lets the gateway answer; it keeps what it was sent."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.answer: bytes | None = None
        self.heard: list[bytes] = []
        self.asked = asyncio.Event()
        self.port = 0
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def refused(self, times: int) -> None:
        """Returns when so many more requests came."""
        async with asyncio.timeout(SOON_S):
            until = len(self.heard) + times
            while len(self.heard) < until:
                self.asked.clear()
                await self.asked.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            head = await reader.read(65_536)  # one write of the client's, and on loopback one read
            self.heard.append(head)
            self.asked.set()
            if self.answer is not None:
                writer.write(self.answer)
                await writer.drain()
                return
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers.add(there_writer)
            there_writer.write(head)
            await asyncio.gather(_copied(reader, there_writer), _copied(there_reader, writer))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def _copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(65_536):
            writer.write(chunk)
            await writer.drain()
    finally:
        writer.close()


@asynccontextmanager
async def front(port: int, tls: SSLContext | None = None) -> AsyncIterator[Front]:
    standing = Front(port)
    server = await asyncio.start_server(standing.serve, "127.0.0.1", 0, ssl=tls)
    standing.port = server.sockets[0].getsockname()[1]
    try:
        yield standing
    finally:
        server.close()
        standing.cut()
        await server.wait_closed()


@asynccontextmanager
async def connected(port: int, scheme: str = "ws", **options: Any) -> AsyncIterator[gridsignal.Grid]:
    given: dict[str, Any] = {"token": TOKEN, "site": "fra-1", "outbox": ":memory:", "limits": HASTY} | options
    async with asyncio.timeout(2 * SOON_S), gridsignal.connect(f"{scheme}://127.0.0.1:{port}", **given) as grid:
        yield grid


def http_answer(status: str, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers.items()), "Content-Length: 0"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
