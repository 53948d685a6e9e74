"""The checkpoints of a replica: where it begins, and what it writes while it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol

from gridsignal_services.bus import LogRecord
from gridsignal_services.checkpoints.keeping import Checkpoints
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.reduce import Ledger


class Keeper(Protocol):
    """Keeps what the ledgers let go of."""

    def add(self, partition: int, offset: int, book: Book) -> None:
        """Takes in a request that is let go of at this offset, as a book of its own."""

    async def reach(self) -> Mapping[int, int]:
        """Of each partition the position up to which it keeps all that was let go of before this start."""

    async def begin(self, positions: Mapping[int, int]) -> bool:
        """Forgets what was let go of from these positions on. False: it has nothing of what came before them either."""

    async def settle(self, partition: int, position: int) -> bool:
        """Whether a later start will find all that was let go of before this position."""


class Saving:
    """What a replica has to do with checkpoints; nothing where none are kept."""

    def __init__(self, checkpoints: Checkpoints | None, ledgers: dict[int, Ledger]) -> None:
        self.keepers: list[Keeper] = []
        self.reducing = asyncio.Lock()
        """Who holds it reads a ledger that does not change."""
        self._checkpoints, self._ledgers = checkpoints, ledgers
        self._last: dict[int, LogRecord] = {}
        self._advanced = asyncio.Event()
        self._caught_up = False

    def advance(self, record: LogRecord) -> None:
        """This record has been reduced."""
        self._last[record.partition] = record
        self._advanced.set()

    def reach_end(self) -> None:
        """All is reduced that was on the log at the start: what is not saved yet is saved, however quiet the log is."""
        self._caught_up = True
        self._advanced.set()

    async def restore(self, ends: Mapping[int, int]) -> bool:
        """Puts the ledgers of checkpoints in place, and whether there was one. Raises LogUnavailable."""
        if self._checkpoints is None:
            return False
        while True:  # a keeper that has nothing reaches nothing: then none is taken, and each can begin with that
            reach = ends
            for keeper in self.keepers:
                kept = await keeper.reach()
                reach = {partition: min(position, kept.get(partition, 0)) for partition, position in reach.items()}
            restored = await self._checkpoints.restored(ends, reach)
            positions = {partition: restored[partition].position if partition in restored else 0 for partition in ends}
            if all([await keeper.begin(positions) for keeper in self.keepers]):
                self._ledgers.update(restored)
                return bool(restored)

    async def run(self) -> None:
        """Writes checkpoints for ever, one after the other; waits for ever where none are kept."""
        while True:
            await self._advanced.wait()
            self._advanced.clear()
            for ledger in self._ledgers.values():
                if self._checkpoints is not None and self._checkpoints.wants(ledger, caught_up=self._caught_up):
                    await self._save(self._checkpoints, ledger)

    async def _save(self, checkpoints: Checkpoints, ledger: Ledger) -> None:
        async with self.reducing:
            last, held = self._last[ledger.partition], await checkpoints.hold(ledger)
        settled = [await keeper.settle(last.partition, last.offset + 1) for keeper in self.keepers]
        if all(settled):
            await checkpoints.write(held, last)
