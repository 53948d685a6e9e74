"""Grid time as the gateway tells it: what every datetime in a record is compared with.

Normally grid time is wall time. A simulation's welcome carries a GridClock, and grid time runs `rate` times as fast.
A program that brings its own clock (tests, a stepped simulation) is believed and never corrected.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from gridsignal_schemas.messages import GridClock

_LONGEST_SLEEP_S = 600.0  # the machine's clock can be set: look again


class Clock(Protocol):
    """Grid time."""

    def now(self) -> datetime: ...

    async def sleep_until(self, when: datetime) -> None:
        """Returns at `when` or soon after it, never before; at once where it has passed."""


def wall() -> datetime:
    """This machine's time, aware, in UTC."""
    return datetime.now(UTC)


def skew(sent_at: datetime, told: datetime, heard_at: datetime) -> timedelta:
    """How far the gateway's clock is ahead of ours; zero where its time lies between our question and its answer.

    The best estimate is the middle of the round trip (Cristian's algorithm), and it is only used where the two clocks
    surely differ: else a jittery network would move a good clock.
    """
    if sent_at <= told <= heard_at:
        return timedelta(0)
    return told - (sent_at + (heard_at - sent_at) / 2)


class GatewayClock:
    """Wall time, corrected and scaled by what the gateway's welcome says."""

    def __init__(self, wall: Callable[[], datetime] = wall) -> None:
        self._wall = wall
        self._ahead = timedelta(0)
        self._grid: GridClock | None = None

    def welcomed(self, grid_clock: GridClock | None, ahead: timedelta) -> None:
        """Takes over the grid's clock and the gateway's lead over this machine's clock."""
        self._grid, self._ahead = grid_clock, ahead

    def now(self) -> datetime:
        there = self._wall() + self._ahead
        if self._grid is None:
            return there
        return self._grid.origin + (there - self._grid.epoch) * self._grid.rate

    async def sleep_until(self, when: datetime) -> None:
        while (left := when - self.now()) > timedelta(0):
            rate = self._grid.rate if self._grid else 1.0
            await asyncio.sleep(min(left.total_seconds() / rate, _LONGEST_SLEEP_S))
