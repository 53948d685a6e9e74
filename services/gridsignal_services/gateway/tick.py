"""How long frames are joined before they are written: as long as the load asks for, within bounds."""

from __future__ import annotations

_BUSY, _IDLE = 0.4, 0.2
"""Shares of the time that flushes take: above the one they are made seldomer, below the other more often."""
_STEP = 1.5


class Tick:
    """The time from the beginning of one flush to that of the next.

    A flush costs by the connections, whatever it joins: where flushes take most of the time, fewer of them carry the
    same. With r the rate of messages, each connection is written to once a tick in place of r times a second.
    Bounded: `least_s` and `most_s`.
    """

    def __init__(self, least_s: float, most_s: float) -> None:
        self._least_s, self._most_s = least_s, max(least_s, most_s)
        self.length_s = least_s

    def flushed(self, took_s: float, since_s: float) -> None:
        """A flush kept the loop for `took_s`; the one before it began `since_s` before this one's end."""
        share = took_s / max(since_s, took_s, 1e-9)
        if share > _BUSY:
            self.length_s = min(self._most_s, self.length_s * _STEP)
        elif share < _IDLE:
            self.length_s = max(self._least_s, self.length_s / _STEP)
