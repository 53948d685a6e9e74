"""Logs that fail whoever reads them, each in its way."""

from __future__ import annotations

from collections.abc import Mapping

from gridsignal_schemas.catalog import partition_of
from gridsignal_services.bus import Log, LogRecord, LogUnavailable, Reader
from gridsignal_services.bus.around import AroundLog

FR = partition_of("FR", 6)
"""The partition that fails, where one does."""


class Away(AroundLog):
    """A log that can't be read so many times."""

    times = 0

    async def reader(self, stream: str, positions: Mapping[int, int]) -> Reader:
        if self.times:
            self.times -= 1
            raise LogUnavailable("expected by this test")
        return await super().reader(stream, positions)


class Silent(Reader):
    """A reader that leaves some partitions where they are, as behind a broker that is alive and answers nothing."""

    def __init__(self, within: Reader, still: Mapping[int, int]) -> None:
        self._within, self._still = within, still

    @property
    def positions(self) -> Mapping[int, int]:
        return {**self._within.positions, **self._still}

    async def read(self, limit: int = 1000) -> list[LogRecord]:
        return await self._within.read(limit)

    async def aclose(self) -> None:
        await self._within.aclose()


class Stuck(AroundLog):
    """A log of which nothing is read from one partition, and which gives no second reader, until it is let go on."""

    def __init__(self, log: Log) -> None:
        super().__init__(log)
        self.still, self._begun = True, set[str]()

    async def reader(self, stream: str, positions: Mapping[int, int]) -> Reader:
        if not self.still:
            return await super().reader(stream, positions)
        if stream in self._begun:
            raise LogUnavailable("expected by this test")
        self._begun.add(stream)
        others = {partition: at for partition, at in positions.items() if partition != FR}
        return Silent(await super().reader(stream, others), {FR: positions[FR]})


class Leaderless(AroundLog):
    """A log that says neither where it begins nor where it ends, once it was read from: one partition has no leader.

    Its first read fails, too.
    """

    def __init__(self, log: Log) -> None:
        super().__init__(log)
        self.begun = False

    async def reader(self, stream: str, positions: Mapping[int, int]) -> Reader:
        await self.end_positions(stream)
        reader = await super().reader(stream, positions)
        self.begun = True
        return FailsFirst(reader)

    async def end_positions(self, stream: str) -> dict[int, int]:
        if self.begun:
            raise LogUnavailable("expected by this test")
        return await super().end_positions(stream)


class FailsFirst(Silent):
    """Fails once."""

    def __init__(self, within: Reader) -> None:
        super().__init__(within, {})
        self._has_failed = False

    async def read(self, limit: int = 1000) -> list[LogRecord]:
        if not self._has_failed:
            self._has_failed = True
            raise LogUnavailable("expected by this test")
        return await super().read(limit)
