"""Grid time that stands still until a test moves it."""

from __future__ import annotations

import asyncio
from datetime import datetime


class ManualClock:
    """A clock for both sides of a test: `FakeGrid(now=clock.now)` and `connect(clock=clock)`.

    Bounded: one future for each task that sleeps. When full: it grows. Conflates: nothing.
    """

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._moved: set[asyncio.Future[None]] = set()

    def now(self) -> datetime:
        """Where it stands."""
        return self._now

    def move_to(self, when: datetime) -> None:
        """Lets time pass; whoever slept until then goes on."""
        self._now = when
        moved, self._moved = self._moved, set()
        for sleeper in moved:
            if not sleeper.done():
                sleeper.set_result(None)

    async def sleep_until(self, when: datetime) -> None:
        """Returns once the clock stands at `when` or later."""
        while self._now < when:
            sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._moved.add(sleeper)
            try:
                await sleeper
            finally:
                self._moved.discard(sleeper)
