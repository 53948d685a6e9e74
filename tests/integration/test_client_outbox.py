"""The outbox: on disk before it is sent, in order, with one owner."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gridsignal.errors import OutboxFailed, TooLarge
from gridsignal.outbox import Outbox, default_path
from tests.builders import utc

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
    assert not outbox.exists
    await outbox.aclose()


async def test_nothing_is_written_before_there_is_something_to_keep(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")
    assert not outbox.exists
    await outbox.aclose()
    assert not outbox.exists


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
