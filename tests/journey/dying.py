"""Runs a command of gridsignal that ends by kill -9 in the middle of what it does.

python dying.py MOMENT COUNT COMMAND...

MOMENT is `before` or `after` and a kind of record, such as `after Settlement`: it dies before it writes the COUNTth of
them, or once that is durable and nobody has heard of it; or `reading`: at the COUNTth time it reads of its log, a few
records at a time.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from gridsignal.__main__ import main
from gridsignal_services.bus.kafka import KafkaLog
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.bus.sqlite_reader import SqliteReader

A_FEW = 5
Call = Callable[..., Awaitable[Any]]


class Death:
    """Comes when it has been met so often."""

    def __init__(self, moment: str, count: int) -> None:
        self._when, _, kind = moment.partition(" ")
        self._kind, self._left, self._turn = f"gridsignal.{kind}", count, asyncio.Lock()

    def appending(self, append: Call) -> Call:
        """An append that it is met at. One by one: of what is written together exactly so many are on the log."""

        async def appending(log: Any, stream: str, key: str, value: bytes, headers: Any, **where: Any) -> Any:
            if headers["ce_type"] != self._kind:
                return await append(log, stream, key, value, headers, **where)
            async with self._turn:
                if self._when == "before":
                    self._met()
                appended = await append(log, stream, key, value, headers, **where)
                if self._when == "after":
                    self._met()
                return appended

        return appending

    def reading(self, read: Call) -> Call:
        """A read that it is met at."""

        async def reading(reader: Any, limit: int = 1000) -> Any:
            self._met()
            return await read(reader, min(limit, A_FEW))

        return reading

    def _met(self) -> None:
        self._left -= 1
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    _, asked, count, *command = sys.argv
    death = Death(asked, int(count))
    if asked == "reading":
        SqliteReader.read = death.reading(SqliteReader.read)  # type: ignore[method-assign]  # in this process alone
    else:
        SqliteLog.append = death.appending(SqliteLog.append)  # type: ignore[method-assign]  # in this process alone
        KafkaLog.append = death.appending(KafkaLog.append)  # type: ignore[method-assign]  # in this process alone
    sys.exit(main(command))
