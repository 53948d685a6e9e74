"""What is due now: publication times, periods, back-off. Values in, values out; the jitter is an argument.

The idea of one jitter per attempt instead of fixed times: everybody polls at 12:45, so nobody should (providers that
ban at 400 requests a minute taught it).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

MARKET_TIME = ZoneInfo("Europe/Brussels")
"""The time of the coupled European day-ahead market: its day is 00:00-24:00 here, whatever the zone's own time."""

LONGEST_BACK_OFF_S = 1800.0
_FIRST_BACK_OFF_S = 15.0


@dataclass(frozen=True, slots=True)
class Cadence:
    """How often a feed is read.

    A feed with a publication window is read every `busy_s` inside it until the next day is complete, and every
    `period_s` otherwise. `after_s` is how long after a period's boundary its figures usually appear.
    """

    period_s: int
    after_s: int = 0
    busy_from: time | None = None
    busy_until: time | None = None
    busy_s: int = 180
    days_back: int = 1
    days_ahead: int = 2
    stale_after_s: int = 7200
    """Without a success for so long the feed counts as stale."""


DAY_AHEAD = Cadence(
    period_s=3600,
    busy_from=time(12, 40),
    busy_until=time(14, 30),
    stale_after_s=3 * 3600,
)


@dataclass(frozen=True, slots=True)
class PastRuns:
    """What happened at a feed so far, as far as the schedule cares."""

    last_attempt_at: datetime | None = None
    failures: int = 0
    """Failures in a row (not-yet is none)."""
    not_before: datetime | None = None
    """The feed asked us to wait until then."""
    complete: bool = False
    """The next day's figures are all here."""


def next_due(cadence: Cadence, past: PastRuns, now: datetime, jitter: float) -> datetime:
    """When to read next. `jitter` in [0, 1) spreads the readers; the result is never before now.

    Not-yet keeps the cadence, an outage backs off exponentially, and what the feed asked for is always respected.
    """
    if past.last_attempt_at is None:
        due = now + timedelta(seconds=2 * jitter)
    elif past.failures:
        due = past.last_attempt_at + timedelta(seconds=back_off_s(past.failures, jitter))
    else:
        due = _regular(cadence, past, jitter)
    if past.not_before is not None:
        due = max(due, past.not_before + timedelta(seconds=5 * jitter))
    return max(due, now)


def back_off_s(failures: int, jitter: float) -> float:
    """15, 30, 60 ... 1800 seconds, each spread over its upper half."""
    ceiling = min(LONGEST_BACK_OFF_S, _FIRST_BACK_OFF_S * 2.0 ** min(failures - 1, 16))
    return ceiling * (0.5 + jitter / 2)


def _regular(cadence: Cadence, past: PastRuns, jitter: float) -> datetime:
    assert past.last_attempt_at is not None
    last = past.last_attempt_at
    if not past.complete and _is_busy(cadence, last):
        return last + timedelta(seconds=cadence.busy_s * (0.75 + jitter / 2))
    boundary = _next_boundary(last, cadence.period_s, cadence.after_s)
    due = boundary + timedelta(seconds=min(60.0, cadence.period_s / 10) * jitter)
    opening = _next_opening(cadence, last)
    if opening is None or past.complete:
        return due
    return min(due, opening + timedelta(seconds=cadence.busy_s * jitter))


def _next_boundary(after: datetime, period_s: int, offset_s: int) -> datetime:
    elapsed = (after.timestamp() - offset_s) // period_s
    return datetime.fromtimestamp((elapsed + 1) * period_s + offset_s, tz=after.tzinfo)


def _is_busy(cadence: Cadence, when: datetime) -> bool:
    if cadence.busy_from is None or cadence.busy_until is None:
        return False
    return cadence.busy_from <= when.astimezone(MARKET_TIME).time() < cadence.busy_until


def _next_opening(cadence: Cadence, after: datetime) -> datetime | None:
    if cadence.busy_from is None:
        return None
    local = after.astimezone(MARKET_TIME)
    opening = datetime.combine(local.date(), cadence.busy_from, MARKET_TIME)
    if opening <= local:
        opening = datetime.combine(local.date() + timedelta(days=1), cadence.busy_from, MARKET_TIME)
    return opening.astimezone(after.tzinfo)


def day_starts_at(day: date, market_time: ZoneInfo = MARKET_TIME) -> datetime:
    """The first instant of a market day, in UTC."""
    return datetime.combine(day, time(0), market_time).astimezone(ZoneInfo("UTC"))


def market_day(when: datetime, market_time: ZoneInfo = MARKET_TIME) -> date:
    """The market day an instant belongs to."""
    return when.astimezone(market_time).date()


def window(
    cadence: Cadence, now: datetime, *, deep: bool, market_time: ZoneInfo = MARKET_TIME
) -> tuple[datetime, datetime]:
    """The window of whole market days to read: D-1 (D-3 when `deep`, once a day) until the end of D+1."""
    today = market_day(now, market_time)
    back = 3 if deep and cadence.days_back else cadence.days_back
    first, last = today - timedelta(days=back), today + timedelta(days=cadence.days_ahead)
    return day_starts_at(first, market_time), day_starts_at(last, market_time)


def cut(
    starts_at: datetime, ends_at: datetime, days: int, *, at_new_year: bool = False
) -> list[tuple[datetime, datetime]]:
    """A long window in parts of at most `days` days, and at New Year (UTC) for feeds that lose figures across it."""
    parts: list[tuple[datetime, datetime]] = []
    while starts_at < ends_at:
        end = min(ends_at, starts_at + timedelta(days=days))
        new_year = starts_at.replace(year=starts_at.year + 1, month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
        if at_new_year and new_year < end:
            end = new_year
        parts.append((starts_at, end))
        starts_at = end
    return parts


def is_deep(last_deep: date | None, now: datetime) -> bool:
    """Whether the long re-read is due: once a market day, for corrections that came late."""
    return last_deep is None or last_deep < market_day(now)


def is_stale(cadence: Cadence, last_success_at: datetime | None, started_at: datetime, now: datetime) -> bool:
    """Whether a feed has been silent for longer than its cadence allows."""
    since = last_success_at or started_at
    return (now - since).total_seconds() > cadence.stale_after_s
