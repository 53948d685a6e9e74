"""One feed under watch: what was tried, what came of it, when it is due again. Values in, values out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta

from gridsignal_schemas.messages import CarbonIntensity, Record, SpotPrice
from gridsignal_schemas.values import rfc3339
from gridsignal_services.ingest.feed import Banned, FeedError, NotYetAvailable, Outage, Provider, Signal
from gridsignal_services.ingest.markets import COUPLED, Market
from gridsignal_services.ingest.schedule import MARKET_TIME, PastRuns, day_starts_at, is_stale, market_day, next_due

_NO_PAST = PastRuns()


@dataclass(frozen=True, slots=True)
class Feed:
    """A zone's signal and who may deliver it, in order of preference: the next is asked while one fails."""

    zone: str
    signal: Signal
    providers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """What `gridsignal ingest status` shows of one provider for one feed."""

    provider: str
    zone: str
    signal: Signal
    started_at: datetime
    next_due_at: datetime
    past: PastRuns = _NO_PAST
    last_success_at: datetime | None = None
    newest_ends_at: datetime | None = None
    last_deep_day: date | None = None
    published: int = 0
    revisions: int = 0
    quarantined: int = 0
    trouble: str = ""
    """The last failure in words, or what the last answer lacked; empty after a success."""
    left_out: str = ""
    """What of the last answer could not be read while the rest was."""

    @property
    def name(self) -> tuple[str, str, str]:
        return self.provider, self.zone, self.signal.value


def succeeded(status: Status, now: datetime, newest_ends_at: datetime | None, *, deep: bool) -> Status:
    """The feed gave good figures."""
    ends = [end for end in (newest_ends_at, status.newest_ends_at) if end is not None]
    newest = max(ends, default=None)
    return replace(
        status,
        past=PastRuns(last_attempt_at=now, complete=is_complete(newest, now)),
        last_success_at=now,
        newest_ends_at=newest,
        last_deep_day=market_day(now) if deep else status.last_deep_day,
        trouble="",
    )


WANTED_FROM = time(14, 0)
"""Market time: from then on a day-ahead feed that lacks tomorrow is helped by the next source."""


def lacking(feed: Feed, records: Iterable[Record], market: Market, now: datetime) -> str:
    """What is wanted of a feed's answer and not in it, in words: another auction's prices are no success.

    A zone of the coupled market wants the whole of today's prices, and in the afternoon tomorrow's; other prices and
    carbon a figure of the last hours, a forecast one to come.
    """
    if feed.signal is Signal.PRICE and market.dataset == COUPLED.dataset:
        today = market_day(now)
        last = 2 if now.astimezone(MARKET_TIME).time() >= WANTED_FROM else 1
        prices = [r for r in records if isinstance(r, SpotPrice) and r.dataset == market.dataset]
        days = [today + timedelta(days=n) for n in range(last)]
        missing = [str(day) for day in days if not _is_whole(prices, day_starts_at(day), day_starts_at(_next(day)))]
        return f"no complete {market.dataset} prices of {feed.zone} for {' and '.join(missing)}" if missing else ""
    newest = max((r.ends_at for r in records if isinstance(r, SpotPrice | CarbonIntensity)), default=None)
    if newest is None or feed.signal not in _OLDEST or newest > now - _OLDEST[feed.signal]:
        return ""
    return f"no {feed.signal} of {feed.zone} after {rfc3339(newest)}"


_OLDEST = {Signal.PRICE: timedelta(hours=12), Signal.CARBON: timedelta(hours=12), Signal.FORECAST: timedelta(0)}
"""Figures that end so long ago say nothing about now."""


def _next(day: date) -> date:
    return day + timedelta(days=1)


def _is_whole(prices: Iterable[SpotPrice], starts_at: datetime, ends_at: datetime) -> bool:
    """Whether prices are told for all of a day; a few gaps between them are the feed's own."""
    covered = timedelta(0)
    for record in prices:
        for start, end, value in record.intervals():
            if value is not None and starts_at <= start and end <= ends_at:
                covered += end - start
    return covered >= (ends_at - starts_at) * 0.9


def wanted(feed: Feed, records: Iterable[Record], market: Market) -> list[Record]:
    """The records by which a feed's freshness is told: in the coupled market those of its auction."""
    if feed.signal is not Signal.PRICE or market.dataset != COUPLED.dataset:
        return list(records)
    return [r for r in records if isinstance(r, SpotPrice) and r.dataset == market.dataset]


def failed(status: Status, fault: FeedError, now: datetime) -> Status:
    """The feed gave none. Not-yet is no failure: it keeps the cadence and does not count."""
    complete = is_complete(status.newest_ends_at, now)
    if isinstance(fault, NotYetAvailable):
        past = PastRuns(last_attempt_at=now, complete=complete)
    else:
        wait_s = fault.retry_after_s if isinstance(fault, (Banned, Outage)) else None
        if isinstance(fault, Banned) and wait_s is None:
            wait_s = 600.0  # the longest ban we know of that names no end
        not_before = now + timedelta(seconds=wait_s) if wait_s is not None else None
        past = PastRuns(
            last_attempt_at=now, failures=status.past.failures + 1, not_before=not_before, complete=complete
        )
    return replace(status, past=past, trouble=f"{type(fault).__name__}: {fault}"[:240])


def counted(status: Status, *, published: int, revisions: int, quarantined: int) -> Status:
    """Adds a batch to the counts."""
    return replace(
        status,
        published=status.published + published,
        revisions=status.revisions + revisions,
        quarantined=status.quarantined + quarantined,
    )


def is_complete(newest_ends_at: datetime | None, now: datetime) -> bool:
    """Whether tomorrow's figures are here."""
    return newest_ends_at is not None and newest_ends_at >= day_starts_at(market_day(now) + timedelta(days=2))


def awaited(feed: Feed, statuses: Mapping[str, Status]) -> list[Status]:
    """The providers of a feed that count now: the preferred one, and each next one while those before it fail."""
    found: list[Status] = []
    for name in feed.providers:
        found.append(statuses[name])
        if not statuses[name].trouble:
            break
    return found


def scheduled(status: Status, provider: Provider, now: datetime, jitter: float) -> Status:
    """With the time of its next attempt, fixed once per attempt."""
    return replace(status, next_due_at=due(status, provider, now, jitter))


def due(status: Status, provider: Provider, now: datetime, jitter: float) -> datetime:
    """When to ask this provider again."""
    return next_due(provider.cadence[status.signal], status.past, now, jitter)


def stale(status: Status, provider: Provider, now: datetime) -> bool:
    """Whether the feed's figures are too old to rely on; one that was asked and never gave any is from the start."""
    if status.last_success_at is None and status.trouble:
        return True
    return is_stale(provider.cadence[status.signal], status.last_success_at, status.started_at, now)
