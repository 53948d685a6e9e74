"""Requests that the ledger has let go of, for those who ask about the past: on disk, written beside the event loop.

The file is this process's own. Where checkpoints are kept it says up to which position of each partition it has all;
what is written later counts with the next such position, in one transaction. Else it is begun anew at each start.

Bounded: in memory by what waits to be written; on disk by the log, some six kilobytes for each request and half of one
for each further offer; an answer by `MOST` requests and `MOST_BYTES`. When full: TooMany; what does not fit the
disk is said in the log and not found. Conflates: nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from gridsignal_services.clock import micros
from gridsignal_services.dispatch.tables import (
    MOST,
    MOST_BYTES,
    TABLES,
    Kept,
    Period,
    Question,
    fetch,
    find_order,
    find_periods,
    find_request,
    find_touching,
    forget,
    write,
)
from gridsignal_services.ledger.book import Book
from gridsignal_services.telemetry import logger

_log = logger("dispatch")
T = TypeVar("T")

_SINCE, _UNTIL = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_DAMAGES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_UNSAFE = "pragma journal_mode = off; pragma synchronous = off;"
"""Nobody reads the file after this process."""


class Finished:
    """Each request in parts, which are looked up and fetched here and read elsewhere."""

    def __init__(
        self, directory: Path, most: int = MOST, *, most_bytes: int = MOST_BYTES, stamp: str | None = None
    ) -> None:
        """`stamp` says of which log and code it is: a file that has it is gone on with. None: no file is."""
        self._path, self._stamp = directory / "finished.db", stamp
        self._most, self._most_bytes = most, most_bytes
        self._is_whole = True
        self._worker = ThreadPoolExecutor(1, "finished")
        self._file: sqlite3.Connection | None = None
        self._is_closed = False

    def add(self, partition: int, offset: int, book: Book) -> None:
        """Takes in a book that nobody changes any more, let go of at this offset. Whoever reads afterwards finds it."""
        if not self._is_closed:
            self._worker.submit(self._noticing, self._write, partition, offset, book).add_done_callback(self._tell)

    async def reach(self) -> Mapping[int, int]:
        """Of each partition the position up to which it had all at the end of an earlier start."""
        return {} if self._stamp is None else await self._beside(self._reach)

    async def begin(self, positions: Mapping[int, int]) -> bool:
        """Forgets what was let go of from these positions on: it is reduced again, if it is still on the log.

        False: its file is damaged, so that it has nothing of what came before them either.
        """
        return self._stamp is None or await self._beside(self._begin, positions)

    async def settle(self, partition: int, position: int) -> bool:
        """Whether from now on it has all before this position for good."""
        return self._stamp is not None and not self._is_closed and await self._beside(self._settle, partition, position)

    async def of_request(self, asked: Question, request_id: str) -> Kept | None:
        """What of a request is asked for. None: nothing is there."""
        return await self._beside(lambda: find_request(self._opened(), asked, request_id))

    async def of_order(self, asked: Question, order_id: str) -> Kept | None:
        """The part that holds an order. None: it is not there, or concerns others."""
        return await self._beside(lambda: find_order(self._opened(), asked, order_id))

    async def touching(
        self, asked: Question, zones: Iterable[str], from_: datetime | None, to: datetime | None
    ) -> list[Kept]:
        """What is asked for of the requests of these zones that touch [from, to), or whose orders do, the earliest end
        first. Raises TooMany; one request is never too much."""
        period = _period(zones, from_, to)
        return await self._beside(lambda: find_touching(self._opened(), asked, period, self._most, self._most_bytes))

    async def ordered_at(
        self, asked: Question, zones: Iterable[str], from_: datetime, to: datetime, site: str
    ) -> list[tuple[datetime, datetime | None]]:
        """The periods of the orders to a site on requests that touch [from, to), or whose orders do. Raises TooMany."""
        period = _period(zones, from_, to)
        return await self._beside(lambda: find_periods(self._opened(), asked, period, site, self._most))

    async def bodies(self, kept: Sequence[Kept]) -> list[tuple[int, list[bytes]]]:
        """The partition and the parts of each, for `parts.read`."""
        return await self._beside(lambda: fetch(self._opened(), kept))

    async def aclose(self) -> None:
        """Forgets it all, but for what was settled."""
        self._is_closed = True
        await self._beside(self._end)
        self._worker.shutdown(wait=False)

    async def _beside(self, function: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, self._noticing, function, *args)

    # --- in the worker's thread ----------------------------------------------------------------------------------

    def _noticing(self, function: Callable[..., T], *args: object) -> T:
        """What finds the file damaged takes it away, so that the next start reads the log and writes another."""
        try:
            return function(*args)
        except (sqlite3.DatabaseError, zlib.error) as error:
            self._notice(error)
            raise

    def _notice(self, error: sqlite3.Error | zlib.error) -> None:
        if isinstance(error, zlib.error) or getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGES:
            self._is_whole = False
            self._path.unlink(missing_ok=True)
            _log.error("the file of finished requests is damaged: the next start reads the log", reason=str(error))

    def _opened(self) -> sqlite3.Connection:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = self._gone_on_with() or self._begun()
            if self._stamp is not None:
                self._file.execute("begin")
        return self._file

    def _gone_on_with(self) -> sqlite3.Connection | None:
        """The file of an earlier start, if it is of this log and code."""
        if self._stamp is None or not self._path.exists():
            return None
        file = sqlite3.connect(self._path, isolation_level=None)
        try:
            if file.execute("select text from stamp").fetchall() == [(self._stamp,)]:
                return file
        except sqlite3.DatabaseError as error:
            _log.warning("finished requests are read from the log again", file=self._path.name, reason=str(error))
        file.close()
        return None

    def _begun(self) -> sqlite3.Connection:
        for suffix in ("", "-journal"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        self._path.touch(mode=0o600)
        file = sqlite3.connect(self._path, isolation_level=None)
        if self._stamp is None:
            file.executescript(_UNSAFE)
        file.executescript(TABLES)
        file.execute("insert into stamp values (?)", (self._stamp,))
        return file

    def _reach(self) -> dict[int, int]:
        try:
            reach = dict(self._opened().execute("select partition, position from reach").fetchall())
            if not all(isinstance(number, int) for place in reach.items() for number in place):
                raise sqlite3.DataError("expected whole numbers for how far it reaches")
            return reach
        except (sqlite3.Error, OSError) as error:
            self._let_go(error)
            return {}

    def _begin(self, positions: Mapping[int, int]) -> bool:
        try:
            file = self._opened()
            for place in positions.items():
                forget(file, *place)
            file.execute("commit")
            file.execute("begin")
        except (sqlite3.Error, OSError) as error:
            self._let_go(error)
            return not any(positions.values())
        return True

    def _let_go(self, error: sqlite3.Error | OSError) -> None:
        """The next use of the file begins it anew."""
        _log.warning("finished requests are read from the log again", file=self._path.name, reason=str(error))
        if self._file is not None:
            self._file.close()
            self._file = None
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _settle(self, partition: int, position: int) -> bool:
        if self._is_whole:
            try:
                self._opened().execute("insert or replace into reach values (?, ?)", (partition, position))
                self._opened().execute("commit")
                self._opened().execute("begin")
            except (sqlite3.Error, OSError) as error:
                self._is_whole = False
                _log.error("finished requests can't be kept: the next start reads the whole log", reason=str(error))
                if isinstance(error, sqlite3.Error):
                    self._notice(error)
        return self._is_whole

    def _write(self, partition: int, offset: int, book: Book) -> None:
        write(self._opened(), partition, offset, book)

    def _end(self) -> None:
        if self._file is not None:
            self._file.close()  # what is not settled is let go of again
            self._file = None
            if self._stamp is None:
                self._path.unlink(missing_ok=True)

    def _tell(self, written: Future[None]) -> None:
        """A request that could not be written is not found any more in this process; its records stay on the log."""
        if not written.cancelled() and (error := written.exception()) is not None:
            self._is_whole = False
            _log.error("a finished request is not kept: it can't be read here until the next start", reason=str(error))


def _period(zones: Iterable[str], from_: datetime | None, to: datetime | None) -> Period:
    return Period(list(zones), micros(from_ or _SINCE), micros(to or _UNTIL))
