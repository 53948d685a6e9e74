"""Time by hand, for tests of what runs on these services: one clock is moved, and all three times go with it.

clock = ManualClock(noon)
stack = embedded.running(log, directory, registry=..., clock=clock, settings=..., time=time_of(clock))
clock.move_to(noon + timedelta(seconds=1))  # tokens, cursors and quotas are a second older
"""

from __future__ import annotations

from collections.abc import Callable

from gridsignal.testing import ManualClock
from gridsignal_services.clock import Clock, Time

__all__ = ["ManualClock", "seconds_of", "time_of"]


def seconds_of(clock: Clock) -> Callable[[], float]:
    """Steady seconds that pass as this clock is moved: 0 now."""
    began = clock.now()
    return lambda: (clock.now() - began).total_seconds()


def time_of(clock: Clock) -> Time:
    """Wall and steady time that pass as this clock is moved."""
    return Time(clock.now, seconds_of(clock))
