"""The port: a few sockets at a time come in, each counted before anything is done for it, TLS included."""

from __future__ import annotations

import asyncio
import errno
import resource
import socket
import ssl
from collections.abc import Callable
from functools import partial

from gridsignal_services.addresses import open_at, taking
from gridsignal_services.arrivals import Arrivals
from gridsignal_services.gateway.connection import Connection
from gridsignal_services.gateway.settings import GatewaySettings
from gridsignal_services.gateway.turns import Turns
from gridsignal_services.telemetry import Outage, logger

_AT_ONCE = 8
"""Accepted in one pass of the event loop."""
_WAITING = 64
"""Whose handshakes wait for their turn: while there are more, the kernel keeps those who come."""
_ARRIVAL_S = 0.0002
"""What it takes to accept a socket and to let go of it."""
_BREATH_S = 0.05
"""How long the kernel keeps those who come while we have no place."""
_NO_PLACE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_OWN_FILES = 128
"""Descriptors for the log, the cache and ourselves."""

Make = Callable[[str], Connection]
"""A connection for a socket from this address."""


def descriptors(wanted: int) -> int:
    """How many sockets this process may open, after its soft limit was raised towards what is wanted."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted + _OWN_FILES
    if soft == resource.RLIM_INFINITY or soft >= most:
        return wanted
    allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))
    return max(soft, allowed) - _OWN_FILES


def too_few(allowed: int, wanted: int) -> bool:
    """Whether it is worth a warning: few ever meet the last half, and a stranger is dropped where it ends."""
    return 2 * allowed < wanted


class Doorway:
    """The listening sockets.

    Bounded: `arrivals`; `_AT_ONCE` for each pass of the loop, and none while handshakes wait for their turn.
    When full: the kernel's backlog holds them; without a descriptor left a stranger is dropped. Conflates: nothing.
    """

    def __init__(self, arrivals: Arrivals[Connection], turns: Turns, make: Make, settings: GatewaySettings) -> None:
        self._arrivals = arrivals
        self._make = make
        self._turns = turns
        self._settings = settings
        self._tls = _tls(settings)
        self._listening: list[socket.socket] = []
        self._arriving: set[asyncio.Task[object]] = set()
        self._no_place = Outage(logger("gateway"), "a free descriptor")

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, once it is open."""
        assert self._listening, "not started"
        host, port = self._listening[0].getsockname()[:2]
        return str(host), int(port)

    async def open(self) -> None:
        """Takes the port. Raises OSError where it is taken."""
        loop = asyncio.get_running_loop()
        where = await loop.getaddrinfo(
            self._settings.host or None, self._settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        try:
            for family, _, _, _, address in dict.fromkeys(where):
                self._listening.append(self._listen(family, address))
        except OSError:
            self.close()
            raise
        for listening in self._listening:
            loop.add_reader(listening, self._accept, listening)

    def _listen(self, family: int, address: tuple[object, ...]) -> socket.socket:
        backlog, reuse_port = self._settings.listen_backlog, self._settings.reuse_port
        with taking(str(address[0]), self._settings.port):
            return open_at(address, family, backlog=backlog, reuse_port=reuse_port)

    def renew_certificate(self) -> None:
        """Reads its certificate again, for connections that come from now on."""
        if self._tls is not None and self._settings.tls_certificate is not None:
            self._tls.load_cert_chain(self._settings.tls_certificate, self._settings.tls_key)

    def close(self) -> None:
        """Nobody comes in any more."""
        for listening in self._listening:
            asyncio.get_running_loop().remove_reader(listening)
            listening.close()
        for task in self._arriving:
            task.cancel()

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(self._how_many()):
            try:
                arrived, address = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionError):
                return
            except OSError as failed:
                if failed.errno not in _NO_PLACE:
                    raise
                self._make_room(listening, failed)
                return
            self._no_place.over()
            self._arrive(arrived, address[0] if address else "")

    def _how_many(self) -> int:
        """How many may come in now: few while strangers have used their share, none while they wait for their turn."""
        strangers = self._turns.strangers
        if self._turns.waiting(strangers) >= _WAITING:
            return 0
        return _AT_ONCE if strangers.is_modest(asyncio.get_running_loop().time()) else 1

    def _arrive(self, arrived: socket.socket, address: str) -> None:
        arrived.setblocking(False)
        connection = self._make(address)
        if (dropped := self._arrivals.arrive(connection, address)) is not None:
            dropped.abort()
        task = asyncio.create_task(self._connect(arrived, connection))
        connection.arriving = task
        self._arriving.add(task)
        task.add_done_callback(partial(self._arrived, connection, arrived))
        self._turns.strangers.charge(_ARRIVAL_S, asyncio.get_running_loop().time())

    async def _connect(self, arrived: socket.socket, connection: Connection) -> object:
        return await asyncio.get_running_loop().connect_accepted_socket(
            lambda: connection,
            arrived,
            ssl=self._tls,
            ssl_handshake_timeout=self._settings.tls_timeout_s if self._tls is not None else None,
        )

    def _arrived(self, connection: Connection, arrived: socket.socket, task: asyncio.Task[object]) -> None:
        self._arriving.discard(task)
        connection.arriving = None
        if task.cancelled() or task.exception() is not None:  # hung up, no TLS, or dropped meanwhile
            self._arrivals.leave(connection)
            arrived.close()

    def _make_room(self, listening: socket.socket, failed: OSError) -> None:
        self._no_place.say(failed.strerror)
        if (dropped := self._arrivals.make_room()) is not None:
            dropped.abort()
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening)
        loop.call_later(_BREATH_S, self._go_on, listening)

    def _go_on(self, listening: socket.socket) -> None:
        if listening.fileno() != -1:
            asyncio.get_running_loop().add_reader(listening, self._accept, listening)


def _tls(settings: GatewaySettings) -> ssl.SSLContext | None:
    if settings.tls_certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    return context
