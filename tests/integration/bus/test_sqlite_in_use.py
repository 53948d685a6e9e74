"""The embedded log while it is used: retention goes on, files are private, and what fails harms only itself."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import stat
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gridsignal_services.bus import PRINCIPAL, Appended, LogUnavailable, sqlite_file
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.bus.sqlite_lines import BATCH_BYTES
from gridsignal_services.clock import wall_us
from tests.patience import SOON_S

DAY_US = 86_400_000_000


async def append(log: SqliteLog, value: bytes = b"x") -> Appended:
    return await log.append("prices", "DE-LU", value, {}, partition=0)


async def test_old_records_go_while_others_come(tmp_path: Path) -> None:
    now_us = itertools.count(DAY_US, 2000 * DAY_US)  # whoever asks first, pruning or an append
    log = await SqliteLog.open(tmp_path, append_time_us=lambda: next(now_us), prune_period_s=0.05)
    try:
        async with asyncio.timeout(SOON_S):
            while (await log.start_positions("prices"))[0] < 5:
                await append(log)  # there is always one more
    finally:
        await log.aclose()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_files_are_their_owners_alone_also_where_they_were_open_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    for _ in range(2):
        log = await SqliteLog.open(folder)
        await append(log)
        names = sorted(path.name for path in folder.iterdir())
        assert names == ["log.db", "log.db-shm", "log.db-wal", "log.lock"]
        assert mode(folder) == 0o700
        assert {name: mode(folder / name) for name in names} == dict.fromkeys(names, 0o600)
        await log.aclose()
        folder.chmod(0o755)
        for path in folder.iterdir():
            path.chmod(0o666)


class Failing(sqlite3.Connection):
    """Commits, says it did not, and then can't be opened again for a while."""

    commits_fail = 0
    opens_fail = 0

    @classmethod
    def open(cls, path: Path) -> sqlite3.Connection:
        if cls.opens_fail:
            cls.opens_fail -= 1
            raise sqlite3.OperationalError("disk I/O error")
        made = sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=cls)
        made.execute("PRAGMA journal_mode = WAL")
        return made

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        done = super().execute(sql, *arguments)
        if sql.startswith(("INSERT", "COMMIT")) and type(self).commits_fail:
            type(self).commits_fail -= 1
            raise sqlite3.OperationalError("disk I/O error")
        return done


@pytest.mark.parametrize("opens_fail", [0, 1, 4])
async def test_a_commit_that_failed_and_was_done_all_the_same_hangs_nobody(tmp_path: Path, opens_fail: int) -> None:
    log = await SqliteLog.open(tmp_path, append_time_us=wall_us, connect=Failing.open)
    try:
        async with asyncio.timeout(SOON_S):
            assert (await append(log, b"a")).offset == 0
            Failing.commits_fail, Failing.opens_fail = 1, opens_fail
            with pytest.raises(LogUnavailable):
                await append(log, b"b")
            while Failing.opens_fail:
                with pytest.raises(LogUnavailable):
                    await append(log, b"lost")
            assert (await append(log, b"c")).offset == 2
            assert (await log.end_positions("prices"))[0] == 3
            reader = await log.reader("prices", {0: 0})
            values: list[bytes] = []
            while len(values) < 3:
                values += [record.value for record in await reader.read()]
            assert values == [b"a", b"b", b"c"]
    finally:
        Failing.commits_fail = Failing.opens_fail = 0
        await log.aclose()


class Held(sqlite3.Connection):
    """Commits nothing until it is let go."""

    may_go_on = threading.Event()
    is_held = threading.Event()

    @classmethod
    def open(cls, path: Path) -> sqlite3.Connection:
        return sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=cls)

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        if sql.startswith("INSERT"):
            self.is_held.set()
            assert self.may_go_on.wait(SOON_S)
        return super().execute(sql, *arguments)


@pytest.mark.parametrize(
    ("busy", "late"),
    [(["greedy"], ["modest"]), ([f"participant:{number}" for number in range(200)], ["service:dispatch"] * 50)],
    ids=["one-behind-one", "a-service-behind-many"],
)
async def test_short_records_behind_many_long_ones_of_others_go_in_the_next_commit(
    tmp_path: Path, busy: list[str], late: list[str]
) -> None:
    Held.may_go_on.clear()  # here, not where the file is opened: the writer does that, in a thread of its own
    Held.is_held.clear()
    commits, long = itertools.count(), bytes(100_000)
    log = await SqliteLog.open(tmp_path, append_time_us=lambda: DAY_US + next(commits), connect=Held.open)

    def append_of(whose: str, value: bytes) -> asyncio.Task[Appended]:
        return asyncio.create_task(log.append("prices", "DE-LU", value, {PRINCIPAL: whose}, partition=0))

    try:
        greedy = [append_of(whose, long) for whose in busy * (200 // len(busy))]
        assert await asyncio.to_thread(Held.is_held.wait, SOON_S)
        modest = [append_of(whose, b"x") for whose in late]
        await asyncio.sleep(0)
        Held.may_go_on.set()
        async with asyncio.timeout(SOON_S):
            appended = await asyncio.gather(*greedy)
            times = {each.appended_us for each in await asyncio.gather(*modest)}
            assert times == {DAY_US + 1}, "each commit has a time of its own"
    finally:
        Held.may_go_on.set()
        await log.aclose()
    assert [each.offset for each in appended] == sorted(each.offset for each in appended)
    together = Counter(each.appended_us for each in appended)
    assert (max(together.values()) - 1) * len(long) < BATCH_BYTES


def test_a_new_file_gives_space_back_to_the_disk(tmp_path: Path) -> None:
    sqlite_file.inspect(tmp_path / "log.db", "")
    connection = sqlite_file.connect(tmp_path / "log.db")
    assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    connection.close()
