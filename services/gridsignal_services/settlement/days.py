"""Days by a zone's own clock and calendar: working days, days of 23 and 25 hours, the same hours on another day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

from holidays import country_holidays

_DAY = timedelta(days=1)
_SATURDAY = 5
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC) + 3 * _DAY, datetime.max.replace(tzinfo=UTC) - 3 * _DAY
"""Between these a day has one before and one after it, whatever the zone."""


class Slot(NamedTuple):
    """One interval of an event or of a window, in UTC."""

    starts_at: datetime
    ends_at: datetime


class WrongPlace(ValueError):
    """A country, or a part of one, whose public holidays nobody has listed."""


class NoSuchTime(ValueError):
    """A time that the zone's clock skips."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """A zone's days."""

    timezone: tzinfo
    holidays: frozenset[date] = frozenset()

    def is_working(self, day: date) -> bool:
        """Whether it is neither a Saturday, a Sunday nor a public holiday."""
        return day.weekday() < _SATURDAY and day not in self.holidays

    def is_clock_change(self, day: date) -> bool:
        """Whether it has 23 or 25 hours."""
        return self.begins(day + _DAY) - self.begins(day) != _DAY

    def begins(self, day: date) -> datetime:
        """Its first moment, in UTC."""
        return datetime.combine(day, time(0), self.timezone).astimezone(UTC)

    def day_of(self, moment: datetime) -> date:
        """The day that a moment belongs to."""
        return moment.astimezone(self.timezone).date()

    def days_of(self, periods: Iterable[tuple[datetime, datetime]]) -> list[Slot]:
        """The days that periods of up to a day touch, in order of time."""
        found: set[date] = set()
        for starts_at, ends_at in periods:
            if _FIRST < starts_at < ends_at < _LAST:
                first, last = self.day_of(starts_at), self.day_of(ends_at)
                found |= {first, min(first + _DAY, last), last}
        return [Slot(self.begins(day), self.begins(day + _DAY)) for day in sorted(found)]

    def at(self, day: date, clock: time) -> datetime:
        """The moment at which the clock shows a time, the first of two where it goes back. Raises NoSuchTime."""
        moment = datetime.combine(day, clock, self.timezone).astimezone(UTC)
        if moment.astimezone(self.timezone).time() != clock.replace(fold=0):
            raise NoSuchTime(f"the clock skips {clock:%H:%M} on {day}")
        return moment

    def slots(self, starts_at: datetime, ends_at: datetime, length: timedelta) -> tuple[Slot, ...]:
        """A period in pieces of this length, cut where it fits into the day from midnight on."""
        cut = starts_at - (starts_at - self.begins(self.day_of(starts_at))) % length
        found: list[Slot] = []
        while cut < ends_at:
            found.append(Slot(max(cut, starts_at), min(cut + length, ends_at)))
            cut += length
        return tuple(found)

    def same_hours(self, slots: tuple[Slot, ...], day: date, other: date) -> Iterator[Slot | None]:
        """Intervals of one day by the clock of another; None for one that its clock skips."""
        for slot in slots:
            local = slot.starts_at.astimezone(self.timezone)
            naive = local.replace(tzinfo=None) + (other - day)
            starts_at = naive.replace(tzinfo=self.timezone, fold=local.fold).astimezone(UTC)
            if starts_at.astimezone(self.timezone).replace(tzinfo=None, fold=0) != naive.replace(fold=0):
                yield None
            else:
                yield Slot(starts_at, starts_at + (slot.ends_at - slot.starts_at))


def public_holidays(place: str, first: date, last: date) -> frozenset[date]:
    """The public holidays of a country, such as GB, or of a part of one, such as GB-ENG. Raises WrongPlace."""
    country, _, part = place.partition("-")
    years = range(first.year, last.year + 1)
    try:
        return frozenset(country_holidays(country, subdiv=part or None, years=years))
    except NotImplementedError:
        raise WrongPlace(f"expected a country such as GB or a part of one such as GB-ENG, got {place!r:.60}") from None
