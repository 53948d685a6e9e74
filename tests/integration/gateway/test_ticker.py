"""A flush is one flush, and what comes after it is another."""

from __future__ import annotations

import asyncio

from gridsignal_services.gateway.ticker import FEW, Ticker
from tests.integration.gateway_stand import SOON_S


async def until_at_rest(ticker: Ticker) -> None:
    async with asyncio.timeout(SOON_S):
        for _ in iter(lambda: ticker.pending, False):
            await asyncio.sleep(0)


async def test_what_a_flush_hands_out_asks_for_no_other() -> None:
    flushes = 0

    def flush() -> int:
        nonlocal flushes
        flushes += 1
        ticker.request()  # as each connection does that gets something from its group
        return FEW + 1

    ticker = Ticker(flush, tick_s=0.001)
    for number in range(1, 4):
        ticker.request()
        await until_at_rest(ticker)
        assert flushes == number


async def test_a_flush_that_fails_is_not_the_last() -> None:
    flushes = 0

    def flush() -> int:
        nonlocal flushes
        flushes += 1
        if flushes == 1:
            raise ValueError("expected by this test")
        return 0

    ticker = Ticker(flush, tick_s=0.001)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: None)
    for _ in range(2):
        ticker.request()
        await until_at_rest(ticker)
    assert flushes == 2
