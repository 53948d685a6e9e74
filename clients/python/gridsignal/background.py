"""A grid in an event loop on a thread of its own, and the way to it from every other thread.

Bounded: one thread and one loop for each connection; each call under way belongs to a thread that waits for it.
When full: callers wait. Conflates: nothing.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, suppress
from threading import Event, RLock, Thread, current_thread
from threading import enumerate as enumerate_threads
from typing import Any, TypeVar

from gridsignal.client import Grid
from gridsignal.errors import GridClosed, UsageError

R = TypeVar("R")
_LEAVE_S = 15.0  # the SDK's own goodbyes take less; a thread that is still not over ends with the program


class Background:
    """One connection and its thread."""

    def __init__(self, connection: AbstractAsyncContextManager[Grid]) -> None:
        self._connection = connection
        self._thread = Thread(target=self._run, name="gridsignal", daemon=True)
        self._begun = Event()
        self._entered: Future[Grid] = Future()
        self._fault: BaseException | None = None
        self._lock = RLock()  # the garbage collector may end a subscription in the middle of any call
        self._closed = False
        self._loop: asyncio.AbstractEventLoop
        self._life: asyncio.Task[None] | None = None

    def enter(self) -> Grid:
        """Connects; raises what the connection raises."""
        if self._thread.ident is not None:
            raise UsageError("expected each gridsignal.sync.connect(...) to be entered once, got a second time")
        try:
            self._thread.start()
            return self._entered.result()
        except BaseException:  # Ctrl-C too, which may come while the thread starts
            if self._thread in enumerate_threads():
                self._leave()
            raise

    def leave(self) -> None:
        """Says goodbye and ends the thread; calls under way in other threads raise GridClosed."""
        if self._thread.ident is None:
            raise UsageError("expected `with gridsignal.sync.connect(...)`, got the end of a block never entered")
        self._leave()

    def start(self, call: Callable[[], Coroutine[Any, Any, R]]) -> Future[R]:
        """Begins a call on the loop."""
        if current_thread() is self._thread:
            raise UsageError("expected a call from another thread than the connection's own")
        with self._lock:
            if self._closed:
                raise GridClosed("the grid was closed")
            return asyncio.run_coroutine_threadsafe(call(), self._loop)

    def _leave(self) -> None:
        self._begun.wait()
        with self._lock:  # a call is on the loop before its end, or refused
            self._closed = True
        if self._life is not None:  # else there was no loop to be had
            with suppress(RuntimeError):  # the loop is closed: the connection failed
                self._loop.call_soon_threadsafe(self._life.cancel)
        self._thread.join(_LEAVE_S)
        if self._fault is not None:
            raise self._fault

    def _run(self) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.run(self._live())
        except asyncio.CancelledError:
            pass  # by `leave`
        except BaseException as error:  # whoever enters or leaves gets it
            if self._entered.done():
                self._fault = error
            else:
                self._entered.set_exception(error)
        finally:
            self._begun.set()

    async def _live(self) -> None:
        life = asyncio.current_task()
        assert life is not None
        self._loop, self._life = asyncio.get_running_loop(), life
        self._begun.set()
        async with self._connection as grid:
            self._entered.set_result(grid)
            await self._loop.create_future()  # until it is cancelled


def outcome(call: Future[R], timeout: float | None) -> R:
    """What a call returns or raises; TimeoutError where it is still under way then, and goes on."""
    done, _ = concurrent.futures.wait([call], timeout)
    if not done:
        raise TimeoutError(f"nothing within {timeout:g} s")
    try:
        return call.result()
    except concurrent.futures.CancelledError:
        raise GridClosed("the grid was closed") from None
