"""What takes too long is ended, by one timer for all of it."""

from __future__ import annotations

import asyncio

import pytest

from gridsignal_services.timeouts import Timeouts
from tests.patience import SOON_S


async def _forever(timeouts: Timeouts) -> None:
    with timeouts.limit():
        await asyncio.get_running_loop().create_future()


async def test_a_wait_that_takes_too_long_ends_and_so_do_those_that_began_later() -> None:
    timeouts = Timeouts(0.001)
    waits = []
    for _ in range(3):
        waits.append(asyncio.create_task(_forever(timeouts)))
        await asyncio.sleep(0)
    async with asyncio.timeout(SOON_S):
        ends = await asyncio.gather(*waits, return_exceptions=True)
    assert [type(end) for end in ends] == [TimeoutError] * 3
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(SOON_S):
            await _forever(timeouts)  # the timer had nothing more to do, and goes on


async def test_what_is_over_in_time_is_left_alone() -> None:
    timeouts = Timeouts(0.001)
    with timeouts.limit():
        await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        await _forever(timeouts)  # the timer of the first has fired
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_whoever_is_cancelled_is_not_told_that_it_took_too_long() -> None:
    waiting = asyncio.create_task(_forever(Timeouts(SOON_S)))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
