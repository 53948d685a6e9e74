"""Loopback TCP between the SDK and a gateway, which a test can cut, freeze and redirect."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Self


class Relay:
    """Loopback TCP between the SDK and a gateway."""

    def __init__(self) -> None:
        self.target = ("127.0.0.1", 0)
        self.accepted = 0
        self.frozen_up = False
        self.frozen_down = False
        """Bytes in this direction vanish, and nobody is told: half-open."""
        self.flowing = asyncio.Event()
        self.flowing.set()
        """Cleared: nothing is read any more, so that the sender's buffers fill; nobody is told."""
        self.port = 0
        self.came = asyncio.Event()
        """A connection was accepted."""
        self.swallowed = asyncio.Event()
        """Bytes have vanished."""
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._open = asyncio.Event()
        self._open.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self._open.set()
        self.flowing.set()
        self.cut()
        await self._server.wait_closed()

    def cut(self) -> None:
        """Every connection ends, without a goodbye."""
        for writer in list(self._writers):
            writer.transport.abort()

    def refuse_new(self) -> None:
        """Connections are cut as they come."""
        self._open.clear()

    def admit(self) -> None:
        """And now they are not."""
        self._open.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._open.is_set():
            writer.transport.abort()
            return
        self.accepted += 1
        self.came.set()
        try:
            there_reader, there_writer = await asyncio.open_connection(*self.target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, there_writer}
        up = self._copy(reader, there_writer, lambda: self.frozen_up)
        down = self._copy(there_reader, writer, lambda: self.frozen_down)
        await asyncio.gather(up, down)
        self._writers -= {writer, there_writer}

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, frozen: Callable[[], bool]
    ) -> None:
        with suppress(OSError):
            while await self.flowing.wait() and (chunk := await reader.read(65_536)):
                if frozen():
                    self.swallowed.set()
                    continue
                writer.write(chunk)
                await writer.drain()
        if not frozen():
            writer.close()
