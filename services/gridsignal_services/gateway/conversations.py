"""All open conversations: what sessions decide is done here, each socket is watched here."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, assert_never

from websockets.http11 import Request, Response

from gridsignal_schemas.frames import (
    SUBPROTOCOL_AVRO,
    CloseCode,
    Error,
    Frame,
    Refused,
    SchemaFrame,
    TokenAccepted,
    Unsubscribed,
    Welcome,
)
from gridsignal_services.access import Principal
from gridsignal_services.bus import LogUnavailable
from gridsignal_services.cache import Cache
from gridsignal_services.gateway.admission import Admission
from gridsignal_services.gateway.effects import Announce, Close, Effect, Join, Leave, Look, Publish, Send
from gridsignal_services.gateway.gauges import Gauges
from gridsignal_services.gateway.http import plain
from gridsignal_services.gateway.hub import Encoding, Group, Hub
from gridsignal_services.gateway.joins import Joins
from gridsignal_services.gateway.pen import Pen
from gridsignal_services.gateway.presence import Presence
from gridsignal_services.gateway.quota import Quota
from gridsignal_services.gateway.rendering import frame_message
from gridsignal_services.gateway.session import House, Session
from gridsignal_services.gateway.ticker import Ticker
from gridsignal_services.gateway.watch import Watch
from gridsignal_services.gateway.websocket import Connection
from gridsignal_services.telemetry import Health, logger

_PRESENT_FOR = 4.0
"""How many times `dead_after_s` a session counts as present without saying so again."""
_LAST_WORDS_S = 1.0
"""How long sockets may take to send what they hold when the gateway stops."""


class Conversations:
    """The shell around all sessions: the `Door` of every connection.

    Bounded: `max_connections`; a task for each subscription that begins and each unanswered write or query.
    When full: 503; refused with `rate`. Conflates: nothing.
    """

    def __init__(
        self,
        house: House,
        health: Health,
        gauges: Gauges,
        hub: Hub,
        joins: Joins,
        pen: Pen,
        quota: Quota,
        cache: Cache,
        schema_text: Callable[[int], str],
    ) -> None:
        self.connections: set[Connection] = set()
        self.watch = Watch(house.settings, self.connections, self._token_due)
        self.ticker = Ticker(self._flush, house.settings.tick_s)
        self._house, self._settings = house, house.settings
        self._health, self._gauges = health, gauges
        self._hub, self._joins, self._pen, self._quota = hub, joins, pen, quota
        self.presence = Presence(cache, self._start, _PRESENT_FOR * house.settings.dead_after_s)
        self._schema_text = schema_text
        self._schemas: dict[int, bytes] = {}
        self._admission = Admission(house, health, 0.0)
        self._dirty: list[Connection] = []
        self._tasks: dict[asyncio.Task[Any], Connection] = {}
        self._empty = asyncio.Event()
        self._empty.set()
        self._log = logger("gateway")

    # --- the door of a connection --------------------------------------------------------------------------------

    def now_s(self) -> float:
        return self.watch.now_s

    def opened(self, connection: Connection) -> None:
        self.connections.add(connection)
        self._empty.clear()
        self._gauges.connections.set(len(self.connections))
        self.watch.look_in(connection, self._settings.header_timeout_s)

    def upgrade(self, connection: Connection, request: Request) -> Response:
        response = plain(connection.ws, request, self._health)
        if response is None:
            response = self._admission.turned_away(
                connection.ws, len(self.connections), asyncio.get_running_loop().time()
            )
        if response is None:
            response, principal = self._admission.handshake(connection.ws, request, _now())
            if response.status_code == 101:
                self._begin(connection, principal)
        self._gauges.upgrades.labels(response.status_code).inc()
        return response

    def _begin(self, connection: Connection, principal: Principal | None) -> None:
        encoding: Encoding = "avro" if connection.ws.subprotocol == SUBPROTOCOL_AVRO else "json"
        connection.session = Session(secrets.token_urlsafe(9), self._house, encoding, principal, _now())
        connection.opened_s = self.watch.now_s
        self.watch.look_in(connection, self._settings.hello_timeout_s)

    def received(self, connection: Connection, text: bytes) -> None:
        if connection.session is not None:
            self.perform(connection, connection.session.receive(text, _now()))

    def received_binary(self, connection: Connection) -> None:
        if connection.session is not None:
            self.perform(connection, connection.session.receive_binary(_now()))

    def received_ping(self, connection: Connection) -> None:
        if connection.session is not None:
            self.perform(connection, connection.session.receive_ping(_now()))

    def wrote(self, connection: Connection) -> None:
        self._dirty.append(connection)
        self.ticker.request()

    def stuck(self, connection: Connection) -> None:
        self.watch.stuck.add(connection)

    def schema_message(self, schema_id: int) -> bytes:
        if schema_id not in self._schemas:
            frame = SchemaFrame.model_validate({"schema_id": schema_id, "schema": self._schema_text(schema_id)})
            self._schemas[schema_id] = frame_message(frame)
        return self._schemas[schema_id]

    def ended(self, connection: Connection, code: int | None) -> None:
        if code is not None:
            self._gauges.closes.labels(code).inc()
        self.watch.look_in(connection, self._settings.close_timeout_s)
        for task in connection.joins.values():
            task.cancel()
        for group in connection.groups.values():
            self._hub.detach(group, connection)
        self._gauges.subscriptions.dec(len(connection.groups))
        connection.groups.clear()
        self.presence.depart(connection)
        if connection.session is not None and connection.session.is_open:
            self._quota.depart(connection.session.organisation)

    def lost(self, connection: Connection) -> None:
        self.connections.discard(connection)
        self.watch.stuck.discard(connection)
        self._gauges.connections.set(len(self.connections))
        if not self.connections:
            self._empty.set()

    # --- effects -------------------------------------------------------------------------------------------------

    def perform(self, connection: Connection, effects: list[Effect]) -> None:
        """Does what a session decided, in that order."""
        for effect in effects:
            match effect:
                case Send():
                    connection.send(effect.frame)
                    self._mark(connection, effect.frame)
                case Close():
                    self.close(connection, effect.code, effect.reason)
                case Announce():
                    self.presence.arrive(connection, effect)
                case Join():
                    self._join(connection, effect)
                case Leave():
                    self._leave(connection, effect)
                case Publish():
                    self._start(connection, self._publish(connection, effect))
                case Look():
                    self._start(connection, self._look(connection, effect))
                case _:
                    assert_never(effect)

    def _mark(self, connection: Connection, frame: Frame) -> None:
        if isinstance(frame, Welcome | TokenAccepted):
            self.watch.look_in(connection, 0.0)  # another token, another deadline
        if isinstance(frame, Welcome) and connection.session is not None:
            self._quota.arrive(connection.session.organisation)

    def close(self, connection: Connection, code: CloseCode, reason: str) -> None:
        """Ends a conversation with a code of the protocol."""
        if connection.is_live:
            connection.close(code, reason)

    def _start(self, connection: Connection, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks[task] = connection
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Any]) -> None:
        connection = self._tasks.pop(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            # one conversation's failure is not the others': it is told, that client comes back, the rest goes on
            self._log.error("a conversation failed", exc_info=failure)
            connection.fail()

    async def _publish(self, connection: Connection, asked: Publish) -> None:
        assert connection.session is not None
        assert connection.session.principal is not None
        answer = await self._pen.write(asked, connection.session.principal, connection.turn)
        self._gauges.answers.labels(answer.code if isinstance(answer, Refused) else "received").inc()
        connection.session.answered()
        connection.send(answer)

    async def _look(self, connection: Connection, asked: Look) -> None:
        assert connection.session is not None
        assert connection.session.principal is not None
        connection.send(await self._pen.look(asked.query, connection.session.principal, asked.site))

    # --- subscriptions -------------------------------------------------------------------------------------------

    def _join(self, connection: Connection, asked: Join) -> None:
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

    def _leave(self, connection: Connection, asked: Leave) -> None:
        group = connection.groups.get(asked.sub)
        if group is not None:
            if (task := connection.joins.pop(asked.sub, None)) is not None:
                task.cancel()
            self._part(connection, group)
        connection.send(Unsubscribed(id=asked.id, sub=asked.sub))

    def _part(self, connection: Connection, group: Group) -> None:
        if connection.groups.pop(group.sub, None) is not None:
            self._gauges.subscriptions.dec()
        self._hub.detach(group, connection)
        connection.forget(group.sub)

    # --- the tick ------------------------------------------------------------------------------------------------

    def _token_due(self, connection: Connection) -> float:
        """Does what the token's age asks for; in how many seconds to look again."""
        assert connection.session is not None
        effects, again_s = connection.session.token_due(_now())
        self.perform(connection, effects)
        return again_s

    def _flush(self) -> int:
        self._gauges.deliveries.inc(self._hub.flush())
        dirty, self._dirty = self._dirty, []
        for connection in dirty:
            connection.flush()
        return len(dirty)

    # --- the end -------------------------------------------------------------------------------------------------

    async def gone(self, within_s: float) -> None:
        """Returns when every socket is gone, or the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._empty.wait()

    async def stop(self) -> None:
        """Says goodbye to everybody and returns when nothing is under way any more."""
        for connection in list(self.connections):
            self.close(connection, CloseCode.GOING_AWAY, "the server goes away")
            connection.leave()
        await self.gone(_LAST_WORDS_S)
        for connection in list(self.connections):
            connection.abort()
        await self.gone(_LAST_WORDS_S)
        self.ticker.stop()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks))


def _now() -> datetime:
    return datetime.now(UTC)
