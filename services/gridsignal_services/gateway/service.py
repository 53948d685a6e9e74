"""The gateway as a service: the log and the replica on one side, sockets on the other."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from gridsignal_protocol.server import closing
from gridsignal_schemas.frames import Drain
from gridsignal_services.access import Entitlements, Principal
from gridsignal_services.access.tokens import Verifier
from gridsignal_services.bus import Log
from gridsignal_services.bus.codec import Codec
from gridsignal_services.cache import Cache
from gridsignal_services.clock import MACHINE_TIME, Clock, Time
from gridsignal_services.gateway.connection import Connection
from gridsignal_services.gateway.conversations import Conversations
from gridsignal_services.gateway.costs import delivery_s
from gridsignal_services.gateway.credentials import Credentials
from gridsignal_services.gateway.cursor import DAY_S, CursorSeal
from gridsignal_services.gateway.doorway import Doorway, descriptors, too_few
from gridsignal_services.gateway.gauges import Gauges
from gridsignal_services.gateway.history import StreamEntry
from gridsignal_services.gateway.hub import Hub
from gridsignal_services.gateway.joins import Joins
from gridsignal_services.gateway.keyfile import open_keys
from gridsignal_services.gateway.lastvalues import utc_day_start
from gridsignal_services.gateway.log_access import LogAccess
from gridsignal_services.gateway.quota import Quota
from gridsignal_services.gateway.settings import GatewaySettings
from gridsignal_services.gateway.signature_check import SignatureCheck
from gridsignal_services.gateway.sources import Sources
from gridsignal_services.gateway.turns import Turns
from gridsignal_services.ops import Watched
from gridsignal_services.registry import Registry
from gridsignal_services.replica import Replica
from gridsignal_services.supervised import supervise
from gridsignal_services.telemetry import Health, logger

_TICK_S = 0.25
_GROUPS = 1000
"""Looked at in one go for whether they are owed a position: about a millisecond."""
_KEYS_EVERY_S = 3600.0


class Gateway:
    """The door for data centers: WebSocket on /v1/stream, health beside it.

    Bounded by its settings, each of which says what happens at the bound.
    """

    def __init__(
        self,
        log: Log,
        codec: Codec,
        replica: Replica,
        verifier: Verifier,
        registry: Registry,
        cache: Cache,
        settings: GatewaySettings,
        clock: Clock,
        *,
        time: Time = MACHINE_TIME,
    ) -> None:
        self.settings = settings
        self.health = Health()
        self.gauges = Gauges()
        self._log, self._replica, self._verifier, self._registry, self._time = log, replica, verifier, registry, time
        self._seal = self._fresh_seal()
        self._hub = Hub(secrets.token_bytes(32), position_every=settings.position_every)
        self._sources = Sources(log, codec, replica, clock, self._day_start, settings, time)
        self._turns = turns = Turns(settings.organisation_share)
        joins = Joins(log, self._hub, self._sources, lambda: self._seal, settings, self.gauges, turns, time)
        quota = Quota(cache, settings)
        signatures = SignatureCheck(lambda: self._registry, replica, time)
        log_access = LogAccess(log, codec, replica, quota, settings, clock, signatures)
        credentials = Credentials(
            settings,
            verify=verifier.verify,
            entitlements=lambda principal: self._registry.entitlements(principal),
            zone_of_site=lambda site: self._registry.sites[site].zone,
            grid_clock=lambda: replica.grid,
            has_room=quota.has_room,
        )
        self._conversations = Conversations(
            credentials, self.health, self.gauges, self._hub, joins, log_access, quota, cache, turns, codec, time
        )
        self._sources.deliver_to(self._deliver)
        self._doorway = Doorway(self._conversations.arrivals, self._conversations.turns, self._connection, settings)
        self._ready = asyncio.Event()
        self._over = asyncio.Event()
        self._logger = logger("gateway")

    # --- life ----------------------------------------------------------------------------------------------------

    @property
    def address(self) -> tuple[str, int]:
        """Host and port it listens on, once it does."""
        return self._doorway.address

    @property
    def watched(self) -> Watched:
        """What the operations port shows of it."""
        followed = [following.headway for following in self._sources.followed.values()]
        return Watched("gateway", self.health, self.gauges.registry, followed=(self._replica.headway, *followed))

    async def ready(self) -> None:
        """Returns once connections are served."""
        await self._ready.wait()

    async def run(self) -> None:
        """Serves until it is drained or cancelled; then all sockets are closed."""
        async with contextlib.AsyncExitStack() as leaving:
            self._may_open_what_is_bounded()
            await self._doorway.open()
            leaving.push_async_callback(self._stop)
            tasks = await leaving.enter_async_context(asyncio.TaskGroup())
            presence = self._conversations.presence.keep(self.settings.dead_after_s)
            background = [
                tasks.create_task(supervise("time", self._keep_time())),
                tasks.create_task(supervise("cursor keys", self._keep_keys())),
                tasks.create_task(supervise("presence", presence)),
            ]
            followed = self._sources.followed
            background += [tasks.create_task(supervise(name, each.run())) for name, each in followed.items()]
            for each in followed.values():
                await each.caught_up()
            await self._replica.caught_up()
            self.health.set_ready(True)
            self._ready.set()
            self._logger.info("ready", host=self.address[0], port=self.address[1])
            await self._over.wait()
            for task in background:
                task.cancel()

    def _may_open_what_is_bounded(self) -> None:
        wanted = self.settings.max_connections + self.settings.strangers
        if too_few(allowed := descriptors(wanted), wanted):
            self._logger.warning("fewer descriptors than connections: raise nofile", expected=wanted, got=allowed)

    def _connection(self, address: str) -> Connection:
        return Connection(self._conversations, self.settings, address)

    async def _stop(self) -> None:
        self.health.set_ready(False, "stopping")
        self._doorway.close()
        await self._conversations.stop()

    async def drain(self) -> None:
        """Asks everybody to go elsewhere, closes those who stay at a bounded rate, then ends `run`.

        The port stays open meanwhile: it says that it is not ready, and 503 to who wants the stream.
        """
        self.health.set_ready(False, "draining")
        staying = [connection for connection in self._conversations.connections if connection.is_live]
        for connection in staying:
            delay_s = random.uniform(0, self.settings.drain_spread_s)  # noqa: S311 - spreads load, hides nothing
            connection.send(Drain(reconnect_after_ms=int(delay_s * 1000)))
        await self._conversations.gone(self.settings.drain_spread_s)
        for connection in staying:
            if connection.is_live:
                connection.close(closing.DRAIN)
                await asyncio.sleep(1 / self.settings.drain_per_s)
        await self._conversations.gone(self.settings.close_timeout_s)
        self._over.set()

    async def at_rest(self) -> bool:
        """Whether all that is on the log has been given to the sockets: what a simulation asks before it steps on."""
        for name, stream in self._sources.streams.items():
            if dict(enumerate(stream.head.positions)) != await self._log.end_positions(name):
                return False
        return not self._conversations.ticker.pending

    def entitle(self, registry: Registry) -> None:
        """Takes a registry, changed or not: closes connections whose zones or sites are others now with 4006, those
        whose token is revoked or its key gone with 4501."""
        self._registry = registry
        known: dict[str, Entitlements] = {}

        def entitlements(who: Principal) -> Entitlements:
            if who.name not in known:  # once for thousands of connections
                known[who.name] = registry.entitlements(who)
            return known[who.name]

        for connection in list(self._conversations.connections):
            session = connection.session
            if session is None or session.principal is None:
                continue
            if not self._verifier.still_good(session.principal):
                connection.close(closing.TOKEN_REVOKED)
            else:
                session.entitled(entitlements(session.principal))
                self._conversations.follow(connection)

    def renew_certificate(self) -> None:
        """Reads its certificate again, for connections that come from now on."""
        self._doorway.renew_certificate()

    # --- wires ---------------------------------------------------------------------------------------------------

    def _deliver(self, stream: str, entry: StreamEntry) -> None:
        self.gauges.signals.labels(stream).inc()
        reached = self._hub.publish(stream, entry, self._cursor_of(stream), self._conversations.lived.now_s)
        if not reached:
            return
        self._conversations.ticker.request()
        if each_s := delivery_s(entry):
            now_s = asyncio.get_running_loop().time()
            for group in reached:
                self._turns.share_of(group.key.viewer.principal.name).charge(each_s * len(group.members), now_s)

    def _cursor_of(self, stream: str) -> Callable[[], str]:
        """The cursor at a stream's head: sealed once, when the first group needs it."""
        sealed: list[str] = []

        def cursor() -> str:
            if not sealed:
                sealed.append(self._seal.seal(stream, self._sources.streams[stream].head, self._time.wall_s()))
            return sealed[0]

        return cursor

    async def _keep_time(self) -> None:
        loop = asyncio.get_running_loop()
        then_s = loop.time()
        while True:
            await asyncio.sleep(_TICK_S)
            elapsed_s, then_s = loop.time() - then_s, loop.time()
            self.gauges.loop_lag_s.set(max(0.0, elapsed_s - _TICK_S))
            self._conversations.watch.tick(elapsed_s)
            await self._beat()

    async def _beat(self) -> None:
        every_s = self.settings.ping_s - _TICK_S  # a heartbeat that is due between two ticks comes before, not after
        for name in self._sources.streams:
            groups = self._hub.groups(name)
            for first in range(0, len(groups), _GROUPS):
                # each piece at the head of its moment: the stream goes on in between
                now_s, cursor = self._conversations.lived.now_s, self._cursor_of(name)
                if self._hub.beat(name, groups[first : first + _GROUPS], cursor, now_s, every_s):
                    self._conversations.ticker.request()
                await asyncio.sleep(0)

    async def _keep_keys(self) -> None:
        while True:
            await asyncio.sleep(_KEYS_EVERY_S)
            # another process may hold the lock: its slowness is not the loop's
            self._seal = await asyncio.to_thread(self._fresh_seal)

    def _fresh_seal(self) -> CursorSeal:
        settings = self.settings
        days = {"rotate_days": settings.cursor_rotate_days, "keep_days": settings.cursor_keep_days}
        keys = open_keys(settings.data_directory, self._time.wall_s(), **days)
        return CursorSeal(
            keys, self._log.epoch, salt=lambda: secrets.token_bytes(16), keep_s=settings.cursor_keep_days * DAY_S
        )

    def _day_start(self, zone: str, now: datetime) -> datetime:
        known = self._registry.zones.get(zone)
        if known is None:
            return utc_day_start(zone, now)
        local = now.astimezone(ZoneInfo(known.timezone))
        return local.replace(hour=0, minute=0, second=0, microsecond=0)
