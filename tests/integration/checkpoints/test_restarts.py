"""A replica that begins with checkpoints, on a real log: the same state as one that reads everything."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gridsignal_schemas.catalog import TOPICS, partition_of
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.publish import publish
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.checkpoints.files import files_in
from gridsignal_services.checkpoints.keeping import Checkpoints
from gridsignal_services.dispatch.finished import Finished
from gridsignal_services.replica import Replica
from tests.builders import a_dispatch_request, a_site_registration
from tests.integration.damage import damage
from tests.patience import SOON_S

CODEC = Codec.from_lock()
PARTITION = partition_of(a_dispatch_request().zone, TOPICS["dispatch"].partitions)
EVERY = 5


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[SqliteLog]:
    opened = await SqliteLog.open(tmp_path / "log")
    yield opened
    await opened.aclose()


@asynccontextmanager
async def started(log: SqliteLog, directory: Path, *, kept: int = 2) -> AsyncIterator[Replica]:
    """A process that has reached the end of the log."""
    with Checkpoints.opened(directory, kept, log, every=EVERY) as checkpoints:
        replica = Replica(log, CODEC, source="/tests", checkpoints=checkpoints)
        async with asyncio.TaskGroup() as tasks:
            beside = [tasks.create_task(replica.run()), tasks.create_task(replica.save())]
            await replica.caught_up()
            yield replica
            for task in beside:
                task.cancel()


async def log_some(log: SqliteLog, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        site = a_site_registration(site=f"acme-{number}", participant="acme")
        await publish(log, CODEC, site, principal="service:test", source="/tests")


def file_of(directory: Path, position: int) -> Path:
    return directory / f"{PARTITION:04}-{position:016}.checkpoint"


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON_S):
        for _ in iter(holds, True):
            await asyncio.sleep(0)


async def saved(directory: Path, position: int) -> Path:
    """The checkpoint of this position, once it is there."""
    path = file_of(directory, position)
    await until(path.exists)
    return path


async def logged_and_saved(log: SqliteLog, directory: Path, count: int, first: int = 0) -> Path:
    """So many more records, and their checkpoint."""
    await log_some(log, count, first)
    async with started(log, directory):
        return await saved(directory, first + count)


@asynccontextmanager
async def counted(log: SqliteLog, directory: Path, **given: Any) -> AsyncIterator[tuple[Replica, list[int]]]:
    """A start, and the offsets that it reduces."""
    offsets: list[int] = []
    with Checkpoints.opened(directory, 2, log, every=EVERY) as checkpoints:
        replica = Replica(log, CODEC, source="/tests", checkpoints=checkpoints)
        replica.listen(lambda logged, *_: offsets.append(logged.offset))
        for keeper in given.get("keepers", ()):
            replica.keep(keeper)
        reading = asyncio.create_task(replica.run())
        await replica.caught_up()
        yield replica, offsets
        reading.cancel()


async def same_as_replayed(log: SqliteLog, replica: Replica) -> None:
    """The state of a start without checkpoints."""
    whole = Replica(log, CODEC, source="/tests")
    reading = asyncio.create_task(whole.run())
    await whole.caught_up()
    reading.cancel()
    for partition, ledger in whole.ledgers.items():
        found = replica.ledgers[partition]
        assert (found.position, found.book) == (ledger.position, ledger.book)
        assert (found.grid, found.refused_offsets) == (ledger.grid, ledger.refused_offsets)
        assert found.tree == ledger.tree


async def test_a_start_reduces_what_came_after_the_checkpoint(log: SqliteLog, tmp_path: Path) -> None:
    directory = tmp_path / "checkpoints"
    path = await logged_and_saved(log, directory, EVERY)
    assert [stat.S_IMODE(each.stat().st_mode) for each in (directory, path)] == [0o700, 0o600]
    await log_some(log, 3, first=EVERY)
    async with counted(log, directory) as (replica, offsets):
        assert offsets == [EVERY, EVERY + 1, EVERY + 2]
        await same_as_replayed(log, replica)


async def test_an_orderly_end_leaves_the_next_start_nothing_to_reduce(log: SqliteLog, tmp_path: Path) -> None:
    directory = tmp_path / "checkpoints"
    await logged_and_saved(log, directory, EVERY)
    await log_some(log, 2, first=EVERY)
    async with started(log, directory) as replica:
        await replica.finish()
    assert file_of(directory, EVERY + 2).exists()
    async with counted(log, directory) as (replica, offsets):
        assert offsets == []
        await same_as_replayed(log, replica)


async def test_an_end_waits_for_no_checkpoint_that_takes_long(log: SqliteLog, tmp_path: Path) -> None:
    """What could not be written in time is nowhere, and the start after it reduces what it would have held."""
    directory = tmp_path / "checkpoints"
    path = await logged_and_saved(log, directory, EVERY)
    await log_some(log, 2, first=EVERY)
    with capture_logs():
        async with started(log, directory) as replica:
            await replica._saving.reducing.acquire()  # the state can't be copied
            await replica._saving.finish(0)
            replica._saving.reducing.release()
    assert files_in(directory) == [path]
    async with counted(log, directory) as (replica, offsets):
        assert offsets == [EVERY, EVERY + 1]


async def test_only_the_newest_are_kept(log: SqliteLog, tmp_path: Path) -> None:
    directory = tmp_path / "checkpoints"
    async with started(log, directory):
        for first in range(0, 4 * EVERY, EVERY):
            await log_some(log, EVERY, first)
            await saved(directory, first + EVERY)
        newest = [file_of(directory, 3 * EVERY), file_of(directory, 4 * EVERY)]
        await until(lambda: files_in(directory) == newest)


async def test_none_are_kept_where_none_are_asked_for(log: SqliteLog, tmp_path: Path) -> None:
    await log_some(log, EVERY)
    async with started(log, tmp_path / "checkpoints", kept=0) as replica:
        assert replica.positions[PARTITION] == EVERY
    assert not (tmp_path / "checkpoints").exists()


def flipped(path: Path, at: int) -> None:
    found = bytearray(path.read_bytes())
    found[at] ^= 1
    path.write_bytes(found)


SPOILT: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "torn": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "flipped in the hash": lambda path: flipped(path, 3),
    "flipped in the head": lambda path: flipped(path, 80),
    "flipped in the state": lambda path: flipped(path, path.stat().st_size - 20),
    "of another version": lambda path: resealed(path, b'"stamp": "', b'"stamp": "x'),
    "of another record": lambda path: resealed(path, b'"last": "', b'"last": "x'),
    "of another form": lambda path: resealed(path, b'["book.now",', b'["book.then",'),
    "of another type": lambda path: resealed(path, b'["book.last_request",', b'["book.sites",'),
    "of another place": lambda path: path.rename(file_of(path.parent, 3)),
    "beyond the log": lambda path: beyond(path),
    "of half a record": lambda path: resealed(path, f'"position": {EVERY}'.encode(), f'"position": {EVERY}.0'.encode()),
    "of many brackets": lambda path: path.write_bytes(b"0" * 64 + b"\n" + b"[" * 3000),
    "nameless": lambda path: path.rename(path.with_name("any.checkpoint")),
}


def resealed(path: Path, old: bytes, new: bytes) -> None:
    """Changed by somebody who knows how it is sealed."""
    text = path.read_bytes()[65:]
    assert old in text
    text = text.replace(old, new, 1)
    path.write_bytes(sha256(text).hexdigest().encode() + b"\n" + text)


def beyond(path: Path) -> None:
    resealed(path, f'"position": {EVERY}'.encode(), b'"position": 1000')
    path.rename(file_of(path.parent, 1000))


@pytest.mark.parametrize("how", sorted(SPOILT))
async def test_one_that_does_not_fit_costs_a_replay_and_a_line(log: SqliteLog, tmp_path: Path, how: str) -> None:
    directory = tmp_path / "checkpoints"
    SPOILT[how](await logged_and_saved(log, directory, EVERY))
    with capture_logs() as lines:
        async with counted(log, directory) as (replica, offsets):
            assert offsets == list(range(EVERY))
            await same_as_replayed(log, replica)
    assert [(line["log_level"], "a checkpoint is not used" in line["event"]) for line in lines] == [("warning", True)]
    assert files_in(directory) == []


async def test_the_one_before_is_used_where_the_newest_is_torn(log: SqliteLog, tmp_path: Path) -> None:
    directory = tmp_path / "checkpoints"
    await logged_and_saved(log, directory, EVERY)
    SPOILT["torn"](await logged_and_saved(log, directory, EVERY, EVERY))
    async with counted(log, directory) as (replica, offsets):
        assert offsets == list(range(EVERY, 2 * EVERY))
        await same_as_replayed(log, replica)


async def test_those_of_another_log_are_not_used(log: SqliteLog, tmp_path: Path) -> None:
    directory = tmp_path / "checkpoints"
    await logged_and_saved(log, directory, EVERY)
    other = await SqliteLog.open(tmp_path / "other")
    await log_some(other, EVERY)
    async with counted(other, directory) as (replica, offsets):
        assert offsets == list(range(EVERY))
        await same_as_replayed(other, replica)
    await other.aclose()


async def test_a_draft_that_was_never_finished_is_nothing(log: SqliteLog, tmp_path: Path) -> None:
    directory = tmp_path / "checkpoints"
    path = await logged_and_saved(log, directory, EVERY)
    path.rename(path.with_name(path.name + ".draft"))
    async with counted(log, directory) as (_, offsets):
        assert offsets == list(range(EVERY))
    assert [found.name for found in directory.iterdir()] == ["lock"]


async def test_a_folder_with_the_name_of_a_checkpoint_is_in_nobodys_way(log: SqliteLog, tmp_path: Path) -> None:
    directory = tmp_path / "checkpoints"
    await log_some(log, EVERY)
    file_of(directory, EVERY).mkdir(parents=True)
    (directory / "any.draft").mkdir()
    async with counted(log, directory) as (replica, offsets):
        assert offsets == list(range(EVERY))
        await same_as_replayed(log, replica)


async def test_who_finds_the_directory_taken_reads_the_log(log: SqliteLog, tmp_path: Path) -> None:
    directory = tmp_path / "checkpoints"
    await logged_and_saved(log, directory, EVERY)
    with Checkpoints.opened(directory, 2, log), capture_logs() as lines:
        async with counted(log, directory) as (_, offsets):
            assert offsets == list(range(EVERY))
    assert [line["log_level"] for line in lines] == ["warning"]


async def test_a_start_begins_where_what_is_over_is_kept_as_well(log: SqliteLog, tmp_path: Path) -> None:
    """Requests that were let go of before a checkpoint are on the disk beside it, or it is not used."""
    directory = tmp_path / "checkpoints"
    await logged_and_saved(log, directory, EVERY)
    with Checkpoints.opened(directory, 2, log) as checkpoints:
        assert checkpoints is not None
        stamp = checkpoints.stamp
    behind = Finished(directory, stamp=stamp)
    async with counted(log, directory, keepers=[behind]) as (_, offsets):
        assert offsets == list(range(EVERY))
    assert await behind.settle(PARTITION, EVERY)
    await behind.aclose()
    beside = Finished(directory, stamp=stamp)
    async with counted(log, directory, keepers=[beside]) as (_, offsets):
        assert offsets == []
    await beside.aclose()


@pytest.mark.parametrize("part", ["reach", "by_place"])
async def test_a_damaged_file_of_what_is_over_costs_a_replay(log: SqliteLog, tmp_path: Path, part: str) -> None:
    """Whether it is found before a checkpoint is chosen, or after."""
    directory = tmp_path / "checkpoints"
    await logged_and_saved(log, directory, EVERY)
    before = Finished(directory, stamp="this log")
    assert await before.settle(PARTITION, EVERY)
    await before.aclose()
    damage(directory / "finished.db", part)
    after = Finished(directory, stamp="this log")
    with capture_logs() as lines:
        async with counted(log, directory, keepers=[after]) as (replica, offsets):
            assert offsets == list(range(EVERY))
            await same_as_replayed(log, replica)
    assert [line["event"] for line in lines if line["log_level"] == "warning"] == [
        "finished requests are read from the log again"
    ]
    assert await after.settle(PARTITION, EVERY)
    await after.aclose()


async def test_a_directory_that_can_t_be_written_costs_the_checkpoints(log: SqliteLog, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    await log_some(log, EVERY)
    with capture_logs() as lines:
        async with counted(log, tmp_path / "file" / "checkpoints") as (replica, _):
            assert replica.positions[PARTITION] == EVERY
    assert [line["log_level"] for line in lines] == ["warning"]
