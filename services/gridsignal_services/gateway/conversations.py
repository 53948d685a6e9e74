"""All open conversations: what sessions decide is done here, each socket is watched here."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator
from typing import Any, assert_never

from websockets.http11 import Request

from gridsignal_protocol.server import closing, events
from gridsignal_protocol.server.limits import Moment
from gridsignal_protocol.server.session import Session
from gridsignal_schemas.frames import SchemaFrame
from gridsignal_services.access import Principal
from gridsignal_services.arrivals import Arrivals
from gridsignal_services.bus.codec import Codec
from gridsignal_services.cache import Cache
from gridsignal_services.clock import Time
from gridsignal_services.event_log import EventLog
from gridsignal_services.gateway.answering import Answering
from gridsignal_services.gateway.connection import Connection
from gridsignal_services.gateway.costs import cost_s
from gridsignal_services.gateway.credentials import Credentials
from gridsignal_services.gateway.gauges import Gauges
from gridsignal_services.gateway.hub import Hub
from gridsignal_services.gateway.joins import Joins
from gridsignal_services.gateway.log_access import LogAccess
from gridsignal_services.gateway.presence import Presence
from gridsignal_services.gateway.quota import Quota
from gridsignal_services.gateway.reception import Reception
from gridsignal_services.gateway.rendering import frame_message
from gridsignal_services.gateway.subscriptions import Subscriptions
from gridsignal_services.gateway.tick import Tick
from gridsignal_services.gateway.ticker import Ticker
from gridsignal_services.gateway.turns import Turns
from gridsignal_services.gateway.watch import Watch
from gridsignal_services.gateway.wheel import Lived
from gridsignal_services.gateway.wire import Heard, Message
from gridsignal_services.telemetry import Health, logger

_PRESENT_FOR = 4.0
"""How many times `dead_after_s` a session counts as present without saying so again."""
_LAST_WORDS_S = 1.0
"""How long sockets may take to send what they hold when the gateway stops."""


class Conversations:
    """The shell around all sessions: the `ConnectionHost` of every connection.

    Bounded: `strangers` and `max_connections`; a task for each subscription that begins, each write or
    query without an answer.
    When full: 503; refused with `rate`. Conflates: nothing.
    """

    def __init__(
        self,
        credentials: Credentials,
        health: Health,
        gauges: Gauges,
        hub: Hub,
        joins: Joins,
        log_access: LogAccess,
        quota: Quota,
        cache: Cache,
        turns: Turns,
        codec: Codec,
        time: Time,
    ) -> None:
        self.connections: set[Connection] = set()
        self.watch = Watch(credentials.settings, self.connections, self._session_due)
        self.lived: Lived = self.watch.wheel
        self.ticker = Ticker(
            self._flush, self._has_more, Tick(credentials.settings.tick_s, credentials.settings.longest_tick_s)
        )
        self._credentials, self._settings = credentials, credentials.settings
        self._health, self._gauges = health, gauges
        self._hub, self._quota = hub, quota
        self._events = EventLog("gateway", gauges.registry, time.steady_s)
        self._answering = Answering(log_access, turns, gauges, self._events, self._start)
        self._subscriptions = Subscriptions(hub, joins, gauges, credentials.settings, self._start)
        self.presence = Presence(cache, self._start, _PRESENT_FOR * credentials.settings.dead_after_s)
        self._schema_text, self._time = codec.schema_text, time
        self._schemas: dict[int, bytes] = {}
        self.arrivals: Arrivals[Connection] = Arrivals(credentials.settings.arrivals)
        self.turns = turns
        gauges.strangers.set_function(lambda: self.arrivals.strangers)
        self._reception = Reception(credentials, health, gauges, self.arrivals)
        self._dirty: list[Connection] = []
        self._tasks: dict[asyncio.Task[Any], Connection] = {}
        self._empty = asyncio.Event()
        self._empty.set()
        self._log = logger("gateway")

    # --- the door of a connection --------------------------------------------------------------------------------

    def opened(self, connection: Connection) -> None:
        self.connections.add(connection)
        self._empty.clear()
        self._gauges.connections.set(len(self.connections))
        self.watch.look_in(connection, self._settings.header_timeout_s)

    def heard(self, connection: Connection, message: Message) -> None:
        session, now = connection.session, self._now()
        if isinstance(message, Request):
            self._requested(connection, message, now)
            return
        assert session is not None, "expected a request before anything else"
        match message:
            case bytes():
                session.receive(message, now)
            case Heard.BINARY:
                session.receive_binary(now)
            case Heard.NOTHING:
                session.count(now)
        self.follow(connection)

    def _requested(self, connection: Connection, request: Request, now: Moment) -> None:
        answer = self._reception.answer(connection, request, now)
        self._gauges.upgrades.labels(answer.response.status_code).inc()
        if answer.session is not None:
            self._begin(connection, answer.session)
        if answer.wire is None:
            connection.respond(answer.response)
        else:
            connection.speak(answer.wire(connection))
        for frame in answer.frames:
            connection.send(frame)
        if answer.session is not None:
            self._perform(connection, answer.session, answer.events)

    def _begin(self, connection: Connection, session: Session) -> None:
        principal, connection.session = session.principal, session
        connection.opened_s = self.watch.now_s
        if principal is not None and self._quota.has_room(principal):
            self._count(connection, principal)
        self.watch.look_in(connection, self._settings.hello_timeout_s)

    def _count(self, connection: Connection, principal: Principal) -> None:
        """From now on it is one of its organisation's connections, read at its expense."""
        connection.counted_for = principal.name
        connection.share = self.turns.share_of(principal.name)
        self._quota.arrive(principal)

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
        self._subscriptions.end(connection)
        for task in connection.looks:
            task.cancel()
        self.presence.depart(connection)
        if connection.counted_for is not None:
            self._quota.depart(connection.counted_for)
            connection.counted_for = None

    def lost(self, connection: Connection) -> None:
        self.connections.discard(connection)
        self.arrivals.leave(connection)
        self.watch.stuck.discard(connection)
        self._gauges.connections.set(len(self.connections))
        if not self.connections:
            self._empty.set()

    def broke(self, connection: Connection, fault: Exception) -> None:
        # one conversation's failure is not the others': it is told, that client comes back, the rest goes on
        self._log.error("a conversation failed", exc_info=fault)
        connection.fail()

    # --- what a session has decided -----------------------------------------------------------------------------

    def follow(self, connection: Connection) -> None:
        """Sends what a session has to say, and does what it asks for."""
        session = connection.session
        assert session is not None
        connection.tell()
        if received := session.events_received():
            self._perform(connection, session, received)

    def _perform(self, connection: Connection, session: Session, received: list[events.Event]) -> None:
        """In that order, at the expense of whoever asked."""
        connection.owe(cost_s(received))
        for event in received:
            match event:
                case events.Introduce():
                    is_counted = connection.counted_for is not None
                    self._credentials.introduce(session, event.hello, self._now(), is_counted=is_counted)
                    self.follow(connection)
                case events.Renew():
                    self._credentials.renew(session, event.frame, self._now())
                    self.follow(connection)
                case events.Welcomed():
                    self._welcomed(connection, event.instance)
                case events.Renewed():
                    self.watch.look_in(connection, 0.0)  # another token, another deadline
                case events.Ping():
                    connection.wire.ping()
                case events.Join():
                    self._subscriptions.begin(connection, event.subscription)
                case events.Leave():
                    self._subscriptions.leave(connection, event.subscription)
                case events.Publish():
                    self._answering.write(connection, event)
                case events.Look():
                    self._answering.look(connection, event)
                case closing.Close():
                    connection.close(event)
                    if event is closing.NO_PONG:
                        self.watch.give_up(connection)
                case _:
                    assert_never(event)

    def _welcomed(self, connection: Connection, instance: str | None) -> None:
        assert connection.session is not None
        assert connection.session.principal is not None
        self.watch.look_in(connection, 0.0)
        if instance is not None:
            self.presence.arrive(connection, instance)
        if not self.arrivals.admit(connection):
            connection.close(closing.FULL)
        elif connection.counted_for is None:
            self._count(connection, connection.session.principal)
            self._events.tell("signed_in", connection.session.principal.name, instance=instance)

    def _start(self, connection: Connection, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks[task] = connection
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Any]) -> None:
        connection = self._tasks.pop(task)
        failure = None if task.cancelled() else task.exception()
        if isinstance(failure, Exception):
            self.broke(connection, failure)

    # --- the tick ------------------------------------------------------------------------------------------------

    def _session_due(self, connection: Connection) -> float:
        """Does what is due; in how many seconds to look again."""
        assert connection.session is not None
        again_s = connection.session.tick(self._now(), connection.heard_s)
        self.follow(connection)
        return again_s

    def _flush(self) -> Iterator[None]:
        for deliveries in self._hub.flush():
            self._gauges.deliveries.inc(deliveries)
            yield
        dirty, self._dirty = self._dirty, []
        for connection in dirty:
            connection.flush()
            yield

    def _has_more(self) -> bool:
        return bool(self._dirty) or self._hub.has_more

    def _now(self) -> Moment:
        return Moment(self._time.wall(), asyncio.get_running_loop().time(), self.lived.now_s)

    # --- the end -------------------------------------------------------------------------------------------------

    async def gone(self, within_s: float) -> None:
        """Returns when every socket is gone, or the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._empty.wait()

    async def stop(self) -> None:
        """Says goodbye to everybody and returns when nothing is under way any more."""
        for connection in list(self.connections):
            connection.close(closing.GOING_AWAY)
            connection.leave()
        await self.gone(_LAST_WORDS_S)
        for connection in list(self.connections):
            connection.abort()
        await self.gone(_LAST_WORDS_S)
        self.ticker.stop()
        self.turns.stop()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks))
