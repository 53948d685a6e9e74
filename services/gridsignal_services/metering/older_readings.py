"""Meter readings that there is no room for in memory: on disk, for who asks about a site's past.

The file is this process's own and begun anew at each start: the readings are read from the log again.

Bounded: in memory by `AT_ONCE` readings that wait to be written, `_MOST` while the file can't be written; on disk by
what the log keeps, some four hundred bytes a reading. When full: the one that waits longest is forgotten, and the log
says so. Conflates: readings of one meter and interval, to the highest `seq`.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from gridsignal_schemas.messages import MeterReading
from gridsignal_schemas.rules.readings import LONGEST_READING
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


AT_ONCE = 256
"""Readings written together."""
_MOST = 10_000
_TABLES = """
create table stamp (text text);
create table reading (
    site text, starts_us integer, ends_us integer, meter text, point text, participant text, seq integer, at integer,
    sha256 blob, body text, primary key (site, starts_us, ends_us, meter, point, participant)
) without rowid;
"""
_KEEP = """
insert into reading values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict do update
set seq = excluded.seq, at = excluded.at, sha256 = excluded.sha256, body = excluded.body where excluded.seq > seq
"""
_BETWEEN = """
select at, sha256, body from reading
where site = ? and starts_us > ? and starts_us < ? and ends_us > ? and participant = coalesce(?, participant) limit ?
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
        self._waiting: dict[tuple[str, Place], Held] = {}
        self._obstacle = ""

    def keep(self, held: Held) -> None:
        """Takes one in; of one interval the highest `seq` stays."""
        reading = held.reading
        key = reading.site, place_of(reading)
        known = self._waiting.get(key)
        if known is None or reading.seq > known.reading.seq:
            self._waiting[key] = held
            if len(self._waiting) > _MOST:
                del self._waiting[next(iter(self._waiting))]

    async def write(self) -> None:
        """Writes what waits, if it is enough; what an obstacle keeps from being written is tried again."""
        if len(self._waiting) < self._at_once:
            return
        written = dict(self._waiting)
        if await asyncio.to_thread(self._written, list(written.values())):
            for key, held in written.items():
                if self._waiting.get(key) is held:  # no later word came meanwhile
                    del self._waiting[key]

    def waiting(self, site: str, starts_at: datetime, ends_at: datetime, participant: str | None = None) -> list[Held]:
        """Those that touch [starts_at, ends_at) and may not be in the file yet, or one participant's alone."""
        return [
            held
            for (at, place), held in self._waiting.items()
            if at == site and place[0] < ends_at and place[1] > starts_at and is_of(participant, held)
        ]

    def read(
        self, site: str, starts_at: datetime, ends_at: datetime, most: int, participant: str | None = None
    ) -> list[Held]:
        """Those in the file, or one participant's alone; called beside the loop. Raises Unreadable, TooMany."""
        if not self._file.is_open:
            return []
        period = (site, micros(starts_at - LONGEST_READING), micros(ends_at), micros(starts_at), participant, most + 1)
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
                file.executemany(_KEEP, map(_row, batch))
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


def _row(held: Held) -> tuple[str | int | bytes, ...]:
    reading = held.reading
    starts_us, ends_us = micros(reading.starts_at), micros(reading.ends_at)
    place = (reading.site, starts_us, ends_us, reading.meter, reading.point.value, reading.participant)
    return (*place, reading.seq, held.offset, held.sha256, reading.model_dump_json())


def _held(row: tuple[int, bytes, str]) -> Held:
    return Held(row[0], MeterReading.model_validate_json(row[2]), row[1])


def is_of(participant: str | None, held: Held) -> bool:
    """Whether this participant said it; None asks for everybody's."""
    return participant in (None, held.reading.participant)


def says_more(found: Mapping[Place, Held], held: Held) -> bool:
    """Whether it counts rather than what was found so far of its interval: by the higher `seq`, of equals the first."""
    known = found.get(place_of(held.reading))
    return known is None or (held.reading.seq, -held.offset) > (known.reading.seq, -known.offset)
