"""Requests that the ledger has let go of, for those who ask about the past: on disk, written beside the event loop.

The file is this process's own. Where checkpoints are kept it says up to which position of each partition it has all;
what lies beyond that is forgotten at the next start. Else it is begun anew at each start.
Whoever asks waits for what is written just now where the question may be about that, and for nothing else.

Bounded: in memory by what waits to be written, `_MOST_UNWRITTEN` requests while the file can't be written; on disk by
the log, some six kilobytes for each request and half of one for each further offer; an answer by `MOST` requests and
`MOST_BYTES`. When full: TooMany; what can't be written at all is said in the log and not found until the next start.
Conflates: nothing.
"""

from __future__ import annotations

import asyncio
import sqlite3
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, TypeVar

from gridsignal_schemas.rules.baselines import FOR_EVER
from gridsignal_services.clock import from_micros, micros
from gridsignal_services.dispatch.parts import read
from gridsignal_services.dispatch.settled_tables import find_settled, find_settled_at, find_settled_until
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
from gridsignal_services.kept_file import KeptFile, Unreadable
from gridsignal_services.ledger.book import Book
from gridsignal_services.telemetry import logger
from gridsignal_services.work import NOBODYS, Work

_log = logger("dispatch")
T = TypeVar("T")

_SINCE, _UNTIL = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_DAMAGES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_OBSTACLES = (OSError, sqlite3.OperationalError)
"""What may be gone the next time: a full disk, a folder that is read-only, something that lies in the way."""
_FAILURES = (OSError, sqlite3.Error, zlib.error)
_MOST_UNWRITTEN = 1000


class _Unwritten(NamedTuple):
    partition: int
    offset: int
    book: Book


class _UnderWay(NamedTuple):
    """What a question may be about while it is not written yet."""

    request_id: str
    orders: frozenset[str]
    zone: str
    starts_us: int
    ends_us: int
    done: Future[None]

    def touches(self, period: Period) -> bool:
        return self.zone in period.zones and self.starts_us < period.to_us and self.ends_us > period.from_us


class Finished:
    """Each request in parts, which are looked up and fetched here and read elsewhere; at the expense of some work."""

    def __init__(
        self, directory: Path, most: int = MOST, *, most_bytes: int = MOST_BYTES, stamp: str | None = None
    ) -> None:
        """`stamp` says of which log and code it is: a file that has it is gone on with. None: no file is."""
        self._path, self._stamp = directory / "finished.db", stamp
        self._most, self._most_bytes = most, most_bytes
        self._is_whole = True
        self._worker = ThreadPoolExecutor(1, "finished")
        self._file = KeptFile(self._path, stamp, TABLES)
        self._is_closed = False
        self._under_way: list[_UnderWay] = []
        self._unwritten: deque[_Unwritten] = deque()
        self._obstacle = ""
        """Why the file could not be used the last time."""

    def add(self, partition: int, offset: int, book: Book) -> None:
        """Takes in a book that nobody changes any more, let go of at this offset. Whoever reads afterwards finds it."""
        if not self._is_closed:
            done = self._worker.submit(self._keep, _Unwritten(partition, offset, book))
            self._under_way = [one for one in self._under_way if not one.done.done()]
            self._under_way.append(_under_way(book, done))

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

    async def of_request(self, asked: Question, request_id: str, work: Work = NOBODYS) -> Kept | None:
        """What of a request is asked for. None: nothing is there."""
        await self._written(lambda one: one.request_id == request_id)
        return await self._read(work, lambda file: find_request(file, asked, request_id))

    async def of_order(self, asked: Question, order_id: str, work: Work = NOBODYS) -> Kept | None:
        """The part that holds an order. None: it is not there, or concerns others."""
        await self._written(lambda one: order_id in one.orders)
        return await self._read(work, lambda file: find_order(file, asked, order_id))

    async def touching(
        self,
        asked: Question,
        zones: Iterable[str],
        from_: datetime | None,
        to: datetime | None,
        work: Work = NOBODYS,
    ) -> list[Kept]:
        """What is asked for of the requests of these zones that touch [from, to), or whose orders do, the earliest end
        first. Raises TooMany; one request is never too much."""
        period = _period(zones, from_, to)
        await self._written(lambda one: one.touches(period))
        return await self._read(work, lambda file: find_touching(file, asked, period, self._most, self._most_bytes))

    async def ordered_at(
        self, asked: Question, zones: Iterable[str], from_: datetime, to: datetime, site: str, work: Work = NOBODYS
    ) -> list[tuple[datetime, datetime | None]]:
        """The periods of the orders to a site on requests that touch [from, to), or whose orders do. Raises TooMany."""
        period = _period(zones, from_, to)
        await self._written(lambda one: one.touches(period))
        return await self._read(work, lambda file: find_periods(file, asked, period, site, self._most))

    async def bodies(self, kept: Sequence[Kept], work: Work = NOBODYS) -> list[tuple[int, list[bytes]]]:
        """The partition and the parts of each, for `parts.read`."""
        return await self._read(work, lambda file: fetch(file, kept))

    async def settled_order(self, order_id: str) -> Book | None:
        """An order with its request, site and settlement as it left. None: it was not kept. Raises Unreadable."""
        await self._written(lambda one: order_id in one.orders)
        bodies = await self._read(NOBODYS, lambda file: find_settled(file, order_id))
        if bodies is None:
            return None
        ledgers = await NOBODYS.each_away(read([(0, bodies)]))
        return next((ledger.book for done in ledgers for ledger in done), None)

    async def settled_at(
        self, site: str, starts_at: datetime, ends_at: datetime, logged_by: datetime, now: datetime
    ) -> list[str]:
        """The orders of a site that touch a stretch of time, may still be corrected, and of which a version was
        logged by then. Raises Unreadable."""
        await self._written(lambda one: bool(one.orders))
        asked = (site, micros(starts_at), micros(ends_at), micros(logged_by), micros(now))
        return await self._read(NOBODYS, lambda file: find_settled_at(file, *asked))

    async def settled_until(self) -> dict[str, datetime]:
        """The latest end of the settled orders of each site. Raises Unreadable."""
        await self._written(lambda one: bool(one.orders))
        found = await self._read(NOBODYS, find_settled_until)
        return {site: from_micros(ends_us) for site, ends_us in found.items()}

    async def aclose(self) -> None:
        """Forgets it all, but for what was settled."""
        self._is_closed = True
        await self._beside(self._end)
        self._worker.shutdown(wait=False)

    async def _written(self, asked: Callable[[_UnderWay], bool]) -> None:
        """Returns once all is written that this may ask about. Raises Unreadable."""
        for one in [one for one in self._under_way if not one.done.done() and asked(one)]:
            await asyncio.shield(asyncio.wrap_future(one.done))
        if self._obstacle or not self._file.is_open:
            await self._beside(self._write_on)
            if self._obstacle:
                raise Unreadable(self._obstacle)

    async def _read(self, work: Work, function: Callable[[sqlite3.Connection], T]) -> T:
        """Raises Unreadable, and what the function raises."""
        try:
            return await work.away(self._file.read, function)
        except _FAILURES as error:
            self._notice(error)
            raise Unreadable(str(error)) from error

    async def _beside(self, function: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, function, *args)

    # --- in the worker's thread ----------------------------------------------------------------------------------

    def _notice(self, error: Exception) -> None:
        """What finds the file damaged takes it away, so that the next start reads the log and writes another."""
        if isinstance(error, zlib.error) or getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGES:
            self._is_whole = False
            self._file.take_away()
            _log.error("the file of finished requests is damaged: the next start reads the log", reason=str(error))

    def _hold_up(self, error: Exception) -> None:
        if self._obstacle != str(error):
            self._obstacle = str(error) or type(error).__name__
            _log.error(
                "finished requests can't be kept: until they can, questions about the past are answered 503;"
                " make its folder writable, with space, and clear away what lies in the file's place",
                file=str(self._path),
                reason=self._obstacle,
            )

    def _reach(self) -> dict[int, int]:
        try:
            reach = dict(self._file.opened().execute("select partition, position from reach").fetchall())
            if not all(isinstance(number, int) for place in reach.items() for number in place):
                raise sqlite3.DataError("expected whole numbers for how far it reaches")
            return reach
        except (sqlite3.Error, OSError) as error:
            self._let_go(error)
            return {}

    def _begin(self, positions: Mapping[int, int]) -> bool:
        try:
            with self._file.writing() as file:
                for place in positions.items():
                    forget(file, *place)
        except (sqlite3.Error, OSError) as error:
            self._let_go(error)
            return not any(positions.values())
        return True

    def _let_go(self, error: sqlite3.Error | OSError) -> None:
        """The next use of the file begins it anew."""
        _log.warning("finished requests are read from the log again", file=self._path.name, reason=str(error))
        self._file.close()
        self._file.take_away()

    def _settle(self, partition: int, position: int) -> bool:
        self._write_on()
        if self._is_whole and not self._obstacle:
            try:
                with self._file.writing(for_good=True) as file:
                    file.execute("insert or replace into reach values (?, ?)", (partition, position))
            except _OBSTACLES as error:
                self._hold_up(error)
            except sqlite3.Error as error:
                self._is_whole = False
                self._notice(error)
        return self._is_whole and not self._obstacle

    def _keep(self, one: _Unwritten) -> None:
        self._unwritten.append(one)
        self._write_on()

    def _write_on(self) -> None:
        """Writes what waits for it; what an obstacle keeps from being written is tried again with the next use."""
        try:
            self._file.opened()
            while self._unwritten:
                self._write(self._unwritten[0])
                self._unwritten.popleft()
        except (OSError, sqlite3.Error) as error:
            self._hold_up(error)
            if len(self._unwritten) > _MOST_UNWRITTEN:
                self._unwritten.popleft()
                self._miss(f"{_MOST_UNWRITTEN} others wait to be written")
        else:
            if self._obstacle:
                _log.info("finished requests are kept again", file=str(self._path))
                self._obstacle = ""

    def _write(self, one: _Unwritten) -> None:
        try:
            with self._file.writing() as file:
                write(file, *one)
        except _OBSTACLES:
            raise
        except Exception as error:  # whatever has no form: the next request is written all the same
            self._miss(str(error))
            self._notice(error)

    def _miss(self, reason: str) -> None:
        """A request that could not be written is not found any more in this process; its records stay on the log."""
        self._is_whole = False
        _log.error("a finished request is not kept: it can't be read here until the next start", reason=reason)

    def _end(self) -> None:
        self._file.close()
        if self._stamp is None:
            self._file.take_away()


def _under_way(book: Book, done: Future[None]) -> _UnderWay:
    """Of a request, or of a settlement alone."""
    orders = [order.order for order in book.orders.values()]
    periods = [(order.starts_at, order.ends_at or FOR_EVER) for order in orders]
    periods += [(tracked.request.starts_at, tracked.request.ends_at) for tracked in book.requests.values()]
    named = {(tracked.request.request_id, tracked.request.zone) for tracked in book.requests.values()}
    for settlement in book.settlements.values() if not book.requests else ():
        named.add((settlement.of.request_id, settlement.of.zone))
        begins_at = [each.starts_at for each in settlement.newest.intervals[:1]] if settlement.newest else []
        periods.append((min([*begins_at, settlement.ended_at]), settlement.ended_at))
    ((request_id, zone),) = named
    starts_at, ends_at = min(since for since, _ in periods), max(until for _, until in periods)
    names = frozenset({*book.orders, *book.settlements})
    return _UnderWay(request_id, names, zone, micros(starts_at), micros(ends_at), done)


def _period(zones: Iterable[str], from_: datetime | None, to: datetime | None) -> Period:
    return Period(list(zones), micros(from_ or _SINCE), micros(to or _UNTIL))
