"""Room for appends under way: those who come when there is none wait in line."""

from __future__ import annotations

import asyncio
from collections import deque

RECORD_BYTES = 512
"""What a record costs beside its value."""


class Room:
    """Counts the bytes of appends that were accepted and are not committed yet.

    Bounded: `max_bytes`, and one record more. When full: `take` waits, first come first served. Conflates: nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        self._left = max_bytes
        self._line: deque[tuple[asyncio.Future[None], int]] = deque()

    async def take(self, size: int) -> None:
        """Returns when there is room; give it back with `free`, once."""
        if self._left > 0 and not self._line:
            self._left -= size
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append((turn, size))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.free(size)  # it was our turn already
            raise

    def free(self, size: int) -> None:
        """Gives room back and lets those in who fit now."""
        self._left += size
        while self._line and self._left > 0:
            turn, wanted = self._line.popleft()
            if not turn.done():
                self._left -= wanted
                turn.set_result(None)

    def close(self, reason: Exception) -> None:
        """Turns everyone in line away."""
        while self._line:
            turn, _ = self._line.popleft()
            if not turn.done():
                turn.set_exception(reason)
