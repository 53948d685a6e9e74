"""Energy at a connection point, from what its meters said: no instant of a meter counts twice.

Each instant of a meter belongs to one of its readings: the one with the highest `seq`, of equals the one that was
logged first. Then the meters are added, and only where every one of them has a good figure: what some of them say alone
would be too little, and too little import looks like power delivered.

Where two readings that follow one another have a register, what it rose by is the import between them; else the mean
is. A register that fell has rolled over, by its digits where they are known, or is another one. One that contradicts
the mean by more than a tenth was exchanged or reset: then the mean counts, as ESTIMATED; without one there is a gap.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple, Protocol, TypeVar

from gridsignal_schemas.messages import MeterPoint, Quality
from gridsignal_schemas.rules.in_force import Statement, in_force
from gridsignal_schemas.rules.readings import LONGEST_READING

_GOOD = frozenset({Quality.OK, Quality.ESTIMATED})
_MICROSECOND = timedelta(microseconds=1)
WATT_US_PER_WH = 3_600_000_000
"""Watt-microseconds in a watt-hour: energies are added up in them, for they are whole where watts are."""
_READ_OFF_WH = 2
"""What two readings of a register in whole watt-hours may be off together."""

Exact = int | Fraction
"""A whole number where it can be, a fraction where it must."""


class Gap(StrEnum):
    """Why there is no figure for a stretch of time."""

    BAD_QUALITY = "BAD_QUALITY"
    """A meter says itself that its figure is missing or bad."""
    METER_MISSING = "METER_MISSING"
    """One of the connection point's meters has said nothing of it."""
    ABOVE_CAPACITY = "ABOVE_CAPACITY"
    """The meters together say more than the connection carries."""
    REGISTER_UNKNOWN = "REGISTER_UNKNOWN"
    """A meter gives its register alone, and what that was before is not known, or it was exchanged or reset."""
    TOO_MANY_READINGS = "TOO_MANY_READINGS"
    """The site has said more of it than is added up."""
    NO_BASELINE = "NO_BASELINE"
    """No baseline was declared for it before the request."""


class Reading(Protocol):
    """What a meter said of an interval; the contract's MeterReading is one."""

    @property
    def meter(self) -> str: ...
    @property
    def point(self) -> MeterPoint: ...
    @property
    def starts_at(self) -> datetime: ...
    @property
    def ends_at(self) -> datetime: ...
    @property
    def import_w(self) -> Exact | None: ...
    @property
    def export_w(self) -> Exact: ...
    @property
    def register_wh(self) -> int | None: ...
    @property
    def quality(self) -> Quality: ...
    @property
    def seq(self) -> int: ...


R = TypeVar("R", bound=Reading)


class Installed(NamedTuple):
    """What is known of a meter beside its readings."""

    digits: int | None = None
    """Of its register in watt-hours: after 10^digits - 1 comes 0. Taken from its readings where nobody says it."""
    since: datetime | None = None
    """From when on it measures the connection; from ever without."""
    until: datetime | None = None
    """When it was taken out."""


class Mean(NamedTuple):
    """Net power at a connection point over one interval, in watts; None in a gap."""

    starts_at: datetime
    ends_at: datetime
    net_w: Exact | None
    gap: Gap | None = None
    qualities: frozenset[Quality] = frozenset()
    """Of all readings it was added up from."""
    is_cut: bool = True
    """Whether what every meter says begins where it begins: else a part of it is a mean of more than this."""


def net_means(
    readings: Iterable[Reading],
    capacity_w: int | None = None,
    installed: Mapping[str, Installed] | None = None,
    periods: Sequence[tuple[datetime, datetime]] | None = None,
) -> list[Mean]:
    """The connection point's means in order of time, from readings in the order of the log.

    A meter that is not `installed` is expected throughout each of the `periods` of which it has said anything, and
    counts for nothing where that is none; without periods it is expected always. Periods are in order of time and don't
    overlap.

    A reading that is no interval, or is more than the connection carries, has said nothing; one without length may say
    what the register was at a moment, which is where the next reading begins.
    """
    known = installed or {}
    meters: defaultdict[str, list[Reading]] = defaultdict(list)
    for reading in readings:
        if reading.point is MeterPoint.CONNECTION and _counts(reading, capacity_w):
            meters[reading.meter].append(reading)
    names = {name for name, said in meters.items() if any(each.starts_at < each.ends_at for each in said)}
    changes: list[_Change] = []
    always = 0
    for name in sorted(names | known.keys()):
        facts = known.get(name, _NOTHING_KNOWN)
        expected: list[_Expected] = [(facts.since, facts.until)]
        if name not in known and periods is not None and not (expected := _spoken_of(meters[name], periods)):
            continue
        for since, until in expected:
            always += since is None
            if since is not None:
                changes.append((since, 0, 1, 0, Quality.UNKNOWN, None))
            if until is not None:
                changes.append((until, 0, -1, 0, Quality.UNKNOWN, None))
        changes += _changes(meters.get(name, []), facts, capacity_w)
    changes.sort(key=itemgetter(0))
    return list(_added(changes, always, capacity_w))


def of_these(readings: Iterable[R], installed: Mapping[str, Installed]) -> Iterable[R]:
    """What the meters that a connection is known to have say of it; all that speak where none is known."""
    return (each for each in readings if each.meter in installed) if installed else readings


def _counts(reading: Reading, capacity_w: int | None) -> bool:
    length = reading.ends_at - reading.starts_at
    if not length:
        return reading.register_wh is not None and reading.quality in _GOOD
    if not timedelta(0) < length <= LONGEST_READING:
        return False
    return capacity_w is None or max(reading.import_w or 0, reading.export_w) <= capacity_w


_Expected = tuple[datetime | None, datetime | None]
"""From when to when a meter is expected to speak; None: from ever, for ever."""


def _spoken_of(said: Iterable[Reading], periods: Sequence[tuple[datetime, datetime]]) -> list[_Expected]:
    """The periods of which a meter has said anything."""
    starts, ends = [starts_at for starts_at, _ in periods], [ends_at for _, ends_at in periods]
    touched: set[int] = set()
    for reading in said:
        if reading.starts_at < reading.ends_at:
            touched.update(range(bisect_right(ends, reading.starts_at), bisect_left(starts, reading.ends_at)))
    return [periods[number] for number in sorted(touched)]


_NOTHING_KNOWN = Installed()


_Change = tuple[datetime, int, int, Exact, Quality, Gap | None]
"""From a moment on: so many more meters speak, are expected to, and what one says begins or ends."""


def _changes(said: Sequence[Reading], facts: Installed, capacity_w: int | None) -> Iterator[_Change]:
    for starts_at, ends_at, net_w, quality, gap in _series(said, facts, capacity_w):
        since = starts_at if facts.since is None else max(starts_at, facts.since)
        until = ends_at if facts.until is None else min(ends_at, facts.until)
        if since < until:
            yield since, 1, 0, net_w, quality, gap
            yield until, -1, 0, -net_w, quality, gap


_Said = tuple[datetime, datetime, Exact, Quality, Gap | None]


def _series(said: Sequence[Reading], facts: Installed, capacity_w: int | None) -> Iterator[_Said]:
    """What one meter says, in order of time, each instant once."""
    moments: dict[datetime, Reading] = {}
    intervals: list[Reading] = []
    for reading in said:
        if reading.starts_at < reading.ends_at:
            intervals.append(reading)
        elif reading.starts_at not in moments or reading.seq > moments[reading.starts_at].seq:
            moments[reading.starts_at] = reading
    statements = [
        Statement(reading.starts_at, reading.ends_at, (reading.seq, -place)) for place, reading in enumerate(intervals)
    ]
    held = [(since, until, intervals[place]) for since, until, place in in_force(statements)]
    read_off = {
        until: reading.register_wh
        for since, until, reading in held
        if reading.register_wh is not None and until == reading.ends_at and reading.quality in _GOOD
    }
    opened = {at: reading.register_wh for at, reading in moments.items() if reading.register_wh is not None}
    digits = facts.digits or len(str(max([0, *read_off.values(), *opened.values()])))
    for since, until, reading in held:
        if reading.quality not in _GOOD:
            yield since, until, 0, reading.quality, Gap.BAD_QUALITY
            continue
        if reading.register_wh is None and reading.import_w is not None:
            yield since, until, reading.import_w - reading.export_w, reading.quality, None
            continue
        span = (until - since) // _MICROSECOND
        rise = _Rise(opened.get(since, read_off.get(since)), read_off.get(until), digits, facts.digits is not None)
        energy_wh, is_sure = rise.energy_wh(reading.import_w, capacity_w, span)
        if energy_wh is not None:
            drawn_w: Exact | None = Fraction(energy_wh * WATT_US_PER_WH, span)
        else:
            drawn_w = reading.import_w
        if drawn_w is None:
            yield since, until, 0, Quality.MISSING, Gap.REGISTER_UNKNOWN
            continue
        yield since, until, drawn_w - reading.export_w, reading.quality if is_sure else Quality.ESTIMATED, None


class _Rise(NamedTuple):
    """A register at both ends of a stretch."""

    before_wh: int | None
    after_wh: int | None
    digits: int
    are_digits_known: bool

    def energy_wh(self, mean_w: Exact | None, capacity_w: int | None, span_us: int) -> tuple[int | None, bool]:
        """What it rose by, or None where it says nothing or can't be; and whether there is no doubt."""
        if self.before_wh is None or self.after_wh is None:
            return None, True
        rose, is_sure = self.after_wh - self.before_wh, True
        if rose < 0:
            rose, is_sure = rose + 10**self.digits, self.are_digits_known
            if rose < 0 or (mean_w is None and rose * 10 > 10**self.digits):
                return None, False
        energy = rose * WATT_US_PER_WH
        if capacity_w is not None and energy > capacity_w * span_us + _READ_OFF_WH * WATT_US_PER_WH:
            return None, False
        if mean_w is not None:
            expected: Exact = mean_w * span_us
            allowed: Exact = expected + 10 * _READ_OFF_WH * WATT_US_PER_WH
            if not -allowed <= 10 * (energy - expected) <= allowed:
                return None, False
        return rose, is_sure


def _added(changes: Sequence[_Change], meters: int, capacity_w: int | None) -> Iterator[Mean]:
    speaking, expected = 0, meters
    net_w: Exact = 0
    gaps: Counter[Gap] = Counter()
    qualities: dict[Quality, int] = {}
    sets: dict[tuple[Quality, ...], frozenset[Quality]] = {}
    since: datetime | None = None
    is_cut = True
    for moment, group in groupby(changes, key=itemgetter(0)):
        if since is not None and speaking:
            gap = _gap(speaking < expected, gaps, net_w, capacity_w)
            said = tuple(quality for quality, times in qualities.items() if times)
            if speaking < expected:
                said = (*said, Quality.MISSING)
            known = sets.setdefault(said, frozenset(said))
            yield Mean(since, moment, None if gap else net_w, gap, known, is_cut)
        silent = speaking
        for _, speaks, expects, more_w, quality, gap in group:
            silent += min(speaks, 0)
            speaking, expected, net_w = speaking + speaks, expected + expects, net_w + more_w
            if speaks:
                qualities[quality] = qualities.get(quality, 0) + speaks
            if gap is not None:
                gaps[gap] += speaks
        since, is_cut = moment, not silent


def _gap(is_missing: bool, gaps: Counter[Gap], net_w: Exact, capacity_w: int | None) -> Gap | None:
    for gap in (Gap.BAD_QUALITY, Gap.REGISTER_UNKNOWN) if gaps else ():
        if gaps[gap]:
            return gap
    if is_missing:
        return Gap.METER_MISSING
    return None if capacity_w is None or -capacity_w <= net_w <= capacity_w else Gap.ABOVE_CAPACITY


class Energy(NamedTuple):
    """What flowed over a period, and how good the figure is."""

    watt_us: Fraction | None
    """In watt-microseconds; None where a part of the period has no figure."""
    qualities: frozenset[Quality]
    gap: Gap | None = None
    """Why there is none; of several reasons the first in time."""


class Energies:
    """Energy over any period, from stretches of constant power in order of time. Costs by the stretches it asks of."""

    def __init__(self, means: Sequence[Mean], nothing: Gap = Gap.METER_MISSING) -> None:
        self._means = means
        self._starts = [mean.starts_at for mean in means]
        self._nothing = nothing
        """Why there is no figure where nothing is said."""

    def over(self, starts_at: datetime, ends_at: datetime) -> Energy:
        """The energy of a period that is not empty."""
        energy: Exact = 0
        gap: Gap | None = None
        qualities: set[Quality] = set()
        at, index = starts_at, max(bisect_right(self._starts, starts_at) - 1, 0)
        while at < ends_at:
            mean = self._means[index] if index < len(self._means) else None
            if mean is not None and mean.ends_at <= at:
                index += 1
                continue
            if mean is None or mean.starts_at > at:
                gap = gap or self._nothing
                qualities.add(Quality.MISSING)
                at = ends_at if mean is None else min(mean.starts_at, ends_at)
                continue
            until = min(mean.ends_at, ends_at)
            qualities |= mean.qualities
            if mean.net_w is None:
                gap = gap or mean.gap
            else:
                energy += mean.net_w * ((until - at) // _MICROSECOND)
            at, index = until, index + 1
        return Energy(None if gap else Fraction(energy), frozenset(qualities), gap)
