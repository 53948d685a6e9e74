"""One way to read the log: what holds for whoever follows a stream, with the log away, cut off or far ahead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gridsignal_schemas.messages import Record
from gridsignal_services.bus import Log, LogRecord, LogUnavailable, PositionGone
from gridsignal_services.bus.between import read_between
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.following import Following, Take
from gridsignal_services.telemetry import logger
from tests.builders import a_spot_price
from tests.integration.failing_logs import FR, Away, Leaderless, Stuck
from tests.patience import SOON_S

CODEC = Codec.from_lock()
DAY_US = 86_400_000_000


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
    return following_of(log, taken.take, **options)


def following_of(log: Log, take: Take, **options: Any) -> Following:
    return Following(log, CODEC, "prices", take, logger("tests"), by="tests", **({"retry_s": 0.01} | options))


async def append(log: Log, *values: bytes, zone: str = "FR") -> None:
    for value in values:
        await log.append("prices", zone, value, {})


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON_S):
        while not condition():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)


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
    taken = Taken()
    async with a_log(tmp_path) as log:
        await append(log, b"0")
        log.times = 3
        following = followed(log, taken)
        with capture_logs() as lines:
            async with run(following):
                await taken.until(1)
                await append(log, b"1")
                assert await taken.until(2) == [b"0", b"1"]
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
        following = following_of(log, take, begins_again=begins_again)
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


async def test_a_partition_that_is_stuck_is_told_of_and_the_others_go_on(tmp_path: Path) -> None:
    taken = Taken()
    async with a_log(tmp_path) as embedded:
        log = Stuck(embedded)
        await append(log, b"stuck")
        following = following_of(log, taken.take, look_s=0.001, stuck_s=0.0)
        with capture_logs() as lines:

            def told() -> list[Any]:
                return [line for line in lines if line.get("partition") == FR]

            async with run(following):
                await append(log, b"0", zone="DE-LU")
                await until(lambda: len(told()) == 1)
                await append(log, b"1", zone="DE-LU")
                assert await taken.until(2) == [b"0", b"1"]
                assert following.headway.phase(FR) == "stuck"
                log.still = False  # it was the reader alone, and another one is tried while the others go on
                async with asyncio.timeout(SOON_S):
                    while b"stuck" not in taken.values:
                        await append(log, b"2", zone="DE-LU")
                await until(lambda: len(told()) == 2)
    assert told()[0]["event"] == "stuck: the log has more and nothing comes"
    assert [(line["position"], line["behind"]) for line in told()] == [(0, 1), (1, 0)]


async def test_a_partition_without_a_leader_keeps_no_other_from_being_read(tmp_path: Path) -> None:
    """Nobody who asks for the ends of a stream is answered then, and so nobody gets a new reader."""
    taken = Taken()
    async with a_log(tmp_path) as embedded:
        following = following_of(Leaderless(embedded), taken.take, look_s=0.001)
        async with run(following):
            await append(embedded, b"0")
            assert await taken.until(1) == [b"0"]
            await until(lambda: "away" in following.headway.trouble)
            await append(embedded, b"1")
            assert await taken.until(2) == [b"0", b"1"]


async def test_what_is_no_record_is_counted_and_the_first_of_its_kind_told_with_its_place(tmp_path: Path) -> None:
    read: list[Record | None] = []

    async def take(records: list[LogRecord]) -> None:
        read.extend([await following.read(record) for record in records])

    async with a_log(tmp_path) as log:
        await append(log, b"0", b"", CODEC.encode(a_spot_price()), b"\0" * 5000, b"\0" * 5000)
        following = following_of(log, take)
        with capture_logs() as lines:
            async with run(following), asyncio.timeout(SOON_S):
                await following.caught_up()
    assert read == [None, None, a_spot_price(), None, None]
    assert following.headway.poison == 4
    assert [(line["stream"], line["partition"], line["offset"]) for line in lines] == [
        ("prices", FR, 0),
        ("prices", FR, 3),
    ]


async def test_what_lies_between_two_positions_is_read_and_no_more(tmp_path: Path) -> None:
    seen: list[bytes] = []
    async with a_log(tmp_path) as log:
        await append(log, b"0", b"1", b"2", b"3")
        starts, ends = dict.fromkeys(range(6), 0), await log.end_positions("prices")
        await read_between(log, "prices", starts | {FR: 1}, ends | {FR: 3}, lambda record: seen.append(record.value))
        assert seen == [b"1", b"2"]
        await read_between(log, "prices", ends, ends, lambda record: seen.append(record.value))
    assert len(seen) == 2


async def test_who_reads_up_to_an_end_does_not_wait_for_ever_for_what_does_not_come(tmp_path: Path) -> None:
    seen: list[bytes] = []
    async with a_log(tmp_path) as embedded:
        log = Stuck(embedded)
        await append(log, b"stuck")
        await append(log, b"0", zone="DE-LU")
        starts, ends = await log.start_positions("prices"), await log.end_positions("prices")
        with pytest.raises(LogUnavailable, match="nothing more"):
            await read_between(log, "prices", starts, ends, lambda record: seen.append(record.value), silence_s=0.05)
