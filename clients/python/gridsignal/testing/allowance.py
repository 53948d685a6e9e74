"""How much one organisation may write, and one connection say, as at a real gateway: the time in, the wait out."""

from __future__ import annotations

import math
from datetime import datetime


class Allowance:
    """Fills at `per_s` up to `burst`; what is refused takes nothing of it."""

    def __init__(self, per_s: float, burst: int) -> None:
        self.per_s, self.burst = per_s, burst
        self._level = float(burst)
        self._at: datetime | None = None

    def wait_ms(self, now: datetime) -> int:
        """0 for a write that may be written, else when to try again."""
        if self._at is not None:
            self._level = min(self.burst, self._level + max(0.0, (now - self._at).total_seconds()) * self.per_s)
        self._at = now
        if self._level >= 1.0:
            self._level -= 1.0
            return 0
        return math.ceil(1000 * (1.0 - self._level) / self.per_s)


FRAMES_PER_S, FRAME_BURST = 500.0, 2000


class FrameRate:
    """Fills at `per_s` up to `burst`, for one connection; a frame too many is owed, and a burst of debt is a flood."""

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_s, self._burst = per_s, burst
        self._level, self._at_s = float(burst), 0.0

    def wait_ms(self, now_s: float) -> int:
        """0 for a frame that is not too fast, else when to send the next."""
        elapsed_s, self._at_s = max(0.0, now_s - self._at_s), now_s
        self._level = max(min(self._burst, self._level + elapsed_s * self._per_s) - 1.0, -self._burst)
        return 0 if self._level >= 0.0 else int(1000 * (1.0 - self._level) / self._per_s) + 1

    @property
    def is_flooded(self) -> bool:
        """Whether the connection ends."""
        return self._level <= -self._burst
