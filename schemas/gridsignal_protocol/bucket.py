"""A token bucket: what one connection, one network or all handshakes together may do in a second."""

from __future__ import annotations


class Bucket:
    """Refills at `per_s` up to `burst`; goes into debt by one burst, so that a flood can be told from a peak."""

    __slots__ = ("_at_s", "_burst", "_level", "_per_s")

    def __init__(self, per_s: float, burst: float, now_s: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._level = burst
        self._at_s = now_s

    def take(self, now_s: float, tokens: float = 1.0) -> bool:
        """Takes tokens; False when there are too few, and then they are owed."""
        self._level = min(self._burst, self._level + max(0.0, now_s - self._at_s) * self._per_s)
        self._at_s = max(self._at_s, now_s)
        self._level = max(self._level - tokens, -self._burst)
        return self._level >= 0.0

    @property
    def is_flooded(self) -> bool:
        """Whether the debt has reached a whole burst."""
        return self._level <= -self._burst

    @property
    def wait_s(self) -> float:
        """How long until there is a token."""
        return max(0.0, (1.0 - self._level) / self._per_s)
