"""The feeds' door as a service: what reads them, its pages, and the push door beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator

from gridsignal_schemas.messages import PinnedRule
from gridsignal_services.access.tokens import Verifier
from gridsignal_services.bus import Log
from gridsignal_services.bus.codec import Codec
from gridsignal_services.clock import MACHINE_TIME, Clock, Time
from gridsignal_services.ingest import http
from gridsignal_services.ingest.feeding import Ingest
from gridsignal_services.ingest.feeds import Feeds
from gridsignal_services.ingest.fetching import Fetching
from gridsignal_services.ingest.intake import Intake
from gridsignal_services.ingest.kept import Kept
from gridsignal_services.ingest.limits import IngestLimits
from gridsignal_services.ingest.providers import PROVIDERS
from gridsignal_services.ingest.quarantine import FeedLimits
from gridsignal_services.ingest.revisions import SeriesRevisions
from gridsignal_services.ingest.series import Publication
from gridsignal_services.ingest.transport import Http
from gridsignal_services.ops import Watched
from gridsignal_services.products import products_of
from gridsignal_services.registry import Registry
from gridsignal_services.rest.asgi import HttpServer
from gridsignal_services.rest.callers import Callers
from gridsignal_services.settings import ConfigError, ServerSettings
from gridsignal_services.telemetry import Health


class FeedsDoor:
    """Bounded: what is known of feeds by IngestLimits, connections, requests and bodies by RestLimits.

    When full: what was published longest ago is forgotten.
    """

    def __init__(
        self,
        log: Log,
        codec: Codec,
        verifier: Verifier,
        registry: Registry,
        settings: ServerSettings,
        clock: Clock,
        *,
        feeds: Feeds | None = None,
        playback: Iterable[Publication] = (),
        time: Time = MACHINE_TIME,
    ) -> None:
        self._http = Http(now=time.wall)
        feeds = feeds or Feeds()
        if faults := list(_unknown_products(feeds, registry)):
            raise ConfigError(*faults)
        fetching = Fetching(self._http, PROVIDERS, feeds.settings, markets=feeds.markets)
        limits = IngestLimits.of(settings, "GRIDSIGNAL_INGEST_")
        bounds = limits.kept_values, limits.kept_values_of_one
        limits_of_feeds = FeedLimits(markets=feeds.markets)
        intake = Intake(limits_of_feeds, SeriesRevisions(Kept(*bounds)), Kept(*bounds), self._rules_of)
        self.ingest = Ingest(
            log,
            codec,
            clock,
            playback=playback,
            feeds=feeds.feeds,
            fetching=fetching,
            intake=intake,
            now_s=time.steady_s,
        )
        self._callers = Callers(verifier, limits, registry, time)
        self.origins = list(limits.origins)
        """Browsers' origins whose pages may ask; those of a console of this process come once it listens."""
        pages = http.app(self.ingest, self.origins, callers=self._callers, limits=limits, time=time)
        self._server = HttpServer(pages, settings, settings.ingest_port, limits, now_s=time.steady_s)

    def _rules_of(self, product: str) -> tuple[PinnedRule, PinnedRule]:
        return self._callers.registry.rules_of(product)

    @property
    def health(self) -> Health:
        """Ready when it knows what is on the log."""
        return self.ingest.health

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, once it listens."""
        return self._server.address

    @property
    def watched(self) -> Watched:
        """What the operations port shows of it."""
        followed = [following.headway for following in self.ingest.publishing.followed.values()]
        return Watched("ingest", self.health, self.ingest.metrics.registry, self.ingest.all_stale, followed)

    async def ready(self) -> None:
        """Returns once feeds are read."""
        await self.ingest.recalled()

    async def run(self) -> None:
        """Serves until `drain`. Raises OSError where the port is taken."""
        self._server.listen()
        async with self._http, asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(self.ingest.run())
            await self._server.serve()
            reading.cancel()

    def entitle(self, registry: Registry) -> None:
        """Takes a registry, changed or not: who pushes is looked up in it from now on."""
        self._callers.registry = registry

    def renew_certificate(self) -> None:
        """Reads its certificate again, for connections that come from now on."""
        self._server.renew_certificate()

    async def drain(self) -> None:
        """Answers what is under way; `run` then returns."""
        self.health.set_ready(False, "stopping")
        self._server.stop()


def _unknown_products(feeds: Feeds, registry: Registry) -> Iterator[str]:
    """Products by which a feed's requests are to be settled, and that the registry does not have."""
    for name, settings in feeds.settings.items():
        product = settings.get("product")
        known = [each.name for each in products_of(registry.products)]
        if product is not None and product not in known:
            yield f"providers.{name}.product: expected one of {', '.join(known)}, got {product!r:.60}"
