"""The embedded log's file as a whole: measured and backed up beside its owner, restored, made small again."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from gridsignal_schemas.catalog import TOPICS
from gridsignal_services.bus import LogConfigurationError, LogError, LogRecord
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.bus.sqlite_keeping import back_up, compact, measure, restore

DAY_US = 86_400_000_000


def nobody(done: int, total: int) -> None:
    """Who is not told of progress."""


async def everything(directory: Path) -> dict[str, list[LogRecord]]:
    """All records that lie in a directory's log, by stream."""
    log = await SqliteLog.open(directory)
    try:
        return {stream: await read_all(log, stream) for stream in TOPICS}
    finally:
        await log.aclose()


async def read_all(log: SqliteLog, stream: str) -> list[LogRecord]:
    starts, ends = await log.start_positions(stream), await log.end_positions(stream)
    reader, records = await log.reader(stream, starts), list[LogRecord]()
    while len(records) < sum(ends[partition] - starts[partition] for partition in ends):
        records += await reader.read()
    return sorted(records, key=lambda record: (record.partition, record.offset))


async def test_a_backup_taken_while_others_write_holds_what_was_acknowledged_before_it_and_no_holes(
    tmp_path: Path,
) -> None:
    running, restored = tmp_path / "running", tmp_path / "restored"
    under_way, ended = asyncio.Event(), asyncio.Event()
    log = await SqliteLog.open(running)
    acknowledged: list[int] = []

    async def write(key: str) -> None:
        number = 0
        while not ended.is_set():
            appended = await log.append("dispatch", key, b"%d" % number, {"number": str(number)})
            number += 1
            if key == "FR":
                acknowledged.append(appended.offset)
                if len(acknowledged) == 50:
                    under_way.set()

    async with asyncio.TaskGroup() as writers:
        for key in ("FR", "DE-LU"):
            writers.create_task(write(key))
        await under_way.wait()
        before = len(acknowledged)
        await asyncio.to_thread(back_up, running, tmp_path / "backup.db", nobody)
        ended.set()
    await log.aclose()

    restore(tmp_path / "backup.db", restored, nobody)
    whole, back = await everything(running), await everything(restored)
    for stream in TOPICS:
        by_place = {(record.partition, record.offset): record for record in whole[stream]}
        assert back[stream] == [by_place[record.partition, record.offset] for record in back[stream]]
    of_fr = [record for record in back["dispatch"] if record.key == "FR"]
    assert len(of_fr) >= before
    assert [record.value for record in of_fr] == [b"%d" % at for at in range(len(of_fr))]


async def a_log(directory: Path, records: int = 3, time_us: Callable[[], int] | None = None) -> str:
    log = await SqliteLog.open(directory, append_time_us=time_us)
    for at in range(records):
        await log.append("prices", "FR", b"%d" % at, {})
    await log.aclose()
    return log.epoch


@pytest.mark.parametrize("same", [False, True])
async def test_a_restored_log_is_another_one_unless_nothing_was_logged_after_the_backup(
    tmp_path: Path, same: bool
) -> None:
    epoch = await a_log(tmp_path / "log")
    back_up(tmp_path / "log", tmp_path / "backup.db", nobody)
    restored = restore(tmp_path / "backup.db", tmp_path / "restored", nobody, same=same)
    assert (restored.epoch == epoch) is same
    assert measure(tmp_path / "restored") == restored
    again = await SqliteLog.open(tmp_path / "restored")
    appended = await again.append("prices", "FR", b"next", {})
    await again.aclose()
    assert (again.epoch, appended.offset) == (restored.epoch, 3)


async def test_a_backup_and_what_is_made_of_it_are_their_owners_alone(tmp_path: Path) -> None:
    await a_log(tmp_path / "log")
    back_up(tmp_path / "log", tmp_path / "backup.db", nobody)
    restore(tmp_path / "backup.db", tmp_path / "restored", nobody)
    for path in (tmp_path / "backup.db", *(tmp_path / "restored").iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def damaged_in_the_middle(backup: Path) -> None:
    whole = backup.read_bytes()
    backup.write_bytes(whole[: len(whole) // 2] + bytes(4096) + whole[len(whole) // 2 + 4096 :])


def cut_short(backup: Path) -> None:
    backup.write_bytes(backup.read_bytes()[:8192])


def of_another_program(backup: Path) -> None:
    backup.unlink()
    with closing(sqlite3.connect(backup)) as other:
        other.execute("CREATE TABLE log (epoch TEXT)")


def of_another_format(backup: Path) -> None:
    with closing(sqlite3.connect(backup)) as later:
        later.execute("PRAGMA user_version = 77")


def no_file(backup: Path) -> None:
    backup.unlink()


def a_folder(backup: Path) -> None:
    backup.unlink()
    backup.mkdir()


@pytest.mark.parametrize(
    "spoil", [damaged_in_the_middle, cut_short, of_another_program, of_another_format, no_file, a_folder]
)
async def test_nothing_is_made_of_a_backup_that_is_not_whole(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    await a_log(tmp_path / "log", records=400)
    backup, restored = tmp_path / "backup.db", tmp_path / "restored"
    back_up(tmp_path / "log", backup, nobody)
    spoil(backup)
    with pytest.raises(LogError, match=r"backup\.db"):
        restore(backup, restored, nobody)
    assert not restored.exists() or not (restored / "log.db").exists()


def test_nothing_that_is_there_is_overwritten(tmp_path: Path) -> None:
    epoch = asyncio.run(a_log(tmp_path / "log"))
    back_up(tmp_path / "log", tmp_path / "backup.db", nobody)
    taken = (tmp_path / "backup.db").read_bytes()
    with pytest.raises(LogConfigurationError, match="expected no such file yet"):
        back_up(tmp_path / "log", tmp_path / "backup.db", nobody)
    with pytest.raises(LogConfigurationError, match="expected a directory without a log"):
        restore(tmp_path / "backup.db", tmp_path / "log", nobody)
    assert (tmp_path / "backup.db").read_bytes() == taken
    assert measure(tmp_path / "log").epoch == epoch
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup.db", "log"]


async def test_a_compacted_log_holds_what_is_kept_and_takes_less_space(tmp_path: Path) -> None:
    now_us = [DAY_US]
    log = await SqliteLog.open(tmp_path, append_time_us=lambda: now_us[0])
    for _ in range(200):
        await log.append("prices", "FR", bytes(4000), {})
        await log.append("dispatch", "FR", b"kept for ever", {})
    now_us[0] += 100 * DAY_US
    await log.append("prices", "FR", b"new", {})
    await log.aclose()

    before, after = compact(tmp_path)

    records = {size.topic: size.records for size in after.topics}
    assert (records["gridsignal.prices"], records["gridsignal.dispatch"]) == (1, 200)
    assert after.file_bytes < before.file_bytes - 200 * 4000
    assert (after.free_bytes, after.write_ahead_bytes, after.epoch) == (0, 0, before.epoch)
    found = await everything(tmp_path)
    assert [(record.offset, record.value) for record in found["prices"]] == [(200, b"new")]


async def test_a_log_in_use_is_measured_and_not_compacted(tmp_path: Path) -> None:
    log = await SqliteLog.open(tmp_path)
    await log.append("prices", "FR", b"x", {})
    assert {size.topic: size.records for size in measure(tmp_path).topics}["gridsignal.prices"] == 1
    with pytest.raises(LogConfigurationError, match="in use, owned by pid"):
        compact(tmp_path)
    await log.aclose()
