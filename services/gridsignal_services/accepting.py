"""The accept loop of every door: a few sockets in each pass of the event loop, and a breath where there is no place."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

import structlog

from gridsignal_services.telemetry import Outage

AT_ONCE = 8
"""Accepted in one pass of the event loop."""
_BREATH_S = 0.05
"""How long the kernel keeps those who come while we have no place."""
_NO_PLACE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

Arrive = Callable[[socket.socket, str], None]
"""Takes a socket that has come in, and the address it comes from."""


class Arriving(Protocol):
    """A connection, while it has no transport yet."""

    arriving: asyncio.Task[object] | None
    """What gives it one, TLS included; whoever drops it cancels this."""


C = TypeVar("C", bound=Arriving)


class AcceptLoop:
    """Lets sockets in and gives connections their transports.

    Bounded: `at_once` for each pass of the loop, AT_ONCE unless the door says how many. When full: the kernel's backlog
    holds them; without a descriptor left a stranger is dropped (`make_room`), if there is one. Conflates: nothing.
    """

    def __init__(
        self,
        arrive: Arrive,
        make_room: Callable[[], None],
        out: structlog.typing.FilteringBoundLogger,
        *,
        at_once: Callable[[], int] = lambda: AT_ONCE,
    ) -> None:
        self._arrive, self._make_room, self._at_once = arrive, make_room, at_once
        self._listening: list[socket.socket] = []
        self._arriving: set[asyncio.Task[object]] = set()
        self._no_place = Outage(out, "a free descriptor")

    def begin(self, listening: socket.socket) -> None:
        """From now on who comes to this socket is let in."""
        self._listening.append(listening)
        asyncio.get_running_loop().add_reader(listening, self._accept, listening)

    def end(self) -> None:
        """Nobody comes in any more, and who has no transport yet gets none."""
        for listening in self._listening:
            asyncio.get_running_loop().remove_reader(listening)
        self._listening.clear()
        for task in list(self._arriving):
            task.cancel()

    def connect(
        self, arrived: socket.socket, connection: C, gone: Callable[[C], None], tls: ssl.SSLContext | None, tls_s: float
    ) -> None:
        """Gives a connection, which is an asyncio protocol, this socket; `gone` is called where that fails."""
        task = asyncio.create_task(_connect(arrived, connection, tls, tls_s))
        connection.arriving = task
        self._arriving.add(task)
        task.add_done_callback(partial(self._arrived, arrived, connection, gone))

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(self._at_once()):
            try:
                arrived, address = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionError):
                return
            except OSError as failed:
                if failed.errno not in _NO_PLACE:
                    raise
                self._take_breath(listening, failed)
                return
            self._no_place.over()
            arrived.setblocking(False)
            self._arrive(arrived, address[0] if address else "")

    def _take_breath(self, listening: socket.socket, failed: OSError) -> None:
        self._no_place.say(failed.strerror)
        self._make_room()
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening)
        loop.call_later(_BREATH_S, self._go_on, listening)

    def _go_on(self, listening: socket.socket) -> None:
        if listening in self._listening:
            asyncio.get_running_loop().add_reader(listening, self._accept, listening)

    def _arrived(
        self, arrived: socket.socket, connection: C, gone: Callable[[C], None], task: asyncio.Task[object]
    ) -> None:
        self._arriving.discard(task)
        connection.arriving = None
        if task.cancelled() or task.exception() is not None:  # hung up, no TLS, or dropped meanwhile
            gone(connection)
            arrived.close()


async def _connect(arrived: socket.socket, connection: Arriving, tls: ssl.SSLContext | None, tls_s: float) -> object:
    def protocol() -> asyncio.BaseProtocol:
        assert isinstance(connection, asyncio.BaseProtocol)
        return connection

    return await asyncio.get_running_loop().connect_accepted_socket(
        protocol, arrived, ssl=tls, ssl_handshake_timeout=None if tls is None else tls_s
    )
