"""When an order of a site in an area may begin and come back: as early as its areas let it beside all others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from gridsignal_services.clock import EPOCH
from gridsignal_services.ledger.area_guard import AreaGuard, Cut
from gridsignal_services.ledger.swings import Course, Swing, ramp_time, swing_of

HOLDS = timedelta(minutes=30)
"""So long after its end at most a site is told to hold, unpaid as ramps are, before its load may come back."""
_TRIES = 64
"""Gaps that are looked at for one option, each a minute later at least: more would hold up all others of its zone."""
_MINUTE, FIVE_MINUTES = timedelta(minutes=1), timedelta(minutes=5)


class Placed(NamedTuple):
    """An order that its areas let be."""

    starts_at: datetime
    ends_at: datetime
    restores_at: datetime
    ramp_w_per_min: int | None
    """The order's limit on how fast its site may change; None where it has none."""
    swing: Swing


def rounded_up(when: datetime, to: timedelta = _MINUTE) -> datetime:
    """To whole minutes, or five of them."""
    return EPOCH - (EPOCH - when) // to * to


def staggered(
    guard: AreaGuard,
    site: str,
    course: Course,
    *,
    ready_at: datetime,
    ends_of: Callable[[datetime], datetime | None],
    is_dry: bool,
) -> Placed | Cut:
    """The order as early as it can be; or what is in its way, where it can't be at all.

    `course` starts as early as was asked for. `ready_at`: its site can't leave its baseline before. `ends_of`: the end
    of an order that starts then; None where that is too late.
    """
    cut = guard.slowest(site, course.power_w + course.rebound_w)
    if cut is not None:
        if not cut.most:
            return cut
        course = course.ramped(cut.most)
    course = course.ramped(course.ramp_w_per_min)  # an order has one limit, there and back
    starts_at = course.starts_at
    if (reached_at := ready_at + ramp_time(course.power_w, course.ramp_w_per_min)) > starts_at:
        starts_at = rounded_up(reached_at, FIVE_MINUTES)
    for _ in range(_TRIES):
        if (ends_at := ends_of(starts_at)) is None:
            return cut or _NO_TIME
        swing = swing_of(course._replace(starts_at=starts_at, restores_at=ends_at), is_dry=is_dry)
        alone = swing._replace(back=None, rebound=(), draws=())
        if (cut := guard.cut(site, alone)) is None:
            break
        if cut.until is None:
            return cut
        starts_at = rounded_up(starts_at + (cut.until - swing.there.since))
    else:
        return cut or _NO_TIME
    placed = course._replace(starts_at=starts_at, restores_at=ends_at)
    restores_at = restored(guard, site, placed, is_dry=is_dry)
    if isinstance(restores_at, Cut):
        return restores_at
    swing = swing_of(placed._replace(restores_at=restores_at), is_dry=is_dry)
    return Placed(starts_at, ends_at, restores_at, course.ramp_w_per_min, swing)


_NO_TIME = Cut("TOO_LATE", "", "")
"""No area's doing: the request's own ramp is too slow."""


def restored(guard: AreaGuard, site: str, course: Course, *, is_dry: bool) -> datetime | Cut:
    """When the site may come back, from its order's end on; or what is in the way of that for too long."""
    assert course.restores_at is not None
    restores_at = ends_at = course.restores_at
    while True:
        swing = swing_of(course._replace(restores_at=restores_at), is_dry=is_dry)
        cut = guard.cut(site, swing)
        if cut is None:
            return restores_at
        if cut.until is None or cut.is_up is swing.there.is_up:
            return cut
        restores_at = rounded_up(cut.until)
        if restores_at > ends_at + HOLDS:
            return cut
