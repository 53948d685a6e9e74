"""The computing that a caller's answers cost: a little at a time, and paid by whoever asked.

What reads the book is made on the event loop, in slices. All else is made beside it, piece by piece, in two threads for
everybody: an organisation has one long answer at a time and leaves the other thread free, and more threads would only
keep the interpreter from the loop for longer.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import ParamSpec, TypeVar

from gridsignal_services.clock import steady_s

_SLICE_S = 0.001
"""How long an answer keeps the event loop before others get a turn."""
_SWITCH_S = 0.001
_BESIDE = ThreadPoolExecutor(2, "answers")

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")


def let_the_loop_in() -> None:
    """Threads of this process give the interpreter back after a millisecond: the loop asks for it with each message."""
    sys.setswitchinterval(_SWITCH_S)


class Work:
    """One answer's computing; `spend` is told each piece of it, in seconds of processor time."""

    def __init__(self, spend: Callable[[float], None], now_s: Callable[[], float] = steady_s) -> None:
        """`now_s` tells how long the loop has been kept."""
        self._spend, self._now_s = spend, now_s
        self._kept_s = 0.0

    @contextmanager
    def here(self) -> Iterator[None]:
        """Counts what is done on the event loop: nothing in it may wait."""
        since, began = self._now_s(), time.thread_time()
        try:
            yield
        finally:
            self._kept_s += self._now_s() - since
            self._spend(time.thread_time() - began)

    async def breath(self) -> None:
        """Lets others have a turn, once this answer has kept the loop for a slice."""
        if self._kept_s >= _SLICE_S:
            self._kept_s = 0.0
            await asyncio.sleep(0)

    async def each(self, rows: Iterable[T], make: Callable[[T], R]) -> list[R]:
        """What is made of each row on the loop, others having their turns between slices."""
        waiting, made = iter(rows), list[R]()
        while True:
            with self.here():
                until = self._now_s() + _SLICE_S
                for row in waiting:
                    made.append(make(row))
                    if self._now_s() >= until:
                        break
                else:
                    return made
            await self.breath()

    async def away(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Does a piece of some milliseconds beside the loop, and counts that."""

        spent_s = 0.0

        def measured() -> T:
            nonlocal spent_s
            began = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                spent_s = time.thread_time() - began

        try:
            return await asyncio.get_running_loop().run_in_executor(_BESIDE, measured)
        finally:
            self._spend(spent_s)

    async def each_away(self, pieces: Iterator[T]) -> list[T]:
        """What an iterator gives, each piece of it made beside the loop."""
        made: list[T] = []
        while found := await self.away(_next, pieces):
            made += found
        return made


def _next(pieces: Iterator[T]) -> list[T]:
    return list(islice(pieces, 1))


NOBODYS = Work(lambda _: None)
"""Computing that nobody pays for."""
