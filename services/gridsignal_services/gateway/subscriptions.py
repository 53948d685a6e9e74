"""Subscriptions of connections, from the wish to the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from gridsignal_schemas.frames import Error, Unsubscribed
from gridsignal_services.bus import LogUnavailable
from gridsignal_services.gateway.effects import Join, Leave
from gridsignal_services.gateway.gauges import Gauges
from gridsignal_services.gateway.hub import Group, Hub
from gridsignal_services.gateway.joins import Joins
from gridsignal_services.gateway.websocket import Connection

Start = Callable[[Connection, Coroutine[Any, Any, Any]], asyncio.Task[Any]]


class Subscriptions:
    """Which connection is in which group, or on its way there.

    Bounded: `max_subscriptions` a connection, a task for each that begins. When full: the session refuses.
    Conflates: nothing.
    """

    def __init__(self, hub: Hub, joins: Joins, gauges: Gauges, start: Start) -> None:
        self._hub, self._joins, self._gauges, self._start = hub, joins, gauges, start

    def begin(self, connection: Connection, asked: Join) -> None:
        """Brings the connection into the group, which takes a while."""
        assert connection.session is not None
        group = self._hub.reserve(asked.key)
        connection.session.joined(asked.key, group.sub)
        connection.groups[group.sub] = group
        self._gauges.subscriptions.inc()
        connection.joins[group.sub] = self._start(connection, self._joined(connection, asked, group))

    async def _joined(self, connection: Connection, asked: Join, group: Group) -> None:
        try:
            await self._joins.join(connection, asked, group)
        except LogUnavailable as away:
            self._part(connection, group)
            if connection.session is not None:
                connection.session.parted(asked.key)
            connection.send(Error(id=asked.id, code="unavailable", message=str(away), retriable=True))
        finally:
            self._hub.release(group)
            if connection.joins.get(group.sub) is asyncio.current_task():
                del connection.joins[group.sub]

    def leave(self, connection: Connection, asked: Leave) -> None:
        """One subscription ends."""
        group = connection.groups.get(asked.sub)
        if group is not None:
            if (task := connection.joins.pop(asked.sub, None)) is not None:
                task.cancel()
            self._part(connection, group)
        connection.send(Unsubscribed(id=asked.id, sub=asked.sub))

    def end(self, connection: Connection) -> None:
        """All of a connection's end."""
        for task in connection.joins.values():
            task.cancel()
        for group in connection.groups.values():
            self._hub.detach(group, connection)
        self._gauges.subscriptions.dec(len(connection.groups))
        connection.groups.clear()

    def _part(self, connection: Connection, group: Group) -> None:
        if connection.groups.pop(group.sub, None) is not None:
            self._gauges.subscriptions.dec()
        self._hub.detach(group, connection)
        connection.forget(group.sub)
