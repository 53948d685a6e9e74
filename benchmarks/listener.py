"""A process that says when it is ready, and then answers what it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from typing import Any

from benchmarks.machine import cpu_s_of


class Listener:
    """One process on one pipe."""

    def __init__(self, target: Callable[..., None], *arguments: Any) -> None:
        context = get_context("spawn")
        self._pipe, there = context.Pipe()
        self._process: BaseProcess = context.Process(target=target, args=(there, *arguments))
        self._process.start()
        there.close()

    @property
    def cpu_s(self) -> float:
        """CPU seconds of the process so far."""
        assert self._process.pid is not None, "it was started"
        return cpu_s_of(self._process.pid)

    async def answer(self) -> Any:
        """What it says next."""
        return await asyncio.to_thread(self._pipe.recv)

    async def asked(self, count: int) -> Any:
        """What it says to a number."""
        self._pipe.send(count)
        return await self.answer()

    def end(self) -> None:
        """Ends the process."""
        self._process.terminate()
        self._process.join()
        self._pipe.close()
