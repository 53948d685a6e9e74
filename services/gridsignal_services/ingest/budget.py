"""How many requests a feed may get from us: a token bucket whose time is an argument."""

from __future__ import annotations


class Budget:
    """`per_minute` requests a minute, at most a sixth of them at once. Times are seconds of any steady clock."""

    def __init__(self, per_minute: int, now_s: float) -> None:
        self._rate = per_minute / 60
        self._most = max(1.0, per_minute / 6)
        self._left = self._most
        self._at_s = now_s

    def wait_s(self, now_s: float) -> float:
        """Takes one request and says how long to wait before making it; 0 when there is room."""
        self._left = min(self._most, self._left + (now_s - self._at_s) * self._rate) - 1
        self._at_s = now_s
        return max(0.0, -self._left / self._rate)
