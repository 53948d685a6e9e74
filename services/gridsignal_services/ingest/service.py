"""The ingest door: reads feeds when they are due, plays recorded days, publishes what is new.

    schedule -> provider.request() -> http -> provider.parse() -> quarantine -> revisions -> log

Bounded: one task per feed and one for the replay; every batch by the size of an answer. When full: feeds wait for the
log. Conflates: nothing.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Mapping, Sequence

from gridsignal_schemas.messages import Record
from gridsignal_services.bus import Log, LogUnavailable
from gridsignal_services.bus.codec import Codec, Poison
from gridsignal_services.bus.publish import publish
from gridsignal_services.clock import Clock
from gridsignal_services.ingest import watch
from gridsignal_services.ingest.feed import Ask, FeedError, Malformed, Provider, Refused, newest
from gridsignal_services.ingest.fetching import Fetching
from gridsignal_services.ingest.intake import Batch, Intake, SetAside
from gridsignal_services.ingest.metrics import Metrics
from gridsignal_services.ingest.providers import PROVIDERS
from gridsignal_services.ingest.replay import play
from gridsignal_services.ingest.revisions import News
from gridsignal_services.ingest.schedule import is_deep, window
from gridsignal_services.ingest.series import Publication
from gridsignal_services.ingest.watch import Feed, Status
from gridsignal_services.telemetry import Health, logger

PRINCIPAL = "service:ingest"
STREAMS = ("prices", "carbon", "alerts")
_LOG_PAUSE_S = 1.0

_log = logger("ingest")


class Ingest:
    """Feeds in, records out.

    `feeds` are read over HTTP by the wall's rhythm; `playback` is published by the clock. Both may be empty.
    `settings` are per provider: addresses, names, secrets.
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
    ) -> None:
        self._log, self._codec, self._clock = log, codec, clock
        self._feeds, self._playback = tuple(feeds), playback
        self._fetching = fetching
        self._providers = PROVIDERS if providers is None else providers
        self.intake = intake or Intake()
        self.health = health or Health()
        self.metrics = metrics or Metrics()
        self._jitter = jitter or random.Random()  # noqa: S311 - spreads polling, protects nothing
        self._statuses = {feed: self._first_statuses(feed) for feed in self._feeds}
        self._publishing = asyncio.Lock()

    async def run(self) -> None:
        """Rebuilds the state from the log, then reads feeds until cancelled; without feeds returns after the replay."""
        await self.recall()
        self.health.set_ready(True)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(play(self._playback, self._clock, self._play_batch))
            for feed in self._feeds:
                tasks.create_task(self._read_for_ever(feed))

    def statuses(self) -> list[Status]:
        """Every feed and provider, as of now."""
        return sorted((s for by_name in self._statuses.values() for s in by_name.values()), key=lambda s: s.name)

    def _first_statuses(self, feed: Feed) -> dict[str, Status]:
        now = self._clock.now()
        first = {name: Status(name, feed.zone, feed.signal, now, now) for name in feed.providers}
        return {
            name: watch.scheduled(status, self._providers[name], now, self._jitter.random())
            for name, status in first.items()
        }

    async def recall(self) -> None:
        """Reads back what is already on the log, so that a restarted door repeats nothing."""
        for stream in STREAMS:
            starts, ends = await self._log.start_positions(stream), await self._log.end_positions(stream)
            await self._learn_between(stream, starts, ends)

    async def _learn_between(self, stream: str, starts: Mapping[int, int], ends: Mapping[int, int]) -> None:
        open_partitions = {p: start for p, start in starts.items() if start < ends[p]}
        if not open_partitions:
            return
        reader = await self._log.reader(stream, open_partitions)
        try:
            while any(reader.positions[p] < ends[p] for p in open_partitions):
                for logged in await reader.read():
                    try:
                        self.intake.learn(self._codec.decode(logged.value))
                    except Poison as fault:
                        _log.warning("poison on the log", stream=stream, offset=logged.offset, reason=fault.reason)
        finally:
            await reader.aclose()

    async def take(self, records: Iterable[Record], *, asked_zone: str | None, provider: str, signal: str) -> Batch:
        """Judges a batch and publishes what is new in it; returns once all of it is on the log.

        Raises LogUnavailable when the log is away; what was acknowledged until then stays.
        """
        batch = Batch()
        async with self._publishing:
            for record in records:
                verdict = self.intake.judge(record, asked_zone, self._clock.now())
                if isinstance(verdict, SetAside):
                    batch.set_aside.append(verdict)
                    self._tell_set_aside(verdict, provider, signal)
                elif verdict.publish is None:
                    batch.known += verdict.news is News.KNOWN
                    batch.lower += verdict.news is News.LOWER
                else:
                    await self._publish(verdict.publish, verdict.news, provider, signal)
                    batch.published.append((verdict.news, verdict.publish))
        return batch

    async def _publish(self, record: Record, news: News, provider: str, signal: str) -> None:
        await publish(self._log, self._codec, record, principal=PRINCIPAL, source=f"/ingest/{provider}")
        self.intake.learn(record)
        self.metrics.published(provider, getattr(record, "zone", ""), signal, news)

    def _tell_set_aside(self, aside: SetAside, provider: str, signal: str) -> None:
        zone = getattr(aside.record, "zone", "")
        self.metrics.quarantined(provider, zone, signal, aside.reasons)
        _log.warning("set aside", provider=provider, zone=zone, reasons=[reason.text for reason in aside.reasons])

    async def _play_batch(self, records: list[Record]) -> None:
        while True:
            try:
                await self.take(records, asked_zone=None, provider="replay", signal="recorded")
                return
            except LogUnavailable as fault:
                await self._log_came_back(fault)

    async def _log_came_back(self, fault: LogUnavailable) -> None:
        # whether the append under way was logged is unknown: reading back settles it, then the batch is judged anew
        _log.warning("the log is away", reason=str(fault))
        while True:
            await asyncio.sleep(_LOG_PAUSE_S)
            try:
                await self.recall()
                return
            except LogUnavailable:
                continue

    async def _read_for_ever(self, feed: Feed) -> None:
        statuses = self._statuses[feed]
        while True:
            await self._clock.sleep_until(min(status.next_due_at for status in watch.awaited(feed, statuses)))
            try:
                await self._round(feed)
            except LogUnavailable as fault:
                await self._log_came_back(fault)

    async def _round(self, feed: Feed) -> None:
        """Asks the preferred provider if it is due, and the next ones while one before them fails."""
        for name in feed.providers:
            status = self._statuses[feed][name]
            if status.next_due_at <= self._clock.now():
                status = await self._attempt(feed, name)
            if not status.trouble:
                return

    async def _attempt(self, feed: Feed, name: str) -> Status:
        status, provider = self._statuses[feed][name], self._providers[name]
        now = self._clock.now()
        deep = is_deep(status.last_deep_day, now)
        try:
            records = await self._fetched(feed, name, deep=deep)
            batch = await self.take(records, asked_zone=feed.zone, provider=name, signal=feed.signal)
            status = self._noted(status, batch, records, deep=deep)
            outcome = "ok"
        except FeedError as fault:
            status, outcome = watch.failed(status, fault, self._clock.now()), type(fault).__name__
            _log.info("feed gave nothing", provider=name, zone=feed.zone, signal=feed.signal, trouble=status.trouble)
        self.metrics.attempted(name, feed.zone, feed.signal, outcome)
        now = self._clock.now()
        self.metrics.stale(name, feed.zone, feed.signal, watch.stale(status, provider, now))
        status = watch.scheduled(status, provider, now, self._jitter.random())
        self._statuses[feed][name] = status
        return status

    async def _fetched(self, feed: Feed, name: str, *, deep: bool) -> list[Record]:
        if self._fetching is None:
            raise Refused("this service was given no way to fetch")
        now, provider = self._clock.now(), self._providers[name]
        starts_at, ends_at = window(provider.cadence[feed.signal], now, deep=deep, market_time=provider.days)
        ask = Ask(zone=feed.zone, signal=feed.signal, now=now, starts_at=starts_at, ends_at=ends_at)
        return await self._fetching.fetch(name, ask)

    def _noted(self, status: Status, batch: Batch, records: Sequence[Record], *, deep: bool) -> Status:
        now = self._clock.now()
        status = watch.counted(
            status,
            published=len(batch.published),
            revisions=sum(news is News.CORRECTED for news, _ in batch.published),
            quarantined=len(batch.set_aside),
        )
        if batch.set_aside and len(batch.set_aside) == len(records):
            reasons = "; ".join(reason.text for reason in batch.set_aside[0].reasons)
            return watch.failed(status, Malformed(f"all {len(records)} records set aside: {reasons}"), now)
        good = [record for record in records if all(record is not aside.record for aside in batch.set_aside)]
        ends = newest(good)
        ends_s = ends.timestamp() if ends else None
        self.metrics.succeeded(status.provider, status.zone, status.signal, now.timestamp(), ends_s)
        return watch.succeeded(status, now, ends, deep=deep)
