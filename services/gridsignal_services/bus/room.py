"""Room for appends under way: those who come when there is none wait in line, each organisation in its own."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque

from gridsignal_services.bus import SERVICE

RECORD_BYTES = 512
"""What a record costs beside its value."""

_Lines = OrderedDict[str, deque[tuple[asyncio.Future[None], int]]]
"""By who caused them, the one let in longest ago first."""


class Room:
    """Counts the bytes of appends that were accepted and are not committed yet.

    Bounded: `max_bytes`, and one record more. When full: `take` waits; who caused the appends that wait is let in in
    turn, one append each, so that nobody waits for all that another has begun; every other turn is the services', for
    they act for everybody. Conflates: nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        self._left = max_bytes
        self._services: _Lines = OrderedDict()
        self._others: _Lines = OrderedDict()
        self._services_next = True

    async def take(self, size: int, whose: str) -> None:
        """Returns when there is room; give it back with `free`, once. Those of one (`whose`) are let in in order."""
        if self._left > 0 and not self._services and not self._others:
            self._left -= size
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        lines = self._services if whose.startswith(SERVICE) else self._others
        lines.setdefault(whose, deque()).append((turn, size))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.free(size)  # it was our turn already
            raise

    def free(self, size: int) -> None:
        """Gives room back and lets those in who fit now."""
        self._left += size
        while self._left > 0 and (lines := self._next_lines()):
            whose, line = lines.popitem(last=False)
            turn, wanted = line.popleft()
            if line:
                lines[whose] = line
            if not turn.done():
                self._left -= wanted
                self._services_next = lines is self._others
                turn.set_result(None)

    def close(self, reason: Exception) -> None:
        """Turns everyone in line away."""
        for lines in (self._services, self._others):
            for line in lines.values():
                for turn, _ in line:
                    if not turn.done():
                        turn.set_exception(reason)
            lines.clear()

    def _next_lines(self) -> _Lines:
        first, second = self._services, self._others
        return (first or second) if self._services_next else (second or first)
