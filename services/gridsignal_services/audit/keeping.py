"""Keeps a tree's hashes beside the log while it grows: read up to each head, a little at a time."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gridsignal_schemas.catalog import TOPICS
from gridsignal_schemas.messages import Record, TreeHead
from gridsignal_services.audit.subtrees import FOLDER, LOCK, Subtrees
from gridsignal_services.bus import Log, LogConfigurationError, LogRecord, LogUnavailable, PositionGone, flock
from gridsignal_services.bus.between import read_between
from gridsignal_services.ledger.entry import Outcome
from gridsignal_services.ledger.tree import leaf_of
from gridsignal_services.replica import Replica
from gridsignal_services.telemetry import Outage, logger

_log = logger("tree")
_AT_ONCE = 8192
"""Records read between two writes."""
_RETRY_S = 5.0


class TreeKeeper:
    """Follows the heads that a replica reduces. Bounded: by _AT_ONCE hashes; what was not kept yet is read again."""

    def __init__(self, log: Log, replica: Replica, directory: Path) -> None:
        self._log, self._directory = log, directory
        self._wanted: dict[int, int] = {}
        """Of each partition the size of its last head."""
        self._kept: dict[int, Subtrees] = {}
        self._news = asyncio.Event()
        replica.listen(self._hear)

    def _hear(self, logged: LogRecord, record: Record, outcome: Outcome) -> None:
        if isinstance(record, TreeHead) and outcome.accepted:
            self._wanted[logged.partition] = record.size
            self._news.set()

    async def run(self) -> None:
        """For ever. Where another process has the folder, it waits until that lets go of it."""
        while True:
            try:
                lock = flock.claim(self._directory / LOCK)
                break
            except LogConfigurationError:
                await asyncio.sleep(_RETRY_S)
        try:
            await self._keep_for_ever()
        finally:
            flock.release(lock)

    async def _keep_for_ever(self) -> None:
        outage = Outage(_log, "log", doing="the hashes beside it")
        while True:
            await self._news.wait()
            self._news.clear()
            for partition in range(TOPICS["dispatch"].partitions):
                try:
                    await self._keep(partition)
                except (LogUnavailable, PositionGone, OSError) as away:
                    outage.say(away)
                    self._kept.pop(partition, None)
                    await asyncio.sleep(_RETRY_S)
                    self._news.set()
                else:
                    outage.over()

    async def _keep(self, partition: int) -> None:
        size = self._wanted.get(partition, 0)
        if partition not in self._kept and size:
            folder = self._directory / FOLDER / self._log.epoch
            self._kept[partition] = await asyncio.to_thread(Subtrees, folder, partition)
        while size and (start := (subtrees := self._kept[partition]).size) < size:
            records: list[LogRecord] = []
            end = {partition: min(size, start + _AT_ONCE)}
            await read_between(self._log, "dispatch", {partition: start}, end, records.append)
            await asyncio.to_thread(_add, subtrees, records)


def _add(subtrees: Subtrees, records: list[LogRecord]) -> None:
    subtrees.append(map(leaf_of, records))
    subtrees.write()
