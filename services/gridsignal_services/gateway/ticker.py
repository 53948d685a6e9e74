"""When to write: at once when idle, joined to a few milliseconds under load.

Written after centrifuge's write delay: a system call costs more than anything else on the way of a signal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

FEW = 32
"""A flush that wrote to no more connections than these cost too little for the next one to wait."""


class Ticker:
    """Calls `flush` soon after it is asked to; after one that wrote to many connections, not before a tick has passed.

    Bounded: one call under way. When full: never. Conflates: requests within one tick are one flush.
    """

    def __init__(self, flush: Callable[[], int], tick_s: float) -> None:
        self._flush = flush
        """Writes what waits, and says to how many connections."""
        self._tick_s = tick_s
        self._last_s = float("-inf")
        self._scheduled: asyncio.Handle | None = None

    def request(self) -> None:
        """There is something to write."""
        if self._scheduled is not None:
            return
        loop = asyncio.get_running_loop()
        due_s = self._last_s + self._tick_s
        if loop.time() >= due_s:
            self._scheduled = loop.call_soon(self._fire)
        else:
            self._scheduled = loop.call_at(due_s, self._fire)

    @property
    def pending(self) -> bool:
        """Whether something waits to be written."""
        return self._scheduled is not None

    def _fire(self) -> None:
        began_s = asyncio.get_running_loop().time()
        try:
            if self._flush() > FEW:
                self._last_s = began_s
        finally:
            self._scheduled = None  # only now: what the flush itself hands to connections, it writes itself

    def stop(self) -> None:
        """Nothing more is flushed."""
        if self._scheduled is not None:
            self._scheduled.cancel()
