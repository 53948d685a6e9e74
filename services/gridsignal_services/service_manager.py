"""Tells the service manager how the process is: ready, alive, stopping (systemd's sd_notify). Without one, nothing.

With a watchdog it is told from the event loop that the process is alive: a loop that hangs is started anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServiceManager:
    """Where it listens, and how often it wants to hear something."""

    address: str | None = None
    watchdog_s: float | None = None

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> ServiceManager:
        """The one that the environment names: NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID."""
        wanted, whose = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
        is_ours = whose in ("", str(os.getpid())) and wanted.isascii() and wanted.isdigit() and int(wanted) > 0
        return cls(environment.get("NOTIFY_SOCKET") or None, int(wanted) / 1e6 if is_ours else None)

    @asynccontextmanager
    async def told(self) -> AsyncIterator[None]:
        """The process is ready when the block begins, alive while it runs, and stops when it ends."""
        self._say("READY=1")
        alive = asyncio.create_task(self._say_alive())
        try:
            yield
        finally:
            alive.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await alive
            self._say("STOPPING=1")

    async def _say_alive(self) -> None:
        while self.watchdog_s is not None:
            self._say("WATCHDOG=1")
            await asyncio.sleep(self.watchdog_s / 2)

    def _say(self, state: str) -> None:
        if self.address is None:
            return
        # an address that begins with @ is in the abstract namespace
        address = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(state.encode(), address)
