"""One WebSocket connection to the gateway, by the library `websockets`: frames in and out, pings, its end.

Reading never waits for the user: what he does not take in time is left to the log (see `Reader`), so that
pings, receipts and orders of other subscriptions keep flowing through the same socket.

Bounded: frames of 4 MiB; outgoing frames are bounded by the offer window, the subscriptions and one token.
When full: the connection ends (1009) and is not tried again. Conflates: nothing.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError
from websockets.exceptions import ConnectionClosed, WebSocketException

from gridsignal.clock import steady_s, wall
from gridsignal.errors import GridsignalError, ProtocolViolation
from gridsignal.route import Route
from gridsignal.upgrade import CLOSE_S, Ended, Lost, Socket, ended, upgrade, why
from gridsignal_protocol.client.conversation import Connection
from gridsignal_protocol.liveness import Liveness
from gridsignal_schemas.frames import SERVER_FRAMES, CloseCode, Frame, Welcome

_log = logging.getLogger("gridsignal.websocket")
_NO_LINE = (OSError, TimeoutError, WebSocketException, GridsignalError, ValueError, ImportError)
"""All that a network, a resolver, TLS, a proxy and whoever answers can make of an attempt."""


class Line:
    """One connection: opened, welcomed, read to its end."""

    def __init__(
        self, socket: Socket, connection: Connection, welcome: Welcome, asked_at: datetime, welcomed_at: datetime
    ) -> None:
        self.connection = connection
        """Its part of the conversation."""
        self.welcome = welcome
        self.asked_at, self.welcomed_at = asked_at, welcomed_at
        """Between these moments of our wall clock lies the welcome's `time`, or the clocks differ."""
        self._socket = socket
        self._out: deque[str | asyncio.Future[Awaitable[float] | None]] = deque()  # frames, and pings between them
        self._over = False
        self._out_filled = asyncio.Event()

    @classmethod
    async def open(cls, route: Route, token: str, connection: Connection, *, timeout_s: float) -> Line:
        """Connects and says hello. Raises Lost when no welcome came of it, and nothing else."""
        opened: list[Socket] = []
        try:
            async with asyncio.timeout(timeout_s):
                socket = await upgrade(route, token, opened)
                asked_s = steady_s()
                for hello in connection.frames_to_send():
                    await socket.send(hello.encode())
                welcome, took_s = await _welcome(socket), steady_s() - asked_s
                welcomed_at = wall()
                return cls(socket, connection, welcome, welcomed_at - timedelta(seconds=took_s), welcomed_at)
        except _NO_LINE as error:
            _abort(opened)
            raise Lost(why(error, opened, route)) from error
        except BaseException:
            _abort(opened)
            raise

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

    def abort(self) -> None:
        """Drops the connection without a goodbye."""
        self._socket.transport.abort()

    async def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Says goodbye and waits for the other side's, shortly: what can't be sent by then never will be."""
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._socket.close(code, reason)
        except TimeoutError:
            pass
        finally:
            self.abort()

    async def _read(self, receive: Callable[[Frame], None]) -> Ended:
        while True:
            try:
                text = await self._socket.recv(decode=True)
                frame = decode(text)
            except ConnectionClosed as closed:
                return ended(closed)
            except (ProtocolViolation, UnicodeDecodeError) as error:
                _log.warning("the gateway broke the protocol: %s", error)
                await self.close(CloseCode.PROTOCOL_ERROR, "unreadable frame")
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
        """Waits for nothing but its own time: neither side's full buffer keeps it from its verdict."""
        loop = asyncio.get_running_loop()
        before_s, unsent = loop.time(), 0
        while True:
            await asyncio.sleep(liveness.step_s)
            now_s, still = loop.time(), self._socket.transport.get_write_buffer_size()
            stuck = 0 < still == unsent
            verdict = liveness.stepped(now_s - before_s, heard=self._socket.heard, stuck=stuck)
            before_s, unsent, self._socket.heard = now_s, still, False
            if verdict == "dead":
                self.abort()
                return
            if verdict == "ping" and not self._out:  # where frames wait to be sent, so would the ping
                self._out.append(loop.create_future())
                self._out_filled.set()


def _abort(opened: list[Socket]) -> None:
    for socket in opened:
        transport: asyncio.Transport | None = getattr(socket, "transport", None)
        if transport is not None:
            transport.abort()


def decode(text: str) -> Frame | None:
    """The frame of a text; None for a type this version does not know. Raises ProtocolViolation."""
    try:
        body: Any = json.loads(text)
        kind = SERVER_FRAMES.get(body["t"])
        return None if kind is None else kind.model_validate(body)
    except (ValueError, TypeError, KeyError, ValidationError) as error:
        raise ProtocolViolation(f"expected a frame of gridsignal.v1, got {text[:60]!r}...") from error


async def _welcome(socket: Socket) -> Welcome:
    while True:
        frame = decode(await socket.recv(decode=True))
        if isinstance(frame, Welcome):
            return frame
