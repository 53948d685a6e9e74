"""Work that goes on until it is cancelled, and never ends in silence."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class Ended(Exception):
    """Work ended that should have gone on: a defect. The service is of no use without it."""


async def supervise(what: str, work: Coroutine[Any, Any, None]) -> None:
    """Awaits the work, which only a cancellation of this task may end. Raises Ended, and what the work raises.

    A library that lets a cancellation of its own out would end a task as if somebody had wanted it: a task group goes
    on without it, and nobody is told.
    """
    task = asyncio.current_task()
    assert task is not None
    try:
        await work
    except asyncio.CancelledError:
        if task.cancelling():
            raise
    raise Ended(f"{what}: expected to go on until it is cancelled, ended by itself")
