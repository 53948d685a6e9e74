"""A cluster's log in a story: its records bear the time of a clock that the test steps, not of the brokers' own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from gridsignal_services.bus import Appended, Log, LogRecord, Reader
from gridsignal_services.bus.around import AroundLog
from gridsignal_services.clock import Clock, micros

Place = tuple[str, int]
"""Stream and partition."""


class HandStamped(AroundLog):
    """A log that stamps a record with the time at which the record was first seen, here by whoever writes or reads it.

    A clock that is stepped when nothing is under way makes that the time at which it was appended, however slow the
    brokers are. Everybody in a story shares one of these. Bounded by what a story writes.
    """

    def __init__(self, log: Log, clock: Clock) -> None:
        super().__init__(log)
        self._clock = clock
        self._under_way = 0
        self._stamps: dict[Place, dict[int, int]] = defaultdict(dict)

    @property
    def at_rest(self) -> bool:
        """Whether no append is under way."""
        return not self._under_way

    def stamp(self, stream: str, partition: int, offset: int) -> int:
        """Microseconds since 1970; the same for everybody."""
        return self._stamps[stream, partition].setdefault(offset, micros(self._clock.now()))

    async def append(
        self, stream: str, key: str, value: bytes, headers: Mapping[str, str], *, partition: int | None = None
    ) -> Appended:
        """See Log.append."""
        self._under_way += 1
        try:
            appended = await super().append(stream, key, value, headers, partition=partition)
            return replace(appended, appended_us=self.stamp(stream, appended.partition, appended.offset))
        finally:
            self._under_way -= 1

    async def reader(self, stream: str, positions: Mapping[int, int]) -> Reader:
        """See Log.reader."""
        return _Stamping(await super().reader(stream, positions), self)

    async def position_at(self, stream: str, appended_us: int) -> dict[int, int]:
        """See Log.position_at."""
        found = await self.end_positions(stream)
        for partition, end in found.items():
            stamped = self._stamps[stream, partition].items()
            found[partition] = min([end, *(offset for offset, stamp in stamped if stamp >= appended_us)])
        return found


class _Stamping(Reader):
    def __init__(self, within: Reader, log: HandStamped) -> None:
        self._within, self._log = within, log

    @property
    def positions(self) -> Mapping[int, int]:
        return self._within.positions

    async def read(self, limit: int = 1000) -> list[LogRecord]:
        read = await self._within.read(limit)
        return [replace(r, appended_us=self._log.stamp(r.stream, r.partition, r.offset)) for r in read]

    async def aclose(self) -> None:
        await self._within.aclose()
