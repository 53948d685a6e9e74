"""One door as a service of its own on a cluster: several of each may run, anywhere the brokers are reached.

settings -> log, codec, clock, keys (Ground) -> the door, and what it reads -> told when ready, until `ended`
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial

from gridsignal_services.access.issuer import LocalIssuer
from gridsignal_services.access.tokens import Verifier
from gridsignal_services.bus.cluster import brokers_of, opened, registry_url
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.grid import grid_clock
from gridsignal_services.bus.kafka import KafkaLog
from gridsignal_services.cache import Cache
from gridsignal_services.cache.memory import MemoryCache
from gridsignal_services.checkpoints.keeping import Checkpoints
from gridsignal_services.clock import Clock, ScaledClock, WallClock
from gridsignal_services.collecting import collect_seldom
from gridsignal_services.dispatch.service import Dispatch
from gridsignal_services.gateway.service import Gateway
from gridsignal_services.gateway.settings import GatewaySettings
from gridsignal_services.ingest.door import FeedsDoor
from gridsignal_services.ingest.feeds import Feeds
from gridsignal_services.ingest.limits import IngestLimits
from gridsignal_services.jwks_url import KeysAtUrl
from gridsignal_services.ops import OpsServer
from gridsignal_services.refused_tokens import RefusedTokens
from gridsignal_services.registry import Registry
from gridsignal_services.reloading import Files, Reloading, rules_of, warn_of
from gridsignal_services.replica import Replica
from gridsignal_services.rest.limits import RestLimits
from gridsignal_services.settings import Check, ServerSettings
from gridsignal_services.supervised import supervise

Told = Callable[[str, int], None]
"""Is told the host and port of a door that is ready."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What a door stands on."""

    log: KafkaLog
    codec: Codec
    clock: Clock
    cache: Cache
    verifier: Verifier
    registry: Registry
    settings: ServerSettings
    keys: KeysAtUrl | None
    refused: RefusedTokens
    reload_asked: asyncio.Event


Serve = Callable[[Ground, asyncio.Event, Told], Awaitable[None]]


@asynccontextmanager
async def ground(settings: ServerSettings, files: Files, reload_asked: asyncio.Event) -> AsyncIterator[Ground]:
    """Everything a door needs, closed on leaving. Raises as cluster.opened does, and KeysUnavailable."""
    refused = RefusedTokens()
    keys = KeysAtUrl(settings.jwks_url, refetch_s=settings.jwks_refetch_s) if settings.jwks_url else None
    verifier = await verifier_of(settings, files, keys, refused)
    async with opened(settings) as (log, codec):
        grid = await grid_clock(log, codec)
        clock: Clock = WallClock() if grid is None else ScaledClock(grid)
        cache = cache_of(settings)
        try:
            yield Ground(log, codec, clock, cache, verifier, files.registry, settings, keys, refused, reload_asked)
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

    def told(why: str) -> None:
        refused(why)
        if keys is not None:
            keys.refused(why)

    rules, beside = rules_of(settings), {"revocations": files.revocations, "refused": told}
    trusted = await keys.fetch() if keys is not None else files.keys
    if trusted is None:
        return LocalIssuer.create_or_open(settings.directory / "issuer").verifier(rules, **beside)
    assert settings.issuer is not None  # the settings go together
    warn_of(trusted)
    return Verifier(trusted, settings.issuer, settings.audience, rules, revocations=files.revocations, refused=told)


Door = Gateway | Dispatch | FeedsDoor


async def serve_gateway(on: Ground, ended: asyncio.Event, told: Told) -> None:
    """The data centers' door; drains when it is ended."""
    settings = GatewaySettings.of(on.settings)
    with _replica(on, "gateway") as replica:
        gateway = Gateway(on.log, on.codec, replica, on.verifier, on.registry, on.cache, settings, on.clock)
        await _serve(gateway, on, ended, told, replica)


async def serve_dispatch(on: Ground, ended: asyncio.Event, told: Told) -> None:
    """The operators' door, and a candidate for owning zones."""
    with _replica(on, "dispatch") as replica:
        dispatch = Dispatch(on.log, on.codec, replica, on.verifier, on.registry, on.settings, on.clock)
        await _serve(dispatch, on, ended, told, replica)


@contextmanager
def _replica(on: Ground, door: str) -> Iterator[Replica]:
    """Each door's process has checkpoints of its own; the same ones after a restart."""
    directory = on.settings.directory / "checkpoints" / door
    with Checkpoints.opened(directory, on.settings.checkpoints, on.log) as checkpoints:
        yield Replica(on.log, on.codec, source=f"/{door}", checkpoints=checkpoints)


async def serve_ingest(on: Ground, ended: asyncio.Event, told: Told) -> None:
    """The feeds' door."""
    feeds = feeds_of(on.settings)
    door = FeedsDoor(on.log, on.codec, on.verifier, on.registry, on.settings, on.clock, feeds=feeds, cache=on.cache)
    await _serve(door, on, ended, told)


async def _serve(door: Door, on: Ground, ended: asyncio.Event, told: Told, replica: Replica | None = None) -> None:
    port: int = getattr(on.settings, f"{door.watched.name}_port")
    ops_port = on.settings.ops_port_beside(port)
    ops = OpsServer(on.settings, ops_port, [door.watched], [on.refused.counted], log=on.log.condition)
    reloading = Reloading(on.settings, on.verifier, on.registry, [door], on.reload_asked)
    ops.listen()
    async with asyncio.TaskGroup() as tasks:
        beside = [tasks.create_task(_tell(door, told))]
        lasting = {"watch": on.log.watch(), "ops": ops.serve(), "reloading": reloading.run()}
        lasting["collector"] = collect_seldom(door.ready())
        if on.keys is not None:
            lasting["keys"] = on.keys.keep(reloading.take_keys)
        beside += [tasks.create_task(supervise(what, work)) for what, work in lasting.items()]
        if replica is not None:
            beside.append(tasks.create_task(supervise("replica", replica.run())))
            beside.append(tasks.create_task(supervise("saving", replica.save())))
        serving = tasks.create_task(door.run())
        await ended.wait()
        if door.health.ready:
            await door.drain()
        else:
            serving.cancel()  # it still waits for the log, and nobody has come in
        await asyncio.wait([serving])
        if replica is not None:
            await replica.finish()
        for task in beside:
            task.cancel()


async def _tell(door: Door, told: Told) -> None:
    await door.ready()
    told(*door.address)


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
