"""Sockets that have connected and said nothing yet: they cost next to nothing until they do."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable


class Waiting:
    """A socket whose first byte is waited for; `speaks` is called with it then, `silent` when it goes without."""

    def __init__(
        self, arrived: socket.socket, address: str, speaks: Callable[[Waiting], None], silent: Callable[[Waiting], None]
    ) -> None:
        self.socket, self.address = arrived, address
        self._speaks, self._silent = speaks, silent
        self._loop = asyncio.get_running_loop()
        self._deadline: asyncio.TimerHandle | None = None

    def begin(self, timeout_s: float) -> None:
        """Waits no longer than this."""
        self._deadline = self._loop.call_later(timeout_s, self.abort)
        self._loop.add_reader(self.socket, self._is_readable)
        self._is_readable()  # whoever knows what they want has said it by the time they are let in

    def abort(self) -> None:
        """Hangs up; nothing where that is done."""
        if self._deadline is None:
            return
        self._stop()
        self.socket.close()
        self._silent(self)

    def _is_readable(self) -> None:
        try:
            first = self.socket.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            first = b""
        if first:
            self._stop()
            self._speaks(self)
        else:
            self.abort()

    def _stop(self) -> None:
        if self._deadline is not None:
            self._loop.remove_reader(self.socket)
            self._deadline.cancel()
            self._deadline = None
