"""A file of tables made from the log: opened, gone on with or begun anew, written by one thread, read by others.

Whoever reads has a connection of its own, which a write does not hold up, and sees the file as it is at one moment.
"""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from gridsignal_services.telemetry import logger

_log = logger("dispatch")
T = TypeVar("T")

_PATIENCE_S = 20.0
"""How long a write waits for somebody else's, such as that of whoever looks at the file by hand."""
_FILES = ("", "-journal", "-wal", "-shm")
_WRITTEN_BESIDE_READERS = "pragma journal_mode = wal; pragma synchronous = normal;"
_NEVER_READ_AGAIN = "pragma synchronous = off;"
"""Nobody reads the file after this process."""


class Unreadable(Exception):
    """What is kept can't be read just now, or not all of it; the log says why."""


class TooMany(Exception):
    """The question spans more than one answer may read; the message says more of what."""


class KeptFile:
    """Written by one thread at a time. Bounded: one connection for each thread that reads at once."""

    def __init__(self, path: Path, stamp: str | None, tables: str) -> None:
        """`stamp` says of which log and code it is: a file that has it is gone on with. None: no file is.

        `tables` is the SQL that makes them; one of them is `stamp (text)`.
        """
        self._path, self._stamp, self._tables = path, stamp, tables
        self._file: sqlite3.Connection | None = None
        self._readers: deque[sqlite3.Connection] = deque()

    @property
    def is_open(self) -> bool:
        """Whether it can be read."""
        return self._file is not None

    def opened(self) -> sqlite3.Connection:
        """To write to. What lies in its place and is no file is moved aside. Raises OSError and sqlite3.Error."""
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._clear_the_way()
            self._file = self._gone_on_with() or self._begun()
        return self._file

    @contextlib.contextmanager
    def writing(self, *, for_good: bool = False) -> Iterator[sqlite3.Connection]:
        """All that is written in the block is there, or nothing; `for_good`: also when the machine loses its power."""
        file = self.opened()
        if for_good:
            file.execute("pragma synchronous = full")
        file.execute("begin immediate")
        try:
            yield file
            file.execute("commit")
        finally:
            if file.in_transaction:
                file.execute("rollback")
            if for_good:
                file.execute("pragma synchronous = normal")

    def read(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """What a function finds at this moment, in any thread. Raises sqlite3.Error."""
        try:
            reader = self._readers.pop()
        except IndexError:
            uri = f"{self._path.absolute().as_uri()}?mode=rw"  # without it a reader would make a file
            reader = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        try:
            reader.execute("begin")
            result = function(reader)
            reader.execute("commit")
        except BaseException:
            reader.close()  # a statement that was not read to its end would hold on to the moment
            raise
        self._readers.append(reader)
        return result

    def close(self) -> None:
        """The next use opens it."""
        while self._readers:
            self._readers.pop().close()
        if self._file is not None:
            self._file.close()
            self._file = None

    def take_away(self) -> None:
        """So that the next start begins it anew, and reads the log."""
        for path in self._paths():
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def _clear_the_way(self) -> None:
        for path in self._paths():
            if path.is_dir() and not path.is_symlink():
                aside = path.with_name(f"{path.name}.aside-{secrets.token_hex(4)}")
                path.rename(aside)
                _log.warning(
                    "a folder lay in the place of a file: it was moved aside", file=path.name, aside=aside.name
                )

    def _gone_on_with(self) -> sqlite3.Connection | None:
        """The file of an earlier start, if it is of this log and code."""
        if self._stamp is None or not self._path.is_file():
            return None
        file = self._connected()
        try:
            if file.execute("select text from stamp").fetchall() == [(self._stamp,)]:
                file.executescript(_WRITTEN_BESIDE_READERS)
                file.executescript("begin immediate; rollback")  # a file that can't be written is none to go on with
                return file
        except sqlite3.DatabaseError as error:
            _log.warning("finished requests are read from the log again", file=self._path.name, reason=str(error))
        file.close()
        return None

    def _begun(self) -> sqlite3.Connection:
        for path in self._paths():
            path.unlink(missing_ok=True)
        self._path.touch(mode=0o600)
        file = self._connected()
        try:
            file.executescript(_WRITTEN_BESIDE_READERS)
            if self._stamp is None:
                file.executescript(_NEVER_READ_AGAIN)
            file.executescript(f"begin; {self._tables} commit;")
            file.execute("insert into stamp values (?)", (self._stamp,))
        except BaseException:
            file.close()
            raise
        return file

    def _connected(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, _PATIENCE_S, isolation_level=None, check_same_thread=False)

    def _paths(self) -> list[Path]:
        return [self._path.with_name(self._path.name + suffix) for suffix in _FILES]
