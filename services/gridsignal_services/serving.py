"""One door as a service of its own on a cluster: several of each may run, anywhere the brokers are reached.

settings -> log, codec, clock, keys (Resources) -> the door, and what it reads -> announced when ready, until `ended`
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import partial

from gridsignal_services.access.refused_tokens import RefusedTokens
from gridsignal_services.bus.cluster import brokers_of, opened, registry_url
from gridsignal_services.bus.grid import grid_clock
from gridsignal_services.cache import Cache
from gridsignal_services.cache.memory import MemoryCache
from gridsignal_services.checkpoints.keeping import Checkpoints
from gridsignal_services.clock import Clock, ScaledClock, WallClock
from gridsignal_services.composition import Resources, Service, local_issuer, running, verifier_of
from gridsignal_services.gateway.settings import GatewaySettings
from gridsignal_services.ingest.feeds import Feeds
from gridsignal_services.ingest.limits import IngestLimits
from gridsignal_services.reloading import Files
from gridsignal_services.replica import Replica
from gridsignal_services.rest.limits import RestLimits
from gridsignal_services.settings import Check, ServerSettings

Announced = Callable[[str, int], AbstractAsyncContextManager[None]]
"""Takes the host and port of a door that is ready; entered for as long as it is."""


Serve = Callable[[Resources, asyncio.Event, Announced], Awaitable[None]]


@asynccontextmanager
async def resources(settings: ServerSettings, files: Files, reload_asked: asyncio.Event) -> AsyncIterator[Resources]:
    """Everything a door needs, closed on leaving. Raises as cluster.opened does, and KeysUnavailable."""
    refused = RefusedTokens()
    verifier, keys = await verifier_of(settings, files, local_issuer(settings, settings.directory), refused)
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


async def serve_gateway(on: Resources, ended: asyncio.Event, announced: Announced) -> None:
    """The data centers' door; drains when it is ended."""
    with _replica(on, "gateway") as replica:
        await _serve(on.gateway(replica), on, ended, announced, replica)


async def serve_dispatch(on: Resources, ended: asyncio.Event, announced: Announced) -> None:
    """The operators' door, and a candidate for owning zones."""
    with _replica(on, "dispatch") as replica:
        await _serve(on.dispatch(replica), on, ended, announced, replica)


@contextmanager
def _replica(on: Resources, door: str) -> Iterator[Replica]:
    """Each door's process has checkpoints of its own; the same ones after a restart."""
    directory = on.settings.directory / "checkpoints" / door
    now_s = on.time.steady_s
    with Checkpoints.opened(directory, on.settings.checkpoints, on.log, now_s=now_s) as checkpoints:
        yield Replica(on.log, on.codec, source=f"/{door}", checkpoints=checkpoints, now_s=now_s)


async def serve_ingest(on: Resources, ended: asyncio.Event, announced: Announced) -> None:
    """The feeds' door."""
    await _serve(on.ingest(feeds_of(on.settings)), on, ended, announced)


async def _serve(
    door: Service, on: Resources, ended: asyncio.Event, announced: Announced, replica: Replica | None = None
) -> None:
    port: int = getattr(on.settings, f"{door.watched.name}_port")
    async with running(on, [door], ops_port=on.settings.ops_port_beside(port), replica=replica):
        is_open = asyncio.create_task(_open(door, announced))
        await ended.wait()
        is_open.cancel()


async def _open(door: Service, announced: Announced) -> None:
    await door.ready()
    async with announced(*door.address):
        await asyncio.Event().wait()


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
