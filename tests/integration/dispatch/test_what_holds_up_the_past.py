"""Whoever asks about the past waits for no write but of what is asked about, and what lies in the way is got over."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gridsignal_services.dispatch.finished import Finished, Unreadable
from gridsignal_services.dispatch.past import NOT_READABLE
from gridsignal_services.dispatch.tables import Kept
from gridsignal_services.kept_file import TooMany
from gridsignal_services.work import Work
from tests.builders import utc
from tests.integration.dispatch.test_finished import ALL, let_go, named
from tests.integration.dispatch.test_the_past import OPERATORS, PERIODS, Asked, asking, over

FILES = ["finished.db", "finished.db-journal", "finished.db-wal", "finished.db-shm"]


async def between(finished: Finished, since: str, until: str) -> list[str]:
    found: list[Kept] = await finished.touching(ALL, ["DE-LU"], utc(since), utc(until))
    return [kept.request_id for kept in found]


async def test_only_who_asks_about_what_is_being_written_waits_for_it(tmp_path: Path) -> None:
    one, two = let_go("one", "two")
    finished = Finished(tmp_path)
    finished.add(0, 7, one)
    assert await named(finished, "one") is not None
    with contextlib.closing(sqlite3.connect(tmp_path / "finished.db", isolation_level=None)) as other:
        other.execute("begin immediate")  # so long nothing is written
        finished.add(0, 8, two)
        by_name = asyncio.create_task(named(finished, "two"))
        by_order = asyncio.create_task(finished.of_order(ALL, next(iter(two.orders))))
        by_period = asyncio.create_task(between(finished, "18:30", "19:30"))
        assert await named(finished, "one") is not None
        assert await finished.of_order(ALL, next(iter(one.orders))) is not None
        assert await between(finished, "18:00", "18:30") == ["one"]
        assert not any(asked.done() for asked in (by_name, by_order, by_period))
        other.execute("rollback")
    assert await by_name is not None
    assert await by_order is not None
    assert await by_period == ["one", "two"]
    await finished.aclose()


async def test_whoever_stops_waiting_keeps_nothing_from_being_written(tmp_path: Path) -> None:
    (one,) = let_go("one")
    finished = Finished(tmp_path)
    assert await named(finished, "one") is None
    with contextlib.closing(sqlite3.connect(tmp_path / "finished.db", isolation_level=None)) as other:
        other.execute("begin immediate")
        finished.add(0, 7, one)
        finished.add(0, 7, one)
        asked = asyncio.create_task(named(finished, "one"))
        await asyncio.sleep(0)
        asked.cancel()
        other.execute("rollback")
    assert await named(finished, "one") is not None
    await finished.aclose()


async def test_looking_is_paid_for_also_when_it_is_refused(tmp_path: Path) -> None:
    finished, paid = Finished(tmp_path, most=1), list[float]()
    work = Work(paid.append)
    for book in let_go("one", "two"):
        finished.add(0, 7, book)
    kept = await finished.of_request(ALL, "one", work)
    assert kept is not None
    await finished.bodies([kept], work)
    with pytest.raises(TooMany):
        await finished.touching(ALL, ["DE-LU"], None, None, work)
    assert len(paid) == 3
    assert min(paid) > 0
    await finished.aclose()


@pytest.mark.parametrize("stamp", ["this log", None])
@pytest.mark.parametrize("name", FILES)
async def test_a_folder_in_a_file_s_place_is_moved_aside(tmp_path: Path, name: str, stamp: str | None) -> None:
    (tmp_path / name / "somebody's").mkdir(parents=True)
    finished = Finished(tmp_path, stamp=stamp)
    with capture_logs() as lines:
        assert await finished.begin(await finished.reach())
        finished.add(3, 7, let_go("one")[0])
        assert await named(finished, "one") is not None
    assert [(line["log_level"], line["file"]) for line in lines] == [("warning", name)]
    assert (tmp_path / lines[0]["aside"] / "somebody's").is_dir()
    await finished.aclose()


@pytest.mark.parametrize("name", FILES[1:])
async def test_a_whole_file_is_gone_on_with_whatever_lay_beside_it(tmp_path: Path, name: str) -> None:
    before = Finished(tmp_path, stamp="this log")
    before.add(3, 7, let_go("one")[0])
    assert await before.settle(3, 10)
    await before.aclose()
    (tmp_path / name).mkdir()
    again = Finished(tmp_path, stamp="this log")
    with capture_logs():
        assert await again.reach() == {3: 10}
    assert await again.begin({3: 10})
    assert await named(again, "one") is not None
    await again.aclose()


async def test_what_can_t_be_written_is_kept_until_it_can(tmp_path: Path) -> None:
    one, two = let_go("one", "two")
    (tmp_path / "kept").write_bytes(b"")  # no folder, so nothing can be opened in it
    finished = Finished(tmp_path / "kept", stamp="this log")
    with capture_logs() as lines:
        finished.add(3, 7, one)
        finished.add(3, 8, two)
        for name in ("one", "two", "three"):
            with pytest.raises(Unreadable):
                await named(finished, name)
        assert not await finished.settle(3, 10)
        (tmp_path / "kept").unlink()
        assert await between(finished, "18:30", "19:30") == ["one", "two"]
    assert [line["log_level"] for line in lines] == ["error", "info"]
    assert await finished.settle(3, 10)
    await finished.aclose()


async def test_a_full_disk_costs_nothing_once_there_is_room(tmp_path: Path) -> None:
    one, two = let_go("one", "two")
    finished = Finished(tmp_path, stamp="this log")
    finished.add(3, 7, one)
    assert await named(finished, "one") is not None

    def room(pages: int) -> None:
        finished._file.opened().execute(f"pragma max_page_count = {pages}")

    await finished._beside(room, 1)
    with capture_logs() as lines:
        finished.add(3, 8, two)
        with pytest.raises(Unreadable, match="full"):
            await named(finished, "two")
        await finished._beside(room, 1_000_000)
        assert await named(finished, "two") is not None
    assert [line["log_level"] for line in lines] == ["error", "info"]
    assert await finished.settle(3, 10)
    await finished.aclose()


async def test_the_door_says_that_the_past_can_t_be_read_and_answers_all_else(tmp_path: Path) -> None:
    left, whole, gone, now = over([Asked(OPERATORS[0], None, {"acme": 9}, "a")])
    (tmp_path / "finished").write_bytes(b"")
    past = [
        f"requests?{PERIODS[0]}",
        f"orders?{PERIODS[0]}",
        f"totals?{PERIODS[0]}",
        *map("requests/{}".format, whole.requests),
    ]
    with capture_logs():
        async with asking(left, gone, now, tmp_path) as client, client("operator", OPERATORS[0]) as operator:
            for path in past:
                refused = await operator.get(f"/v1/{path}")
                assert (refused.status_code, refused.json()["detail"]) == (503, NOT_READABLE)
                assert "Retry-After" in refused.headers
            assert (await operator.get("/v1/requests")).status_code == 200
            (tmp_path / "finished").unlink()
            assert [(await operator.get(f"/v1/{path}")).status_code for path in past] == [200] * len(past)
