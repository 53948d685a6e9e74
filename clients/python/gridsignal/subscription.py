"""What a user iterates over: several streams in the order they arrive, and the position to come back to.

Bounded: `limit` messages (and one snapshot, which has no cursor to come back to).
When full: the wire subscriptions are ended and the log keeps what comes; they resume from the last message taken in,
once half of the queue is free. So a slow reader costs neither memory nor a connection, and pings, receipts and other
subscriptions never wait behind him.
Conflates: nothing; in mode "latest" the gateway replaces older values of a series by newer ones.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from gridsignal.errors import GridsignalError, UsageError
from gridsignal.feed import Feed, Handed, Message


class Subscription:
    """An async iterator of messages for one reader; also an async context manager that ends it early."""

    def __init__(
        self,
        feeds: list[Feed],
        *,
        limit: int,
        park: Callable[[Feed], None],
        unpark: Callable[[Feed], None],
        leave: Callable[[list[Feed]], None],
        idle: Callable[[], None],
        at_home: Callable[[], None],
    ) -> None:
        self._feeds, self._limit = feeds, limit
        self._park, self._unpark, self._leave = park, unpark, leave
        self._idle, self._at_home = idle, at_home
        self._cursor: dict[str, str] = {feed.stream: feed.position for feed in feeds if feed.position is not None}
        self._queue: deque[tuple[Feed, Handed]] = deque()
        self._filled: asyncio.Future[None] | None = None
        self._failure: GridsignalError | None = None
        self._closed = False

    @property
    def cursor(self) -> dict[str, str]:
        """The position after the last message handed on, by stream: save it, and give it to `subscribe(cursor=)`.

        A stream is missing while its snapshot is still coming.
        """
        return dict(self._cursor)

    @property
    def waiting(self) -> bool:
        """Somebody waits for the next message and there is none, or there will be none: all has been dealt with."""
        return self._closed or (not self._queue and self._filled is not None and not self._filled.done())

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        self._at_home()
        if self._filled is not None and not self._filled.done():
            raise UsageError("expected one reader of a subscription, got a second while the first waits")
        while True:
            while self._queue:
                feed, handed = self._queue.popleft()
                if handed.cursor is not None:
                    self._cursor[feed.stream] = handed.cursor
                self._make_room()
                if handed.message is not None:
                    return handed.message
            if self._failure is not None:
                raise self._failure
            if self._closed:
                raise StopAsyncIteration
            self._filled = filled = asyncio.get_running_loop().create_future()
            self._idle()
            try:
                await filled
            finally:
                if self._filled is filled:
                    self._filled = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Ends the subscription; messages not yet taken are dropped, and `cursor` stays where it was."""
        self._at_home()
        self._queue.clear()
        self.end()
        self._leave(self._feeds)

    def put(self, feed: Feed, handed: Handed) -> None:
        """Called by the session's shell, in the order of arrival."""
        if self._closed:
            return
        if handed.message is None:
            self._moved_on(feed, handed)
        else:
            self._queue.append((feed, handed))
            self._wake()
        if len(self._queue) >= self._limit:
            for each in self._feeds:
                self._park(each)

    def end(self, failure: GridsignalError | None = None) -> None:
        """No more messages will come; those in the queue are still handed on, then the failure is raised."""
        self._closed, self._failure = True, self._failure or failure
        self._wake()
        self._idle()

    def _moved_on(self, feed: Feed, handed: Handed) -> None:
        # silence after the last message of this feed: belongs to that message if it still waits here
        for at in range(len(self._queue) - 1, -1, -1):
            if self._queue[at][0] is feed:
                self._queue[at] = (feed, Handed(self._queue[at][1].message, handed.cursor))
                return
        if handed.cursor is not None:
            self._cursor[feed.stream] = handed.cursor

    def _make_room(self) -> None:
        if len(self._queue) <= self._limit // 2:
            for feed in self._feeds:
                if feed.parked:
                    self._unpark(feed)

    def _wake(self) -> None:
        if self._filled is not None and not self._filled.done():
            self._filled.set_result(None)


def leave_later(loop: asyncio.AbstractEventLoop, leave: Callable[[list[Feed]], None], feeds: list[Feed]) -> None:
    """Ends the subscription of an iterator that nobody holds any more; called by whichever thread collects it."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(leave, feeds)
