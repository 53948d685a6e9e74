"""One feed under watch: what was tried, what came of it, when it is due again. Values in, values out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from gridsignal_services.ingest.feed import Banned, FeedError, NotYetAvailable, Outage, Provider, Signal
from gridsignal_services.ingest.schedule import Past, day_starts_at, is_stale, market_day, next_due

_NO_PAST = Past()


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
    past: Past = _NO_PAST
    last_success_at: datetime | None = None
    newest_ends_at: datetime | None = None
    last_deep_day: date | None = None
    published: int = 0
    revisions: int = 0
    quarantined: int = 0
    trouble: str = ""
    """The last failure in words; empty after a success."""

    @property
    def name(self) -> tuple[str, str, str]:
        return self.provider, self.zone, self.signal.value


def succeeded(status: Status, now: datetime, newest_ends_at: datetime | None, *, deep: bool) -> Status:
    """The feed gave good figures."""
    ends = [end for end in (newest_ends_at, status.newest_ends_at) if end is not None]
    newest = max(ends, default=None)
    return replace(
        status,
        past=Past(last_attempt_at=now, complete=is_complete(newest, now)),
        last_success_at=now,
        newest_ends_at=newest,
        last_deep_day=market_day(now) if deep else status.last_deep_day,
        trouble="",
    )


def failed(status: Status, fault: FeedError, now: datetime) -> Status:
    """The feed gave none. Not-yet is no failure: it keeps the cadence and does not count."""
    complete = is_complete(status.newest_ends_at, now)
    if isinstance(fault, NotYetAvailable):
        past = Past(last_attempt_at=now, complete=complete)
    else:
        wait_s = fault.retry_after_s if isinstance(fault, (Banned, Outage)) else None
        if isinstance(fault, Banned) and wait_s is None:
            wait_s = 600.0  # the longest ban we know of that names no end
        not_before = now + timedelta(seconds=wait_s) if wait_s is not None else None
        past = Past(last_attempt_at=now, failures=status.past.failures + 1, not_before=not_before, complete=complete)
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
    """Whether the feed's figures are too old to rely on."""
    return is_stale(provider.cadence[status.signal], status.last_success_at, status.started_at, now)
