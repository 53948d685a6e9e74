"""Requests that the ledger has let go of, for those who ask about the past: on disk, read from the log at each start.

The file is this process's own, begun anew at each start and written beside the event loop.

Bounded: in memory by what waits to be written; on disk by the log, a third of a kilobyte for each offer; an answer by
`MOST` requests. When full: TooMany; what does not fit the disk is said in the log and not found. Conflates: nothing.
"""

from __future__ import annotations

import asyncio
import json
import pickle
import sqlite3
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from gridsignal_services.clock import micros
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.telemetry import logger

_log = logger("dispatch")
T = TypeVar("T")

MOST = 1000
_SINCE, _UNTIL = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_TABLES = """
pragma journal_mode = off;
pragma synchronous = off;
create table finished (request_id text primary key, zone text, starts_us integer, ends_us integer, body blob);
create index by_end on finished (zone, ends_us);
create table ordered (order_id text primary key, request_id text) without rowid;
"""


class TooMany(Exception):
    """The question spans more requests than one answer may read."""


class Finished:
    """Each request as a ledger of its own, in which it is all there is."""

    def __init__(self, directory: Path, most: int = MOST) -> None:
        self._path, self._most = directory / "finished.db", most
        self._worker = ThreadPoolExecutor(1, "finished")
        self._file: sqlite3.Connection | None = None
        self._is_closed = False

    def add(self, partition: int, book: Book) -> None:
        """Takes in a book that nobody changes any more. Whoever reads afterwards finds it."""
        if not self._is_closed:
            self._worker.submit(self._write, partition, book).add_done_callback(_tell)

    async def of_request(self, request_id: str) -> Ledger | None:
        """The ledger that holds the request."""
        return await self._beside(self._one, "select body from finished where request_id = ?", request_id)

    async def of_order(self, order_id: str) -> Ledger | None:
        """The ledger that holds the order."""
        asked = "select body from finished join ordered using (request_id) where order_id = ?"
        return await self._beside(self._one, asked, order_id)

    async def touching(self, zones: Iterable[str], from_: datetime | None, to: datetime | None) -> list[Ledger]:
        """Those of these zones whose request or orders touch [from, to), the earliest end first. Raises TooMany."""
        return await self._beside(self._touching, list(zones), micros(from_ or _SINCE), micros(to or _UNTIL))

    async def aclose(self) -> None:
        """Forgets it all."""
        self._is_closed = True
        await self._beside(self._end)
        self._worker.shutdown(wait=False)

    async def _beside(self, function: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, function, *args)

    # --- in the worker's thread ----------------------------------------------------------------------------------

    def _opened(self) -> sqlite3.Connection:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._path.unlink(missing_ok=True)
            self._path.touch(mode=0o600)
            self._file = sqlite3.connect(self._path, isolation_level=None)
            self._file.executescript(_TABLES)
        return self._file

    def _write(self, partition: int, book: Book) -> None:
        (tracked,) = book.requests.values()
        request, blocks = tracked.request, [order.block() for order in book.orders.values()]
        starts_at = min([request.starts_at, *(block.starts_at for block in blocks)])
        ends_at = max([request.ends_at, *(block.ends_at for block in blocks)])
        body = zlib.compress(pickle.dumps((partition, book)), 1)
        row = (request.request_id, request.zone, micros(starts_at), micros(ends_at), body)
        self._opened().execute("insert or replace into finished values (?, ?, ?, ?, ?)", row)
        orders = [(order_id, request.request_id) for order_id in book.orders]
        self._opened().executemany("insert or replace into ordered values (?, ?)", orders)

    def _one(self, asked: str, name: str) -> Ledger | None:
        row = self._opened().execute(asked, (name,)).fetchone()
        return None if row is None else _read(row[0])

    def _touching(self, zones: list[str], from_us: int, to_us: int) -> list[Ledger]:
        asked = (
            "select body from finished where zone in (select value from json_each(?))"
            " and ends_us > ? and starts_us < ? order by ends_us, request_id limit ?"
        )
        rows = self._opened().execute(asked, (json.dumps(zones), from_us, to_us, self._most + 1)).fetchall()
        if len(rows) > self._most:
            raise TooMany
        return [_read(body) for (body,) in rows]

    def _end(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            self._path.unlink(missing_ok=True)


def _tell(written: Future[None]) -> None:
    """A request that could not be written is not found any more in this process; its records stay on the log."""
    if not written.cancelled() and (error := written.exception()) is not None:
        _log.error("a finished request is not kept: it can't be read here until the next start", reason=str(error))


def _read(body: bytes) -> Ledger:
    partition, book = pickle.loads(zlib.decompress(body))  # noqa: S301 - written by this process since it started
    ledger = Ledger(partition)
    ledger.book = book
    return ledger
