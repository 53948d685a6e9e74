"""What the data center entrusts to the SDK lies on disk before it is sent, and leaves only with its answer.

SQLite from the standard library: one file, one owner, write-ahead log, fsynced at each commit. All calls happen on one
thread of its own, so that a slow disk delays the sender and nobody else.

Bounded: by who waits for `put`; the file shrinks as receipts come.
When full: `put` raises OutboxFailed, nothing is sent. Conflates: nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import sqlite3
import stat
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from gridsignal.errors import OutboxFailed, TooLarge, UsageError
from gridsignal_protocol.client.entry import Entry
from gridsignal_schemas.frames import MAX_CLIENT_FRAME, MAX_SIGNATURE

_log = logging.getLogger("gridsignal.outbox")
MEMORY = ":memory:"
"""An outbox that does not survive the program: for tests, and for programs that send nothing."""

_OURS = "gridsignal"  # our folder in the user's state directory
_WHAT_HELPS = "outbox= takes the path of a file in a folder that can be written, or ':memory:' to keep nothing"
_CLOSE_S = 5.0  # a disk that does not answer by then keeps what it has
_ENVELOPE = 256 + MAX_SIGNATURE  # bytes of the frame around a body
_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    ident TEXT NOT NULL,
    thread TEXT NOT NULL,
    body TEXT NOT NULL,
    deadline TEXT
) STRICT
"""


def default_path(url: str, site: str | None, instance: str | None, *, home: Callable[[], Path] = Path.home) -> Path:
    """Where the outbox of one program for one gateway and site lies, unless the user says otherwise.

    Raises OutboxFailed where this user has no home.
    """
    named, below = ("LOCALAPPDATA", "AppData/Local") if sys.platform == "win32" else ("XDG_STATE_HOME", ".local/state")
    try:
        root = Path(os.environ.get(named) or home() / below)
    except RuntimeError:
        raise OutboxFailed(f"expected a home directory or {named} for the outbox, got neither; {_WHAT_HELPS}") from None
    name = hashlib.sha256("\n".join([url, site or "", instance or ""]).encode()).hexdigest()[:24]
    return root / _OURS / f"outbox-{name}.db"


class Outbox:
    """Entries in the order they were entrusted, durable until they are removed."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._thread: ThreadPoolExecutor | None = None
        self._db: sqlite3.Connection | None = None

    async def pending(self) -> list[Entry]:
        """What an earlier run left, oldest first; it may have been sent then. Raises OutboxFailed."""
        entries: list[Entry] = await self._call(self._select)
        return entries

    async def put(
        self, kind: str, ident: str, thread: str, body: dict[str, Any], deadline: datetime | None = None
    ) -> Entry:
        """Returns when the entry is on disk. Raises OutboxFailed; then it is not."""
        text = json.dumps(body, separators=(",", ":"))
        if len(text.encode()) + _ENVELOPE > MAX_CLIENT_FRAME:
            raise TooLarge(f"expected {kind} to fit into a frame of {MAX_CLIENT_FRAME} bytes, got {len(text)}")
        seq = await self._call(self._insert, (kind, ident, thread, text, deadline and deadline.isoformat()))
        return Entry(seq, kind, ident, thread, body, deadline)

    def remove(self, seq: int) -> None:
        """Forgets an entry soon; if that fails it is sent once more, and the log makes one of both."""
        if self._thread is not None:
            self._thread.submit(self._delete, seq).add_done_callback(_tell)

    async def aclose(self) -> None:
        """Writes what is under way and gives the file free."""
        thread, self._thread = self._thread, None
        if thread is not None:
            closing = thread.submit(self._close)
            thread.shutdown(wait=False)
            done, _ = await asyncio.wait({asyncio.wrap_future(closing)}, timeout=_CLOSE_S)
            if done:  # that was its last work: it is over at once
                thread.shutdown()

    async def _call(self, function: Any, *args: Any) -> Any:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="gridsignal-outbox")
        try:
            return await asyncio.wrap_future(self._thread.submit(function, *args))
        except (sqlite3.Error, OSError) as error:
            raise OutboxFailed(f"the outbox {self.path} can't be used: {error}; {_WHAT_HELPS}") from error

    # --- on the outbox's thread ----------------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        if self._db is not None:
            return self._db
        if self.path != MEMORY:
            _make_private(Path(self.path))
        db = sqlite3.connect(self.path, timeout=0.0, isolation_level=None)
        try:
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("BEGIN IMMEDIATE")  # takes the lock of the one owner, and keeps it
            db.execute(_SCHEMA)
            db.execute("PRAGMA user_version = 1")  # a page is written, and a full disk says so now
            db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            db.close()
            if error.sqlite_errorcode in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise OutboxFailed(
                    f"another program that runs has the outbox {self.path}; programs of one site on one machine need"
                    ' a name each: connect(..., instance="meters")'
                ) from error
            raise
        self._db = db
        return db

    def _insert(self, row: tuple[str, str, str, str, str | None]) -> int:
        cursor = self._open().execute(
            "INSERT INTO entries (kind, ident, thread, body, deadline) VALUES (?, ?, ?, ?, ?)", row
        )
        if cursor.lastrowid is None:
            raise UsageError("expected a row number from the outbox, got none")
        return cursor.lastrowid

    def _select(self) -> list[Entry]:
        rows = self._open().execute("SELECT seq, kind, ident, thread, body, deadline FROM entries ORDER BY seq")
        return [
            Entry(seq, kind, ident, thread, json.loads(body), deadline and datetime.fromisoformat(deadline), True)
            for seq, kind, ident, thread, body, deadline in rows
        ]

    def _delete(self, seq: int) -> None:
        self._open().execute("DELETE FROM entries WHERE seq = ?", (seq,))

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None


def _make_private(file: Path) -> None:
    """Offers and prices lie in it: nobody else's to read, whatever the folder is like."""
    folder = file.parent
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.name == _OURS:
        _restrict(folder, 0o700)
    os.close(os.open(file, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600))
    _restrict(file, 0o600)


def _restrict(path: Path, mode: int) -> None:
    if stat.S_IMODE(path.stat().st_mode) & ~mode:
        with suppress(OSError):  # another user's, who lets us write to it
            path.chmod(mode)


def _tell(done: Future[None]) -> None:
    if error := done.exception():
        _log.warning("an entry could not be removed from the outbox and will be sent again: %s", error)
