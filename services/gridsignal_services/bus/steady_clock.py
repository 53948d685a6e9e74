"""Wall time for append times, without the jumps of a clock that is wrong for a moment.

A clock that leaps ahead once would take the log with it: times on the log never run backwards, so it would stay ahead
until everybody else has caught up. Wall time is therefore believed as far as a clock that nobody sets agrees with it; a
leap ahead is believed once it has lasted, for then it was the time before that was wrong.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from gridsignal_services.telemetry import Outage, logger

LEAP_US = 10_000_000
"""How far ahead of the steady clock wall time is believed at once: more than a time server corrects by slewing."""
LASTING_US = 60_000_000
"""A leap that lasts so long is a clock that was set right."""


def _steady_ns() -> int:
    """Nanoseconds of a clock that nobody sets and that goes on while the machine sleeps, where there is one."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime_ns(clock)


class SteadyWall:
    """Microseconds since 1970; called by one thread."""

    def __init__(self, wall_ns: Callable[[], int] = time.time_ns, steady_ns: Callable[[], int] = _steady_ns) -> None:
        self._wall_ns, self._steady_ns = wall_ns, steady_ns
        self._offset_us: int | None = None
        """What the steady clock's time is behind wall time."""
        self._leapt_us: int | None = None
        """Since when, by the steady clock, wall time is ahead of it."""
        self._leap = Outage(logger("log"), "a clock that agrees with the one before")

    def __call__(self) -> int:
        wall_us, steady_us = self._wall_ns() // 1000, self._steady_ns() // 1000
        if self._offset_us is None:
            self._offset_us = wall_us - steady_us
        ahead_us = wall_us - (steady_us + self._offset_us)
        if ahead_us > LEAP_US:
            self._leapt_us = steady_us if self._leapt_us is None else self._leapt_us
            if steady_us - self._leapt_us < LASTING_US:
                self._leap.say(
                    f"this machine's clock is {ahead_us // 1_000_000} s ahead; append times go on without it"
                )
                return steady_us + self._offset_us
        if self._leapt_us is not None:
            self._leap.over()
        self._leapt_us, self._offset_us = None, wall_us - steady_us
        return wall_us
