"""Without a token: sockets that flood, stay silent, never read or come again and again."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import struct
from collections.abc import Callable

from benchmarks.attacks.play import Play

_TRIES_A_SECOND = 400
"""New sockets of an attack that opens many: more would only measure this process."""


class Socket(asyncio.Protocol):
    """A raw socket that says something when it opens, and reads nothing if it does not read."""

    def __init__(self, first: bytes, *, reads: bool = True) -> None:
        self._first, self._reads = first, reads
        self.is_open = asyncio.Event()
        self.is_lost = False
        self.is_full = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self._first:
            transport.write(self._first)
        if not self._reads:
            transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        self.is_open.set()

    def pause_writing(self) -> None:
        self.is_full = True

    def resume_writing(self) -> None:
        self.is_full = False

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        self.is_open.set()


def _upgrade() -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        "GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Protocol: gridsignal.v1.json\r\n\r\n"
    ).encode()


_DOCS = b"GET /static-offline-docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
_EMPTY_PONG = struct.pack(">BB4x", 0x8A, 0x80)
_EMPTY_PART = struct.pack(">BB4x", 0x00, 0x80)
_FIRST_PART = struct.pack(">BB4x", 0x01, 0x80)


async def pongs(play: Play) -> str:
    return await _flood(play, b"", _EMPTY_PONG * 4096)


async def fragments(play: Play) -> str:
    return await _flood(play, _FIRST_PART, _EMPTY_PART * 4096)


async def _flood(play: Play, first: bytes, chunk: bytes) -> str:
    """Upgrades without a token and never stops; comes back when it is sent away."""
    loop, sent, came = asyncio.get_running_loop(), 0, 0

    async def one() -> None:
        nonlocal sent, came
        while play.left_s > 0:
            try:
                _, made = await loop.create_connection(
                    lambda: Socket(_upgrade()), play.target.host, play.target.gateway
                )
            except OSError:
                await asyncio.sleep(0.05)
                continue
            came += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await made.is_open.wait()
            made.transport.write(first)
            while play.left_s > 0 and not made.is_lost:
                if not made.is_full:
                    made.transport.write(chunk)
                    sent += len(chunk)
                await asyncio.sleep(0)
            made.transport.abort()
            await asyncio.sleep(0.01)

    await play.begin()
    await asyncio.gather(*(one() for _ in range(40)))
    return f"{sent / 2**20:.0f} MiB on {came} sockets, 40 at once"


async def idle_sockets(play: Play) -> str:
    return await _crowd(play, play.target.gateway, b"")


async def half_headers(play: Play) -> str:
    return await _crowd(play, play.target.gateway, b"GET /v1/stream HTTP/1.1\r\nHost: a\r\nX-Slow: ")


async def silent_upgrades(play: Play) -> str:
    return await _crowd(play, play.target.gateway, _upgrade)


async def idle_at_the_desk(play: Play) -> str:
    return await _crowd(play, play.target.dispatch, b"")


async def never_reading(play: Play) -> str:
    return await _crowd(play, play.target.dispatch, _DOCS * 8, reads=False)


async def idle_at_ingest(play: Play) -> str:
    return await _crowd(play, play.target.ingest, b"")


async def _crowd(play: Play, port: int, first: bytes | Callable[[], bytes], *, reads: bool = True) -> str:
    """Opens many sockets that say one thing and stay; each that is sent away comes back."""
    loop, opened, here = asyncio.get_running_loop(), 0, set[Socket]()
    await play.begin()
    while play.left_s > 0:
        here = {each for each in here if not each.is_lost}
        lacking = min(play.sockets - len(here), _TRIES_A_SECOND // 10)
        for _ in range(lacking):
            try:
                async with asyncio.timeout(1):
                    _, made = await loop.create_connection(
                        lambda: Socket(first() if callable(first) else first, reads=reads), play.target.host, port
                    )
            except OSError:
                break
            here.add(made)
            opened += 1
        await asyncio.sleep(0.1)
    held = sum(not each.is_lost for each in here)
    for each in here:
        each.transport.abort()
    return f"{opened} sockets opened, {held} of {play.sockets} there at the end"


async def junk_handshakes(play: Play) -> str:
    """Upgrades with a token that nobody signed, as fast as they are answered."""
    loop, tries = asyncio.get_running_loop(), 0
    request = _upgrade().replace(b"\r\n\r\n", b"\r\nAuthorization: Bearer e30.e30.e30\r\n\r\n")

    async def one() -> None:
        nonlocal tries
        while play.left_s > 0:
            try:
                async with asyncio.timeout(2):
                    _, made = await loop.create_connection(
                        lambda: Socket(request), play.target.host, play.target.gateway
                    )
                    tries += 1
                    await made.is_open.wait()
            except OSError:
                await asyncio.sleep(0.01)
                continue
            made.transport.abort()

    await play.begin()
    await asyncio.gather(*(one() for _ in range(100)))
    return f"{tries} handshakes"
