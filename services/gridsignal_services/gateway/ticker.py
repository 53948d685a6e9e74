"""When to write: at once when idle, joined to a few milliseconds under load.

Written after centrifuge's write delay: a system call costs more than anything else on the way of a signal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Ticker:
    """Calls `flush` soon after it is asked to, and at most once a tick.

    Bounded: one call under way. When full: never. Conflates: requests within one tick are one flush.
    """

    def __init__(self, flush: Callable[[], None], tick_s: float) -> None:
        self._flush = flush
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
        self._scheduled = None
        self._last_s = asyncio.get_running_loop().time()
        self._flush()

    def stop(self) -> None:
        """Nothing more is flushed."""
        if self._scheduled is not None:
            self._scheduled.cancel()
