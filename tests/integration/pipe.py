"""A client of nothing but a socket, for readers that do not read."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from tests.integration.gateway_stand import JSON
from tests.patience import SOON_S

TEXT, CLOSE = 0x1, 0x8


class Pipe:
    """A client of nothing but a socket: it reads when it is told to, and the kernel holds little for it."""

    def __init__(self, address: tuple[str, int], token: str) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.connect(address)
        self._socket.setblocking(False)
        self._bytes = bytearray()
        self._subscriptions = 0
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            "GET /v1/stream HTTP/1.1",
            "Host: x",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Protocol: {JSON}",
            f"Authorization: Bearer {token}",
        ]
        self._socket.send("\r\n".join([*lines, "", ""]).encode())

    @classmethod
    @contextmanager
    def open(cls, address: tuple[str, int], token: str) -> Iterator[Self]:
        pipe = cls(address, token)
        try:
            yield pipe
        finally:
            pipe._socket.close()

    async def subscribe(self, stream: str, mode: str = "every") -> None:
        """Returns once the subscription is live; the first one says hello."""
        if not self._subscriptions:
            await self.say_hello()
        self._subscriptions += 1
        self.send({"t": "subscribe", "id": self._subscriptions, "stream": stream, "mode": mode})
        while (await self.frame())["t"] != "position":
            pass

    async def say_hello(self) -> None:
        """Returns once the upgrade is through; what answers the hello is a frame like the others."""
        await self._until(b"\r\n\r\n")
        self.send({"t": "hello", "id": 0, "client": "raw"})

    def send(self, frame: dict[str, Any]) -> None:
        """Sends a frame, and reads nothing."""
        payload = json.dumps(frame).encode()
        length = bytes((0x80 | len(payload),)) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
        self._socket.send(bytes((0x80 | TEXT,)) + length + bytes(4) + payload)

    async def _until(self, mark: bytes) -> None:
        while mark not in self._bytes:
            await self._read()
        del self._bytes[: self._bytes.index(mark) + len(mark)]

    async def _read(self) -> None:
        async with asyncio.timeout(SOON_S):
            got = await asyncio.get_running_loop().sock_recv(self._socket, 65536)
        if not got:
            raise ConnectionError("the gateway closed the socket")
        self._bytes += got

    async def _take(self, count: int) -> bytes:
        while len(self._bytes) < count:
            await self._read()
        taken = bytes(self._bytes[:count])
        del self._bytes[:count]
        return taken

    async def frame(self) -> dict[str, Any]:
        """The next frame; {"t": "close", "code": ...} at the end."""
        while True:
            opcode, length = await self._take(2)
            if length >= 126:
                length = int.from_bytes(await self._take(2 if length == 126 else 8), "big")
            payload = await self._take(length)
            if opcode & 0xF == TEXT:
                frame: dict[str, Any] = json.loads(payload)
                return frame
            if opcode & 0xF == CLOSE:
                return {"t": "close", "code": int.from_bytes(payload[:2], "big")}
