"""Baselines by the methods of methods.toml: what a site would have drawn in an event's hours.

    X_OF_Y               history(i) = mean over the chosen days of the mean power in interval i, by the local clock
    adjusted SCALAR      baseline(i) = a x history(i),  a = mean(today, window) / mean(chosen days, window), clipped
    adjusted ADDITIVE    baseline(i) = history(i) + mean(today, window) - mean(chosen days, window)
    METER_BEFORE_AFTER   baseline(i) = mean of whole hours before and after the event

All of it is exact: nothing is rounded before it is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from fractions import Fraction
from typing import NamedTuple

from gridsignal_services.settlement.baseline_said import (
    Adjustment,
    Baseline,
    Event,
    LeftOut,
    NoBaseline,
    Site,
    hours_of,
    mean,
    said,
    weighted,
)
from gridsignal_services.settlement.before_and_after import before_and_after
from gridsignal_services.settlement.days import Slot
from gridsignal_services.settlement.energy import Gap
from gridsignal_services.settlement.methods import DeclaredBefore, MeterBeforeAfter, Method, XOfY

_DAY, _HOUR, _MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


def mean_w(found: Baseline) -> Fraction:
    """The mean of a baseline over the whole event."""
    return weighted(found.slots, found.baseline_w)


def baseline(method: Method, site: Site, event: Event, resolution: timedelta) -> Baseline:
    """The baseline of an event, in intervals of this length. Raises NoBaseline."""
    slots = site.calendar.slots(event.starts_at, event.ends_at, resolution)
    match method.parameters:
        case XOfY() as rule:
            return _XOfY(method.name, rule, site, event, slots).baseline(resolution)
        case MeterBeforeAfter() as rule:
            return before_and_after(method.name, rule, site, event, slots)
        case DeclaredBefore():
            raise NoBaseline(f"{method.name} reads no history: it is what the site declared before the request")


class Fixed(NamedTuple):
    """What is known of a baseline at gate closure: its history, and of its adjustment what the history says."""

    days: tuple[date, ...]
    """The days that it is the mean of, newest first."""
    slots: tuple[Slot, ...]
    history_w: tuple[Fraction, ...]
    window: Slot | None
    """Whose readings the adjustment goes by; None: there is none."""
    before_w: Fraction
    """Their mean on those days."""
    left_out: tuple[LeftOut, ...]
    """The days of the right type that were looked at and not eligible, newest first."""


def fixed(name: str, rule: XOfY, site: Site, event: Event, resolution: timedelta) -> Fixed:
    """The history of an event that is still to come, by days that have the adjustment's window, too.

    Raises NoBaseline.
    """
    slots = site.calendar.slots(event.starts_at, event.ends_at, resolution)
    return _XOfY(name, rule, site, event, slots).fixed(resolution)


def adjustment(rule: XOfY, today_w: Fraction, before_w: Fraction) -> Adjustment:
    """What the hours before an event make of its history."""
    if rule.adjust == "ADDITIVE":
        return Adjustment("ADDITIVE", today_w - before_w)
    if before_w <= 0 or today_w < 0:
        return Adjustment("SCALAR", None)
    factor = today_w / before_w
    if rule.clip is not None:
        share = Fraction(rule.clip)
        factor = max(1 - share, min(1 + share, factor))
    return Adjustment("SCALAR", factor)


def adjusted(power_w: Fraction, adjustment: Adjustment) -> Fraction:
    """A history's figure after its adjustment."""
    if adjustment.value is None:
        return power_w
    return power_w * adjustment.value if adjustment.kind == "SCALAR" else power_w + adjustment.value


class _Day(NamedTuple):
    """An eligible day's figures."""

    day: date
    event_w: tuple[Fraction, ...]
    window_w: tuple[Fraction, ...]
    mean_w: Fraction
    """In the event's hours: days are picked by it."""


class _XOfY:
    """One question to a rule of this kind."""

    def __init__(self, name: str, rule: XOfY, site: Site, event: Event, slots: tuple[Slot, ...]) -> None:
        self._name, self._rule, self._site, self._event, self._slots = name, rule, site, event, slots
        self._is_working = site.calendar.is_working(event.day)
        self._x, self._y, self._least = rule.counts(is_working=self._is_working)
        self._left_out: list[LeftOut] = []
        self._notes: list[str] = []

    def baseline(self, resolution: timedelta) -> Baseline:
        """The answer. Raises NoBaseline."""
        window = self._window(resolution)
        today_w = self._today(window)
        days = self._picked(self._eligible(window if today_w is not None else ()))
        history_w, before_w = self._means(days, window)
        adjustment = self._adjustment(today_w, before_w)
        return Baseline(
            self._slots,
            tuple(day.day for day in days),
            tuple(self._left_out),
            history_w,
            adjustment,
            tuple(adjusted(power_w, adjustment) for power_w in history_w),
            tuple(self._notes),
        )

    def fixed(self, resolution: timedelta) -> Fixed:
        """What it says before the event. Raises NoBaseline."""
        window = self._window(resolution)
        days = self._picked(self._eligible(window))
        history_w, before_w = self._means(days, window)
        whole = Slot(window[0].starts_at, window[-1].ends_at) if window else None
        used = tuple(day.day for day in days)
        return Fixed(used, self._slots, history_w, whole, before_w, tuple(self._left_out))

    def _means(self, days: Sequence[_Day], window: Sequence[Slot]) -> tuple[tuple[Fraction, ...], Fraction]:
        """Of the event's intervals, and of the window."""
        history_w = tuple(mean(each) for each in zip(*(day.event_w for day in days), strict=True))
        before_w = [mean(each) for each in zip(*(day.window_w for day in days), strict=True)]
        return history_w, weighted(window, before_w)

    def _window(self, resolution: timedelta) -> tuple[Slot, ...]:
        if self._rule.adjust == "NONE" or self._rule.window_min is None:
            return ()
        since, until = (self._event.starts_at + minutes * _MINUTE for minutes in self._rule.window_min)
        return self._site.calendar.slots(since, until, resolution)

    def _today(self, window: tuple[Slot, ...]) -> Fraction | None:
        """The mean of the adjustment's window on the day itself; None where there is none to go by."""
        if not window:
            return None
        found = self._site.history.mean_w(window[0].starts_at, window[-1].ends_at)
        if isinstance(found, Gap):
            hours = hours_of(self._site.calendar, window)
            self._notes.append(f"it is not adjusted: of {self._event.day}, the readings of {hours} are {said(found)}")
            return None
        return found

    def _eligible(self, window: tuple[Slot, ...]) -> Iterator[_Day]:
        """The eligible days, newest first; what makes a day ineligible is noted."""
        for back in range(1, self._rule.lookback_days + 1):
            day = self._event.day - back * _DAY
            calendar = self._site.calendar
            if self._rule.day_types == "WORKING_OR_NOT" and calendar.is_working(day) is not self._is_working:
                continue
            found = self._figures(day, window)
            if isinstance(found, _Day):
                yield found
            else:
                self._left_out.append(LeftOut(day, found))

    def _figures(self, day: date, window: tuple[Slot, ...]) -> _Day | str:
        """A day's figures, or why it is not eligible."""
        if day in self._site.event_days:
            return "an event day"
        if not self._rule.clock_change_days and self._site.calendar.is_clock_change(day):
            return "its clock was changed"
        powers_w: list[Fraction] = []
        asked = self._slots + window
        for slot, same in zip(asked, self._site.calendar.same_hours(asked, self._event.day, day), strict=True):
            found = Gap.METER_MISSING if same is None else self._site.history.mean_w(*same)
            if isinstance(found, Gap):
                return f"the readings of {hours_of(self._site.calendar, (slot,))} are {said(found)}"
            powers_w.append(found)
        event_w = powers_w[: len(self._slots)]
        return _Day(day, tuple(event_w), tuple(powers_w[len(event_w) :]), weighted(self._slots, event_w))

    def _picked(self, eligible: Iterator[_Day]) -> list[_Day]:
        last = self._last(eligible)
        if len(last) < self._least:
            raise NoBaseline(self._too_few(len(last)), self._left_out)
        if len(last) < self._y:
            self._notes.append(f"it goes by {len(last)} days, fewer than {self._y}: {self._searched()} has no more")
        x = min(self._x, len(last))
        if self._rule.pick == "LATEST":
            return last[:x]
        highest = sorted(last, key=lambda day: day.mean_w, reverse=True)  # of equals the newer first
        skipped = (len(last) - x) // 2 if self._rule.pick == "MID" else 0
        picked = {day.day for day in highest[skipped : skipped + x]}
        return [day for day in last if day.day in picked]

    def _last(self, eligible: Iterator[_Day]) -> list[_Day]:
        """The last y eligible days; one that used too little makes room for an earlier one."""
        last: list[_Day] = []
        for day in eligible:
            last.append(day)
            if len(last) == self._y and not self._drop_low(last):
                break
        else:
            while self._drop_low(last):
                pass
        return last

    def _drop_low(self, last: list[_Day]) -> bool:
        """Takes days out that used less than the rule's share of the days' mean. Whether there were any."""
        if self._rule.low_day_share is None or not last:
            return False
        limit_w = Fraction(self._rule.low_day_share) * mean([day.mean_w for day in last])
        low = [day for day in last if day.mean_w < limit_w]
        for day in low:
            last.remove(day)
            share = f"{Fraction(self._rule.low_day_share) * 100} %"
            self._left_out.append(LeftOut(day.day, f"it used less than {share} of the days' mean in the event's hours"))
        return bool(low)

    def _adjustment(self, today_w: Fraction | None, before_w: Fraction) -> Adjustment:
        if today_w is None:
            return Adjustment(self._rule.adjust, None)
        found = adjustment(self._rule, today_w, before_w)
        if found.value is None:
            self._notes.append("it is not adjusted: a factor needs power taken from the grid in the window")
        return found

    def _too_few(self, found: int) -> str:
        kind = self._kind()
        least = f"{self._least} at least" if self._least < self._y else "no fewer"
        why = "; ".join(f"{day}: {reason}" for day, reason in self._left_out[:_SHOWN])
        more = f"; and {len(self._left_out) - _SHOWN} more" if len(self._left_out) > _SHOWN else ""
        left_out = f" Left out: {why}{more}." if why else ""
        return (
            f"{self._name} needs {self._y} {kind}, {least}, and {self._searched()} has {found}.{left_out}"
            " What the site declared holds in its place."
        )

    def _kind(self) -> str:
        if self._rule.day_types == "ALL":
            return "days with readings"
        return "working days with readings" if self._is_working else "weekend days or holidays with readings"

    def _searched(self) -> str:
        return f"the period of {self._rule.lookback_days} days before {self._event.day}"


_SHOWN = 5
"""How many of the days that were left out an error names."""
