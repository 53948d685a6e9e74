"""Subscriptions of connections, from the wish to the end."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, NamedTuple

from gridsignal_protocol.server.subscription import Subscription
from gridsignal_services.bus import LogUnavailable
from gridsignal_services.gateway.connection import Connection, StartTask
from gridsignal_services.gateway.gauges import Gauges
from gridsignal_services.gateway.groupkey import GroupKey, group_key
from gridsignal_services.gateway.hub import Group, Hub
from gridsignal_services.gateway.joins import Joins
from gridsignal_services.gateway.settings import GatewaySettings
from gridsignal_services.rest.problems import LOG_AWAY
from gridsignal_services.telemetry import logger

_log = logger("gateway")


class _Seat(NamedTuple):
    """What a subscription takes up here, while it is not gone."""

    group: Group
    joining: asyncio.Task[Any]


class Subscriptions:
    """Brings subscriptions to their groups and out of them; where each stands its session knows.

    Bounded: `max_subscriptions` a connection, a task for each that begins; `organisation_subscriptions` and
    `organisation_filters`.
    When full: error `too_many_subscriptions`. Conflates: nothing.
    """

    def __init__(self, hub: Hub, joins: Joins, gauges: Gauges, settings: GatewaySettings, start: StartTask) -> None:
        self._hub, self._joins, self._gauges, self._start = hub, joins, gauges, start
        self._settings = settings
        self._seats: dict[Subscription, _Seat] = {}
        self._held: dict[str, Counter[GroupKey]] = {}
        """How many subscriptions an organisation has, by filter: every other filter is work for each signal."""

    def begin(self, connection: Connection, subscription: Subscription) -> None:
        """Brings the connection into the group, which takes a while."""
        session = connection.session
        assert session is not None
        assert session.principal is not None
        if subscription.is_gone:
            return  # with its connection, meanwhile
        key = group_key(subscription.want, connection.encoding, session.principal, session.entitlements)
        held = self._held.setdefault(connection.counted_for or "", Counter())
        if refusal := self._refusal(held, key):
            session.subscriptions.refused(subscription, "too_many_subscriptions", refusal)
            connection.tell()
            return
        held[key] += 1
        group = self._hub.reserve(key)
        session.subscriptions.named(subscription, group.sub)
        self._gauges.subscriptions.inc()
        joining = self._start(connection, self._join(connection, subscription, group))
        joining.add_done_callback(lambda _: self._hub.release(group))  # also of one that never began
        self._seats[subscription] = _Seat(group, joining)

    def _refusal(self, held: Counter[GroupKey], key: GroupKey) -> str | None:
        if held.total() >= self._settings.organisation_subscriptions:
            return f"expected at most {self._settings.organisation_subscriptions} subscriptions of an organisation"
        if key not in held and len(held) >= self._settings.organisation_filters:
            return f"expected at most {self._settings.organisation_filters} different filters of an organisation"
        return None

    async def _join(self, connection: Connection, subscription: Subscription, group: Group) -> None:
        assert connection.session is not None
        try:
            await self._joins.join(connection, subscription, group)
        except LogUnavailable as away:
            _log.warning("log away", error=str(away))
            self.leave(connection, subscription)
            connection.session.subscriptions.refused(subscription, "unavailable", LOG_AWAY, retriable=True)
            connection.tell()

    def leave(self, connection: Connection, subscription: Subscription) -> None:
        """One subscription ends."""
        if (seat := self._seats.pop(subscription, None)) is None:
            return  # it never had one
        group, joining = seat
        if joining is not asyncio.current_task():  # which is told nothing of its own refusal
            joining.cancel()
        self._gauges.subscriptions.dec()
        self._forget(connection.counted_for or "", group.key)
        self._hub.detach(group, connection)
        connection.forget(group.sub)

    def end(self, connection: Connection) -> None:
        """All of a connection's end."""
        if connection.session is None:
            return
        for subscription in connection.session.subscriptions:
            self.leave(connection, subscription)
        connection.session.ended()

    def _forget(self, organisation: str, key: GroupKey) -> None:
        held = self._held[organisation]
        held[key] -= 1
        if not held[key]:
            del held[key]
        if not held:
            del self._held[organisation]
