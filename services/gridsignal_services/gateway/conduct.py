"""How one client behaves: frames in a second, frames before the hello, malformed frames in a minute."""

from __future__ import annotations

from collections import deque
from enum import Enum

from gridsignal_services.bucket import Bucket
from gridsignal_services.gateway.settings import GatewaySettings


class Pace(Enum):
    """What a frame comes to."""

    FINE = ""
    TOO_FAST = "too many frames at once"
    """Told, and nothing else."""
    FLOOD = "too many frames"
    """The end."""
    EARLY = "too many frames before the hello"
    """The end."""

    @property
    def is_the_end(self) -> bool:
        return self in (Pace.FLOOD, Pace.EARLY)


class Conduct:
    """What one connection has sent.

    Bounded: a bucket, a number and as many times as there are strikes. When full: the connection ends.
    Conflates: nothing.
    """

    def __init__(self, settings: GatewaySettings, now_s: float) -> None:
        self._settings = settings
        self._bucket = Bucket(settings.frames_per_s, settings.frame_burst, now_s)
        self._early = 0
        self._strikes: deque[float] = deque(maxlen=settings.strikes)

    def frame(self, now_s: float, *, is_open: bool) -> Pace:
        """One more frame, of any kind; `is_open` once the hello was answered."""
        if not is_open:
            self._early += 1
            if self._early > self._settings.early_frames:
                return Pace.EARLY
        if self._bucket.take(now_s):
            return Pace.FINE
        return Pace.FLOOD if self._bucket.is_flooded else Pace.TOO_FAST

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
        return full and self._strikes[-1] - self._strikes[0] <= self._settings.strike_window_s
