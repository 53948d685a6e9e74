"""The ingest door: reads feeds when they are due, plays recorded days, publishes what is new.

    schedule -> provider.request() -> http -> provider.parse() -> quarantine -> revisions -> log

Bounded: one task per feed and one for the replay; every batch by the size of an answer. When full: feeds wait for the
log. Conflates: nothing.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from gridsignal_schemas.catalog import TOPICS, partition_of
from gridsignal_schemas.messages import Record
from gridsignal_services.bus import Log, LogUnavailable
from gridsignal_services.bus.codec import Codec
from gridsignal_services.clock import Clock, steady_s
from gridsignal_services.ingest import watch
from gridsignal_services.ingest.closing import Absences
from gridsignal_services.ingest.feed import (
    Ask,
    FeedError,
    Malformed,
    NotYetAvailable,
    Provider,
    Refused,
    Signal,
    newest,
)
from gridsignal_services.ingest.fetching import Fetching
from gridsignal_services.ingest.intake import Intake, IntakeBatch
from gridsignal_services.ingest.metrics import Metrics
from gridsignal_services.ingest.providers import PROVIDERS
from gridsignal_services.ingest.publishing import SIGNALS, Origin, Publishing, zone_of
from gridsignal_services.ingest.replay import play
from gridsignal_services.ingest.revisions import News
from gridsignal_services.ingest.schedule import is_deep, window
from gridsignal_services.ingest.series import Publication
from gridsignal_services.ingest.watch import Feed, Status
from gridsignal_services.telemetry import Health, logger

_REPLAY = Origin("replay", "recorded")

_log = logger("ingest")


class Ingest:
    """Feeds in, records out.

    `feeds` are read over HTTP by the wall's rhythm; `playback` is published by the clock. Both may be empty.
    """

    def __init__(
        self,
        log: Log,
        codec: Codec,
        clock: Clock,
        *,
        feeds: Sequence[Feed] = (),
        playback: Iterable[Publication] = (),
        fetching: Fetching | None = None,
        providers: Mapping[str, Provider] | None = None,
        intake: Intake | None = None,
        health: Health | None = None,
        metrics: Metrics | None = None,
        jitter: random.Random | None = None,
        now_s: Callable[[], float] = steady_s,
    ) -> None:
        self.clock, self._feeds, self._playback = clock, tuple(feeds), playback
        self._fetching = fetching
        self._providers = PROVIDERS if providers is None else providers
        self.health = health or Health()
        asks = any(feed.signal is Signal.EVENT for feed in feeds)
        streams = (*SIGNALS, "dispatch") if asks else SIGNALS  # only who asks for power has to know what it asked
        self.publishing = Publishing(log, codec, clock, intake=intake, metrics=metrics, streams=streams, now_s=now_s)
        self.metrics = self.publishing.metrics
        self._log = log
        self._mine: frozenset[int] = frozenset()
        self._turned = asyncio.Condition()
        self._recalled = asyncio.Event()
        self.playing: asyncio.Task[None] | None = None
        """The replay, once it began: it waits for the clock, publishes, or is over."""
        self._absences = Absences()
        self._jitter = jitter or random.Random()  # noqa: S311 - spreads polling, protects nothing
        self._statuses = {feed: self._first_statuses(feed) for feed in self._feeds}

    async def run(self) -> None:
        """Rebuilds the state from the log and keeps it, plays what is recorded, reads feeds; until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.publishing.run())
            await self.publishing.caught_up()
            self.health.set_ready(True)
            self._recalled.set()
            self.playing = tasks.create_task(play(self._playback, self.clock, self._play_batch))
            if self._feeds:
                tasks.create_task(self._take_turns())
            for feed in self._feeds:
                tasks.create_task(self._read_for_ever(feed))

    async def _take_turns(self) -> None:
        """Several processes share the feeds: each reads those of the zones that an election gives it."""
        election = self._log.stand("prices")
        try:
            while True:
                async with self._turned:
                    self._mine = election.mine
                    self._turned.notify_all()
                await election.changed()
        finally:
            await election.aclose()

    def _is_mine(self, zone: str) -> bool:
        return partition_of(zone, TOPICS["prices"].partitions) in self._mine

    async def recalled(self) -> None:
        """Returns once it knows what is on the log."""
        await self._recalled.wait()

    def statuses(self) -> list[Status]:
        """Every feed and provider, as of now."""
        return sorted((s for by_name in self._statuses.values() for s in by_name.values()), key=lambda s: s.name)

    def stale_feeds(self) -> list[Feed]:
        """The feeds of which no provider gave figures in time."""
        return [feed for feed, by_name in self._statuses.items() if all(map(self.is_stale, by_name.values()))]

    def all_stale(self) -> str:
        """That none of this process's feeds gives figures, or nothing. Its sources are away then, and it lives."""
        silent = self.stale_feeds()
        if not silent or len(silent) < sum(self._is_mine(feed.zone) for feed in self._feeds):
            return ""
        return f"none of {len(silent)} feeds gave figures in time"

    def is_stale(self, status: Status) -> bool:
        """Whether a provider was silent for too long whose zone is this process's to read."""
        return self._is_mine(status.zone) and watch.stale(status, self._providers[status.provider], self.clock.now())

    def _first_statuses(self, feed: Feed) -> dict[str, Status]:
        now = self.clock.now()
        first = {name: Status(name, feed.zone, feed.signal, now, now) for name in feed.providers}
        for name in first:
            self.metrics.watched(
                (name, feed.zone, feed.signal),
                stale=lambda name=name: self.is_stale(self._statuses[feed][name]),  # type: ignore[misc]  # bound early
                next_due_s=lambda name=name: self._due_in_s(self._statuses[feed][name]),  # type: ignore[misc]  # bound early
            )
        return {
            name: watch.scheduled(status, self._providers[name], now, self._jitter.random())
            for name, status in first.items()
        }

    def _due_in_s(self, status: Status) -> float:
        return max(0.0, (status.next_due_at - self.clock.now()).total_seconds())

    async def _play_batch(self, records: list[Record]) -> None:
        while True:
            try:
                await self.publishing.take(records, _REPLAY)
                return
            except LogUnavailable as fault:
                await self.publishing.until_the_log_is_back(fault, map(zone_of, records))

    async def _read_for_ever(self, feed: Feed) -> None:
        statuses = self._statuses[feed]
        while True:
            await self.clock.sleep_until(min(status.next_due_at for status in watch.awaited(feed, statuses)))
            async with self._turned:
                await self._turned.wait_for(lambda: self._is_mine(feed.zone))
            try:
                await self._round(feed)
            except LogUnavailable as fault:
                await self.publishing.until_the_log_is_back(fault, [feed.zone])

    async def _round(self, feed: Feed) -> None:
        """Asks the preferred provider if it is due, and the next ones while one before them fails."""
        for name in feed.providers:
            status = self._statuses[feed][name]
            if status.next_due_at <= self.clock.now():
                status = await self._attempt(feed, name)
            if not status.trouble:
                return

    async def _attempt(self, feed: Feed, name: str) -> Status:
        status, provider = self._statuses[feed][name], self._providers[name]
        deep = is_deep(status.last_deep_day, self.clock.now())
        try:
            ask = self._ask(feed, name, deep=deep)
            records = await self._fetched(name, ask)
            # of a list that could not be read whole nobody knows what is missing from it
            closings = [] if ask.left_out else self._closings(feed, name, records)
            batch = await self.publishing.take([*records, *closings], Origin(name, feed.signal, feed.zone))
            status = replace(self._noted(status, feed, batch, records, deep=deep), left_out=str(ask.left_out))
            outcome = "lacking" if status.trouble else "ok"
            if ask.left_out:
                _log.warning("some of an answer left out", provider=name, zone=feed.zone, what=status.left_out)
        except FeedError as fault:
            status, outcome = watch.failed(status, fault, self.clock.now()), type(fault).__name__
            _log.info("feed gave nothing", provider=name, zone=feed.zone, signal=feed.signal, trouble=status.trouble)
        self.metrics.attempted(name, feed.zone, feed.signal, outcome)
        status = watch.scheduled(status, provider, self.clock.now(), self._jitter.random())
        self._statuses[feed][name] = status
        return status

    async def _fetched(self, name: str, ask: Ask) -> list[Record]:
        if self._fetching is None:
            raise Refused("this service was given no way to fetch")
        return await self._fetching.fetch(name, ask)

    def _ask(self, feed: Feed, name: str, *, deep: bool) -> Ask:
        now, provider = self.clock.now(), self._providers[name]
        starts_at, ends_at = window(provider.cadence[feed.signal], now, deep=deep, market_time=provider.days)
        return Ask(zone=feed.zone, signal=feed.signal, now=now, starts_at=starts_at, ends_at=ends_at)

    def _closings(self, feed: Feed, name: str, records: Sequence[Record]) -> list[Record]:
        """The ends of what a feed that lists everything in force no longer lists."""
        if not self._providers[name].complete:
            return []
        now = self.clock.now()
        standing = self.publishing.intake.revisions.standing(name, feed.zone, now)
        return self._absences.closings((name, feed.zone), standing, records, now)

    def _noted(
        self, status: Status, feed: Feed, batch: IntakeBatch, records: Sequence[Record], *, deep: bool
    ) -> Status:
        now = self.clock.now()
        status = watch.counted(
            status,
            published=len(batch.published),
            revisions=sum(news is News.CORRECTED for news, _ in batch.published),
            quarantined=len(batch.set_aside) + len(batch.outliers),
        )
        if batch.set_aside and len(batch.set_aside) == len(records):
            reasons = "; ".join(reason.text for reason in batch.set_aside[0].reasons)
            return watch.failed(status, Malformed(f"all {len(records)} records set aside: {reasons}"), now)
        good = [record for record in records if all(record is not aside.record for aside in batch.set_aside)]
        market = self.publishing.intake.limits.markets.of(feed.zone)
        ends = newest(watch.wanted(feed, good, market))
        if lack := watch.lacking(feed, good, market, now):
            return watch.failed(
                replace(status, newest_ends_at=ends or status.newest_ends_at), NotYetAvailable(lack), now
            )
        ends_s = ends.timestamp() if ends else None
        self.metrics.succeeded(status.provider, status.zone, status.signal, now.timestamp(), ends_s)
        return watch.succeeded(status, now, ends, deep=deep)
