"""The checkpoints of a replica: where it begins, and what it writes while it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

from gridsignal_services.bus import Log, LogConfigurationError, LogRecord
from gridsignal_services.checkpoints.keeping import Checkpoints
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.reduce import Ledger

WITHIN_S = 3.0
"""How long an orderly end waits for its checkpoints, which are written in a tenth of that."""
Restored = Callable[[], None]


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
        self.restored: list[Restored] = []
        self.reducing = asyncio.Lock()
        """Who holds it reads a ledger that does not change."""
        self._checkpoints, self._ledgers = checkpoints, ledgers
        self._last: dict[int, LogRecord] = {}
        self._advanced = asyncio.Event()
        self._caught_up = False
        self._is_ending, self._ended = False, asyncio.Event()

    def advance(self, record: LogRecord) -> None:
        """This record has been reduced."""
        self._last[record.partition] = record
        self._advanced.set()

    def reach_end(self) -> None:
        """All is reduced that was on the log at the start: what is not saved yet is saved, however quiet the log is."""
        self._caught_up = True
        self._advanced.set()

    async def restore(self, ends: Mapping[int, int]) -> None:
        """Puts the ledgers of checkpoints in place, and calls back if there was one. Raises LogUnavailable."""
        if self._checkpoints is None:
            return
        while True:  # a keeper that has nothing reaches nothing: then none is taken, and each can begin with that
            reach = ends
            for keeper in self.keepers:
                kept = await keeper.reach()
                reach = {partition: min(position, kept.get(partition, 0)) for partition, position in reach.items()}
            restored = await self._checkpoints.restored(ends, reach)
            positions = {partition: restored[partition].position if partition in restored else 0 for partition in ends}
            if all([await keeper.begin(positions) for keeper in self.keepers]):
                break
        self._ledgers.update(restored)
        for tell in self.restored if restored else ():
            tell()

    async def run(self) -> None:
        """Writes checkpoints for ever, one after the other; waits for ever where none are kept."""
        while True:
            await self._advanced.wait()
            self._advanced.clear()
            at_end = self._is_ending
            for ledger in self._ledgers.values():
                if self._checkpoints is not None and self._checkpoints.wants(
                    ledger, caught_up=self._caught_up, at_end=at_end
                ):
                    await self._save(self._checkpoints, ledger)
            if at_end:
                self._ended.set()

    async def finish(self, within_s: float = WITHIN_S) -> None:
        """Has `run` save what is reduced by now, so that the next start need not; what takes longer is given up."""
        if self._checkpoints is None or not self._caught_up:
            return
        self._is_ending = True
        self._ended.clear()
        self._advanced.set()
        try:
            async with asyncio.timeout(within_s):
                await self._ended.wait()
        except TimeoutError:
            self._checkpoints.give_up()

    async def _save(self, checkpoints: Checkpoints, ledger: Ledger) -> None:
        async with self.reducing:
            last, held = self._last[ledger.partition], await checkpoints.hold(ledger)
        settled = [await keeper.settle(last.partition, last.offset + 1) for keeper in self.keepers]
        if all(settled):
            await checkpoints.write(held, last)


async def ends_of_whole(log: Log) -> dict[int, int]:
    """The ends of the dispatch stream. Raises LogConfigurationError where its first records are gone."""
    start, ends = await log.start_positions("dispatch"), await log.end_positions("dispatch")
    if gone := {partition: offset for partition, offset in start.items() if offset}:
        partition, offset = min(gone.items())
        raise LogConfigurationError(
            f"expected the dispatch stream from its first record, got partition {partition} from offset {offset}"
            " on: without its beginning the ledger would be another one; restore the log, or start a new one"
        )
    return ends
