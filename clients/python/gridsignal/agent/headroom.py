"""How much a site could still shed or raise, by notice and duration, beside what it has promised. Pure.

The watts are those that every moment of the period has in common. What the actuator tells is what runs now; a plan
tells of later hours, so with one a period that begins later is what the plan's jobs could rest or be run earlier.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from gridsignal.agent.actuators import Observed
from gridsignal.agent.schedule import Schedule

NOTICES_S = (0, 900, 3600, 4 * 3600)
"""From being asked until the power has to be there."""
DURATIONS_S = (900, 3600, 4 * 3600)


class Headroom(NamedTuple):
    """What could be done in one period."""

    notice_s: int
    duration_s: int
    shed_w: int
    """Below what is drawn as things stand."""
    raise_w: int | None = None
    """Above it; None where no plan tells."""


def headroom(
    observed: Observed | None,
    schedule: Schedule,
    now: datetime,
    *,
    most_w: int | None = None,
    longest_s: int | None,
    planned: Sequence[Headroom] = (),
) -> list[Headroom]:
    """One for each notice and duration; `planned` says what a plan has of each, else the actuator does.

    `most_w` and `longest_s` bound it as offers are bounded. Nothing where the actuator does not answer, or tells of no
    room and nothing is configured.
    """
    if planned:
        return [_beside(each, schedule, now, most_w, longest_s) for each in planned]
    if observed is None:
        return []
    whole_w = None if observed.room_w is None else observed.shed_w + observed.room_w
    bounds = [watts for watts in (whole_w, most_w) if watts is not None]
    if not bounds:
        return []
    rooms = (Headroom(notice_s, duration_s, min(bounds)) for notice_s in NOTICES_S for duration_s in DURATIONS_S)
    return [_beside(each, schedule, now, most_w, longest_s) for each in rooms]


def _beside(room: Headroom, schedule: Schedule, now: datetime, most_w: int | None, longest_s: int | None) -> Headroom:
    """What is left of it beside orders, within what may be offered."""
    first = now + timedelta(seconds=room.notice_s)
    taken_w = _taken_w(schedule, first, first + timedelta(seconds=room.duration_s))
    whole_w = room.shed_w if most_w is None else min(room.shed_w, most_w)
    is_offered = longest_s is None or room.duration_s <= longest_s
    return room._replace(shed_w=max(0, whole_w - taken_w) if is_offered else 0)


def _taken_w(schedule: Schedule, first: datetime, last: datetime) -> int:
    """The most that is held back for orders at any moment of the period."""
    asked = (slot.shed_w for slot in schedule.slots if slot.starts_at < last and first < slot.ends_at)
    return max((0, *asked))
