"""A few places that many want, given to organisations in turn: who asks most does not get most."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Slots:
    """Places for work that takes a while.

    Bounded: `places`, and of one organisation `most` of them, or half. When full: waits, the organisation that was
    served longest ago before the others. Conflates: nothing.
    """

    def __init__(self, places: int, most: int | None = None) -> None:
        self._free = places
        self._most = most or max(1, places // 2)
        self._held: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @property
    def are_wanted(self) -> bool:
        """Whether somebody would take a place that is given back."""
        return bool(self._waiting)

    @asynccontextmanager
    async def place(self, organisation: str) -> AsyncIterator[None]:
        """Waits for a place and holds it for as long as the block runs."""
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(organisation, deque()).append(granted)
        self._grant()
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self._give_back(organisation)
            else:
                self._forget(organisation, granted)
            raise
        try:
            yield
        finally:
            self._give_back(organisation)

    def _grant(self) -> None:
        for organisation in list(self._waiting):
            if not self._free:
                return
            if self._held[organisation] >= self._most:
                continue
            granted = self._next_of(organisation)
            if granted is not None:
                self._free -= 1
                self._held[organisation] += 1
                granted.set_result(None)

    def _next_of(self, organisation: str) -> asyncio.Future[None] | None:
        """Who of an organisation has waited longest; not who has given up and has had no turn yet to leave."""
        queue = self._waiting[organisation]
        self._waiting.move_to_end(organisation)
        while queue and queue[0].done():
            queue.popleft()
        granted = queue.popleft() if queue else None
        if not queue:
            del self._waiting[organisation]
        return granted

    def _give_back(self, organisation: str) -> None:
        self._free += 1
        self._held[organisation] -= 1
        if not self._held[organisation]:
            del self._held[organisation]
        self._grant()

    def _forget(self, organisation: str, granted: asyncio.Future[None]) -> None:
        queue = self._waiting.get(organisation)
        if queue is None or granted not in queue:
            return  # passed over meanwhile
        queue.remove(granted)
        if not queue:
            del self._waiting[organisation]
