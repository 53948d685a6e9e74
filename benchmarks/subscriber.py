"""Cheap subscribers: raw sockets that count messages and read a stamp, nothing else."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import struct
import time

Frame = dict[str, object]


def masked(frame: Frame) -> bytes:
    """A client's text message; the mask of zeros leaves the payload as it is."""
    payload = json.dumps(frame).encode()
    if len(payload) < 126:
        return struct.pack(">BB4x", 0x81, 0x80 | len(payload)) + payload
    return struct.pack(">BBH4x", 0x81, 0xFE, len(payload)) + payload


def upgrade(key: str, token: str) -> bytes:
    """The request of a WebSocket; without a token, of a server that knows no protocol of ours."""
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    protocol = "Sec-WebSocket-Protocol: gridsignal.v1.json\r\n" if token else ""
    return (
        "GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{protocol}{authorization}\r\n"
    ).encode()


class Tally:
    """What all subscribers together received.

    Bounded by the load. When full: never. Conflates: nothing.
    """

    def __init__(self) -> None:
        self.subscribed = 0
        self.received = 0
        self.received_bytes = 0
        self.late_ms: list[float] = []
        self.all_subscribed = asyncio.Event()
        self.lost = 0


class Subscriber(asyncio.Protocol):
    """Upgrades, says its frames one after the other, then counts."""

    def __init__(self, tally: Tally, token: str, frames: list[Frame], wanted: int, is_timed: bool) -> None:
        self._tally, self._token, self._frames = tally, token, list(frames)
        self._wanted, self._is_timed = wanted, is_timed
        self._rest = b""
        self._is_open = self._is_subscribed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(upgrade(key, self._token))

    def connection_lost(self, exc: Exception | None) -> None:
        self._tally.lost += 1

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        if not self._is_open:
            ends = data.find(b"\r\n\r\n")
            if ends < 0:
                self._rest = data
                return
            self._is_open, data = True, data[ends + 4 :]
            self._say_next()
        at = 0
        now_ns = time.monotonic_ns()
        while (size := _size(data, at)) and at + size <= len(data):
            self._read(data, at, at + size, now_ns)
            at += size
        self._rest = data[at:]

    def _say_next(self) -> None:
        if self._frames:
            self.transport.write(masked(self._frames.pop(0)))

    def _read(self, data: bytes, start: int, end: int, now_ns: int) -> None:
        tally = self._tally
        if not self._is_subscribed:
            if data.find(b'"t":"subscribed"', start, end) >= 0:
                self._is_subscribed = True
                tally.subscribed += 1
                if tally.subscribed == self._wanted:
                    tally.all_subscribed.set()
            else:
                self._say_next()
            return
        stamp = data.find(b"due=", start, end)
        if stamp < 0:
            return
        tally.received += 1
        tally.received_bytes += end - start
        if self._is_timed:
            due_ns = int(data[stamp + 4 : data.index(b'"', stamp, end)])
            tally.late_ms.append((now_ns - due_ns) / 1e6)


def _size(data: bytes, at: int) -> int:
    """Length of the server's message that begins at `at`, with its header; 0 where the header is incomplete."""
    if len(data) < at + 4:
        return 0
    length = data[at + 1]
    if length < 126:
        return length + 2
    if length == 126:
        return int.from_bytes(data[at + 2 : at + 4], "big") + 4
    return int.from_bytes(data[at + 2 : at + 10], "big") + 10 if len(data) >= at + 10 else 0
