"""The port: a few sockets at a time come in, each counted before anything is done for it, TLS included."""

from __future__ import annotations

import asyncio
import resource
import socket
import ssl
from collections.abc import Callable

from gridsignal_services.accepting import AT_ONCE, AcceptLoop
from gridsignal_services.addresses import open_at, taking
from gridsignal_services.arrivals import Arrivals
from gridsignal_services.gateway.connection import Connection
from gridsignal_services.gateway.settings import GatewaySettings
from gridsignal_services.gateway.turns import Turns
from gridsignal_services.telemetry import logger

_WAITING = 64
"""Whose handshakes wait for their turn: while there are more, the kernel keeps those who come."""
_ARRIVAL_S = 0.0002
"""What it takes to accept a socket and to let go of it."""
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

    Bounded: `arrivals`; the accept loop, and none while handshakes wait for their turn. When full: the kernel's backlog
    holds them. Conflates: nothing.
    """

    def __init__(self, arrivals: Arrivals[Connection], turns: Turns, make: Make, settings: GatewaySettings) -> None:
        self._arrivals = arrivals
        self._make = make
        self._turns = turns
        self._settings = settings
        self._tls = _tls(settings)
        self._listening: list[socket.socket] = []
        self._accepting = AcceptLoop(self._arrive, self._make_room, logger("gateway"), at_once=self._how_many)

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
            self._accepting.begin(listening)

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
        self._accepting.end()
        for listening in self._listening:
            listening.close()

    def _how_many(self) -> int:
        """How many may come in now: few while strangers have used their share, none while they wait for their turn."""
        strangers = self._turns.strangers
        if self._turns.waiting(strangers) >= _WAITING:
            return 0
        return AT_ONCE if strangers.is_modest(asyncio.get_running_loop().time()) else 1

    def _arrive(self, arrived: socket.socket, address: str) -> None:
        connection = self._make(address)
        if (dropped := self._arrivals.arrive(connection, address)) is not None:
            dropped.abort()
        self._accepting.connect(arrived, connection, self._arrivals.leave, self._tls, self._settings.tls_timeout_s)
        self._turns.strangers.charge(_ARRIVAL_S, asyncio.get_running_loop().time())

    def _make_room(self) -> None:
        if (dropped := self._arrivals.make_room()) is not None:
            dropped.abort()


def _tls(settings: GatewaySettings) -> ssl.SSLContext | None:
    if settings.tls_certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    return context
