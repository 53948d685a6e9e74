"""The stage of one attack."""

from __future__ import annotations

import asyncio
import time
from multiprocessing.connection import Connection

from benchmarks.target import Target


class Play:
    """One attack's stage: prepare, `begin`, then go on while there is time."""

    def __init__(self, pipe: Connection, target: Target, seconds: float, sockets: int) -> None:
        self.target, self.seconds, self.sockets = target, seconds, sockets
        self._pipe, self._until = pipe, 0.0

    async def begin(self) -> None:
        """Returns when victim and attacker are both there: what follows counts."""
        self._pipe.send("ready")
        await asyncio.to_thread(self._pipe.recv)
        self._until = time.monotonic() + self.seconds

    @property
    def left_s(self) -> float:
        return self._until - time.monotonic()
