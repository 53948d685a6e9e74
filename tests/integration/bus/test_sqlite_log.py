"""What only the embedded log does: own its directory, keep its own time, let go of old records, survive its disk."""

from __future__ import annotations

import asyncio
import resource
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from gridsignal_schemas.catalog import TOPICS, partition_of
from gridsignal_services.bus import LogConfigurationError, LogRecord, LogUnavailable, PositionGone, Reader
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.grid import grid_clock as read_clock
from gridsignal_services.bus.publish import principal_of, publish
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.bus.tail import MAX_RECORDS
from gridsignal_services.clock import wall_us
from tests.builders import BUILDERS, a_spot_price
from tests.patience import SOON_S

DAY_US = 86_400_000_000


@asynccontextmanager
async def opened(
    directory: Path, *, prefix: str = "", append_time_us: Callable[[], int] = wall_us
) -> AsyncIterator[SqliteLog]:
    log = await SqliteLog.open(directory, prefix=prefix, append_time_us=append_time_us)
    try:
        yield log
    finally:
        await log.aclose()


class Time:
    """A clock that stands where it is put."""

    def __init__(self, us: int = 100 * DAY_US) -> None:
        self.us = us

    def __call__(self) -> int:
        return self.us


async def _read(reader: Reader, enough: int) -> list[LogRecord]:
    records: list[LogRecord] = []
    async with asyncio.timeout(SOON_S):
        while len(records) < enough:
            records += await reader.read()
    return records


async def test_a_directory_has_one_owner(tmp_path: Path) -> None:
    async with opened(tmp_path):
        with pytest.raises(LogConfigurationError, match="owned by pid"):
            await SqliteLog.open(tmp_path)
    async with opened(tmp_path):
        pass


async def test_a_log_made_for_other_partitions_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path):
        pass
    with sqlite3.connect(tmp_path / "log.db") as connection:
        connection.execute("UPDATE topics SET partitions = 7 WHERE name = ?", (TOPICS["dispatch"].name,))
    connection.close()
    with pytest.raises(LogConfigurationError, match=r"gridsignal\.dispatch: expected 6 partitions, got 7"):
        await SqliteLog.open(tmp_path)


async def test_a_file_of_another_kind_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    path.write_bytes(b"not a database, but somebody's letter" * 100)
    with pytest.raises(LogConfigurationError, match="can't read"):
        await SqliteLog.open(tmp_path)
    assert path.read_bytes().startswith(b"not a database")

    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()
    with pytest.raises(LogConfigurationError, match="expected a gridsignal log of format 1"):
        await SqliteLog.open(tmp_path)


async def test_prefixes_keep_simulations_apart_in_one_file(tmp_path: Path) -> None:
    async with opened(tmp_path, prefix="sim-1.") as log:
        await log.append("prices", "FR", b"simulated", {})
    async with opened(tmp_path) as log:
        assert sum((await log.end_positions("prices")).values()) == 0
    async with opened(tmp_path, prefix="sim-1.") as log:
        assert sum((await log.end_positions("prices")).values()) == 1


async def test_records_carry_the_time_of_the_clock_they_are_given(tmp_path: Path) -> None:
    time = Time(1_715_464_800_000_000)
    async with opened(tmp_path, append_time_us=time) as log:
        assert (await log.append("prices", "FR", b"x", {})).appended_us == 1_715_464_800_000_000
        time.us += 5
        assert (await log.append("prices", "FR", b"x", {})).appended_us == 1_715_464_800_000_005


async def test_a_clock_set_back_does_not_take_the_log_back(tmp_path: Path) -> None:
    time = Time(1000)
    async with opened(tmp_path, append_time_us=time) as log:
        await log.append("prices", "FR", b"x", {})
        time.us = 10
        assert (await log.append("prices", "GB", b"x", {})).appended_us == 1000
    async with opened(tmp_path, append_time_us=time) as log:  # nor after it was opened again
        assert (await log.append("prices", "FR", b"x", {})).appended_us == 1000


async def test_a_clock_that_fails_fails_the_append_alone(tmp_path: Path) -> None:
    broken = True

    def append_time_us() -> int:
        if broken:
            raise OSError("the clock stands still")
        return 7

    async with opened(tmp_path, append_time_us=append_time_us) as log:
        with pytest.raises(LogUnavailable, match="stands still"):
            await log.append("prices", "FR", b"x", {})
        broken = False
        assert (await log.append("prices", "FR", b"x", {})).offset == 0


async def test_what_cannot_be_written_fails_its_own_caller_alone(tmp_path: Path) -> None:
    async with opened(tmp_path) as log:
        good = asyncio.ensure_future(log.append("prices", "FR", b"good", {}))
        bad_key = asyncio.ensure_future(log.append("prices", "\ud800", b"bad", {}, partition=0))
        bad_header = asyncio.ensure_future(log.append("prices", "FR", b"bad", {"n": b"bytes"}))  # type: ignore[dict-item]  # the point
        await asyncio.wait([good, bad_key, bad_header])
        assert good.result().offset == 0
        assert isinstance(bad_key.exception(), UnicodeEncodeError)
        assert isinstance(bad_header.exception(), TypeError)


async def test_a_reader_far_behind_reads_the_file_and_then_memory(tmp_path: Path) -> None:
    partition, n = partition_of("FR", 6), 3 * MAX_RECORDS
    async with opened(tmp_path) as log:
        reader = await log.reader("dispatch", {partition: 0})
        await asyncio.gather(*(log.append("dispatch", "FR", b"%d" % at, {"n": str(at)}) for at in range(n)))
        records = await _read(reader, n)
    assert [record.offset for record in records] == list(range(n))
    assert [record.value for record in records] == [b"%d" % at for at in range(n)]
    assert [record.headers["n"] for record in records] == [str(at) for at in range(n)]


async def test_old_records_go_and_positions_say_so(tmp_path: Path) -> None:
    partition, time = partition_of("FR", 6), Time()
    async with opened(tmp_path, append_time_us=time) as log:
        for at in range(5):
            time.us += DAY_US
            await log.append("prices", "FR", b"%d" % at, {})
            await log.append("dispatch", "FR", b"%d" % at, {})
        await log.prune()
        assert (await log.start_positions("prices"))[partition] == 0

        behind = await log.reader("prices", {partition: 0})
        waiting = asyncio.ensure_future(behind.read())
        assert len(await waiting) == 5
        late = await log.reader("prices", {partition: 1})
        time.us += 88 * DAY_US  # prices are kept for 90 days: the first three are older now
        await log.append("prices", "FR", b"new", {})
        await log.prune()
        assert (await log.start_positions("prices"))[partition] == 2
        with pytest.raises(PositionGone):
            await log.reader("prices", {partition: 1})
        with pytest.raises(PositionGone):
            await late.read()
        reader = await log.reader("prices", {partition: 2})
        assert [record.value for record in await _read(reader, 4)] == [b"2", b"3", b"4", b"new"]
        assert (await log.position_at("prices", 0))[partition] == 2
        assert (await log.start_positions("dispatch"))[partition] == 0  # kept for ever
    async with opened(tmp_path, append_time_us=time) as log:
        assert (await log.start_positions("prices"))[partition] == 2
        assert (await log.end_positions("prices"))[partition] == 6


async def test_a_partition_keeps_its_place_when_everything_in_it_is_old(tmp_path: Path) -> None:
    partition, time = partition_of("FR", 6), Time()
    async with opened(tmp_path, append_time_us=time) as log:
        await asyncio.gather(*(log.append("prices", "FR", b"x", {}) for _ in range(4500)))
        time.us += 1000 * DAY_US
        await log.prune()
        assert (await log.start_positions("prices"))[partition] == 4499
    async with opened(tmp_path, append_time_us=time) as log:
        assert (await log.append("prices", "FR", b"x", {})).offset == 4500


@contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    """The system lets no file of this process grow beyond `size`, as a full disk would not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


async def test_a_full_disk_refuses_appends_and_loses_none_that_were_acknowledged(tmp_path: Path) -> None:
    partition = partition_of("FR", 6)
    async with opened(tmp_path) as log:
        reader = await log.reader("dispatch", {partition: 0})
        acknowledged = [await log.append("dispatch", "FR", b"before", {}) for _ in range(3)]
        wal = tmp_path / "log.db-wal"
        with files_no_longer_than(wal.stat().st_size + 4096):
            for _ in range(3):
                with pytest.raises(LogUnavailable, match="can't be written now"):
                    await log.append("dispatch", "FR", b"x" * 50_000, {})
            assert len(await _read(reader, 3)) == 3  # reads stay up
        acknowledged.append(await log.append("dispatch", "FR", b"after", {}))
        assert [record.value for record in await _read(reader, 1)] == [b"after"]
    assert [appended.offset for appended in acknowledged] == [0, 1, 2, 3]
    async with opened(tmp_path) as log:
        assert (await log.end_positions("dispatch"))[partition] == 4


async def test_a_cancelled_caller_leaves_the_writer_as_it_was(tmp_path: Path) -> None:
    async with opened(tmp_path) as log:
        appends = [asyncio.ensure_future(log.append("dispatch", "FR", b"%d" % at, {})) for at in range(20)]
        await asyncio.wait(appends, timeout=0)
        for append in appends[::2]:
            append.cancel()
        await asyncio.wait(appends)
        last = await log.append("dispatch", "FR", b"last", {})
        assert last.offset in range(10, 21)  # whether a cancelled one was logged is unknown


async def test_callers_wait_for_room_and_all_get_their_turn(tmp_path: Path) -> None:
    value = b"x" * 900_000
    async with opened(tmp_path) as log:
        appends = [asyncio.ensure_future(log.append("prices", f"Z{at}", value, {})) for at in range(60)]
        await asyncio.wait(appends[:1])
        for append in appends[-5:]:  # some give up while they wait in line
            append.cancel()
        done = await asyncio.gather(*appends, return_exceptions=True)
        assert sum(not isinstance(outcome, BaseException) for outcome in done) >= 55
        assert sum((await log.end_positions("prices")).values()) <= 60


async def test_closing_while_callers_wait_for_room_sends_them_away(tmp_path: Path) -> None:
    log = await SqliteLog.open(tmp_path)
    value = b"x" * 900_000
    appends = [asyncio.ensure_future(log.append("prices", "FR", value, {})) for _ in range(80)]
    await asyncio.wait(appends, timeout=0)
    async with asyncio.timeout(SOON_S):
        await log.aclose()
        done = await asyncio.gather(*appends, return_exceptions=True)
    logged = [outcome for outcome in done if not isinstance(outcome, BaseException)]
    assert all(isinstance(outcome, LogUnavailable) for outcome in done if isinstance(outcome, BaseException))
    async with opened(tmp_path) as again:
        assert sum((await again.end_positions("prices")).values()) == len(logged) < 80


async def test_a_published_record_has_its_zone_for_a_key_and_its_headers(tmp_path: Path) -> None:
    codec, price = Codec.from_lock(), a_spot_price(zone="FR")
    async with opened(tmp_path) as log:
        appended = await publish(log, codec, price, principal="service:ingest", source="/ingest")
        reader = await log.reader("prices", {appended.partition: appended.offset})
        (record,) = await _read(reader, 1)
    assert codec.decode(record.value) == price
    assert record.key == "FR"
    assert principal_of(record) == "service:ingest"


async def test_a_first_record_that_is_none_of_ours_is_no_clock(tmp_path: Path) -> None:
    async with opened(tmp_path) as log:
        await log.append("dispatch", "FR", b"written by another program", {})
        assert await read_clock(log, Codec.from_lock()) is None


async def test_the_grids_clock_names_its_partition(tmp_path: Path) -> None:
    codec, grid_clock = Codec.from_lock(), BUILDERS["GridClock"]()
    async with opened(tmp_path) as log:
        with pytest.raises(ValueError, match="expected a partition for a GridClock"):
            await publish(log, codec, grid_clock, principal="service:dispatch", source="/dispatch")
        for partition in range(TOPICS["dispatch"].partitions):
            appended = await publish(
                log, codec, grid_clock, principal="service:dispatch", source="/dispatch", partition=partition
            )
            assert (appended.partition, appended.offset) == (partition, 0)
