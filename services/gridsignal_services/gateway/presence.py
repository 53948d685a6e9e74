"""Which connection speaks for which instance: a newer session of the same name replaces the older one, best effort."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from gridsignal_protocol.server.closing import REPLACED
from gridsignal_services.access import OFFER_WRITE
from gridsignal_services.cache import Cache
from gridsignal_services.gateway.connection import Connection, StartTask

_AT_ONCE = 16
"""Questions to the cache under way: a thousand sessions of a cache of 200 ms are through in 13 s."""


class Presence:
    """Within this process exactly, between processes through the cache.

    Only like replaces like: the same role and organisation, and both may write or neither.
    Bounded: one entry a connection. When full: never. Conflates: the newest session of an instance stays.
    """

    def __init__(self, cache: Cache, start: StartTask, ttl_s: float) -> None:
        self._cache = cache
        self._start = start
        self._ttl_s = ttl_s
        self._present: dict[str, Connection] = {}
        self._name_of: dict[Connection, str] = {}

    def arrive(self, connection: Connection, instance: str) -> None:
        """The connection speaks for the instance from now on; an older one is closed."""
        session = connection.session
        assert session is not None
        assert session.principal is not None
        may = "writes" if OFFER_WRITE in session.principal.scopes else "reads"
        name = f"{session.principal.name}/{may}/{instance}"
        older = self._present.get(name)
        self._present[name] = connection
        self._name_of[connection] = name
        if older is not None and older is not connection:
            older.close(REPLACED)
        self._start(connection, self._cache.arrive(name, session.id, self._ttl_s))

    def depart(self, connection: Connection) -> None:
        """The connection has ended."""
        name = self._name_of.pop(connection, None)
        if name is None or connection.session is None:
            return
        if self._present.get(name) is connection:
            del self._present[name]
        self._start(connection, self._cache.leave(name, connection.session.id))

    async def keep(self, every_s: float) -> None:
        """Says again and again who is present; whoever has been replaced in another process is closed.

        A task of its own: a cache that is slow delays this and nothing else.
        """
        while True:
            await asyncio.sleep(every_s)
            present = iter(list(self._present.items()))
            await asyncio.gather(*(self._renew(present) for _ in range(_AT_ONCE)))

    async def _renew(self, present: Iterator[tuple[str, Connection]]) -> None:
        for name, connection in present:
            session = connection.session
            if session is not None and not await self._cache.stay(name, session.id, self._ttl_s):
                connection.close(REPLACED)
