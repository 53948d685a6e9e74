"""Which energy certificates count in which hour: none of them twice.

A granular certificate is of at most an hour's production, and matches that hour's consumption alone. A certificate
counts in the first hour whose readings name it; of several readings of that hour it counts once, with the least energy
that they say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from gridsignal_schemas.messages import EnergyCertificate, MeterPoint, MeterReading
from gridsignal_schemas.reports import Uncounted, WhyUncounted
from gridsignal_schemas.rules.in_force import Statement, in_force

Hour = tuple[datetime, datetime]


Counted = dict[datetime, dict[str, int]]
"""By the start of an hour: each certificate's energy in watt-hours."""


@dataclass(slots=True)
class Taken:
    """The certificates that count so far, in earlier hours and at other sites."""

    ids: set[str] = field(default_factory=set)
    all_read: bool = True
    """False: there was an hour whose readings are not known, and it may have any that comes later."""


def counted(readings: Iterable[MeterReading], hours: Sequence[Hour], taken: Taken) -> tuple[Counted, list[Uncounted]]:
    """What counts in these hours, and what of the readings that begin in them does not; `taken` gains what counts.

    Readings are in the order of the log."""
    found: Counted = {}
    passed: list[Uncounted] = []
    hour_of: dict[str, datetime] = {}
    ends = iter(hours)
    hour = next(ends, None)
    for reading in _in_force(readings):
        if reading.starts_at < hours[0][0]:
            continue
        while hour is not None and hour[1] <= reading.starts_at:
            hour = next(ends, None)
        for each in reading.certificates or ():
            if (why := _why_not(each, reading, hour, hour_of, taken)) is not None:
                passed.append(_uncounted(each, reading, why))
            elif hour is not None and each.energy_wh is not None:
                taken.ids.add(each.certificate_id)
                hour_of[each.certificate_id] = hour[0]
                energies = found.setdefault(hour[0], {})
                energies[each.certificate_id] = min(energies.get(each.certificate_id, each.energy_wh), each.energy_wh)
    return found, passed


def _uncounted(each: EnergyCertificate, reading: MeterReading, why: WhyUncounted) -> Uncounted:
    return Uncounted(certificate_id=each.certificate_id, starts_at=reading.starts_at, ends_at=reading.ends_at, why=why)


def _why_not(
    each: EnergyCertificate, reading: MeterReading, hour: Hour | None, hour_of: dict[str, datetime], taken: Taken
) -> WhyUncounted | None:
    if each.energy_wh is None:
        return WhyUncounted.NO_ENERGY
    if hour is None or reading.starts_at < hour[0] or reading.ends_at > hour[1]:
        return WhyUncounted.SEVERAL_HOURS
    if each.certificate_id in taken.ids:
        return None if hour_of.get(each.certificate_id) == hour[0] else WhyUncounted.NAMED_BEFORE
    return None if taken.all_read else WhyUncounted.UNREAD_BEFORE


def _in_force(readings: Iterable[MeterReading]) -> Iterator[MeterReading]:
    """The readings of the connection point of which something counts, by their start."""
    meters: dict[str, list[MeterReading]] = {}
    for reading in readings:
        if reading.point is MeterPoint.CONNECTION and reading.starts_at < reading.ends_at:
            meters.setdefault(reading.meter, []).append(reading)
    held: list[MeterReading] = []
    for said in meters.values():
        statements = [Statement(each.starts_at, each.ends_at, (each.seq, -place)) for place, each in enumerate(said)]
        held += (said[place] for place in sorted({place for _, _, place in in_force(statements)}))
    yield from sorted(held, key=lambda each: (each.starts_at, each.ends_at, each.meter))
