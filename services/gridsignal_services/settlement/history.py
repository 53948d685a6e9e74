"""What a connection point drew, from its meters' readings: the mean net power of any period, or why there is none.

Each instant of a meter belongs to one of its readings: the one with the highest `seq`, of equals the one that came
first. The meters are added where every one of them has a good figure.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple

from gridsignal_schemas.rules.in_force import Statement, in_force

_MICROSECOND = timedelta(microseconds=1)


class Reading(NamedTuple):
    """One meter's figure over one interval."""

    meter: str
    starts_at: datetime
    ends_at: datetime
    net_w: Fraction | None
    """Import less export, in watts; None where the meter says that the figure is missing or bad."""
    seq: int = 0


class Gap(StrEnum):
    """Why there is no figure."""

    MISSING = "MISSING"
    """A meter has said nothing of it."""
    BAD = "BAD"
    """A meter says itself that its figure is missing or bad."""


class History:
    """A connection point's readings, asked for means.

    Bounded by what it is given: some numbers for each reading.
    """

    def __init__(self, readings: Iterable[Reading]) -> None:
        meters: defaultdict[str, list[Reading]] = defaultdict(list)
        for reading in readings:
            meters[reading.meter].append(reading)
        self.lengths = Counter(each.ends_at - each.starts_at for said in meters.values() for each in said)
        self._stretches = [_Stretches(said) for said in meters.values()]

    def mean_w(self, starts_at: datetime, ends_at: datetime) -> Fraction | Gap:
        """The mean net power of a period, in watts, exactly; a gap where any part of it has one."""
        total = Fraction(0)
        for stretches in self._stretches:
            energy = stretches.energy(starts_at, ends_at)
            if isinstance(energy, Gap):
                return energy
            total += energy
        return total / ((ends_at - starts_at) // _MICROSECOND) if self._stretches else Gap.MISSING

    @property
    def resolution(self) -> timedelta:
        """The commonest length of its readings, of equals the shorter."""
        return min(self.lengths, key=lambda length: (-self.lengths[length], length))


class _Stretches:
    """What counts of one meter's readings, in order of time."""

    def __init__(self, said: list[Reading]) -> None:
        statements = [Statement(each.starts_at, each.ends_at, (each.seq, -place)) for place, each in enumerate(said)]
        self._starts: list[datetime] = []
        self._rest: list[tuple[datetime, Fraction | None]] = []
        for starts_at, ends_at, place in in_force(statements):
            self._starts.append(starts_at)
            self._rest.append((ends_at, said[place].net_w))

    def energy(self, starts_at: datetime, ends_at: datetime) -> Fraction | Gap:
        """In watt-microseconds."""
        total, index = Fraction(0), max(0, bisect_right(self._starts, starts_at) - 1)
        while starts_at < ends_at:
            if index == len(self._starts) or not self._starts[index] <= starts_at < self._rest[index][0]:
                return Gap.MISSING
            until, net_w = self._rest[index]
            until, index = min(until, ends_at), index + 1
            if net_w is None:
                return Gap.BAD
            total += net_w * ((until - starts_at) // _MICROSECOND)
            starts_at = until
        return total
