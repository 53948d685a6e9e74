"""When to write: at once when idle, joined under load for as long as the load asks for (see Tick).

Written after centrifuge's write delay: a system call costs more than anything else on the way of a signal. A flush to
many goes on in the next pass of the event loop, and others have their turns in between.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

from gridsignal_services.clock import steady_s
from gridsignal_services.gateway.tick import Tick

_SHORT_S = 0.0005
"""A flush that took no longer, to some dozens of connections, costs too little for the next one to wait."""
_SLICE_S = 0.002
"""How long a flush keeps the event loop."""


class Ticker:
    """Calls `flush` soon after it is asked to; after one that took a while, not before a tick has passed.

    Bounded: one flush under way. When full: never. Conflates: requests within one tick are one flush.
    """

    def __init__(
        self,
        flush: Callable[[], Iterator[object]],
        has_more: Callable[[], bool],
        tick: Tick,
        now_s: Callable[[], float] = steady_s,
        spent_s: Callable[[], float] = time.thread_time,
    ) -> None:
        """`now_s` tells how long the loop has been kept, `spent_s` how long it has computed."""
        self._flush = flush
        """Writes what waits, piece by piece."""
        self._has_more = has_more
        """Whether more has come since the flush began."""
        self._tick = tick
        self._now_s, self._spent_s = now_s, spent_s
        self._last_s = float("-inf")
        """When the last flush began that took a while."""
        self._scheduled: asyncio.Handle | None = None
        self._under_way: Iterator[object] | None = None
        self._began_s, self._took_s = 0.0, 0.0
        self._ended_s, self._computed_s = now_s(), spent_s()
        """When that flush was over, and how long the loop had computed by then."""
        self._own_s = 0.0
        """What flushes have computed since."""

    def request(self) -> None:
        """There is something to write."""
        if self._scheduled is not None:
            return
        loop = asyncio.get_running_loop()
        due_s = self._last_s + self._tick.length_s
        if loop.time() >= due_s:
            self._scheduled = loop.call_soon(self._fire)
        else:
            self._scheduled = loop.call_at(due_s, self._fire)

    @property
    def pending(self) -> bool:
        """Whether something waits to be written."""
        return self._scheduled is not None

    def _fire(self) -> None:
        loop = asyncio.get_running_loop()
        if self._under_way is None:
            self._under_way, self._began_s, self._took_s = self._flush(), loop.time(), 0.0
        began_s, computed_s, is_over = self._now_s(), self._spent_s(), True
        try:
            for _ in self._under_way:
                if self._now_s() >= began_s + _SLICE_S:
                    is_over = False
                    break
        finally:
            self._took_s += self._now_s() - began_s
            self._own_s += self._spent_s() - computed_s
            if is_over:
                self._end()
            else:
                self._scheduled = loop.call_soon(self._fire)

    def _end(self) -> None:
        self._under_way = None
        self._scheduled = None  # only now: what the flush itself hands to connections, it writes itself
        if self._took_s > _SHORT_S:
            now_s, computed_s = self._now_s(), self._spent_s()
            others_s = max(0.0, computed_s - self._computed_s - self._own_s)
            self._tick.flushed(self._took_s, others_s, now_s - self._ended_s)
            self._ended_s, self._computed_s, self._own_s = now_s, computed_s, 0.0
            self._last_s = self._began_s
        if self._has_more():
            self.request()

    def stop(self) -> None:
        """Nothing more is flushed."""
        if self._scheduled is not None:
            self._scheduled.cancel()
