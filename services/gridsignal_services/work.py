"""The computing that a caller's answers cost: measured where it is done, and paid by whoever asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Work:
    """One answer's computing; `spend` is told each piece of it, in seconds of processor time."""

    def __init__(self, spend: Callable[[float], None]) -> None:
        self._spend = spend

    @contextmanager
    def here(self) -> Iterator[None]:
        """Counts what is done on the event loop: nothing in it may wait."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._spend(time.perf_counter() - began)

    async def away(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Does it in a thread, so that the loop stays free for others, and counts that."""

        def measured() -> tuple[T, float]:
            began = time.thread_time()
            result = function(*args, **kwargs)
            return result, time.thread_time() - began

        result, spent_s = await asyncio.to_thread(measured)
        self._spend(spent_s)
        return result


NOBODYS = Work(lambda _: None)
"""Computing that nobody pays for."""
