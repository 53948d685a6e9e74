"""How one client behaves: frames in a second, frames before the hello, malformed frames in a minute."""

from __future__ import annotations

import enum
from collections import deque

from gridsignal_protocol.bucket import Bucket
from gridsignal_protocol.server.closing import FLOOD, TOO_EARLY, Close
from gridsignal_protocol.server.limits import Limits


class Pace(enum.Enum):
    """What a frame comes to, where it is not the end."""

    FINE = enum.auto()
    TOO_FAST = enum.auto()
    """Told, and nothing else."""


class Conduct:
    """What one connection has sent; `now_s` is of a steady clock.

    Bounded: a bucket, a number and as many times as there are strikes. When full: the connection ends.
    Conflates: nothing.
    """

    def __init__(self, limits: Limits, now_s: float) -> None:
        self._limits = limits
        self._bucket = Bucket(limits.frames_per_s, limits.frame_burst, now_s)
        self._early = 0
        self._strikes: deque[float] = deque(maxlen=limits.strikes)

    def frame(self, now_s: float, *, is_open: bool) -> Pace | Close:
        """One more frame, of any kind; `is_open` once the hello was answered."""
        if not is_open:
            self._early += 1
            if self._early > self._limits.early_frames:
                return TOO_EARLY
        if self._bucket.take(now_s):
            return Pace.FINE
        return FLOOD if self._bucket.is_flooded else Pace.TOO_FAST

    def charge(self, now_s: float, frames: float) -> None:
        """What the last one asks for counts as so many more."""
        self._bucket.take(now_s, frames)

    @property
    def wait_ms(self) -> int:
        """When to send the next."""
        return int(self._bucket.wait_s * 1000) + 1

    def strike(self, now_s: float) -> bool:
        """A malformed frame; True where it was the last that is borne."""
        self._strikes.append(now_s)
        full = len(self._strikes) == self._strikes.maxlen
        return full and self._strikes[-1] - self._strikes[0] <= self._limits.strike_window_s
