"""What people do with the embedded log's file as a whole: measure it, back it up, restore it, make it small again.

Measuring and backing up read one moment of the file and go on beside whoever owns it. Everything here blocks.
"""

from __future__ import annotations

import os
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gridsignal_schemas.catalog import TOPICS
from gridsignal_services.bus import LogConfigurationError, LogUnavailable, flock, sqlite_file
from gridsignal_services.bus.private_files import make_private, sync
from gridsignal_services.bus.sqlite_file import FILE, LOCK, Lane
from gridsignal_services.clock import from_micros

OnProgress = Callable[[int, int], None]
"""Is told now and then how many bytes of how many are written; the total is what it will be at most."""
_STEPS = 100_000
"""Of SQLite's virtual machine, between two words about progress: some milliseconds."""
_PRUNED_AT_ONCE = 100_000


@dataclass(frozen=True, slots=True)
class TopicSize:
    """What one topic holds."""

    topic: str
    records: int
    oldest: datetime | None
    """When its first kept record was appended, by the log's own clock; None without one."""
    newest: datetime | None
    kept_days: int
    """Its retention in days; 0 is for ever."""


@dataclass(frozen=True, slots=True)
class LogSize:
    """What a log holds and takes on disk, at one moment."""

    epoch: str
    topics: tuple[TopicSize, ...]
    file_bytes: int
    free_bytes: int
    """Of the file: used again by what is appended next."""
    write_ahead_bytes: int


@contextmanager
def read_only(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that changes nothing, to a log of this format. Raises LogConfigurationError and LogUnavailable."""
    if not path.is_file():
        raise LogConfigurationError(f"{path}: expected a log, got no such file")
    with _told_of(path), closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as reading:
        reading.isolation_level = None
        sqlite_file.must_be_a_log(reading)
        yield reading


@contextmanager
def _told_of(path: Path) -> Iterator[None]:
    """What SQLite says becomes an error of the log, with the file it is about."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise LogUnavailable(f"{path}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise LogConfigurationError(f"{path}: expected a log, got a file SQLite can't read: {error}") from error


def measure(directory: Path) -> LogSize:
    """What the log in this directory holds, while it runs or not."""
    path = directory / FILE
    with read_only(path) as reading:
        reading.execute("BEGIN")  # all figures are of one moment
        (epoch,) = reading.execute("SELECT epoch FROM log").fetchone()
        named = reading.execute("SELECT topic, name, partitions FROM topics ORDER BY topic").fetchall()
        topics = tuple(_topic(reading, number, name, partitions) for number, name, partitions in named)
        (page,) = reading.execute("PRAGMA page_size").fetchone()
        (free,) = reading.execute("PRAGMA freelist_count").fetchone()
        (pages,) = reading.execute("PRAGMA page_count").fetchone()
    ahead = path.with_name(f"{path.name}-wal")
    return LogSize(epoch, topics, page * pages, page * free, ahead.stat().st_size if ahead.exists() else 0)


def _topic(reading: sqlite3.Connection, number: int, name: str, partitions: int) -> TopicSize:
    records, times = 0, []
    for lane in (sqlite_file.lane_of("", number, partition) for partition in range(partitions)):
        start, end = sqlite_file.bounds(reading, lane)
        records += end - start
        if end > start:
            times += [_appended(reading, lane, start), _appended(reading, lane, end - 1)]
    return TopicSize(name, records, min(times, default=None), max(times, default=None), _kept_days(name))


def _kept_days(name: str) -> int:
    """The retention of a topic by its name, a simulation's prefix before it; for ever of one we don't know."""
    return next((topic.retention_days for topic in TOPICS.values() if name.endswith(topic.name)), 0)


def _appended(reading: sqlite3.Connection, lane: Lane, offset: int) -> datetime:
    place = lane.first + offset
    (appended_us,) = reading.execute("SELECT appended_us FROM records WHERE place = ?", (place,)).fetchone()
    return from_micros(appended_us)


def back_up(directory: Path, target: Path, progress: OnProgress) -> int:
    """Writes the log as of now into one new file, checked and durable, for its owner alone; its bytes.

    It may go on being written to; it takes longer to empty its write-ahead file meanwhile. Raises
    LogConfigurationError where `target` is there already, OSError where it can't be written.
    """
    if target.exists():
        raise LogConfigurationError(f"{target}: expected no such file yet, got one; name another")
    with read_only(directory / FILE) as log, _draft_of(target) as draft:
        (pages,) = log.execute("PRAGMA page_count").fetchone()
        (page,) = log.execute("PRAGMA page_size").fetchone()
        log.set_progress_handler(lambda: progress(draft.stat().st_size, page * pages), _STEPS)
        with _told_of(draft):
            log.execute("VACUUM INTO ?", (str(draft),))
        with read_only(draft) as written:
            _must_be_whole(written, draft)
    return target.stat().st_size


@contextmanager
def _draft_of(target: Path) -> Iterator[Path]:
    """An empty file for its owner alone, which gets the target's name, durably, when the block is done; else it goes.

    Whoever finds the name finds all of it.
    """
    draft = target.with_name(f"{target.name}.part")
    try:
        draft.unlink(missing_ok=True)  # of somebody who was ended while writing
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from None  # the name that was given, and not ours
    try:
        yield draft
        sync(draft)
        draft.replace(target)
        sync(target.parent)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _must_be_whole(reading: sqlite3.Connection, path: Path) -> None:
    (found,) = reading.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise LogConfigurationError(f"{path}: expected a whole log, got: {found}")


def restore(source: Path, directory: Path, progress: OnProgress, *, same: bool = False) -> LogSize:
    """Makes the log of a directory that has none out of a backup, checked before; what it then holds.

    It gets an epoch of its own: what was appended after the backup is not in it, and a reader who has seen that must
    not take later records for those. With `same` it keeps the backup's, for a log that moves. Raises
    LogConfigurationError where there is a log already, and for a backup that is none or not whole.
    """
    target = directory / FILE
    with read_only(source) as backup:
        _must_be_whole(backup, source)
        make_private(directory / LOCK)
        with _owned(directory):
            if target.exists():
                raise LogConfigurationError(f"{directory}: expected a directory without a log, got one with {FILE}")
            with _draft_of(target) as draft, _told_of(draft), closing(sqlite3.connect(draft)) as written:
                written.isolation_level = None
                backup.backup(written, pages=1000, progress=lambda _, left, pages: progress(pages - left, pages))
                written.execute("PRAGMA journal_mode = DELETE")  # all of it in this one file
                if not same:
                    written.execute("UPDATE log SET epoch = ?", (str(uuid.uuid4()),))
    return measure(directory)


@contextmanager
def _owned(directory: Path) -> Iterator[None]:
    lock = flock.claim(directory / LOCK)
    try:
        yield
    finally:
        flock.release(lock)


def compact(directory: Path) -> tuple[LogSize, LogSize]:
    """Lets go of what is older than its topic's retention and gives all free space back; the sizes before and after.

    Older by the log's own clock, which stands at what was appended last: a simulation's is not the wall's.

    Raises LogConfigurationError while somebody runs on the log: they let go of old records themselves, every hour.
    """
    before, path = measure(directory), directory / FILE
    with _owned(directory), _told_of(path), closing(sqlite_file.connect(path)) as connection:
        newest_us = sqlite_file.last_append_us(connection)
        for number, name, partitions in connection.execute("SELECT topic, name, partitions FROM topics").fetchall():
            for partition in range(partitions):
                lane = sqlite_file.lane_of("", number, partition)
                while sqlite_file.prune(connection, lane, _kept_days(name), newest_us, _PRUNED_AT_ONCE):
                    pass
        connection.execute("VACUUM")
        sqlite_file.checkpoint(connection)
    return before, measure(directory)
