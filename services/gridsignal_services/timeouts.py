"""One timer for many waits of the same length: a timer for each would cost more than what most of them wait for."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Timeouts:
    """`asyncio.timeout`, always of the same length, for what is waited for some thousand times a second."""

    def __init__(self, after_s: float) -> None:
        self._after_s = after_s
        self._waits: dict[_Wait, float] = {}
        """When each is due, by the event loop's time; the oldest first."""
        self._timer: asyncio.TimerHandle | None = None

    def limit(self) -> _Wait:
        """Bounds what is awaited in a `with` block: TimeoutError where it takes longer."""
        return _Wait(self)

    def begin(self, wait: _Wait) -> None:
        """From now on it is waited."""
        loop = asyncio.get_running_loop()
        self._waits[wait] = due_s = loop.time() + self._after_s
        if self._timer is None:
            self._timer = loop.call_at(due_s, self._look)

    def end(self, wait: _Wait) -> None:
        """It is waited no longer."""
        self._waits.pop(wait, None)

    def _look(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        for wait, due_s in list(self._waits.items()):
            if due_s > loop.time():
                self._timer = loop.call_at(due_s, self._look)
                return
            self.end(wait)
            wait.expire()


class _Wait:
    """What one task awaits."""

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        """By whom else it was cancelled before."""
        self._has_expired = False

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        assert self._task is not None, "expected a task"
        self._cancelling = self._task.cancelling()
        self._timeouts.begin(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timeouts.end(self)
        if self._has_expired:
            assert self._task is not None
            if self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
                raise TimeoutError from error

    def expire(self) -> None:
        """It has taken too long."""
        assert self._task is not None
        self._has_expired = True
        self._task.cancel()
