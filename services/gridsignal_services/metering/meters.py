"""Meter readings by site and time: the newest in memory, older ones on disk."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import MeterReading
from gridsignal_schemas.rules.baselines import FOR_EVER
from gridsignal_schemas.rules.readings import is_interval
from gridsignal_services.kept_file import TooMany
from gridsignal_services.metering.older_readings import (
    AT_ONCE,
    MOST_READ,
    Held,
    OlderReadings,
    Place,
    is_of,
    place_of,
    says_more,
)
from gridsignal_services.work import NOBODYS, Work

PER_SITE = 2000
"""Some days of quarter hours, some hours of ten seconds."""
IN_MEMORY = 50_000
"""Of all sites together, about a hundred megabytes."""
_PASSED_OVER = 100


class PassedOver(NamedTuple):
    """A reading that counts for nothing, and why."""

    reading: MeterReading
    fault: Detail


@dataclass(slots=True)
class _Site:
    places: list[Place] = field(default_factory=list)
    readings: dict[Place, Held] = field(default_factory=dict)
    is_full: bool = False
    """Whether some of it are on disk: all that are older than the oldest here."""
    longest: timedelta = timedelta(0)
    """The longest reading so far: none that began earlier than this before a moment touches it."""
    passed_over: deque[PassedOver] = field(default_factory=lambda: deque(maxlen=_PASSED_OVER))


class Meters:
    """The readings of every site, ordered by time.

    Bounded: `in_memory` intervals, of which each site has its share, `per_site` at most; of each site the newest 100
    that were passed over; sites by the doors, which take readings of those in the registry alone.
    When full: the oldest interval of the site goes to disk.
    Conflates: readings of one meter and interval, to the highest `seq`.
    """

    def __init__(
        self,
        directory: Path,
        per_site: int = PER_SITE,
        at_once: int = AT_ONCE,
        most_read: int = MOST_READ,
        in_memory: int = IN_MEMORY,
    ) -> None:
        """Older ones lie in `directory`; so many are written at once, and read for one answer."""
        self._per_site, self._most_read, self._in_memory_of_all = per_site, most_read, in_memory
        self._room = per_site
        """Intervals in memory of one site, as many as there are of them by now."""
        self._sites: dict[str, _Site] = {}
        self._older = OlderReadings(directory, at_once)

    def add(self, reading: MeterReading, offset: int, sha256: bytes) -> None:
        """Remembers a reading that is an interval, unless another word on the same interval counts.

        Readings are added in the order of the log: of two with one `seq` the first counts.
        """
        if not is_interval(reading):
            return
        site = self._site(reading.site)
        place, held = place_of(reading), Held(offset, reading, sha256)
        site.longest = max(site.longest, reading.ends_at - reading.starts_at)
        if place in site.readings:
            if says_more(site.readings, held):
                site.readings[place] = held
        elif site.is_full and place < site.places[0]:
            self._older.keep(held)
        else:
            insort(site.places, place)
            site.readings[place] = held
            self._make_room(site)

    def pass_over(self, reading: MeterReading, fault: Detail) -> None:
        """Remembers why a reading counts for nothing, for those who look for it."""
        self._site(reading.site).passed_over.append(PassedOver(reading, fault))

    async def between(
        self,
        site: str,
        starts_at: datetime,
        ends_at: datetime | None = None,
        work: Work = NOBODYS,
        participant: str | None = None,
    ) -> list[MeterReading]:
        """Readings that overlap [starts_at, ends_at), oldest first; an open end takes all that follow.

        Of one participant alone where it is named: what others said of the site is no part of it, and not too many.
        Raises Unreadable, TooMany.
        """
        found = await self._between(site, participant, starts_at, ends_at or FOR_EVER, work)
        return [found[place].reading for place in sorted(found)]

    async def in_order_of_log(
        self,
        site: str,
        participant: str,
        starts_at: datetime,
        ends_at: datetime | None = None,
        work: Work = NOBODYS,
    ) -> list[MeterReading]:
        """What a participant said of the period, as it came. Raises Unreadable, TooMany."""
        return _as_it_came(await self._between(site, participant, starts_at, ends_at or FOR_EVER, work))

    async def held(self, site: str, participant: str, starts_at: datetime, ends_at: datetime) -> list[Held]:
        """The same, each with its place on the log. Raises Unreadable, TooMany."""
        found = await self._between(site, participant, starts_at, ends_at, NOBODYS)
        return sorted(found.values(), key=attrgetter("offset"))

    async def held_of_each(
        self, site: str, participant: str, periods: Iterable[tuple[datetime, datetime]]
    ) -> list[Held]:
        """Of each of several periods; nothing of one of which there are too many. Raises Unreadable."""
        found: list[Held] = []
        for period in periods:
            with suppress(TooMany):
                found += await self.held(site, participant, *period)
        return found

    def at_hand(
        self, site: str, participant: str, starts_at: datetime, ends_at: datetime | None = None
    ) -> list[MeterReading] | None:
        """The same where all of it is in memory; None where some may be on disk, or it is too much."""
        found, is_all = self._in_memory(site, participant, starts_at, ends_at or FOR_EVER)
        return _as_it_came(found) if is_all and len(found) <= self._most_read else None

    def passed_over(self, site: str, starts_at: datetime, ends_at: datetime) -> list[PassedOver]:
        """The newest readings that count for nothing and touch [starts_at, ends_at)."""
        held = self._sites.get(site)
        said = held.passed_over if held else ()
        return [each for each in said if each.reading.starts_at < ends_at and each.reading.ends_at >= starts_at]

    async def write(self) -> None:
        """Writes what goes to disk: called now and then while readings are added."""
        await self._older.write()

    def close(self) -> None:
        """Forgets what is on disk."""
        self._older.close()

    def _site(self, name: str) -> _Site:
        """Where one more speaks, those before it have less room."""
        if (site := self._sites.get(name)) is None:
            site = self._sites[name] = _Site()
            room = max(1, min(self._per_site, self._in_memory_of_all // len(self._sites)))
            if room < self._room:
                self._room = room
                for other in self._sites.values():
                    self._make_room(other)
        return site

    def _make_room(self, site: _Site) -> None:
        while len(site.places) > self._room:
            site.is_full = True
            self._older.keep(site.readings.pop(site.places.pop(0)))

    def _in_memory(
        self, site: str, participant: str | None, starts_at: datetime, ends_at: datetime
    ) -> tuple[dict[Place, Held], bool]:
        """What touches [starts_at, ends_at), and whether that is all there is."""
        held = self._sites.get(site)
        if held is None:
            return {}, True
        first = bisect_left(held.places, (starts_at - held.longest,))
        last = bisect_left(held.places, (ends_at,))
        found = {
            place: held.readings[place]
            for place in held.places[first:last]
            if place[1] > starts_at and is_of(participant, held.readings[place])
        }
        return found, first > 0 or not held.is_full

    async def _between(
        self, site: str, participant: str | None, starts_at: datetime, ends_at: datetime, work: Work
    ) -> dict[Place, Held]:
        """Raises Unreadable; TooMany, too, wherever they lie: how much is in memory changes no figure."""
        with work.here():
            found, is_all = self._in_memory(site, participant, starts_at, ends_at)
            if is_all:
                return self._few(found)
            older = self._older.waiting(site, starts_at, ends_at, participant)
            longest = self._sites[site].longest
        # what goes to disk meanwhile is found twice, and nothing is missed
        older += await work.away(self._older.read, site, starts_at, ends_at, longest, self._most_read, participant)
        with work.here():
            for each in older:
                if says_more(found, each):
                    found[place_of(each.reading)] = each
        return self._few(found)

    def _few(self, found: dict[Place, Held]) -> dict[Place, Held]:
        if len(found) > self._most_read:
            raise TooMany(f"more than {self._most_read} readings")
        return found


def _as_it_came(found: Mapping[Place, Held]) -> list[MeterReading]:
    return [held.reading for held in sorted(found.values(), key=attrgetter("offset"))]
