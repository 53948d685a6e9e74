"""How much one organisation may write, as at a real gateway: the time in, the wait out."""

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
