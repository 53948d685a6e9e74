"""The error a method would have made: its baseline of quiet days, on which what was drawn is what it should have said.

    bias  = sum(baseline - metered) / sum(metered)                     above 0: it says too much
    RRMSE = sqrt(mean((baseline - metered)^2)) / mean(metered)

Over every interval of the event's hours on the last quiet days before the event's, each seen as if nothing of it and
nothing after it were known but the hours before the event, which the adjustment goes by.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from gridsignal_services.settlement.baseline_said import Baseline, Event, NoBaseline, Site
from gridsignal_services.settlement.baselines import baseline
from gridsignal_services.settlement.days import Slot
from gridsignal_services.settlement.energy import Gap
from gridsignal_services.settlement.methods import Method

QUIET_DAYS = 30
_LONGEST_LOOKBACK = 366
_DAY = timedelta(days=1)


class Errors(NamedTuple):
    """How far a method was from what was drawn; None where nothing can be said."""

    days: int
    """On how many quiet days it gave a baseline."""
    bias: Fraction | None
    rrmse: Decimal | None


def quiet_days(site: Site, event: Event) -> list[Event]:
    """The same hours of the last days on which the site was not asked, newest first; readings of all of them exist."""
    found: list[Event] = []
    for back in range(1, _LONGEST_LOOKBACK + 1):
        quiet = _on_another_day(site, event, event.day - back * _DAY)
        if quiet is not None and not isinstance(site.history.mean_w(quiet.starts_at, quiet.ends_at), Gap):
            found.append(quiet)
        if len(found) == QUIET_DAYS:
            break
    return found


def errors(method: Method, site: Site, days: list[Event], resolution: timedelta) -> Errors:
    """What a method would have said of these days, beside what was drawn."""
    off_w: list[Fraction] = []
    drawn_w: list[Fraction] = []
    counted = 0
    for quiet in days:
        try:
            found = baseline(method, site, quiet, resolution)
        except NoBaseline:
            continue
        counted += 1
        for slot, power_w in zip(found.slots, found.baseline_w, strict=True):
            metered_w = Fraction(site.history.mean_w(*slot))
            off_w.append(power_w - metered_w)
            drawn_w.append(metered_w)
    total_w = sum(drawn_w, Fraction(0))
    if total_w <= 0:
        return Errors(counted, None, None)
    square = sum((each * each for each in off_w), Fraction(0)) * len(drawn_w) / (total_w * total_w)
    return Errors(counted, sum(off_w, Fraction(0)) / total_w, _root(square))


def _on_another_day(site: Site, event: Event, day: date) -> Event | None:
    """The event's hours by another day's clock; None where the site was asked on it, or its clock skips them."""
    (same,) = site.calendar.same_hours((Slot(event.starts_at, event.ends_at),), event.day, day)
    return None if same is None or day in site.event_days else Event(day, *same)


def _root(square: Fraction) -> Decimal:
    return (Decimal(square.numerator) / Decimal(square.denominator)).sqrt()


class Compared(NamedTuple):
    """A method beside the others."""

    method: Method
    found: Baseline | NoBaseline
    """What it says of the event, or why it says nothing."""
    errors: Errors


def compared(method: Method, site: Site, event: Event, days: list[Event], resolution: timedelta) -> Compared:
    """What a method says of an event, and what it would have said of quiet days."""
    found: Baseline | NoBaseline
    try:
        found = baseline(method, site, event, resolution)
    except NoBaseline as none:
        found = none
    return Compared(method, found, errors(method, site, days, resolution))
