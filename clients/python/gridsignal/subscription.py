"""What a user iterates over: several streams in the order they arrive, and the position to come back to."""

from __future__ import annotations

import asyncio
import weakref
from types import TracebackType
from typing import Self

from gridsignal.errors import GridClosed, UsageError
from gridsignal.outcomes import error_of
from gridsignal.shell import Shell
from gridsignal_protocol.client.messages import Message
from gridsignal_protocol.client.reader import Reader


class Subscription:
    """An async iterator of messages for one reader; also an async context manager that ends it early."""

    def __init__(self, shell: Shell, reader: Reader) -> None:
        self._shell, self._reader = shell, reader
        self._was_left = False
        loop = asyncio.get_running_loop()
        # an iterator nobody holds any more (`break` out of the loop) ends its wire subscriptions
        weakref.finalize(self, _leave_later, loop, shell, reader).atexit = False

    @property
    def cursor(self) -> dict[str, str]:
        """The position after the last message handed on, by stream: save it, and give it to `subscribe(cursor=)`.

        A stream is missing while its snapshot is still coming.
        """
        return self._reader.cursor

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        while True:
            if (message := self.waiting()) is not None:
                return message
            await self.more()

    def waiting(self) -> Message | None:
        """The next message, where one waits."""
        self._shell.home.check()
        if self._shell.is_awaited(self._reader):
            raise UsageError("expected one reader of a subscription, got a second while the first waits")
        return self._shell.take(self._reader)

    async def more(self) -> None:
        """Returns once one may wait. Raises StopAsyncIteration, or what ended the subscription."""
        if not self._reader.is_empty:
            return
        if self._reader.has_ended:
            raise self._end()
        await self._shell.filled(self._reader)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Ends the subscription; messages not yet taken are dropped, and `cursor` stays where it was."""
        self._shell.home.check()
        self._was_left = True
        self._reader.clear()
        self._shell.leave(self._reader)

    def _end(self) -> Exception:
        if self._reader.refusal is not None:
            return error_of(self._reader.refusal)
        failure = self._shell.failure
        if failure is None or isinstance(failure, GridClosed) or self._was_left:
            return StopAsyncIteration()
        return failure


def _leave_later(loop: asyncio.AbstractEventLoop, shell: Shell, reader: Reader) -> None:
    # called by whichever thread collects the iterator
    if not loop.is_closed():
        loop.call_soon_threadsafe(shell.leave, reader)
