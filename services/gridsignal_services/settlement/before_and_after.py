"""METER_BEFORE_AFTER: the mean of whole hours of the same day, before the event and after it."""

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction

from gridsignal_services.settlement.baseline_said import (
    Adjustment,
    Baseline,
    Event,
    NoBaseline,
    Site,
    hours_of,
    mean,
    said,
)
from gridsignal_services.settlement.days import Calendar, Slot
from gridsignal_services.settlement.energy import Gap
from gridsignal_services.settlement.methods import MeterBeforeAfter

_HOUR = timedelta(hours=1)


def before_and_after(name: str, rule: MeterBeforeAfter, site: Site, event: Event, slots: tuple[Slot, ...]) -> Baseline:
    first = _full_hour(site.calendar, event.starts_at)
    last = event.ends_at + (_full_hour(site.calendar, event.ends_at) - event.ends_at) % _HOUR
    before = first - rule.skip_h * _HOUR
    after = last + rule.skip_h * _HOUR
    used = [Slot(before - hours * _HOUR, before - (hours - 1) * _HOUR) for hours in range(rule.before_h, 0, -1)]
    used += [Slot(after + hours * _HOUR, after + (hours + 1) * _HOUR) for hours in range(rule.after_h)]
    powers_w: list[Fraction] = []
    for hour in used:
        found = site.history.mean_w(*hour)
        if isinstance(found, Gap):
            hours = hours_of(site.calendar, (hour,))
            raise NoBaseline(
                f"{name} needs the hours before and after the event, and on {site.calendar.day_of(hour.starts_at)} the"
                f" readings of {hours} are {said(found)}. What the site declared holds in its place."
            )
        powers_w.append(found)
    level = (mean(powers_w),) * len(slots)
    return Baseline(slots, (event.day,), (), level, Adjustment("NONE", None), level, ())


def _full_hour(calendar: Calendar, moment: datetime) -> datetime:
    """The last full hour of the zone's clock."""
    local = moment.astimezone(calendar.timezone)
    past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    return moment - past
