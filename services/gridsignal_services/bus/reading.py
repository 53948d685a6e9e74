"""A log as those read it who serve nobody: from beginning to end, on their own. All of it blocks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from typing import Protocol

from gridsignal_services.bus import Log, LogRecord, LogUnavailable
from gridsignal_services.bus.between import SILENCE_S

_AT_ONCE = 1000


class LogReading(Protocol):
    """A log that is looked at. Raises LogUnavailable where it can't be read now."""

    epoch: str
    """See Log.epoch."""

    def bounds(self, stream: str, partition: int) -> tuple[int, int]:
        """The first kept offset, and the next one. Raises LogConfigurationError for a partition that is not there."""

    def records(self, stream: str, partition: int, start: int = 0, end: int | None = None) -> Iterator[LogRecord]:
        """In their order from `start` on, up to before `end`, by default what is there now."""

    def with_text(self, stream: str, partition: int, text: str) -> Iterator[LogRecord]:
        """Those in whose value this text stands; looks at all."""

    def newest(self, stream: str, partition: int, framings: Sequence[bytes], limit: int) -> list[LogRecord]:
        """The last ones that begin with one of these framings, the newest first."""


class BlockingReading(LogReading):
    """Any log, read by somebody who waits for it: the loop runs only while something is asked for.

    Bounded: by the records that are read at once.
    """

    def __init__(self, log: Log, runner: asyncio.Runner) -> None:
        self._log, self._runner = log, runner
        self.epoch = log.epoch

    def bounds(self, stream: str, partition: int) -> tuple[int, int]:
        """See LogReading.bounds."""
        starts = self._runner.run(self._log.start_positions(stream))
        return starts[partition], self._runner.run(self._log.end_positions(stream))[partition]

    def records(self, stream: str, partition: int, start: int = 0, end: int | None = None) -> Iterator[LogRecord]:
        """See LogReading.records."""
        first, beyond = self.bounds(stream, partition)
        start, end = max(start, first), beyond if end is None else min(end, beyond)
        if start >= end:
            return
        reader = self._runner.run(self._log.reader(stream, {partition: start}))
        try:
            while start < end:
                for record in self._runner.run(_read(reader.read(_AT_ONCE), stream)):
                    if record.offset < end:
                        yield record
                    start = record.offset + 1
        finally:
            self._runner.run(reader.aclose())

    def with_text(self, stream: str, partition: int, text: str) -> Iterator[LogRecord]:
        """See LogReading.with_text."""
        wanted = text.encode()
        return (record for record in self.records(stream, partition) if wanted in record.value)

    def newest(self, stream: str, partition: int, framings: Sequence[bytes], limit: int) -> list[LogRecord]:
        """See LogReading.newest."""
        found = list[LogRecord]()
        first, end = self.bounds(stream, partition)
        while end > first and len(found) < limit:
            start = max(first, end - _AT_ONCE)
            some = [each for each in self.records(stream, partition, start, end) if each.value[:5] in framings]
            found += reversed(some)
            end = start
        return found[:limit]


async def _read(reading: Awaitable[list[LogRecord]], stream: str) -> list[LogRecord]:
    try:
        async with asyncio.timeout(SILENCE_S):
            return await reading
    except TimeoutError:
        raise LogUnavailable(f"{stream}: expected to read up to an end, got nothing more in {SILENCE_S:g} s") from None
