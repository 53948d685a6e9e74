"""Threads that read the embedded log's file, each with a connection of its own."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from gridsignal_services.bus import LogUnavailable, sqlite_file

P = ParamSpec("P")
T = TypeVar("T")


class ReadingThreads:
    """Calls functions of sqlite_file away from the event loop.

    Bounded: `threads`. When full: calls wait in line, one for each reader that is behind. Conflates: nothing.
    """

    def __init__(self, path: Path, threads: int) -> None:
        self._path = path
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="gridsignal-log-reader")
        self._own = threading.local()
        self._connections: list[sqlite3.Connection] = []

    async def call(
        self, function: Callable[Concatenate[sqlite3.Connection, P], T], *arguments: P.args, **named: P.kwargs
    ) -> T:
        """The function's value, called with a connection first. Raises LogUnavailable for what SQLite raises."""

        def with_connection() -> T:
            return function(self._connection(), *arguments, **named)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, with_connection)
        except (sqlite3.Error, OSError) as error:
            raise LogUnavailable(f"the embedded log can't be read now: {error}") from error
        except RuntimeError as error:  # the pool takes no more calls
            raise LogUnavailable("the log was closed") from error

    def close(self) -> None:
        """Waits for the calls under way, which are short; blocks."""
        self._pool.shutdown(cancel_futures=True)
        for connection in self._connections:
            connection.close()

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = sqlite_file.connect(self._path)
            self._connections.append(connection)
        return connection
