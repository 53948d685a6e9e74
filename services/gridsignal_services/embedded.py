"""The embedded stack: all three doors around one log, in one process.

The log comes from outside, so that the same stack runs on any: `gridsignal up` opens the embedded one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from gridsignal_schemas.catalog import TOPICS
from gridsignal_schemas.messages import BaselineDeclaration, GridClock
from gridsignal_services import composition
from gridsignal_services.access import OPERATIONS_READ, SIGNAL_WRITE, Role
from gridsignal_services.access.example_tokens import example_token, write_tokens
from gridsignal_services.access.issuer import LocalIssuer
from gridsignal_services.access.refused_tokens import RefusedTokens
from gridsignal_services.addresses import authority
from gridsignal_services.bus import Log
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.publish import publish
from gridsignal_services.cache.memory import MemoryCache
from gridsignal_services.checkpoints.keeping import Checkpoints
from gridsignal_services.clock import MACHINE_TIME, Clock, Time
from gridsignal_services.composition import Resources
from gridsignal_services.console.pages import PATH
from gridsignal_services.dispatch.service import Dispatch
from gridsignal_services.gateway.service import Gateway
from gridsignal_services.gateway.settings import GatewaySettings
from gridsignal_services.ingest.feeds import Feeds
from gridsignal_services.ingest.series import Publication
from gridsignal_services.ingest.service import FeedsDoor
from gridsignal_services.ops import OpsServer
from gridsignal_services.registry import Registry
from gridsignal_services.reloading import read_files
from gridsignal_services.replica import Replica
from gridsignal_services.settings import ServerSettings, is_loopback

_SOURCE = "/embedded"
_PRINCIPAL = "service:embedded"
_DAY_S = 86_400
_FLAT = "flat example"


@dataclass(frozen=True, slots=True)
class Stack:
    """What runs, and where it is reached."""

    log: Log
    codec: Codec
    replica: Replica
    gateway: Gateway
    dispatch: Dispatch
    feeds: FeedsDoor
    ops: OpsServer
    issuer: LocalIssuer | None
    """None: tokens come from outside."""
    registry: Registry
    time: Time
    has_tls: bool = False

    @property
    def gateway_url(self) -> str:
        """Where data centers connect."""
        return f"{'wss' if self.has_tls else 'ws'}://{authority(*self.gateway.address)}"

    @property
    def api_url(self) -> str:
        """Where operators ask."""
        return f"{'https' if self.has_tls else 'http'}://{authority(*self.dispatch.address)}"

    @property
    def feeds_url(self) -> str:
        """Where the feeds' state is read and signals are pushed."""
        return f"{'https' if self.has_tls else 'http'}://{authority(*self.feeds.address)}"

    def console_link(self, role: Role, organisation: str) -> str:
        """An address of the console that signs in for one of the registry's organisations, once and soon.

        An operator may issue alerts there, and sees how the doors do.
        """
        more = (SIGNAL_WRITE, OPERATIONS_READ) if role == "operator" else ()
        return f"{self.api_url}{PATH}#once={self.dispatch.console.links.give(self.token(role, organisation, *more))}"

    def token(self, role: Role, organisation: str, *more: str) -> str:
        """A token of the local issuer for one of the registry's organisations, with more scopes than its role's."""
        assert self.issuer is not None, "tokens come from outside"
        return example_token(self.issuer, role, organisation, self.time.wall(), *more)

    async def write_tokens(self, directory: Path) -> dict[str, Path]:
        """A token file for each organisation; by `role:organisation`. None where tokens come from outside."""
        if self.issuer is None:
            return {}
        organisations = self.registry.organisations()
        return await asyncio.to_thread(write_tokens, self.issuer, organisations, directory, self.time.wall())

    async def declare_flat_baselines(self, starts_at: datetime, days: int, share: float) -> None:
        """A flat baseline to try requests and offers with, for every site without one for the first half of the days.

        A baseline that a site has declared itself stays.
        """
        for name, site in self.registry.sites.items():
            known = self.replica.ledger_of(site.zone).baselines.get(name)
            if known is not None and (known.method != _FLAT or _end_of(known) >= starts_at + timedelta(days=days / 2)):
                continue
            declaration = BaselineDeclaration(
                zone=site.zone,
                participant=site.participant,
                site=name,
                starts_at=starts_at,
                resolution_s=_DAY_S,
                power_w=[int(site.capacity_w * share)] * days,
                method=_FLAT,
            )
            await self.replica.submit(declaration, _PRINCIPAL)


def _end_of(baseline: BaselineDeclaration) -> datetime:
    return baseline.starts_at + timedelta(seconds=baseline.resolution_s * len(baseline.power_w))


@asynccontextmanager
async def running(
    log: Log,
    directory: Path,
    *,
    codec: Codec | None = None,
    registry: Registry,
    clock: Clock,
    settings: ServerSettings,
    grid: GridClock | None = None,
    playback: Iterable[Publication] = (),
    feeds: Feeds | None = None,
    reload_asked: asyncio.Event | None = None,
    time: Time = MACHINE_TIME,
) -> AsyncIterator[Stack]:
    """The stack for as long as the block runs; on leaving, the gateway drains and everything is closed.

    `grid` is a simulation's clock, the first record of every dispatch partition; `codec` that of a log not embedded;
    `time` what tokens, cursors and quotas grow old by, and what says that a stream is stuck. Raises KeysUnavailable
    where the settings name an issuer whose keys can't be fetched.
    """
    codec = codec or Codec.from_lock()
    if grid is not None:
        await set_grid_clock(log, codec, grid)
    issuer, refused = composition.local_issuer(settings, directory), RefusedTokens(time.steady_s)
    verifier, keys = await composition.verifier_of(settings, read_files(settings), issuer, refused)
    reload_asked = reload_asked or asyncio.Event()
    cache = MemoryCache(now_s=time.steady_s)
    on = Resources(log, codec, clock, cache, verifier, registry, settings, refused, reload_asked, keys, time=time)
    kept, now_s = directory / "checkpoints", time.steady_s
    with Checkpoints.opened(kept, settings.checkpoints, log, now_s=now_s) as checkpoints:
        replica = Replica(log, codec, source=_SOURCE, checkpoints=checkpoints, now_s=now_s)
        gateway, dispatch = on.gateway(replica, _alone(settings)), on.dispatch(replica)
        ingest = on.ingest(feeds or Feeds(), playback)
        services, ops_port = (gateway, dispatch, ingest), settings.ops_port_beside(settings.gateway_port)
        async with composition.running(on, services, ops_port=ops_port, replica=replica) as ops:
            await composition.ready(services)
            has_tls = settings.tls_certificate is not None
            stack = Stack(log, codec, replica, gateway, dispatch, ingest, ops, issuer, registry, time, has_tls)
            if is_loopback(settings.host):
                _open_console(stack)
            yield stack


def _open_console(stack: Stack) -> None:
    """Tells the console where the other doors are, and them who comes from there, by whichever name of loopback."""
    console, (host, port) = stack.dispatch.console, stack.dispatch.address
    console.gateway, console.ingest = console.gateway or stack.gateway_url, console.ingest or stack.feeds_url
    here = [stack.api_url.replace(authority(host, port), authority(name, port)) for name in {host, "localhost"}]
    stack.gateway.settings.consoles.extend(here)
    stack.feeds.origins.extend(here)


def _alone(settings: ServerSettings) -> GatewaySettings:
    """A gateway whose clients find no other one to go to when it ends: whoever ends it does not wait for that."""
    return replace(GatewaySettings.of(settings), drain_spread_s=0.5)


async def set_grid_clock(log: Log, codec: Codec, grid: GridClock) -> None:
    """Writes the simulation's clock as the first record of each dispatch partition, once."""
    ends = await log.end_positions("dispatch")
    for partition in range(TOPICS["dispatch"].partitions):
        if not ends[partition]:
            await publish(log, codec, grid, principal=_PRINCIPAL, source=_SOURCE, partition=partition)


def midnight(now: datetime) -> datetime:
    """The start of the day before, in UTC: early enough for anything that is asked today."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
