"""One door as a service of its own on a cluster: several of each may run, anywhere the brokers are reached.

settings -> log, codec, clock, keys (Resources) -> the door, and what it reads -> announced when ready, until `ended`
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial

from gridsignal_services.access.issuer import LocalIssuer
from gridsignal_services.access.keys_at_url import KeysAtUrl
from gridsignal_services.access.refused_tokens import RefusedTokens
from gridsignal_services.access.tokens import Verifier
from gridsignal_services.bus.cluster import brokers_of, opened, registry_url
from gridsignal_services.bus.grid import grid_clock
from gridsignal_services.cache import Cache
from gridsignal_services.cache.memory import MemoryCache
from gridsignal_services.checkpoints.keeping import Checkpoints
from gridsignal_services.clock import Clock, ScaledClock, WallClock
from gridsignal_services.composition import Resources, Service, running
from gridsignal_services.gateway.settings import GatewaySettings
from gridsignal_services.ingest.feeds import Feeds
from gridsignal_services.ingest.limits import IngestLimits
from gridsignal_services.reloading import Files, rules_of, warn_of
from gridsignal_services.replica import Replica
from gridsignal_services.rest.limits import RestLimits
from gridsignal_services.settings import Check, ServerSettings

Announce = Callable[[str, int], None]
"""Takes the host and port of a door that is ready."""


Serve = Callable[[Resources, asyncio.Event, Announce], Awaitable[None]]


@asynccontextmanager
async def resources(settings: ServerSettings, files: Files, reload_asked: asyncio.Event) -> AsyncIterator[Resources]:
    """Everything a door needs, closed on leaving. Raises as cluster.opened does, and KeysUnavailable."""
    refused = RefusedTokens()
    keys = KeysAtUrl(settings.jwks_url, refetch_s=settings.jwks_refetch_s) if settings.jwks_url else None
    verifier = await verifier_of(settings, files, keys, refused)
    async with opened(settings) as (log, codec):
        grid = await grid_clock(log, codec)
        clock: Clock = WallClock() if grid is None else ScaledClock(grid)
        cache = cache_of(settings)
        try:
            yield Resources(
                log,
                codec,
                clock,
                cache,
                verifier,
                files.registry,
                settings,
                refused,
                reload_asked,
                keys=keys,
                watch_log=log.watch,
            )
        finally:
            await cache.aclose()


def cache_of(settings: ServerSettings) -> Cache:
    """The shared cache where the settings name one, else one of this process's own."""
    if settings.redis is None:
        return MemoryCache()
    from gridsignal_services.cache.redis import RedisCache  # its library comes with the extra `redis`

    return RedisCache(settings.redis, prefix=f"gridsignal:{settings.topic_prefix}")


async def verifier_of(
    settings: ServerSettings, files: Files, keys: KeysAtUrl | None, refused: RefusedTokens
) -> Verifier:
    """Verifies tokens of the issuer in the settings, else of the local one. Raises KeysUnavailable."""

    def refuse(why: str) -> None:
        refused(why)
        if keys is not None:
            keys.refused(why)

    rules, beside = rules_of(settings), {"revocations": files.revocations, "refused": refuse}
    trusted = await keys.fetch() if keys is not None else files.keys
    if trusted is None:
        return LocalIssuer.create_or_open(settings.directory / "issuer").verifier(rules, **beside)
    assert settings.issuer is not None  # the settings go together
    warn_of(trusted)
    return Verifier(trusted, settings.issuer, settings.audience, rules, revocations=files.revocations, refused=refuse)


async def serve_gateway(on: Resources, ended: asyncio.Event, announce: Announce) -> None:
    """The data centers' door; drains when it is ended."""
    with _replica(on, "gateway") as replica:
        await _serve(on.gateway(replica), on, ended, announce, replica)


async def serve_dispatch(on: Resources, ended: asyncio.Event, announce: Announce) -> None:
    """The operators' door, and a candidate for owning zones."""
    with _replica(on, "dispatch") as replica:
        await _serve(on.dispatch(replica), on, ended, announce, replica)


@contextmanager
def _replica(on: Resources, door: str) -> Iterator[Replica]:
    """Each door's process has checkpoints of its own; the same ones after a restart."""
    directory = on.settings.directory / "checkpoints" / door
    now_s = on.time.steady_s
    with Checkpoints.opened(directory, on.settings.checkpoints, on.log, now_s=now_s) as checkpoints:
        yield Replica(on.log, on.codec, source=f"/{door}", checkpoints=checkpoints, now_s=now_s)


async def serve_ingest(on: Resources, ended: asyncio.Event, announce: Announce) -> None:
    """The feeds' door."""
    await _serve(on.ingest(feeds_of(on.settings)), on, ended, announce)


async def _serve(
    door: Service, on: Resources, ended: asyncio.Event, announce: Announce, replica: Replica | None = None
) -> None:
    port: int = getattr(on.settings, f"{door.watched.name}_port")
    async with running(on, [door], ops_port=on.settings.ops_port_beside(port), replica=replica):
        announcing = asyncio.create_task(_announced(door, announce))
        await ended.wait()
        announcing.cancel()


async def _announced(door: Service, announce: Announce) -> None:
    await door.ready()
    announce(*door.address)


def feeds_of(settings: ServerSettings) -> Feeds:
    """What the settings say is read. Raises ConfigError."""
    return Feeds.load(settings.feeds, os.environ) if settings.feeds else Feeds()


def checks(door: str) -> Sequence[Check]:
    """What the settings of a door must hold to."""
    own: dict[str, Sequence[Check]] = {
        "gateway": (GatewaySettings.of,),
        "dispatch": (partial(RestLimits.of, prefix="GRIDSIGNAL_DISPATCH_"),),
        "ingest": (feeds_of, partial(IngestLimits.of, prefix="GRIDSIGNAL_INGEST_")),
    }
    return (brokers_of, registry_url, *own[door])


DOORS: dict[str, Serve] = {"gateway": serve_gateway, "dispatch": serve_dispatch, "ingest": serve_ingest}
