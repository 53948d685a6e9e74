"""Meter readings by site and time, as many as there is room for."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import NamedTuple

from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import MeterReading
from gridsignal_schemas.rules.readings import LONGEST_READING, is_interval

Place = tuple[datetime, datetime, str, str]
"""(starts_at, ends_at, meter, point): what a later reading of the same interval replaces."""
_PASSED_OVER = 100


class PassedOver(NamedTuple):
    """A reading that counts for nothing, and why."""

    reading: MeterReading
    fault: Detail


@dataclass(slots=True)
class _Site:
    places: list[Place] = field(default_factory=list)
    readings: dict[Place, tuple[int, MeterReading]] = field(default_factory=dict)
    """Each with its turn: how many had been read before it."""
    passed_over: deque[PassedOver] = field(default_factory=lambda: deque(maxlen=_PASSED_OVER))


class Meters:
    """The readings of every site, ordered by time.

    Bounded: `per_site` intervals of each site and the newest 100 that were passed over; sites by the registry, which
    the caller asks first.
    When full: the oldest interval is forgotten; the log still has it.
    Conflates: readings of one meter and interval, to the highest `seq`.
    """

    def __init__(self, per_site: int = 20_000) -> None:
        self._per_site = per_site
        self._sites: dict[str, _Site] = {}
        self._turn = 0

    def add(self, reading: MeterReading) -> bool:
        """Remembers a reading; False for one that is no interval, is older than its successor, or has no room.

        Readings are added in the order of the log: of two with one `seq` the first counts.
        """
        if not is_interval(reading):
            return False
        self._turn += 1
        site = self._sites.setdefault(reading.site, _Site())
        place = (reading.starts_at, reading.ends_at, reading.meter, reading.point.value)
        known = site.readings.get(place)
        if known is not None:
            if reading.seq > known[1].seq:
                site.readings[place] = (self._turn, reading)
            return reading.seq > known[1].seq
        if len(site.places) >= self._per_site:
            if place < site.places[0]:
                return False
            del site.readings[site.places.pop(0)]
        insort(site.places, place)
        site.readings[place] = (self._turn, reading)
        return True

    def pass_over(self, reading: MeterReading, fault: Detail) -> None:
        """Remembers why a reading counts for nothing, for those who look for it."""
        self._sites.setdefault(reading.site, _Site()).passed_over.append(PassedOver(reading, fault))

    def between(self, site: str, starts_at: datetime, ends_at: datetime | None = None) -> Iterator[MeterReading]:
        """Readings that overlap [starts_at, ends_at), oldest first; an open end takes all that follow."""
        return (reading for _, reading in self._between(site, starts_at, ends_at))

    def in_order_of_log(self, site: str, starts_at: datetime, ends_at: datetime | None = None) -> list[MeterReading]:
        """The same readings as they came."""
        found = sorted(self._between(site, starts_at, ends_at), key=itemgetter(0))
        return [reading for _, reading in found]

    def passed_over(self, site: str, starts_at: datetime, ends_at: datetime) -> list[PassedOver]:
        """The newest readings that count for nothing and touch [starts_at, ends_at)."""
        held = self._sites.get(site)
        said = held.passed_over if held else ()
        return [each for each in said if each.reading.starts_at < ends_at and each.reading.ends_at >= starts_at]

    def _between(self, site: str, starts_at: datetime, ends_at: datetime | None) -> list[tuple[int, MeterReading]]:
        held = self._sites.get(site)
        if held is None:
            return []
        first = bisect_left(held.places, (starts_at - LONGEST_READING,))
        last = len(held.places) if ends_at is None else bisect_left(held.places, (ends_at,))
        return [held.readings[place] for place in held.places[first:last] if place[1] > starts_at]
