"""Subscriptions of connections, from the wish to the end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from gridsignal_schemas.frames import Error, Unsubscribed
from gridsignal_services.bus import LogUnavailable
from gridsignal_services.gateway.connection import Connection
from gridsignal_services.gateway.effects import Join, Leave
from gridsignal_services.gateway.gauges import Gauges
from gridsignal_services.gateway.groupkey import GroupKey
from gridsignal_services.gateway.hub import Group, Hub
from gridsignal_services.gateway.joins import Joins
from gridsignal_services.gateway.settings import GatewaySettings
from gridsignal_services.problems import LOG_AWAY
from gridsignal_services.telemetry import logger

_log = logger("gateway")
Start = Callable[[Connection, Coroutine[Any, Any, Any]], asyncio.Task[Any]]


class Subscriptions:
    """Which connection is in which group, or on its way there.

    Bounded: `max_subscriptions` a connection, a task for each that begins; `organisation_subscriptions` and
    `organisation_filters`.
    When full: error `too_many_subscriptions`. Conflates: nothing.
    """

    def __init__(self, hub: Hub, joins: Joins, gauges: Gauges, settings: GatewaySettings, start: Start) -> None:
        self._hub, self._joins, self._gauges, self._start = hub, joins, gauges, start
        self._settings = settings
        self._held: dict[str, Counter[GroupKey]] = {}
        """How many subscriptions an organisation has, by filter: every other filter is work for each signal."""

    def begin(self, connection: Connection, asked: Join) -> None:
        """Brings the connection into the group, which takes a while."""
        assert connection.session is not None
        held = self._held.setdefault(connection.counted_for or "", Counter())
        if refusal := self._refusal(held, asked.key):
            connection.session.parted(asked.key)
            connection.send(Error(id=asked.id, code="too_many_subscriptions", message=refusal))
            return
        held[asked.key] += 1
        group = self._hub.reserve(asked.key)
        connection.session.joined(asked.key, group.sub)
        connection.groups[group.sub] = group
        self._gauges.subscriptions.inc()
        connection.joins[group.sub] = self._start(connection, self._joined(connection, asked, group))

    def _refusal(self, held: Counter[GroupKey], key: GroupKey) -> str | None:
        if held.total() >= self._settings.organisation_subscriptions:
            return f"expected at most {self._settings.organisation_subscriptions} subscriptions of an organisation"
        if key not in held and len(held) >= self._settings.organisation_filters:
            return f"expected at most {self._settings.organisation_filters} different filters of an organisation"
        return None

    async def _joined(self, connection: Connection, asked: Join, group: Group) -> None:
        try:
            await self._joins.join(connection, asked, group)
        except LogUnavailable as away:
            _log.warning("log away", error=str(away))
            self._part(connection, group)
            if connection.session is not None:
                connection.session.parted(asked.key)
            connection.send(Error(id=asked.id, code="unavailable", message=LOG_AWAY, retriable=True))
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
        for group in list(connection.groups.values()):
            self._part(connection, group)

    def _part(self, connection: Connection, group: Group) -> None:
        if connection.groups.pop(group.sub, None) is not None:
            self._gauges.subscriptions.dec()
            self._forget(connection.counted_for or "", group.key)
        self._hub.detach(group, connection)
        connection.forget(group.sub)

    def _forget(self, organisation: str, key: GroupKey) -> None:
        held = self._held[organisation]
        held[key] -= 1
        if not held[key]:
            del held[key]
        if not held:
            del self._held[organisation]
