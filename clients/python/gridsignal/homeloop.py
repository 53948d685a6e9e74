"""The event loop a grid belongs to."""

from __future__ import annotations

import asyncio

from gridsignal.errors import UsageError


class HomeLoop:
    """Remembers where a grid was connected, and refuses calls from anywhere else."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def settle(self) -> None:
        """The running loop is the one."""
        self._loop = asyncio.get_running_loop()

    def check(self) -> None:
        """Raises UsageError in any other event loop or thread: what is waited for there would never come."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        if loop is not self._loop:
            raise UsageError(
                "expected a call in the event loop that connected, got one in another loop or thread: "
                "asyncio.run_coroutine_threadsafe(grid.offer(...), loop) calls from there"
            )
