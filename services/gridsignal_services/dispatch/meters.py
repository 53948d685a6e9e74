"""Meter readings by site and time, as many as there is room for."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gridsignal_schemas.messages import MeterReading

LONGEST_INTERVAL = timedelta(days=1)
"""A longer mean says nothing about an order, and would make every look-up search further back."""

Place = tuple[datetime, datetime, str, str]
"""(starts_at, ends_at, meter, point): what a later reading of the same interval replaces."""


@dataclass(slots=True)
class _Site:
    places: list[Place] = field(default_factory=list)
    readings: dict[Place, MeterReading] = field(default_factory=dict)


class Meters:
    """The readings of every site, ordered by time.

    Bounded: `per_site` intervals of each site; sites by the registry, which the caller asks first.
    When full: the oldest interval is forgotten; the log still has it.
    Conflates: readings of one meter and interval, to the highest `seq`.
    """

    def __init__(self, per_site: int = 20_000) -> None:
        self._per_site = per_site
        self._sites: dict[str, _Site] = {}

    def add(self, reading: MeterReading) -> bool:
        """Remembers a reading; False for one that is no interval, is older than its successor, or has no room."""
        if not timedelta(0) < reading.ends_at - reading.starts_at <= LONGEST_INTERVAL:
            return False
        site = self._sites.setdefault(reading.site, _Site())
        place = (reading.starts_at, reading.ends_at, reading.meter, reading.point.value)
        known = site.readings.get(place)
        if known is not None:
            if reading.seq > known.seq:
                site.readings[place] = reading
            return reading.seq > known.seq
        if len(site.places) >= self._per_site:
            if place < site.places[0]:
                return False
            del site.readings[site.places.pop(0)]
        insort(site.places, place)
        site.readings[place] = reading
        return True

    def between(self, site: str, starts_at: datetime, ends_at: datetime | None = None) -> Iterator[MeterReading]:
        """Readings that overlap [starts_at, ends_at), oldest first; an open end takes all that follow."""
        held = self._sites.get(site)
        if held is None:
            return
        first = bisect_left(held.places, (starts_at - LONGEST_INTERVAL,))
        for index in range(first, len(held.places)):
            place = held.places[index]
            if ends_at is not None and place[0] >= ends_at:
                return
            if place[1] > starts_at:
                yield held.readings[place]
