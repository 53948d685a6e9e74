"""Grid time as the gateway tells it: what every datetime in a record is compared with.

Normally grid time is wall time. A simulation's welcome carries a GridClock, and grid time runs `rate` times as fast.
A program that brings its own clock (tests, a stepped simulation) is believed and never corrected.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from gridsignal_schemas.messages import GridClock

_log = logging.getLogger("gridsignal.clock")
_LONGEST_SLEEP_S = 2.0  # the machine can be suspended and its clock be set: look again
_WATCH_S = 5.0
_STEP = timedelta(seconds=0.25)  # less is reading two clocks one after the other, or one of them being slewed


class Clock(Protocol):
    """Grid time."""

    def now(self) -> datetime: ...

    async def sleep_until(self, when: datetime) -> None:
        """Returns at `when` or soon after it, never before; at once where it has passed."""


def wall() -> datetime:
    """This machine's time, aware, in UTC."""
    return datetime.now(UTC)


def steady_s() -> float:
    """Seconds that nobody sets, and that pass while the machine is suspended (where the system can tell)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def skew(sent_at: datetime, grid_at: datetime, heard_at: datetime) -> timedelta:
    """How far the gateway's clock is ahead of ours; zero where its time lies between our question and its answer.

    The best estimate is the middle of the round trip (Cristian's algorithm), and it is only used where the two clocks
    surely differ: else a jittery network would move a good clock.
    """
    if sent_at <= grid_at <= heard_at:
        return timedelta(0)
    return grid_at - (sent_at + (heard_at - sent_at) / 2)


class GatewayClock:
    """Wall time, corrected and scaled by what the gateway's welcome says.

    What the welcome says of wall time holds until somebody sets the machine's clock. From then on, until the next
    welcome, the clock that nobody sets carries on.
    """

    def __init__(self, wall: Callable[[], datetime] = wall, *, steady_s: Callable[[], float] = steady_s) -> None:
        self._wall, self._steady_s = wall, steady_s
        self._ahead = timedelta(0)
        self._grid: GridClock | None = None
        self._since = self._lead()

    def welcomed(self, grid_clock: GridClock | None, ahead: timedelta) -> None:
        """Takes over the grid's clock and the gateway's lead over this machine's clock, measured now."""
        self._grid, self._ahead, self._since = grid_clock, ahead, self._lead()

    @property
    def was_set(self) -> bool:
        """Somebody has set the machine's clock since the last welcome: measure again."""
        return self._step() != timedelta(0)

    async def watch(self, renew: Callable[[], None]) -> None:
        """Asks for another welcome whenever somebody has set the machine's clock."""
        while True:
            await asyncio.sleep(_WATCH_S)
            if self.was_set:
                _log.info("this machine's clock was set: measuring grid time again")
                renew()

    def now(self) -> datetime:
        there = self._wall() + self._ahead - self._step()
        if self._grid is None:
            return there
        return self._grid.origin + (there - self._grid.epoch) * self._grid.rate

    async def sleep_until(self, when: datetime) -> None:
        while (left := when - self.now()) > timedelta(0):
            rate = self._grid.rate if self._grid else 1.0
            await asyncio.sleep(min(left.total_seconds() / rate, _LONGEST_SLEEP_S))

    def _step(self) -> timedelta:
        moved = self._lead() - self._since
        return moved if abs(moved) >= _STEP else timedelta(0)

    def _lead(self) -> timedelta:
        """Of the clock that can be set over the one that can't."""
        return self._wall() - _START - timedelta(seconds=self._steady_s())


_START = datetime(1970, 1, 1, tzinfo=UTC)
