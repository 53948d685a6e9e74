"""The three times of a process. Only this module reads a clock; everybody else is handed what they go by.

Grid time is what every datetime in a record is compared with: wall time, wall time scaled, or time that steps when
everybody waits. Wall time says when tokens and cursors are too old. Steady time says how long something took, and
nobody sets it. What waits on the event loop (pings, back-off) goes by the loop's own time.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol

from gridsignal_schemas.messages import GridClock

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST, LATEST = datetime(1901, 1, 1, tzinfo=UTC), datetime(2190, 1, 1, tzinfo=UTC)
"""Grid time stops here: a record can hold it, and what is due a year later, too."""
_LONGEST_SLEEP_S = 3600.0  # a wall clock can be set; look again every hour


def wall() -> datetime:
    """This machine's time, aware, in UTC."""
    return datetime.now(UTC)


def wall_us() -> int:
    """Microseconds since 1970 by this machine's clock, as it is."""
    return time.time_ns() // 1000


steady_s: Callable[[], float] = time.monotonic
"""Seconds, from anywhere, that never go back: for differences."""


@dataclass(frozen=True, slots=True)
class Time:
    """The times of a machine, as whoever decides by them is handed them; of this machine, unless told otherwise."""

    wall: Callable[[], datetime] = wall
    """Aware, in UTC. Somebody may set it."""
    steady_s: Callable[[], float] = steady_s
    """Seconds that never go back."""

    def wall_s(self) -> int:
        """Whole seconds since 1970."""
        return int(self.wall().timestamp())


MACHINE_TIME = Time()


class Clock(Protocol):
    """Grid time."""

    def now(self) -> datetime: ...

    async def sleep_until(self, when: datetime) -> None:
        """Returns at `when` or soon after it, never before; at once where it has passed."""


def micros(when: datetime) -> int:
    """Microseconds since 1970."""
    return (when - EPOCH) // timedelta(microseconds=1)


def from_micros(us: int) -> datetime:
    """The instant of a count of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=us)


def grid_time(grid: GridClock | None, appended_us: int) -> datetime:
    """Grid time of an append time, from EARLIEST to LATEST; without a GridClock they are the same."""
    try:
        appended = from_micros(appended_us)
        return min(max(appended if grid is None else grid.at(appended), EARLIEST), LATEST)
    except OverflowError:  # a clock that fast or that far off has left the calendar
        return EARLIEST if appended_us < (0 if grid is None else micros(grid.epoch)) else LATEST


def append_us(grid: GridClock | None, when: datetime) -> int:
    """The append time at which the grid shows `when`, 0 at least: the inverse of `grid_time`."""
    try:
        return max(0, micros(when if grid is None else grid.epoch + (when - grid.origin) / grid.rate))
    except OverflowError:  # a clock that slow shows it never
        return 0 if grid is not None and when < grid.origin else micros(LATEST)


class WallClock:
    """Grid time is wall time."""

    def now(self) -> datetime:
        return wall()

    async def sleep_until(self, when: datetime) -> None:
        while (left := (when - self.now()).total_seconds()) > 0:  # noqa: ASYNC110 - time itself is waited for
            await asyncio.sleep(min(left, _LONGEST_SLEEP_S))


class ScaledClock:
    """Grid time runs `rate` times as fast as the wall: what a simulation on any log uses."""

    def __init__(self, grid: GridClock) -> None:
        self.grid = grid

    def now(self) -> datetime:
        return grid_time(self.grid, micros(wall()))

    async def sleep_until(self, when: datetime) -> None:
        while (left := (when - self.now()).total_seconds() / self.grid.rate) > 0:  # noqa: ASYNC110 - as above
            await asyncio.sleep(min(left, _LONGEST_SLEEP_S))


class SteppedClock:
    """Grid time stands still until `step` moves it to the next moment somebody waits for.

    Bounded by the number of waiting tasks. Who steps it must know that everybody waits: it can't know that itself.
    """

    def __init__(self, start: datetime) -> None:
        self._now = start
        self._waiting: list[_Sleeper] = []
        self._order = itertools.count()

    def now(self) -> datetime:
        return self._now

    async def sleep_until(self, when: datetime) -> None:
        if when <= self._now:
            return
        moment: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, _Sleeper(when, next(self._order), moment, asyncio.current_task()))
        await moment

    def sleeps(self, task: asyncio.Task[Any]) -> bool:
        """Whether a task waits for a moment that has not come."""
        return any(sleeper.task is task and not sleeper.moment.done() for sleeper in self._waiting)

    @property
    def next_due(self) -> datetime | None:
        """The next moment somebody waits for; None when nobody does."""
        while self._waiting and self._waiting[0].moment.done():
            heapq.heappop(self._waiting)
        return self._waiting[0].when if self._waiting else None

    def step(self) -> bool:
        """Moves to the next due moment and wakes everyone who waited for it; False when nobody waits."""
        due = self.next_due
        if due is None:
            return False
        self._now = due
        while self._waiting and self._waiting[0].when <= due:
            moment = heapq.heappop(self._waiting).moment
            if not moment.done():
                moment.set_result(None)
        return True


class _Sleeper(NamedTuple):
    when: datetime
    order: int
    moment: asyncio.Future[None]
    task: asyncio.Task[Any] | None
