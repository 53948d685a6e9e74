"""The outbox: on disk before it is sent, in order, with one owner."""

from __future__ import annotations

import asyncio
import stat
import sys
from pathlib import Path

import pytest

import gridsignal
from gridsignal import OrderResponse
from gridsignal.errors import OutboxFailed, TooLarge
from gridsignal.outbox import Outbox, default_path
from gridsignal.testing import FakeGrid
from tests.builders import a_dispatch_order, utc
from tests.patience import SOON_S

DEADLINE = utc("17:00")


async def test_what_was_put_is_there_after_a_restart_in_order_and_may_have_been_sent(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")
    first = await outbox.put("offer", "a", "a", {"power": 1}, DEADLINE)
    await outbox.put("withdraw", "a", "a", {"reason": "zu spät"})
    await outbox.aclose()
    again = Outbox(tmp_path / "outbox.db")
    entries = await again.pending()
    await again.aclose()
    assert [entry.kind for entry in entries] == ["offer", "withdraw"]
    assert (entries[0].seq, entries[0].deadline, entries[0].maybe_sent) == (first.seq, DEADLINE, True)
    assert entries[1].body == {"reason": "zu spät"}


async def test_what_was_removed_is_gone_and_its_number_is_never_used_again(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")
    first = await outbox.put("offer", "a", "a", {})
    outbox.remove(first.seq)
    second = await outbox.put("offer", "b", "b", {})
    await outbox.aclose()
    again = Outbox(tmp_path / "outbox.db")
    assert [entry.ident for entry in await again.pending()] == ["b"]
    await again.aclose()
    assert second.seq > first.seq


async def test_a_second_program_is_told_who_has_it(tmp_path: Path) -> None:
    outbox, other = Outbox(tmp_path / "outbox.db"), Outbox(tmp_path / "outbox.db")
    await outbox.put("offer", "a", "a", {})
    with pytest.raises(OutboxFailed, match="instance="):
        await other.put("offer", "b", "b", {})
    await outbox.aclose()
    await other.put("offer", "b", "b", {})
    await other.aclose()


async def test_a_place_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder", "utf-8")
    outbox = Outbox(tmp_path / "file" / "outbox.db")
    with pytest.raises(OutboxFailed, match="can't be used"):
        await outbox.put("offer", "a", "a", {})
    await outbox.aclose()


async def test_more_than_a_frame_holds_is_never_stored(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")
    with pytest.raises(TooLarge):
        await outbox.put("offer", "a", "a", {"text": "x" * 70_000})
    assert await outbox.pending() == []
    await outbox.aclose()


@pytest.mark.parametrize("place", ["a file instead of a folder", "a folder", "no database"])
async def test_an_outbox_that_can_not_be_used_is_told_by_connect(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("something else", "utf-8")
    path = {
        "a file instead of a folder": tmp_path / "file" / "outbox.db",
        "a folder": tmp_path,
        "no database": tmp_path / "file",
    }[place]
    async with FakeGrid() as fake:
        with pytest.raises(OutboxFailed, match="outbox="):
            async with gridsignal.connect(fake.url, token=fake.token, site="fra-1", outbox=path):
                raise AssertionError("it was let in")
    assert fake.upgrades == 0


def test_a_user_without_a_home_is_told_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    with pytest.raises(OutboxFailed, match="outbox="):
        default_path("ws://127.0.0.1:8081", "fra-1", None, home=homeless)


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX's")
async def test_nobody_else_reads_an_outbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    path = default_path("ws://a", "fra-1", None)
    path.parent.mkdir(mode=0o755)
    path.touch(0o644)
    outbox = Outbox(path)
    await outbox.put("offer", "a", "a", {})
    kept = {file.name.removeprefix(path.name): stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    await outbox.aclose()
    assert kept[""] == 0o600
    assert set(kept.values()) == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_a_receipt_that_can_not_be_kept_is_sent_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "outbox.db"
    async with FakeGrid() as fake, gridsignal.connect(fake.url, token=fake.token, site="fra-1", outbox=path) as grid:
        signals = grid.subscribe("dispatch")
        await grid.ping()
        outbox = grid._wiring.post._outbox
        await outbox._call(lambda: outbox._open().execute("PRAGMA query_only = 1"))  # as on a full disk: no write works
        fake.publish(a_dispatch_order())
        async with asyncio.timeout(SOON_S):
            answer = await fake.next(OrderResponse)
            (order,) = [await anext(signals)]
        with pytest.raises(OutboxFailed):
            await grid.accept(order)
    assert answer.response == "RECEIVED"
    assert "without being kept" in caplog.text


async def test_many_at_once_keep_their_order(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")
    entries = await asyncio.gather(*(outbox.put("reading", "", "", {"seq": seq}) for seq in range(50)))
    await outbox.aclose()
    assert [entry.body["seq"] for entry in sorted(entries, key=lambda entry: entry.seq)] == list(range(50))


def test_each_program_of_each_site_has_a_file_of_its_own() -> None:
    paths = {
        default_path(url, site, instance)
        for url in ("ws://a/v1/stream", "ws://b/v1/stream")
        for site in ("fra-1", None)
        for instance in ("planner", None)
    }
    assert len(paths) == 8
