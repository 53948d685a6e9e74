"""What is asked of a baseline method and what it answers; means and words that all methods share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import NamedTuple

from gridsignal_services.settlement.days import Calendar, Slot
from gridsignal_services.settlement.energy import Gap
from gridsignal_services.settlement.history import History

_MICROSECOND = timedelta(microseconds=1)


class NoBaseline(Exception):
    """The method gives none: in words what it needs, what was found, and what holds in its place."""

    def __init__(self, why: str, left_out: Sequence[LeftOut] = ()) -> None:
        super().__init__(why)
        self.left_out = tuple(left_out)
        """The days of the right type that it could not go by."""


class Event(NamedTuple):
    """The hours that are asked about, of the day that they begin on."""

    day: date
    starts_at: datetime
    ends_at: datetime


class LeftOut(NamedTuple):
    """A day of the right type that was not eligible, and why."""

    day: date
    why: str


class Adjustment(NamedTuple):
    """What was done to the history."""

    kind: str
    value: Fraction | None
    """SCALAR: the factor; ADDITIVE: in watts; None: nothing was done."""


class Baseline(NamedTuple):
    """A baseline, interval by interval, and how it came about."""

    slots: tuple[Slot, ...]
    days: tuple[date, ...]
    """The days that it is the mean of, newest first."""
    left_out: tuple[LeftOut, ...]
    history_w: tuple[Fraction, ...]
    adjustment: Adjustment
    baseline_w: tuple[Fraction, ...]
    notes: tuple[str, ...]
    """What somebody who is paid by it should know, in sentences."""


@dataclass(frozen=True, slots=True)
class Site:
    """What is known of a site: its readings, its zone's calendar, the days on which it was asked to move power."""

    history: History
    calendar: Calendar
    event_days: frozenset[date] = frozenset()


def mean(powers_w: Sequence[Fraction]) -> Fraction:
    return sum(powers_w, Fraction(0)) / len(powers_w)


def weighted(slots: Sequence[Slot], powers_w: Sequence[Fraction]) -> Fraction:
    """The mean over intervals that need not be of one length; 0 over none."""
    lengths = [Fraction((slot.ends_at - slot.starts_at) // _MICROSECOND) for slot in slots]
    weighted = (power_w * length for power_w, length in zip(powers_w, lengths, strict=False))
    return sum(weighted, Fraction(0)) / sum(lengths) if lengths and powers_w else Fraction(0)


def said(gap: Gap) -> str:
    return "said to be bad or missing" if gap is Gap.BAD_QUALITY else "missing"


def hours_of(calendar: Calendar, slots: Sequence[Slot]) -> str:
    since, until = (moment.astimezone(calendar.timezone) for moment in (slots[0].starts_at, slots[-1].ends_at))
    return f"{since:%H:%M} to {until:%H:%M}"
