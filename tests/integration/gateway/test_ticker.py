"""A flush is one flush, and what comes after it is another."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from functools import partial

from gridsignal_services.gateway.tick import Tick
from gridsignal_services.gateway.ticker import Ticker
from tests.patience import SOON_S


async def until_at_rest(ticker: Ticker) -> None:
    async with asyncio.timeout(SOON_S):
        for _ in iter(lambda: ticker.pending, False):
            await asyncio.sleep(0)


async def test_what_a_flush_hands_out_asks_for_no_other() -> None:
    flushes = 0

    def flush() -> Iterator[None]:
        nonlocal flushes
        flushes += 1
        ticker.request()  # as each connection does that gets something from its group
        yield

    ticker = Ticker(flush, lambda: False, tick=Tick(0.001, 0.001), now_s=partial(next, itertools.count()))
    for number in range(1, 4):
        ticker.request()
        await until_at_rest(ticker)
        assert flushes == number


async def test_a_flush_that_fails_is_not_the_last() -> None:
    flushes = 0

    def flush() -> Iterator[int]:
        nonlocal flushes
        flushes += 1
        if flushes == 1:
            raise ValueError("expected by this test")
        yield 0

    ticker = Ticker(flush, lambda: False, tick=Tick(0.001, 0.001))
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: None)
    for _ in range(2):
        ticker.request()
        await until_at_rest(ticker)
    assert flushes == 2


async def test_a_long_flush_leaves_the_loop_to_others_and_is_one_flush() -> None:
    seconds = itertools.count(step=0.0015)  # each piece takes so long
    written = list[int]()

    def flush() -> Iterator[int]:
        for number in range(10):
            written.append(number)
            yield 1

    ticker = Ticker(flush, lambda: False, tick=Tick(0.001, 0.001), now_s=lambda: next(seconds))
    ticker.request()
    seen = []
    async with asyncio.timeout(SOON_S):
        while ticker.pending:
            seen.append(len(written))
            ticker.request()  # it is under way already
            await asyncio.sleep(0)
    assert written == list(range(10))
    assert seen == [0, 2, 4, 6, 8, 10]


async def test_a_flush_that_cost_little_makes_none_wait_and_one_that_cost_much_does() -> None:
    costs = iter((0.0, 1.0, 0.0))
    passed_s, flushes = 0.0, 0

    def flush() -> Iterator[None]:
        nonlocal passed_s, flushes
        passed_s, flushes = passed_s + next(costs), flushes + 1
        yield

    ticker = Ticker(flush, lambda: False, tick=Tick(3600, 3600), now_s=lambda: passed_s)
    for expected in (1, 2, 2):  # the second is soon behind the first, the third an hour behind the second
        ticker.request()
        for _ in range(3):
            await asyncio.sleep(0)
        assert flushes == expected
    assert ticker.pending
    ticker.stop()


async def test_what_comes_while_a_flush_is_under_way_is_flushed_after_it() -> None:
    flushes, more = 0, [True, False]

    def flush() -> Iterator[int]:
        nonlocal flushes
        flushes += 1
        yield 0

    ticker = Ticker(flush, lambda: more.pop(0), tick=Tick(0.001, 0.001))
    ticker.request()
    await until_at_rest(ticker)
    assert flushes == 2
