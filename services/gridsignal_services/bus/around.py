"""Another log, for those who change one thing about it."""

from __future__ import annotations

from collections.abc import Mapping

from gridsignal_services.bus import Appended, Election, Log, Reader


class AroundLog(Log):
    """Passes everything on; a subclass overrides what it changes. Bounded, when full, conflates: as the log within."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.epoch, self.condition = log.epoch, log.condition

    async def append(
        self, stream: str, key: str, value: bytes, headers: Mapping[str, str], *, partition: int | None = None
    ) -> Appended:
        """See Log.append."""
        return await self.log.append(stream, key, value, headers, partition=partition)

    async def reader(self, stream: str, positions: Mapping[int, int]) -> Reader:
        """See Log.reader."""
        return await self.log.reader(stream, positions)

    async def start_positions(self, stream: str) -> dict[int, int]:
        """See Log.start_positions."""
        return await self.log.start_positions(stream)

    async def end_positions(self, stream: str) -> dict[int, int]:
        """See Log.end_positions."""
        return await self.log.end_positions(stream)

    async def position_at(self, stream: str, appended_us: int) -> dict[int, int]:
        """See Log.position_at."""
        return await self.log.position_at(stream, appended_us)

    def stand(self, stream: str) -> Election:
        """See Log.stand."""
        return self.log.stand(stream)

    async def aclose(self) -> None:
        """See Log.aclose."""
        await self.log.aclose()
