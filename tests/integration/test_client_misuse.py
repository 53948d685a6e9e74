"""A use that can't work is a UsageError at once, before anything is entrusted, and never a wait without end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

import gridsignal
from gridsignal import MW, DispatchRequest
from gridsignal.testing import FakeGrid
from tests.builders import a_dispatch_order
from tests.integration.client_stage import take
from tests.integration.front import TOKEN, connected
from tests.patience import SOON_S

Call = Callable[[gridsignal.Grid, DispatchRequest], Awaitable[Any]]


async def _first(grid: gridsignal.Grid, _: DispatchRequest) -> object:
    async for signal in grid.subscribe("prices"):
        return signal
    return None


CALLS: dict[str, Call] = {
    "offer": lambda grid, request: grid.offer(request, power_w=MW, price_per_mwh="90"),
    "withdraw": lambda grid, _: grid.withdraw("ours"),
    "accept": lambda grid, _: grid.accept(a_dispatch_order()),
    "refuse": lambda grid, _: grid.refuse(a_dispatch_order()),
    "report": lambda grid, _: grid.report(a_dispatch_order(), "STARTED"),
    "declare_baseline": lambda grid, _: grid.declare_baseline(grid.now(), [MW]),
    "query": lambda grid, _: grid.query(offer_ids=["ours"]),
    "ping": lambda grid, _: grid.ping(),
    "settled": lambda grid, _: grid.settled(),
    "subscribe": _first,
}


@pytest.fixture
async def fake() -> AsyncIterator[FakeGrid]:
    async with FakeGrid(token=TOKEN) as standing:
        yield standing


@pytest.mark.parametrize("call", CALLS)
async def test_a_call_from_another_loop_does_nothing_and_says_so(fake: FakeGrid, call: str) -> None:
    async with connected(fake.port) as grid:
        request = fake.ask(MW)
        upgrades, written = fake.upgrades, len(fake.world.written)

        async def elsewhere() -> None:
            async with asyncio.timeout(SOON_S):
                await CALLS[call](grid, request)

        with pytest.raises(gridsignal.UsageError, match="run_coroutine_threadsafe"):
            await asyncio.to_thread(asyncio.run, elsewhere())
        await grid.settled()
        assert (fake.upgrades, len(fake.world.written)) == (upgrades, written)


async def test_reading_in_another_loop_does_nothing_and_says_so(fake: FakeGrid) -> None:
    async with connected(fake.port) as grid:
        signals = grid.subscribe("dispatch")

        async def elsewhere() -> None:
            await anext(signals)

        with pytest.raises(gridsignal.UsageError, match="another loop or thread"):
            await asyncio.to_thread(asyncio.run, elsewhere())
        with pytest.raises(gridsignal.UsageError, match="another loop or thread"):
            await asyncio.to_thread(asyncio.run, signals.aclose())
        request = fake.ask(MW)
        assert await take(signals, 1) == [request]


async def test_a_subscription_without_a_loop_is_refused(fake: FakeGrid) -> None:
    async with connected(fake.port) as grid:
        with pytest.raises(gridsignal.UsageError, match="another loop or thread"):
            await asyncio.to_thread(grid.subscribe, "prices")


async def test_the_right_way_from_another_thread_works(fake: FakeGrid) -> None:
    async with connected(fake.port) as grid:
        loop = asyncio.get_running_loop()

        def elsewhere() -> None:
            asyncio.run_coroutine_threadsafe(grid.ping(), loop).result(SOON_S)

        await asyncio.to_thread(elsewhere)


async def test_a_second_reader_is_refused_and_the_first_reads_on(fake: FakeGrid) -> None:
    async with connected(fake.port) as grid:
        signals = grid.subscribe("dispatch")
        first = asyncio.ensure_future(anext(signals))
        await grid.settled()
        with pytest.raises(gridsignal.UsageError, match="one reader"):
            await anext(signals)
        request = fake.ask(MW)
        async with asyncio.timeout(SOON_S):
            assert await first == request


async def test_a_reader_that_was_interrupted_is_followed_by_another(fake: FakeGrid) -> None:
    async with connected(fake.port) as grid:
        signals = grid.subscribe("dispatch")
        first = asyncio.ensure_future(anext(signals))
        await grid.settled()
        first.cancel()  # and nobody waits until it has ended
        second = asyncio.ensure_future(anext(signals))
        await grid.settled()
        request = fake.ask(MW)
        async with asyncio.timeout(SOON_S):
            assert await second == request


@pytest.mark.parametrize("call", CALLS)
async def test_a_call_before_the_block_is_entered_is_refused(fake: FakeGrid, call: str) -> None:
    never_entered: Any = gridsignal.connect(fake.url, token=TOKEN)
    with pytest.raises(gridsignal.UsageError, match=r"async with gridsignal\.connect"):
        getattr(never_entered, call)


async def test_other_ways_in_are_refused(fake: FakeGrid) -> None:
    connection: Any = gridsignal.connect(fake.url, token=TOKEN)
    with pytest.raises(gridsignal.UsageError, match="got `await`"):
        await connection
    with pytest.raises(gridsignal.UsageError, match="got `with`"), connection:
        raise AssertionError("it was let in")
    async with connection:
        pass
    with pytest.raises(gridsignal.UsageError, match="entered once"):
        async with connection:
            raise AssertionError("it was let in")
    assert not hasattr(connection, "no_such_thing")


@pytest.mark.parametrize("call", CALLS)
async def test_a_call_after_the_block_is_left_is_refused(fake: FakeGrid, call: str) -> None:
    request = fake.ask(MW)
    async with connected(fake.port) as grid:
        await grid.ping()
    with pytest.raises(gridsignal.UsageError):
        async with asyncio.timeout(SOON_S):
            await CALLS[call](grid, request)
