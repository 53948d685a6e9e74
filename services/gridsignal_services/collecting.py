"""The garbage collector of a process that serves: what a collection of everything stops, it stops for everybody."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager

_SELDOM = 100
"""So many collections of the young come before one of everything, which holds the loop for as long as there is much: a
third of a second for four thousand offers. Hardly anything but a connection is let go of in a circle."""


async def collect_seldom(filled: Awaitable[object]) -> None:
    """For ever. Once it is filled, what lives then is looked at no more, and what comes later seldom."""
    await filled
    with _seldom():
        await asyncio.get_running_loop().create_future()


@contextmanager
def _seldom() -> Iterator[None]:
    gc.collect()
    gc.freeze()
    before = gc.get_threshold()
    gc.set_threshold(*before[:2], _SELDOM)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
