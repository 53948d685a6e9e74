"""What an order does to the power of its site over time: the ramp to it, the ramp back, and the rebound it declared.

When exactly a plant moves is not known: a move may happen at any moment of its stretch, no faster than its rate. The
stretch is the ramp at that rate, and SETTLES more, in which a plant that follows its setpoint late comes to rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from gridsignal_schemas.messages import Direction, OfferOption, Rebound
from gridsignal_schemas.rules.profile import Block

SETTLES = timedelta(minutes=1)
"""How long after its ramp a plant may still move."""
_AT_ONCE_S = 60
"""Without a ramp in its option an order is followed within a second: watts per minute for each watt."""
_A_DAY_S = 86_400
REBOUNDS_WITHIN = timedelta(days=1)
"""A declared rebound counts for so long after the load may be back, and with REBOUND_MOST times the order's power: else
a watt that is ordered could hold all of an area for ever."""
REBOUND_MOST = 4
_OPEN_END = timedelta(days=3650)


class Move(NamedTuple):
    """One change of a site's power, in watts and watts per minute."""

    since: datetime
    until: datetime
    """Half-open, as all periods."""
    change_w: int
    rate_w_per_min: int
    is_up: bool
    """Whether its load rises."""

    def within_w(self, window_s: int) -> int:
        """The most of it that can fall into any window of this length."""
        return min(self.change_w, -(-self.rate_w_per_min * window_s // 60))


class Course(NamedTuple):
    """An order as its site is to follow it, in watts and watts per minute."""

    direction: Direction
    power_w: int
    starts_at: datetime
    """Full power from here."""
    restores_at: datetime | None
    """Not back before; None: nobody has said yet."""
    ramp_w_per_min: int
    """Towards its power."""
    back_w_per_min: int
    rebound: Rebound | None = None

    @property
    def begins_at(self) -> datetime:
        """When the site leaves its baseline."""
        return self.starts_at - ramp_time(self.power_w, self.ramp_w_per_min)

    @property
    def rebound_w(self) -> int:
        """The most that comes back above the baseline, as it counts."""
        return 0 if self.rebound is None else min(self.rebound.peak_w, REBOUND_MOST * self.power_w)

    def ramped(self, w_per_min: int) -> Course:
        """No faster than this, there and back."""
        slower = min(self.ramp_w_per_min, w_per_min), min(self.back_w_per_min, w_per_min)
        return self._replace(ramp_w_per_min=slower[0], back_w_per_min=slower[1])


class Swing(NamedTuple):
    """All moves of one order, and how much above its baseline the site may draw when."""

    power_w: int
    there: Move
    corrections: tuple[Move, ...]
    """What came back before its time: less was possible, or it ended early."""
    back: Move | None
    rebound: tuple[Move, ...]
    """Up, and down again."""
    draws: tuple[Block, ...]
    is_dry: bool
    """A rehearsal: nothing moves, and only rehearsals count it."""

    @property
    def until(self) -> datetime:
        """When the last of it is over; for ever where nobody has said when it comes back."""
        last = max(move.until for move in self.moves)
        return last if self.back is not None or self.corrections else datetime.max.replace(tzinfo=last.tzinfo)

    @property
    def moves(self) -> tuple[Move, ...]:
        """In no order."""
        return (self.there, *self.corrections, *(() if self.back is None else (self.back,)), *self.rebound)


def ramp_time(change_w: int, w_per_min: int) -> timedelta:
    """How long a change takes, in whole seconds, rounded up, a day at most: else a slow ramp holds an area for ever.

    Raises ZeroDivisionError for a plant that never moves.
    """
    return timedelta(seconds=min(-(-change_w * 60 // w_per_min), _A_DAY_S))


def ramps_of(direction: Direction, option: OfferOption | None, power_w: int, most: int | None) -> tuple[int, int]:
    """How fast an option's site follows an order and comes back, in watts per minute, where `most` is the order's own
    limit."""
    if option is None:
        there = back = max(power_w, 1) * _AT_ONCE_S
    elif direction is Direction.LOAD_DECREASE:
        there, back = option.ramp_down_w_per_min, option.ramp_up_w_per_min
    else:
        there, back = option.ramp_up_w_per_min, option.ramp_down_w_per_min
    cap = max(there, back) if most is None else most
    return max(1, min(there, cap)), max(1, min(back, cap))


def swing_of(course: Course, *, is_dry: bool) -> Swing:
    """What a site does that follows the order from its beginning to its end."""
    is_increase = course.direction is not Direction.LOAD_DECREASE
    there = _move(course.begins_at, course.power_w, course.ramp_w_per_min, is_up=is_increase)
    back = None
    if course.restores_at is not None:
        back = _move(course.restores_at, course.power_w, course.back_w_per_min, is_up=not is_increase)
    rebound = () if back is None else tuple(_rebound(course, back))
    draws = []
    if is_increase:
        draws.append(Block(there.since, there.since + _OPEN_END if back is None else back.until, course.power_w))
    if rebound:
        draws.append(Block(rebound[0].since, rebound[1].until, rebound[0].change_w))
    return Swing(course.power_w, there, (), back, rebound, tuple(draws), is_dry)


def _move(since: datetime, change_w: int, w_per_min: int, *, is_up: bool) -> Move:
    return Move(since, since + ramp_time(change_w, w_per_min) + SETTLES, change_w, w_per_min, is_up)


def _rebound(course: Course, back: Move) -> Iterator[Move]:
    """It may come at any moment that was declared for it, and not before the load may be back."""
    rebound = course.rebound
    if rebound is None or not (peak_w := course.rebound_w):
        return
    up_w, down_w = course.back_w_per_min, course.ramp_w_per_min
    if course.direction is not Direction.LOAD_DECREASE:
        up_w, down_w = down_w, up_w
    latest = back.since + REBOUNDS_WITHIN
    since, until = max(min(rebound.earliest, latest), back.since), max(min(rebound.latest, latest), back.until)
    yield Move(since, until + SETTLES, peak_w, up_w, is_up=True)
    yield Move(since, until + ramp_time(peak_w, down_w) + SETTLES, peak_w, down_w, is_up=False)


def followed(before: Swing, course: Course, now: datetime) -> Swing:
    """The order is another from now on: what has begun has happened, and what is less comes back from now."""
    after = swing_of(course, is_dry=before.is_dry)
    if before.there.since >= now:
        return after
    less_w = before.power_w - course.power_w
    back = () if less_w <= 0 else (_move(now, less_w, course.back_w_per_min, is_up=not before.there.is_up),)
    return after._replace(there=before.there, corrections=before.corrections + back)


def ended(before: Swing, course: Course, now: datetime, restores_at: datetime | None = None) -> Swing | None:
    """The order is over now: the site comes back if it has begun and is not on its way back; None: it never moved.

    `restores_at`: not before; now, where nobody has told it to wait.
    """
    if before.there.since >= now:
        return None
    if before.back is not None and before.back.since <= now:
        return before
    back = _move(restores_at or now, before.power_w, course.back_w_per_min, is_up=not before.there.is_up)
    draws = tuple(Block(since, min(until, max(back.until, since)), power_w) for since, until, power_w in before.draws)
    rebound = () if before.back is None else before.rebound
    kept = draws if not rebound else before.draws
    return before._replace(corrections=(*before.corrections, back), back=None, draws=kept)
