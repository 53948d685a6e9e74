"""Meter readings that there is no room for in memory: on disk, for who asks about a site's past.

The file is this process's own and begun anew at each start: the readings are read from the log again.

What all readings of a meter have in common is written once; many are written at once, those of one meter side by side:
else each of them would have a page of the file written for itself.

Bounded: in memory by `AT_ONCE` readings that wait to be written, `_MOST` while the file can't be written; on disk by
what the log keeps, some two hundred bytes a reading. When full: the oldest of the site that waits longest is forgotten,
and the log says so. Conflates: readings of one meter and interval, to the highest `seq`.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from gridsignal_schemas.messages import TOLERANT, MeterReading
from gridsignal_services.clock import micros
from gridsignal_services.kept_file import KeptFile, TooMany, Unreadable
from gridsignal_services.telemetry import logger

_log = logger("dispatch")

Place = tuple[datetime, datetime, str, str, str]
"""(starts_at, ends_at, meter, point, participant): what a later reading of the same interval replaces. Whose site it is
by now says nothing of what it was before."""


class Held(NamedTuple):
    """A reading and its place on the log."""

    offset: int
    reading: MeterReading
    sha256: bytes
    """Of its Avro value."""


AT_ONCE = 8192
"""Readings written together: of a thousand meters some eight each."""
_MOST = 200_000
_COMMON = {"zone", "participant", "site", "meter", "point"}
"""The fields that all readings of a meter have in common."""
_TABLES = """
create table stamp (text text);
create table series (
    number integer primary key, site text, participant text, body text, unique (site, participant, body)
);
create table reading (
    series integer, starts_us integer, ends_us integer, seq integer, at integer, sha256 blob, body text,
    primary key (series, starts_us, ends_us)
) without rowid;
"""
_KEEP_SERIES = "insert into series (site, participant, body) values (?, ?, ?) on conflict do nothing"
_SERIES = "select number from series where (site, participant, body) = (?, ?, ?)"
_KEEP = """
insert into reading values (?, ?, ?, ?, ?, ?, ?) on conflict do update
set seq = excluded.seq, at = excluded.at, sha256 = excluded.sha256, body = excluded.body where excluded.seq > seq
"""
_BETWEEN = """
select at, sha256, series.body, reading.body from series cross join reading on series = number
where site = ? and participant = coalesce(?, participant) and starts_us > ? and starts_us < ? and ends_us > ? limit ?
"""
MOST_READ = 50_000
"""Readings of a site that one answer reads, of one participant where it asks for its own: half a day of seconds, some
days of ten; tens of megabytes meanwhile."""


def place_of(reading: MeterReading) -> Place:
    """What it says something about."""
    return reading.starts_at, reading.ends_at, reading.meter, reading.point.value, reading.participant


class OlderReadings:
    """Written by one thread at a time, read by any."""

    def __init__(self, directory: Path, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        self._file = KeptFile(directory / "readings.db", None, _TABLES)
        self._waiting = _Waiting()
        self._under_way = _Waiting()
        """What is being written."""
        self._obstacle = ""

    def keep(self, held: Held) -> None:
        """Takes one in; of one interval the highest `seq` stays."""
        self._waiting.add(held)

    async def write(self) -> None:
        """Writes what waits, if it is enough; what an obstacle keeps from being written is tried again."""
        if self._waiting.count < self._at_once:
            return
        self._under_way, self._waiting = self._waiting, _Waiting()
        is_written = False
        try:
            is_written = await asyncio.to_thread(self._written, list(self._under_way.all()))
        finally:
            if not is_written:
                later, self._waiting = self._waiting, self._under_way
                for held in later.all():
                    self._waiting.add(held)
            self._under_way = _Waiting()

    def waiting(self, site: str, starts_at: datetime, ends_at: datetime, participant: str | None = None) -> list[Held]:
        """Those that touch [starts_at, ends_at) and may not be in the file yet, or one participant's alone."""
        return [
            held
            for waiting in (self._under_way, self._waiting)
            for place, held in waiting.of(site).items()
            if place[0] < ends_at and place[1] > starts_at and is_of(participant, held)
        ]

    def read(
        self,
        site: str,
        starts_at: datetime,
        ends_at: datetime,
        longest: timedelta,
        most: int,
        participant: str | None = None,
    ) -> list[Held]:
        """Those in the file, none of which is longer, or one participant's alone; called beside the loop.

        Raises Unreadable, TooMany.
        """
        if not self._file.is_open:
            return []
        period = (site, participant, micros(starts_at - longest), micros(ends_at), micros(starts_at), most + 1)
        try:
            rows = self._file.read(lambda file: file.execute(_BETWEEN, period).fetchall())
        except (OSError, sqlite3.Error) as error:
            raise Unreadable(str(error)) from error
        if len(rows) > most:
            raise TooMany(f"more than {most} readings")
        return list(map(_held, rows))

    def close(self) -> None:
        """Forgets them all."""
        self._file.close()
        self._file.take_away()

    def _written(self, batch: Sequence[Held]) -> bool:
        try:
            with self._file.writing() as file:
                file.executemany(_KEEP, _rows(file, batch))
        except (OSError, sqlite3.Error) as error:
            if self._obstacle != str(error):
                self._obstacle = str(error)
                _log.error(
                    "older readings can't be written: beyond some thousand the oldest are forgotten until they can",
                    reason=self._obstacle,
                )
            return False
        self._obstacle = ""
        return True


class _Waiting:
    """What is to be written, by site. Bounded: by _MOST, see above."""

    def __init__(self) -> None:
        self._of: dict[str, dict[Place, Held]] = {}
        self.count = 0

    def add(self, held: Held) -> None:
        """In the place of what counts less; of all others there is one more."""
        of_site = self._of.setdefault(held.reading.site, {})
        if not says_more(of_site, held):
            return
        place = place_of(held.reading)
        self.count += place not in of_site
        of_site[place] = held
        if self.count > _MOST:
            site = next(iter(self._of))
            del self._of[site][next(iter(self._of[site]))]
            if not self._of[site]:
                del self._of[site]
            self.count -= 1

    def of(self, site: str) -> Mapping[Place, Held]:
        """A site's."""
        return self._of.get(site, {})

    def all(self) -> Iterator[Held]:
        """Site by site."""
        return (held for of_site in self._of.values() for held in of_site.values())


def _rows(file: sqlite3.Connection, batch: Sequence[Held]) -> list[tuple[int | bytes | str, ...]]:
    """Those of one meter side by side, as they lie in the file."""
    numbers: dict[tuple[str, ...], int] = {}
    rows = []
    for held in batch:
        reading = held.reading
        common = reading.zone, reading.participant, reading.site, reading.meter, reading.point.value
        if (series := numbers.get(common)) is None:
            named = reading.site, reading.participant, reading.model_dump_json(include=_COMMON)
            file.execute(_KEEP_SERIES, named)
            ((series,),) = file.execute(_SERIES, named)
            numbers[common] = series
        starts_us, ends_us = micros(reading.starts_at), micros(reading.ends_at)
        body = reading.model_dump_json(exclude=_COMMON, exclude_defaults=True)
        rows.append((series, starts_us, ends_us, reading.seq, held.offset, held.sha256, body))
    return sorted(rows, key=itemgetter(0, 1))


def _held(row: tuple[int, bytes, str, str]) -> Held:
    offset, sha256, common, body = row
    reading = MeterReading.model_validate_json(f"{common[:-1]},{body[1:]}", context=TOLERANT)
    return Held(offset, reading, sha256)


def is_of(participant: str | None, held: Held) -> bool:
    """Whether this participant said it; None asks for everybody's."""
    return participant in (None, held.reading.participant)


def says_more(found: Mapping[Place, Held], held: Held) -> bool:
    """Whether it counts rather than what was found so far of its interval: by the higher `seq`, of equals the first."""
    known = found.get(place_of(held.reading))
    return known is None or (held.reading.seq, -held.offset) > (known.reading.seq, -known.offset)
