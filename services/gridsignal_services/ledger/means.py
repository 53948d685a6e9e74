"""The mean net power at a connection point, from what its meters said: no instant of a meter counts twice.

Each instant of a meter belongs to one of its readings: the one with the highest `seq`, of equals the one that was
logged first. Then the meters are added, and only where every one of them has a good figure: what some of them say alone
would be too little, and too little import looks like power delivered.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from gridsignal_schemas.messages import MeterPoint, MeterReading, Quality
from gridsignal_schemas.rules.in_force import Statement, in_force
from gridsignal_schemas.rules.readings import is_carried, is_interval

_GOOD = frozenset({Quality.OK, Quality.ESTIMATED})


class Gap(StrEnum):
    """Why there is no figure for a stretch of time."""

    BAD_QUALITY = "BAD_QUALITY"
    """A meter says itself that its figure is missing or bad."""
    METER_MISSING = "METER_MISSING"
    """One of the connection point's meters has said nothing of it."""
    ABOVE_CAPACITY = "ABOVE_CAPACITY"
    """The meters together say more than the connection carries."""
    TOO_MANY_READINGS = "TOO_MANY_READINGS"
    """The site has said more of it than is added up."""
    NO_BASELINE = "NO_BASELINE"
    """No baseline was declared for it before the request."""


class Mean(NamedTuple):
    """Net power at a connection point over one interval, in watts; None in a gap."""

    starts_at: datetime
    ends_at: datetime
    net_w: int | None
    gap: Gap | None = None


def net_means(readings: Iterable[MeterReading], capacity_w: int | None = None) -> list[Mean]:
    """The connection point's means in order of time, from readings in the order of the log.

    A reading that is no interval, or is more than the connection carries, has said nothing.
    """
    meters: defaultdict[str, list[MeterReading]] = defaultdict(list)
    for reading in readings:
        if reading.point is MeterPoint.CONNECTION and is_interval(reading) and is_carried(reading, capacity_w):
            meters[reading.meter].append(reading)
    changes = [change for said in meters.values() for change in _changes(said)]
    changes.sort(key=itemgetter(0))
    return list(_added(changes, len(meters), capacity_w))


_Change = tuple[datetime, int, int, int]
"""From a moment on: so many more meters speak, so many more of them badly, and so many watts more."""


def _changes(said: list[MeterReading]) -> Iterator[_Change]:
    statements = [
        Statement(reading.starts_at, reading.ends_at, (reading.seq, -place)) for place, reading in enumerate(said)
    ]
    for starts_at, ends_at, place in in_force(statements):
        reading = said[place]
        good = reading.quality in _GOOD
        power_w = reading.import_w - reading.export_w if good else 0
        yield starts_at, 1, int(not good), power_w
        yield ends_at, -1, -int(not good), -power_w


def _added(changes: list[_Change], meters: int, capacity_w: int | None) -> Iterator[Mean]:
    speaking = bad = net_w = 0
    since: datetime | None = None
    for moment, group in groupby(changes, key=itemgetter(0)):
        if since is not None and speaking:
            gap = _gap(speaking < meters, bad > 0, net_w, capacity_w)
            yield Mean(since, moment, None if gap else net_w, gap)
        for _, more, worse, power_w in group:
            speaking, bad, net_w = speaking + more, bad + worse, net_w + power_w
        since = moment


def _gap(is_missing: bool, is_bad: bool, net_w: int, capacity_w: int | None) -> Gap | None:
    if is_bad:
        return Gap.BAD_QUALITY
    if is_missing:
        return Gap.METER_MISSING
    return Gap.ABOVE_CAPACITY if capacity_w is not None and abs(net_w) > capacity_w else None
