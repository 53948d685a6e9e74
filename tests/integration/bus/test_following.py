"""One way to read the log: what holds for whoever follows a stream, with the log away, cut off or far ahead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gridsignal_schemas.catalog import partition_of
from gridsignal_services.bus import LogRecord, LogUnavailable, PositionGone, Reader
from gridsignal_services.bus.around import AroundLog
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.following import Following, read_between
from gridsignal_services.telemetry import logger
from tests.patience import SOON_S

FR = partition_of("FR", 6)
DAY_US = 86_400_000_000


class Away(AroundLog):
    """A log that can't be read so many times."""

    times = 0

    async def reader(self, stream: str, positions: Mapping[int, int]) -> Reader:
        if self.times:
            self.times -= 1
            raise LogUnavailable("expected by this test")
        return await super().reader(stream, positions)


class Taken:
    """What was taken, and who waits for more."""

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self._more = asyncio.Condition()

    async def take(self, records: list[LogRecord]) -> None:
        async with self._more:
            self.values += [record.value for record in records]
            self._more.notify_all()

    async def until(self, count: int) -> list[bytes]:
        async with asyncio.timeout(SOON_S), self._more:
            await self._more.wait_for(lambda: len(self.values) >= count)
        return self.values


@asynccontextmanager
async def a_log(directory: Path, time_us: Callable[[], int] | None = None) -> AsyncIterator[Away]:
    log = await SqliteLog.open(directory, append_time_us=time_us)
    try:
        yield Away(log)
    finally:
        await log.aclose()


@asynccontextmanager
async def run(following: Following) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(following.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def followed(log: Away, taken: Taken, **options: Any) -> Following:
    return Following(log, "prices", taken.take, logger("tests"), retry_s=0.01, **options)


async def append(log: Away, *values: bytes) -> None:
    for value in values:
        await log.append("prices", "FR", value, {})


async def test_it_fills_has_caught_up_and_goes_on_as_records_come(tmp_path: Path) -> None:
    taken = Taken()
    async with a_log(tmp_path) as log:
        await append(log, b"0", b"1")
        following = followed(log, taken)
        async with run(following):
            async with asyncio.timeout(SOON_S):
                await following.caught_up()
            assert taken.values == [b"0", b"1"]
            await append(log, b"2")
            assert await taken.until(3) == [b"0", b"1", b"2"]


async def test_an_empty_stream_has_caught_up(tmp_path: Path) -> None:
    async with a_log(tmp_path) as log:
        following = followed(log, Taken())
        async with run(following), asyncio.timeout(SOON_S):
            await following.caught_up()


async def test_a_log_that_is_away_is_told_of_and_nothing_is_missed_or_taken_twice(tmp_path: Path) -> None:
    taken, told = Taken(), list[str]()
    async with a_log(tmp_path) as log:
        await append(log, b"0")
        log.times = 3
        following = followed(log, taken, away=lambda stream, why: told.append(f"{stream}: {why}"))
        with capture_logs() as lines:
            async with run(following):
                await taken.until(1)
                await append(log, b"1")
                assert await taken.until(2) == [b"0", b"1"]
    assert told == ["prices: expected by this test"] * 3
    assert [(line["event"], line["stream"]) for line in lines] == [("away, trying again", "prices"), ("back", "prices")]


async def test_a_begin_that_is_away_is_asked_again(tmp_path: Path) -> None:
    taken, asked = Taken(), list[int]()

    async def begin() -> Mapping[int, int]:
        asked.append(1)
        if len(asked) < 3:
            raise LogUnavailable("expected by this test")
        return dict.fromkeys(range(6), 0) | {FR: 1}

    async with a_log(tmp_path) as log:
        await append(log, b"0", b"1")
        async with run(followed(log, taken, begin=begin)):
            assert await taken.until(1) == [b"1"]
    assert len(asked) == 3


@pytest.mark.parametrize("begins_again", [True, False])
async def test_who_may_begins_again_where_records_are_gone_and_others_end(tmp_path: Path, begins_again: bool) -> None:
    taken, now_us = Taken(), [1000 * DAY_US]

    async def take(records: list[LogRecord]) -> None:
        await taken.take(records[:1] if not taken.values else records)
        if len(taken.values) == 1:
            await embedded.prune()  # while it is busy with the first, retention takes what comes next
            raise LogUnavailable("expected by this test")

    async with a_log(tmp_path, lambda: now_us[0]) as log:
        await append(log, b"0", b"1", b"2")
        now_us[0] += 100 * DAY_US
        await append(log, b"new")
        embedded = log.log
        assert isinstance(embedded, SqliteLog)
        following = Following(log, "prices", take, logger("tests"), retry_s=0.01, begins_again=begins_again)
        with capture_logs() as lines:
            async with run(following) as task:
                if not begins_again:
                    with pytest.raises(PositionGone):
                        await asyncio.wait_for(task, SOON_S)
                    return
                assert await taken.until(2) == [b"0", b"new"]
    assert [(line["event"], line["records"]) for line in lines if "records" in line] == [("records are gone unread", 3)]


async def test_a_position_beyond_the_end_of_a_log_that_was_cut_off_is_begun_again(tmp_path: Path) -> None:
    taken = Taken()

    async def begin() -> Mapping[int, int]:
        return dict.fromkeys(range(6), 0) | {FR: 7}

    async with a_log(tmp_path) as log:
        await append(log, b"0")
        with capture_logs() as lines:
            async with run(followed(log, taken, begin=begin, begins_again=True)):
                assert await taken.until(1) == [b"0"]
    assert [line["event"] for line in lines] == ["begins again"]


async def test_what_lies_between_two_positions_is_read_once(tmp_path: Path) -> None:
    seen: list[bytes] = []
    async with a_log(tmp_path) as log:
        await append(log, b"0", b"1", b"2")
        starts, ends = dict.fromkeys(range(6), 0), await log.end_positions("prices")
        stands = await read_between(log, "prices", starts | {FR: 1}, ends, lambda record: seen.append(record.value))
        assert (seen, stands) == ([b"1", b"2"], starts | {FR: 3})
        assert await read_between(log, "prices", stands, ends, lambda record: seen.append(record.value)) == stands
    assert len(seen) == 2
