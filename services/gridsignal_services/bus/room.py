"""Room for appends under way: those who come when there is none wait in line, each organisation in its own."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque

RECORD_BYTES = 512
"""What a record costs beside its value."""


class Room:
    """Counts the bytes of appends that were accepted and are not committed yet.

    Bounded: `max_bytes`, and one record more. When full: `take` waits; who caused the appends that wait is let in in
    turn, one append each, so that nobody waits for all that another has begun. Conflates: nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        self._left = max_bytes
        self._lines: OrderedDict[str, deque[tuple[asyncio.Future[None], int]]] = OrderedDict()
        """By who caused them, the one let in longest ago first."""

    async def take(self, size: int, whose: str) -> None:
        """Returns when there is room; give it back with `free`, once. Those of one (`whose`) are let in in order."""
        if self._left > 0 and not self._lines:
            self._left -= size
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lines.setdefault(whose, deque()).append((turn, size))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.free(size)  # it was our turn already
            raise

    def free(self, size: int) -> None:
        """Gives room back and lets those in who fit now."""
        self._left += size
        while self._lines and self._left > 0:
            whose, line = self._lines.popitem(last=False)
            turn, wanted = line.popleft()
            if line:
                self._lines[whose] = line
            if not turn.done():
                self._left -= wanted
                turn.set_result(None)

    def close(self, reason: Exception) -> None:
        """Turns everyone in line away."""
        for line in self._lines.values():
            for turn, _ in line:
                if not turn.done():
                    turn.set_exception(reason)
        self._lines.clear()
