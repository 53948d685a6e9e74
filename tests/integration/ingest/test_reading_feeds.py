"""The ingest door reads feeds over real HTTP into a real log, on a clock that the test steps."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from gridsignal_schemas.messages import DispatchRequest, GridAlert, Record, RequestCancellation, SpotPrice
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.clock import SteppedClock, micros
from gridsignal_services.ingest import watch
from gridsignal_services.ingest.feed import Signal
from gridsignal_services.ingest.feeding import Ingest
from gridsignal_services.ingest.fetching import Fetching
from gridsignal_services.ingest.http import views
from gridsignal_services.ingest.providers import PROVIDERS
from gridsignal_services.ingest.transport import Http
from gridsignal_services.ingest.watch import Feed, Status
from tests.builders import utc
from tests.feed_documents import acknowledgement, energy_charts, interval, openadr_event
from tests.integration.ingest.fake_provider import Reply, Script, fake_provider
from tests.integration.ingest.test_fetching import Vtn
from tests.integration.ingest.test_replay import records, values_on
from tests.patience import SOON_S

START = utc("10:00")
PRICES = Feed("DE-LU", Signal.PRICE, ("entsoe", "energy_charts"))
ONE_SOURCE = Feed("DE-LU", Signal.PRICE, ("energy_charts",))
EVENTS = Feed("DE-LU", Signal.EVENT, ("openadr3",))
UNHURRIED = {name: replace(provider, per_minute=60_000) for name, provider in PROVIDERS.items()}
"""The clock is stepped, but budgets are kept by the wall."""
NOT_YET = Reply(acknowledgement("No matching data found"))

R = TypeVar("R", bound=Record)


class Stage:
    """An ingest door at a fake feed."""

    def __init__(self, ingest: Ingest, feed: Feed, log: SqliteLog, clock: SteppedClock) -> None:
        self.ingest, self.feed, self.log, self.clock = ingest, feed, log, clock

    def status(self, provider: str) -> Status:
        (found,) = (status for status in self.ingest.statuses() if status.provider == provider)
        return found

    async def attempts(self, provider: str, count: int) -> None:
        """Steps the clock until a provider was asked so often again and the answers are digested."""
        seen = {self.status(provider).past.last_attempt_at}
        async with asyncio.timeout(SOON_S):
            while len(seen) <= count:
                await asyncio.sleep(0)
                if self._all_wait():
                    self.clock.step()
                seen.add(self.status(provider).past.last_attempt_at)

    def _all_wait(self) -> bool:
        statuses = {status.provider: status for status in self.ingest.statuses()}
        return all(status.next_due_at > self.clock.now() for status in watch.awaited(self.feed, statuses))

    async def told(self, kind: type[R], stream: str) -> list[R]:
        return [record for record in records(await values_on(self.log, stream)) if isinstance(record, kind)]


@asynccontextmanager
async def reading(directory: Path, feed: Feed, script: Script | Reply) -> AsyncIterator[Stage]:
    clock = SteppedClock(START)
    log = await SqliteLog.open(directory, append_time_us=lambda: micros(clock.now()))
    async with fake_provider(script) as fake, Http(trust_env=False) as http:
        place = {"address": fake.address, "token": "hush", "client_id": "us", "client_secret": "hush"}
        settings = {name: place | {"operator": "tso-north", "reference_kw": "10000"} for name in PROVIDERS}
        fetching, jitter = Fetching(http, UNHURRIED, settings), random.Random(1)
        ingest = Ingest(
            log, Codec.from_lock(), clock, feeds=[feed], fetching=fetching, providers=UNHURRIED, jitter=jitter
        )
        running = asyncio.create_task(ingest.run())
        try:
            yield Stage(ingest, feed, log, clock)
        finally:
            running.cancel()
            await asyncio.wait([running])
            await log.aclose()


def day(*values: object) -> Reply:
    return Reply(energy_charts(utc("2024-05-11T22:00"), values, step_s=3600))


def by_path(entsoe: Callable[[], Reply], charts: Callable[[], Reply]) -> Script:
    return lambda question: charts() if question.path == "/price" else entsoe()


async def test_while_the_first_source_has_nothing_the_next_one_is_asked_and_named(tmp_path: Path) -> None:
    async with reading(tmp_path, PRICES, by_path(lambda: NOT_YET, lambda: day(*range(24)))) as stage:
        await stage.attempts("energy_charts", 1)
        (price,) = await stage.told(SpotPrice, "prices")
        assert price.provider == "energy_charts"
        assert stage.status("entsoe").trouble.startswith("NotYetAvailable")
        assert stage.status("entsoe").past.failures == 0
        assert stage.status("energy_charts").last_success_at is not None


async def test_an_outage_backs_off_and_is_not_mistaken_for_not_yet(tmp_path: Path) -> None:
    async with reading(tmp_path, PRICES, by_path(lambda: Reply(b"<html/>", 503), lambda: day(1, 2, 3))) as stage:
        await stage.attempts("entsoe", 3)
        assert stage.status("entsoe").past.failures == 3


async def test_a_correction_is_published_as_the_next_revision_and_a_unit_flip_is_not(tmp_path: Path) -> None:
    hours = [80 + n for n in range(24)]
    answers = [day(*hours), day(*hours), day(*hours[:-1], 7), day(*(n * 100 for n in hours)), day(*hours[:-1], 7)]
    replies = iter(answers)
    async with reading(tmp_path, ONE_SOURCE, lambda _: next(replies, answers[-1])) as stage:
        await stage.attempts("energy_charts", 5)
        first, corrected = await stage.told(SpotPrice, "prices")
        assert (first.revision, first.status) == (1, "FINAL")
        assert (corrected.revision, corrected.status, corrected.prices_per_mwh[-1]) == (2, "CORRECTED", Decimal(7))
        (view,) = views(stage.ingest)
        assert (view.published, view.revisions, view.quarantined, view.stale) == (2, 1, 1, False)
        assert view.newest_ends_at == utc("22:00")


async def test_a_restarted_door_knows_what_it_published(tmp_path: Path) -> None:
    for _ in range(2):
        async with reading(tmp_path, ONE_SOURCE, day(*range(24))) as stage:
            await stage.attempts("energy_charts", 1)
            assert len(await stage.told(SpotPrice, "prices")) == 1


async def test_a_door_whose_feeds_are_silent_for_too_long_says_that_it_is_no_use(tmp_path: Path) -> None:
    async with reading(tmp_path, ONE_SOURCE, Reply(b"", 500)) as stage:
        assert stage.ingest.all_stale() == ""
        async with asyncio.timeout(SOON_S):
            while not stage.ingest.all_stale():
                await stage.attempts("energy_charts", 1)
        assert views(stage.ingest)[0].stale
        metrics = stage.ingest.metrics.registry
        feed = {"provider": "energy_charts", "zone": "DE-LU", "signal": "price"}
        assert metrics.get_sample_value("gridsignal_feed_stale", feed) == 1
        assert metrics.get_sample_value("gridsignal_feed_attempts_total", feed | {"outcome": "Outage"})


async def test_an_event_becomes_a_request_and_its_absence_a_cancellation(tmp_path: Path) -> None:
    vtn = Vtn(
        openadr_event(interval("DISPATCH_SETPOINT", 4000)),
        openadr_event(interval("ALERT_FLEX_ALERT", "scarce", duration="P9999Y"), id="event-2"),
    )
    async with reading(tmp_path, EVENTS, vtn) as stage:
        await stage.attempts("openadr3", 2)
        (request,) = await stage.told(DispatchRequest, "dispatch")
        (alert,) = await stage.told(GridAlert, "alerts")
        assert (request.operator, request.power_w, alert.ends_at) == ("tso-north", 6_000_000, None)
        vtn.events.clear()
        await stage.attempts("openadr3", 3)
        (cancelled,) = await stage.told(RequestCancellation, "dispatch")
        _, ended = await stage.told(GridAlert, "alerts")
        assert (cancelled.request_id, cancelled.actor) == (request.request_id, "tso-north")
        assert ended.ends_at is not None
