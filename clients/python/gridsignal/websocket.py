"""One WebSocket connection to the gateway, by the library `websockets`: frames in and out, pings, its end.

Reading never waits for the user: what he does not take in time is left to the log (see `Feed.parked`), so that pings,
receipts and orders of other subscriptions keep flowing through the same socket.

Bounded: frames of 4 MiB; outgoing frames are bounded by the offer window, the subscriptions and one token.
When full: the connection ends (1009) and is not tried again. Conflates: nothing.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from pydantic import ValidationError
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI, NegotiationError
from websockets.typing import Subprotocol

from gridsignal.clock import wall
from gridsignal.errors import ProtocolViolation, UsageError
from gridsignal.liveness import Liveness
from gridsignal_schemas.frames import SERVER_FRAMES, SUBPROTOCOL_JSON, CloseCode, Frame, Hello, Welcome

_log = logging.getLogger("gridsignal.websocket")
MAX_SERVER_FRAME = 4 * 1024 * 1024
_ABNORMAL = 1006


@dataclass(frozen=True, slots=True)
class Ended:
    """Why a connection ended, or why none came to be."""

    code: int = _ABNORMAL
    reason: str = ""
    status: int | None = None
    """The HTTP status, where the gateway answered the upgrade with something else than 101."""
    retry_after: str | None = None
    """The Retry-After header beside it."""


class Lost(Exception):
    """The connection ended before it was welcomed; caught by `lines` and never shown to users."""

    def __init__(self, ended: Ended) -> None:
        super().__init__(f"{ended.code} {ended.reason}")
        self.ended = ended


class _Heard(ClientConnection):
    """Notes that something arrived: any byte counts as life, and the library alone sees pings and pongs."""

    heard = True

    def data_received(self, data: bytes) -> None:
        self.heard = True
        super().data_received(data)


def stream_url(url: str) -> str:
    """The address of the stream: `/v1/stream` where the user named only the host."""
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise UsageError(f"expected a url such as ws://127.0.0.1:8081 or wss://grid.example, got {url!r}")
    if parts.username or parts.password or parts.query:
        raise UsageError("expected a url without credentials or query: the token goes in token=")
    return urlunsplit(parts._replace(path="/v1/stream")) if parts.path in ("", "/") else url


class Line:
    """One connection: opened, welcomed, read to its end."""

    def __init__(self, socket: _Heard, welcome: Welcome, asked_at: datetime, welcomed_at: datetime) -> None:
        self.welcome = welcome
        self.asked_at, self.welcomed_at = asked_at, welcomed_at
        """Between these moments of our wall clock lies the welcome's `time`, or the clocks differ."""
        self._socket = socket
        self._out: deque[str | asyncio.Future[Awaitable[float] | None]] = deque()  # frames, and pings between them
        self._over = False
        self._out_filled = asyncio.Event()

    @classmethod
    async def open(cls, url: str, token: str, hello: Hello, *, timeout_s: float) -> Line:
        """Connects and says hello. Raises Lost when no welcome came of it."""
        try:
            async with asyncio.timeout(timeout_s):
                socket = await _upgrade(url, token)
                try:
                    asked_at = wall()
                    await socket.send(hello.encode())
                    return cls(socket, await _welcome(socket), asked_at, wall())
                except BaseException:
                    socket.transport.abort()
                    raise
        except InvalidStatus as refused:
            response = refused.response
            raise Lost(Ended(status=response.status_code, retry_after=response.headers.get("Retry-After"))) from refused
        except ConnectionClosed as closed:
            raise Lost(_ended(closed)) from closed
        except InvalidURI as error:
            raise UsageError(str(error)) from error
        except NegotiationError as error:
            raise ProtocolViolation(f"the gateway speaks no {SUBPROTOCOL_JSON}: {error}") from error
        except (OSError, TimeoutError, InvalidHandshake) as error:
            raise Lost(Ended(reason=str(error) or type(error).__name__)) from error

    def send(self, frame: Frame) -> None:
        """Queues a frame; the one writer of this connection sends it."""
        self._out.append(frame.encode())
        self._out_filled.set()

    async def run(self, receive: Callable[[Frame], None], *, ping_s: float, dead_after_s: float) -> Ended:
        """Reads until the end and says what it was. Everything of the connection stops with this call."""
        async with asyncio.TaskGroup() as tasks:
            writer = tasks.create_task(self._write())
            watch = tasks.create_task(self._watch(Liveness(ping_s=ping_s, dead_after_s=dead_after_s)))
            try:
                return await self._read(receive)
            finally:
                writer.cancel()
                watch.cancel()
                self._end()

    async def ping(self) -> bool:
        """True when a pong came, and everything the gateway had sent before it was read; False if it never will.

        The gateway has read everything sent before the ping by then.
        """
        if self._over:
            return False
        pinged: asyncio.Future[Awaitable[float] | None] = asyncio.get_running_loop().create_future()
        self._out.append(pinged)  # behind the frames that were queued before
        self._out_filled.set()
        try:
            pong = await pinged
            if pong is None:
                return False
            await pong
        except ConnectionClosed:
            return False
        await asyncio.sleep(0)  # the reader was woken before us: let it take what lies there
        return True

    async def close(self, code: int = CloseCode.NORMAL) -> None:
        """Says goodbye and waits for the other side's, shortly."""
        await self._socket.close(code)

    async def _read(self, receive: Callable[[Frame], None]) -> Ended:
        while True:
            try:
                text = await self._socket.recv(decode=True)
                frame = decode(text)
            except ConnectionClosed as closed:
                return _ended(closed)
            except (ProtocolViolation, UnicodeDecodeError) as error:
                _log.warning("the gateway broke the protocol: %s", error)
                await self._socket.close(CloseCode.PROTOCOL_ERROR, "unreadable frame")
                return Ended(reason=str(error))
            if frame is not None:
                receive(frame)

    async def _write(self) -> None:
        try:
            while True:
                await self._out_filled.wait()
                while self._out:
                    first = self._out[0]  # it stays in the queue until it is done, for `_end` to find
                    if isinstance(first, str):
                        await self._socket.send(first)
                    elif not first.done():
                        first.set_result(await self._socket.ping())
                    self._out.popleft()
                self._out_filled.clear()
        except ConnectionClosed:
            return  # the reader tells the end

    def _end(self) -> None:
        self._over = True
        for waiting in self._out:
            if not isinstance(waiting, str) and not waiting.done():
                waiting.set_result(None)

    async def _watch(self, liveness: Liveness) -> None:
        loop = asyncio.get_running_loop()
        before_s = loop.time()
        while True:
            await asyncio.sleep(liveness.step_s)
            now_s = loop.time()
            verdict = liveness.stepped(now_s - before_s, heard=self._socket.heard)
            before_s, self._socket.heard = now_s, False
            if verdict == "dead":
                self._socket.transport.abort()
                return
            if verdict == "ping":
                try:
                    await self._socket.ping()
                except ConnectionClosed:
                    return


def decode(text: str) -> Frame | None:
    """The frame of a text; None for a type this version does not know. Raises ProtocolViolation."""
    try:
        body: Any = json.loads(text)
        kind = SERVER_FRAMES.get(body["t"])
        return None if kind is None else kind.model_validate(body)
    except (ValueError, TypeError, KeyError, ValidationError) as error:
        raise ProtocolViolation(f"expected a frame of gridsignal.v1, got {text[:60]!r}...") from error


async def _upgrade(url: str, token: str) -> _Heard:
    loopback = urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")
    socket = await open_websocket(
        url,
        subprotocols=[Subprotocol(SUBPROTOCOL_JSON)],
        additional_headers={"Authorization": f"Bearer {token}"},
        compression=None,
        proxy=None if loopback else True,
        open_timeout=None,
        ping_interval=None,  # ours counts any inbound byte as life, and forgives stalls of the loop
        close_timeout=2,
        max_size=MAX_SERVER_FRAME,
        max_queue=1024,
        create_connection=_Heard,
    )
    assert isinstance(socket, _Heard)
    if socket.subprotocol != SUBPROTOCOL_JSON:
        socket.transport.abort()
        raise NegotiationError(f"expected the subprotocol {SUBPROTOCOL_JSON}, got {socket.subprotocol!r}")
    return socket


async def _welcome(socket: _Heard) -> Welcome:
    while True:
        frame = decode(await socket.recv(decode=True))
        if isinstance(frame, Welcome):
            return frame


def _ended(closed: ConnectionClosed) -> Ended:
    if closed.rcvd is None:
        return Ended(reason=str(closed))
    return Ended(closed.rcvd.code, closed.rcvd.reason)
