"""How long frames are joined before they are written: as long as the load asks for, within bounds."""

from __future__ import annotations

_FULL = 0.7
"""Of the loop's time, what flushes and everything else may take together."""
_OTHERS = 1.5
"""Everything else takes longer than it computes: it waits for flushes, for disks, for threads."""
_LEAST_ROOM = 0.2
"""What flushes may take, whatever else there is to do."""
_NEWEST = 0.5
"""The weight of the newest flush among those before it."""


class Tick:
    """The time from the beginning of one flush to that of the next.

    A flush costs by the connections, whatever it joins: fewer of them carry the same. So flushes are as frequent as
    the loop has time for, beside all else that it does, and no more.
    Bounded: `least_s` and `most_s`.
    """

    def __init__(self, least_s: float, most_s: float) -> None:
        self._least_s, self._most_s = least_s, max(least_s, most_s)
        self._took_s, self._others = 0.0, 0.0
        self.length_s = least_s

    def flushed(self, took_s: float, others_s: float, since_s: float) -> None:
        """A flush kept the loop for `took_s`, everything else for `others_s`, in the `since_s` since the end of the
        one before it.
        """
        since_s = max(since_s, took_s + others_s, 1e-9)
        self._took_s += _NEWEST * (took_s - self._took_s)
        self._others += _NEWEST * (others_s / since_s - self._others)
        room = max(_LEAST_ROOM, _FULL - _OTHERS * self._others)
        self.length_s = min(self._most_s, max(self._least_s, self._took_s / room))
