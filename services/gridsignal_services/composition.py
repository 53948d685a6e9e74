"""How the services of a process are put together: what they share, what goes on beside them, and how they end.

The same for all three around the embedded log (`embedded`) and for one of them on a cluster (`serving`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from gridsignal_services.access.issuer import LocalIssuer
from gridsignal_services.access.keys_at_url import KeysAtUrl
from gridsignal_services.access.refused_tokens import RefusedTokens
from gridsignal_services.access.tokens import Verifier
from gridsignal_services.bus import Log
from gridsignal_services.bus.codec import Codec
from gridsignal_services.cache import Cache
from gridsignal_services.clock import MACHINE_TIME, Clock, Time
from gridsignal_services.collecting import collect_seldom
from gridsignal_services.dispatch.service import Dispatch
from gridsignal_services.gateway.service import Gateway
from gridsignal_services.gateway.settings import GatewaySettings
from gridsignal_services.ingest.feeds import Feeds
from gridsignal_services.ingest.series import Publication
from gridsignal_services.ingest.service import FeedsDoor
from gridsignal_services.ops import OpsServer, Watched
from gridsignal_services.registry import Registry
from gridsignal_services.reloading import Entitling, Files, Reloading, rules_of, warn_of
from gridsignal_services.replica import Replica
from gridsignal_services.settings import ServerSettings
from gridsignal_services.supervised import supervise
from gridsignal_services.telemetry import Health


class Service(Entitling, Protocol):
    """What a door is to those who start it, watch it and end it."""

    @property
    def health(self) -> Health:
        """Whether it lives and is ready."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, once it listens."""

    @property
    def watched(self) -> Watched:
        """What the operations port shows of it."""

    async def ready(self) -> None:
        """Returns once it has filled what it answers from."""

    async def run(self) -> None:
        """Serves until it is drained or cancelled. Raises OSError for a taken port."""

    async def drain(self) -> None:
        """Takes no new work and answers what is under way; `run` then returns."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What the services of a process share. Whoever makes them closes the log and the cache."""

    log: Log
    codec: Codec
    clock: Clock
    cache: Cache
    verifier: Verifier
    registry: Registry
    settings: ServerSettings
    refused: RefusedTokens
    reload_asked: asyncio.Event
    keys: KeysAtUrl | None = None
    """Where the keys of tokens are fetched from, if they are."""
    watch_log: Callable[[], Coroutine[Any, Any, None]] | None = None
    """What looks after the log meanwhile, if that is needed."""
    time: Time = MACHINE_TIME
    """By which tokens, cursors and quotas of all doors grow old, and a stream is stuck."""

    def gateway(self, replica: Replica, settings: GatewaySettings | None = None) -> Gateway:
        """The data centers' door."""
        settings = settings or GatewaySettings.of(self.settings)
        return Gateway(
            self.log,
            self.codec,
            replica,
            self.verifier,
            self.registry,
            self.cache,
            settings,
            self.clock,
            time=self.time,
        )

    def dispatch(self, replica: Replica) -> Dispatch:
        """The operators' door, and a candidate for owning zones."""
        return Dispatch(
            self.log,
            self.codec,
            replica,
            self.verifier,
            self.registry,
            self.settings,
            self.clock,
            time=self.time,
        )

    def ingest(self, feeds: Feeds, playback: Iterable[Publication] = ()) -> FeedsDoor:
        """The feeds' door."""
        return FeedsDoor(
            self.log,
            self.codec,
            self.verifier,
            self.registry,
            self.settings,
            self.clock,
            feeds=feeds,
            playback=playback,
            time=self.time,
        )


async def verifier_of(
    settings: ServerSettings, files: Files, local: LocalIssuer | None, refused: RefusedTokens
) -> tuple[Verifier, KeysAtUrl | None]:
    """Verifies tokens of the issuer in the settings, else of the local one; and what fetches its keys, if they are.

    Raises KeysUnavailable.
    """
    rules = rules_of(settings)
    if local is not None:
        return local.verifier(rules, revocations=files.revocations, refused=refused), None
    keys = KeysAtUrl(settings.jwks_url, refetch_s=settings.jwks_refetch_s) if settings.jwks_url else None

    def refuse(why: str) -> None:
        refused(why)
        if keys is not None:
            keys.refused(why)

    trusted = await keys.fetch() if keys is not None else files.keys
    assert trusted is not None, "the settings go together"
    assert settings.issuer is not None, "the settings go together"
    warn_of(trusted)
    made = Verifier(trusted, settings.issuer, settings.audience, rules, revocations=files.revocations, refused=refuse)
    return made, keys


def local_issuer(settings: ServerSettings, directory: Path) -> LocalIssuer | None:
    """The issuer of this machine's own tokens, with its key in the directory; None where the settings name another."""
    return LocalIssuer.create_or_open(directory / "issuer") if settings.issuer is None else None


@asynccontextmanager
async def running(
    on: Resources,
    services: Sequence[Service],
    *,
    ops_port: int,
    replica: Replica | None = None,
) -> AsyncIterator[OpsServer]:
    """The services and the operations port for as long as the block runs; they may not be ready yet when it begins.

    `replica` is theirs, where they have one. When the block ends in order, each that is ready drains; when it raises,
    or one of them fails, all are cancelled at once.
    """
    watched = [each.watched for each in services]
    ops = OpsServer(on.settings, ops_port, watched, [on.refused.counted], log=on.log.condition)
    for each in services:
        if isinstance(each, Dispatch):
            each.overseen.doors, each.overseen.log = watched, on.log.condition
    ops.listen()
    reloading = Reloading(on.settings, on.verifier, on.registry, services, on.reload_asked)
    lasting = {"ops": ops.serve(), "reloading": reloading.run(), "collector": collect_seldom(ready(services))}
    if on.watch_log is not None:
        lasting["watch"] = on.watch_log()
    if on.keys is not None:
        lasting["keys"] = on.keys.keep(reloading.take_keys)
    if replica is not None:
        lasting |= {"replica": replica.run(), "saving": replica.save()}
    async with asyncio.TaskGroup() as tasks:
        going_on = [tasks.create_task(supervise(what, work)) for what, work in lasting.items()]
        serving = [tasks.create_task(each.run()) for each in services]
        yield ops
        for service, task in zip(services, serving, strict=True):
            if service.health.ready:
                await service.drain()
            else:
                task.cancel()  # it still waits for the log, and nobody has come in
        await asyncio.wait(serving)
        if replica is not None:
            await replica.finish()
        for task in going_on:
            task.cancel()


async def ready(services: Sequence[Service]) -> None:
    """Returns once all have filled what they answer from."""
    await asyncio.gather(*(each.ready() for each in services))
