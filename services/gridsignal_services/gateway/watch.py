"""Looks after every socket on one timer wheel: headers, hellos, pings, silences, tokens, stalls, ends."""

from __future__ import annotations

from collections.abc import Callable, Set
from operator import itemgetter

from gridsignal_protocol.server import closing
from gridsignal_services.gateway.connection import Connection
from gridsignal_services.gateway.settings import GatewaySettings
from gridsignal_services.gateway.wheel import Wheel

_DEAD_GRACE_S = 2.0
"""How long a peer that gives no sign of life may take to read why it is closed."""


class Watch:
    """The wheel and what is looked at: each connection is in one slot of it, and once among the stuck."""

    def __init__(
        self, settings: GatewaySettings, connections: Set[Connection], session_due_s: Callable[[Connection], float]
    ) -> None:
        self.stuck: set[Connection] = set()
        """Those whose socket is full."""
        self._settings = settings
        self._connections = connections
        self._session_due_s = session_due_s
        self.wheel: Wheel[Connection] = Wheel()

    @property
    def now_s(self) -> float:
        """Seconds that the event loop was there to live through."""
        return self.wheel.now_s

    def look_in(self, connection: Connection, seconds: float) -> None:
        """Looks at the connection after this time, or before."""
        self.wheel.schedule(connection, self.now_s + seconds)

    def give_up(self, connection: Connection) -> None:
        """The peer gives no sign of life: it has a little time to read why it is closed."""
        connection.closing_s = self.now_s - self._settings.close_timeout_s + _DEAD_GRACE_S

    def tick(self, elapsed_s: float) -> None:
        """Looks at whoever is due, and at all who are stuck."""
        for connection in self.wheel.advance(elapsed_s):
            if connection in self._connections:
                self.wheel.schedule(connection, self._look_at(connection, self.now_s))
        for connection in list(self.stuck):
            stalled = connection.is_stalled(self.now_s)
            if stalled is None:
                self.stuck.discard(connection)
            elif stalled:
                connection.stalled()
        self._bound_organisations()

    def _bound_organisations(self) -> None:
        """Closes those with the most unsent where an organisation has too much of it in all."""
        unsent: dict[str, list[tuple[int, Connection]]] = {}
        for connection in self.stuck:
            if connection.counted_for is not None:
                unsent.setdefault(connection.counted_for, []).append((connection.unsent_bytes, connection))
        for each in unsent.values():
            over = sum(size for size, _ in each) - self._settings.organisation_unsent_bytes
            for size, connection in sorted(each, key=itemgetter(0), reverse=True):
                if over <= 0:
                    break
                over -= size
                connection.close(closing.TOO_MUCH_UNSENT)

    def _look_at(self, connection: Connection, now_s: float) -> float:
        """When to look at the connection again."""
        settings = self._settings
        if connection.closing_s is not None:
            if now_s - connection.closing_s < settings.close_timeout_s:
                return connection.closing_s + settings.close_timeout_s
            if connection.has_poured and connection.has_taken():
                connection.closing_s = now_s  # what is left is in buffers that only TLS and the kernel see
            else:
                connection.abort()
            return now_s + settings.close_timeout_s
        if connection.session is None:
            if now_s - connection.opened_s < settings.header_timeout_s:
                return connection.opened_s + settings.header_timeout_s
            connection.is_late()
            return now_s + settings.close_timeout_s
        if connection.is_held:
            connection.sign_of_life()  # it is not silent: we are busy
        return now_s + self._session_due_s(connection)
