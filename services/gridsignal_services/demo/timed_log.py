"""A log that notes when each append of a price began: where the way of a price to its clients starts."""

from __future__ import annotations

import time
from collections.abc import Mapping

from gridsignal_services.bus import Appended, Election, Log, Reader


class TimedLog(Log):
    """Another log, timed. Bounded: one number a price of one day."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.epoch = log.epoch
        self.began_s: dict[bytes, float] = {}
        """When the append of these bytes began, by time.perf_counter."""

    async def append(
        self, stream: str, key: str, value: bytes, headers: Mapping[str, str], *, partition: int | None = None
    ) -> Appended:
        if stream == "prices":
            self.began_s[value] = time.perf_counter()
        return await self._log.append(stream, key, value, headers, partition=partition)

    async def reader(self, stream: str, positions: Mapping[int, int]) -> Reader:
        return await self._log.reader(stream, positions)

    async def start_positions(self, stream: str) -> dict[int, int]:
        return await self._log.start_positions(stream)

    async def end_positions(self, stream: str) -> dict[int, int]:
        return await self._log.end_positions(stream)

    async def position_at(self, stream: str, appended_us: int) -> dict[int, int]:
        return await self._log.position_at(stream, appended_us)

    def stand(self, stream: str) -> Election:
        return self._log.stand(stream)

    async def aclose(self) -> None:
        await self._log.aclose()
