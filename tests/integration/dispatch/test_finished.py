"""What the ledger has let go of, on a real file."""

from __future__ import annotations

import contextlib
import sqlite3
import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gridsignal_schemas.values import MW
from gridsignal_services.dispatch.finished import Finished, Unreadable
from gridsignal_services.dispatch.parts import ORDERS, WHOLE, read
from gridsignal_services.dispatch.tables import FORGETTING, LOOKING, Kept, Question
from gridsignal_services.kept_file import TooMany
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.reduce import Ledger
from tests.builders import utc
from tests.integration.damage import damage
from tests.shown_book import shown_book
from tests.unit.ledger.market import OPERATORS_NAME, Market

HOUR = timedelta(hours=1)


def let_go(*names: str) -> list[Book]:
    """Requests of one evening, an hour apart, each with an offer that was served."""
    market = Market(kept=12 * HOUR)
    market.site("acme")
    times = {"gate_closure_at": "17:00", "decision_deadline": "17:10", "starts_at": "18:00", "ends_at": "18:45"}
    for number, name in enumerate(names):
        shifted = {field: utc(at) + number * HOUR for field, at in times.items()}
        assert market.ask(request_id=name, **shifted).accepted
        period: dict[str, Any] = {field: shifted[field] for field in ("starts_at", "ends_at")}
        market.offer("acme", 5 * MW, offer_id=name, request_id=name, expires_at=utc("23:00"), **period)
    for hour in range(17, 24):
        market.run_until(utc(f"{hour}:30"))
        for tracked in list(market.ledger.orders.values()):
            market.reply(tracked.order, "ACCEPTED")
        market.act()
    market.now += 13 * HOUR
    market.cancel("none")  # whatever comes next
    return market.ledger.forgotten


ALL = Question([OPERATORS_NAME], WHOLE)


async def ledger_of(finished: Finished, kept: Kept | None) -> Ledger | None:
    """As it is read."""
    if kept is None:
        return None
    (ledger,) = (ledger for done in read(await finished.bodies([kept])) for ledger in done)
    return ledger


async def named(finished: Finished, name: str) -> Ledger | None:
    return await ledger_of(finished, await finished.of_request(ALL, name))


@pytest.fixture
async def finished(tmp_path: Path) -> AsyncIterator[Finished]:
    opened = Finished(tmp_path / "new", most=2)
    yield opened
    await opened.aclose()


async def test_a_request_is_found_by_its_name_and_by_its_order(finished: Finished) -> None:
    (book,) = let_go("one")
    shown, (order_id,) = shown_book(book, "one"), book.orders
    finished.add(3, 7, book)
    found = await named(finished, "one")
    assert found is not None
    assert (found.partition, shown_book(found.book, "one")) == (3, shown)
    ordered = await ledger_of(finished, await finished.of_order(ALL, order_id))
    assert ordered is not None
    assert ordered.orders == book.orders
    assert await finished.of_request(ALL, "two") is None
    assert await finished.of_order(ALL, "none") is None


async def test_nobody_is_given_what_concerns_others(finished: Finished) -> None:
    (book,) = let_go("one")
    (order_id,) = book.orders
    finished.add(3, 7, book)
    zone, site = Question(["zone:DE-LU"], WHOLE), Question(["participant:acme"], WHOLE)
    others = Question(["participant:volt", "operator:other", "zone:FR"], WHOLE)
    for asked, parts, orders in ((zone, 1, 0), (site, 2, 1), (others, 0, 0), (ALL, 3, 1)):
        found = [await finished.of_request(asked, "one"), *await finished.touching(asked, ["DE-LU"], None, None)]
        assert {len(kept.parts) for kept in found if kept} == ({parts} if parts else set())
        assert (await finished.of_order(asked, order_id) is not None) == bool(orders)
        ordered = await finished.ordered_at(
            asked._replace(kinds=ORDERS), ["DE-LU"], utc("18:00"), utc("19:00"), "acme-1"
        )
        assert len(ordered) == orders


async def test_a_period_finds_what_touches_it_in_these_zones(finished: Finished) -> None:
    for book in let_go("one", "two", "three"):
        finished.add(0, 7, book)

    async def names(since: str, until: str, *zones: str) -> list[str]:
        found = await finished.touching(ALL, zones or ("DE-LU",), utc(since), utc(until))
        return [kept.request_id for kept in found]

    assert await names("18:30", "19:30") == ["one", "two"]
    assert await names("18:45", "19:00") == []
    assert await names("20:44", "23:00", "FR", "DE-LU") == ["three"]
    assert await names("18:00", "20:00", "FR") == []
    with pytest.raises(TooMany, match="more than 2 requests"):
        await names("18:00", "21:00")


async def test_what_an_answer_reads_has_a_size_and_one_request_is_never_too_much(tmp_path: Path) -> None:
    finished = Finished(tmp_path, most_bytes=0)
    for book in let_go("one", "two"):
        finished.add(0, 7, book)
    (kept,) = await finished.touching(ALL, ["DE-LU"], utc("18:00"), utc("18:30"))
    assert kept.size == sum(len(body) for _, bodies in await finished.bodies([kept]) for body in bodies)
    with pytest.raises(TooMany, match="more on requests that are over than the 0 MB"):
        await finished.touching(ALL, ["DE-LU"], utc("18:00"), utc("20:00"))
    await finished.aclose()


async def test_the_file_is_private_and_begun_anew(tmp_path: Path, finished: Finished) -> None:
    (book,) = let_go("one")
    finished.add(0, 7, book)
    assert await finished.of_request(ALL, "one") is not None
    path = tmp_path / "new" / "finished.db"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = Finished(tmp_path / "new")
    assert await again.of_request(ALL, "one") is None
    await again.aclose()
    again.add(0, 7, book)  # whoever still reads the log may go on
    assert not path.exists()


async def test_a_request_that_does_not_fit_the_disk_is_missed_aloud(tmp_path: Path) -> None:
    (tmp_path / "full").write_bytes(b"")  # no folder, so nothing can be written in it
    finished = Finished(tmp_path / "full")
    with capture_logs() as lines:
        finished.add(0, 7, let_go("evening")[0])
        with pytest.raises(Unreadable, match="full"):
            await finished.of_request(ALL, "evening")
    assert [line["log_level"] for line in lines] == ["error"]


async def test_what_can_t_be_written_whole_is_not_there_in_part(finished: Finished) -> None:
    one, two = let_go("one", "two")
    spoilt: Any = {"acme-1": "nothing that has a form"}
    finished.add(0, 7, one)
    with capture_logs() as lines:
        finished.add(0, 8, replace(two, orders_of_site=spoilt))
        assert await finished.of_request(ALL, "two") is None
    assert [line["log_level"] for line in lines] == ["error"]
    assert [kept.request_id for kept in await finished.touching(ALL, ["DE-LU"], utc("18:00"), None)] == ["one"]
    finished.add(0, 8, two)
    assert await named(finished, "two") is not None


async def test_what_is_settled_is_there_after_a_restart(tmp_path: Path) -> None:
    one, two, three = let_go("one", "two", "three")
    before = Finished(tmp_path, stamp="this log")
    assert await before.reach() == {}
    before.add(3, 7, one)
    before.add(3, 9, two)
    assert await before.settle(3, 10)
    before.add(3, 12, three)
    assert await before.of_request(ALL, "three") is not None
    await before.aclose()
    assert not await before.settle(3, 20)

    again = Finished(tmp_path, stamp="this log")
    assert await again.reach() == {3: 10}
    assert await again.begin({3: 8})
    assert await again.of_request(ALL, "three") is None, "nobody has settled it"
    found = await named(again, "one")
    assert found is not None
    assert (found.partition, found.book) == (3, one)
    assert await again.of_request(ALL, "two") is None, "it is reduced again"
    assert await again.of_order(ALL, next(iter(two.orders))) is None
    assert await again.reach() == {3: 8}
    await again.aclose()


@pytest.mark.parametrize("stamp", ["another log", None])
async def test_the_file_of_another_log_is_begun_anew(tmp_path: Path, stamp: str | None) -> None:
    before = Finished(tmp_path, stamp="this log")
    before.add(3, 7, let_go("one")[0])
    assert await before.settle(3, 10)
    await before.aclose()
    again = Finished(tmp_path, stamp=stamp)
    assert await again.reach() == {}
    assert await again.of_request(ALL, "one") is None
    await again.aclose()


async def test_a_file_that_is_none_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "finished.db").write_bytes(b"no database" * 1000)
    finished = Finished(tmp_path, stamp="this log")
    with capture_logs() as lines:
        assert await finished.reach() == {}
    assert [line["log_level"] for line in lines] == ["warning"]
    finished.add(3, 7, let_go("one")[0])
    assert await finished.settle(3, 10)
    await finished.aclose()


PARTS = ["reach", "finished", "by_request", "by_place", "part", "by_number"]
PARTS += ["ordered", "by_part", "concerned", "of_request", "by_length"]


@pytest.mark.parametrize("part", PARTS)
async def test_a_damaged_file_costs_a_replay_and_no_more(tmp_path: Path, part: str) -> None:
    """Whoever finds it, a start or what is written later: the start after that has a whole one."""
    one, two = let_go("one", "two")
    before = Finished(tmp_path, stamp="this log")
    before.add(3, 7, one)
    assert await before.settle(3, 10)
    await before.aclose()
    damage(tmp_path / "finished.db", part)

    with capture_logs() as lines:
        finding = Finished(tmp_path, stamp="this log")
        begun_at = await finding.reach()
        stands = await finding.begin(begun_at)
        finding.add(3, 12, two)
        has_all = await finding.settle(3, 20)
        await finding.aclose()
    assert {"warning", "error"} & {line["log_level"] for line in lines}
    assert not (begun_at and stands and has_all), "what it had is gone"

    again = Finished(tmp_path, stamp="this log")
    replayed_from = await again.reach()
    assert replayed_from == ({3: 20} if has_all else {})
    assert await again.begin(replayed_from)
    again.add(3, 22, one)
    assert await again.settle(3, 30)
    assert await again.of_request(ALL, "one") is not None
    await again.aclose()


async def test_a_body_that_can_t_be_read_costs_a_replay(tmp_path: Path) -> None:
    before = Finished(tmp_path, stamp="this log")
    before.add(3, 7, let_go("one")[0])
    assert await before.settle(3, 10)
    await before.aclose()
    with contextlib.closing(sqlite3.connect(tmp_path / "finished.db", isolation_level=None)) as file:
        file.execute("update part set body = x'00'")
    finding = Finished(tmp_path, stamp="this log")
    with capture_logs() as lines, pytest.raises(Unreadable):
        await named(finding, "one")
    assert [line["log_level"] for line in lines] == ["error"]
    assert not await finding.settle(3, 20)
    await finding.aclose()
    again = Finished(tmp_path, stamp="this log")
    assert await again.reach() == {}
    await again.aclose()


async def test_a_start_and_a_question_cost_by_what_they_find(tmp_path: Path) -> None:
    """No statement of them reads a whole table, but for the names and zones that it is given."""
    finished = Finished(tmp_path, stamp="this log")
    assert await finished.begin({})
    await finished.aclose()
    with contextlib.closing(sqlite3.connect(tmp_path / "finished.db")) as file:
        read = [step for statement in (*FORGETTING, *LOOKING) for step in scans(file, statement)]
    assert [step for step in read if "VIRTUAL TABLE" not in step] == []


def scans(file: sqlite3.Connection, statement: str) -> list[str]:
    """The steps of a statement that read a whole table, or all that concerns a name."""
    given = ["0"] * statement.count("?")
    steps = [row[3] for row in file.execute(f"explain query plan {statement}", given)]
    assert steps
    return [step for step in steps if any(word in step for word in ("SCAN", "TEMP B-TREE", "(name=?)"))]


async def test_a_folder_that_is_gone_costs_what_is_kept_in_it_and_not_the_door(tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(b"")  # no folder, so nothing can be opened in it
    finished = Finished(tmp_path / "kept", stamp="this log")
    with capture_logs() as lines:
        assert not await finished.settle(0, 10)
    assert "can't be kept" in lines[-1]["event"]


async def test_what_could_not_be_written_is_not_settled(tmp_path: Path) -> None:
    (tmp_path / "full").write_bytes(b"")  # no folder, so nothing can be written in it
    finished = Finished(tmp_path / "full", stamp="this log")
    with capture_logs():
        finished.add(0, 7, let_go("evening")[0])
        assert not await finished.settle(0, 10)
