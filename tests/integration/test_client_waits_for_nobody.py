"""Nothing that never answers keeps the SDK waiting for ever: a cable that is pulled, a token function, an end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

import gridsignal
from gridsignal.testing import FakeGrid
from gridsignal_schemas import frames
from tests.integration.client_stage import HASTY
from tests.integration.front import TOKEN, connected, front, http_answer
from tests.integration.relay import Relay
from tests.patience import SOON_S

PULLED = replace(HASTY, ping_s=0.2, dead_after_s=0.4)
CRATE = "x" * 60_000


@pytest.fixture
async def fake() -> AsyncIterator[FakeGrid]:
    async with FakeGrid(token=TOKEN) as standing:
        yield standing


async def crowd(grid: gridsignal.Grid) -> list[asyncio.Task[gridsignal.Receipt]]:
    """More to send than the buffers of a loopback socket hold."""
    sending = [asyncio.create_task(grid.withdraw(f"offer-{number}", CRATE)) for number in range(200)]
    await asyncio.sleep(0)
    return sending


async def test_a_cable_that_is_pulled_while_much_is_sent_is_noticed(fake: FakeGrid) -> None:
    fake.hold_answers = True
    async with Relay() as relay:
        relay.target = ("127.0.0.1", fake.port)
        async with connected(relay.port, limits=PULLED) as grid:
            relay.flowing.clear()
            sending = await crowd(grid)
            relay.came.clear()
            async with asyncio.timeout(SOON_S):
                await relay.came.wait()
            relay.flowing.set()
        for each in sending:
            with pytest.raises(gridsignal.GridClosed):
                await each


@pytest.mark.parametrize("how", ["leaves", "is cancelled"])
async def test_a_program_ends_while_nothing_flows(fake: FakeGrid, how: str) -> None:
    fake.hold_answers = True
    async with Relay() as relay:
        relay.target = ("127.0.0.1", fake.port)
        inside = asyncio.Event()
        sending: list[asyncio.Task[gridsignal.Receipt]] = []

        async def program() -> None:
            async with connected(relay.port) as grid:
                relay.flowing.clear()
                sending.extend(await crowd(grid))
                inside.set()
                if how == "is cancelled":
                    await asyncio.Event().wait()

        running = asyncio.create_task(program())
        await inside.wait()
        if how == "is cancelled":
            running.cancel()
        async with asyncio.timeout(SOON_S):
            await asyncio.wait({running})
        assert running.cancelled() == (how == "is cancelled")
        failures = await asyncio.gather(*sending, return_exceptions=True)
        assert {type(failure) for failure in failures} == {gridsignal.GridClosed}


@pytest.mark.parametrize("how", ["a coroutine", "one that is deaf to its end", "a function that blocks"])
async def test_a_token_function_that_never_answers_is_asked_again(
    fake: FakeGrid, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    hangs, calls, released = False, 0, threading.Event()
    let_go = asyncio.Event()

    async def coroutine() -> str:
        nonlocal calls
        calls += 1
        while hangs and calls == 2:
            try:
                await let_go.wait()
                break
            except asyncio.CancelledError:
                if how == "a coroutine":
                    raise
        return TOKEN

    def function() -> str:
        nonlocal calls
        calls += 1
        if hangs and calls == 2:
            released.wait()
        return TOKEN

    source = function if how == "a function that blocks" else coroutine
    async with front(fake.port) as ingress:
        async with connected(ingress.port, token=source, limits=replace(HASTY, open_s=0.2)) as grid:
            hangs = True
            ingress.answer = http_answer("401 Unauthorized")
            ingress.cut()
            await ingress.refused(1)
            ingress.answer = None
            async with asyncio.timeout(SOON_S):
                await grid.ping()
        let_go.set()
        released.set()
    assert calls == 3
    assert "the token function has not answered within 0.2 s" in caplog.text


async def test_a_token_function_that_never_answers_is_named_to_a_newcomer(fake: FakeGrid) -> None:
    async def silent() -> str:
        await asyncio.Event().wait()
        return TOKEN

    with pytest.raises(gridsignal.Unreachable, match="token function has not answered"):
        async with connected(fake.port, token=silent, limits=replace(HASTY, open_s=0.1, first_connect_s=0.5)):
            raise AssertionError("it was let in")


async def test_a_refresh_that_fails_is_tried_again(fake: FakeGrid) -> None:
    calls, fresh = 0, asyncio.Event()

    async def flaky() -> str:
        nonlocal calls
        calls += 1
        if calls in (2, 3):
            raise LookupError(TOKEN)
        if calls == 4:
            fresh.set()
        return TOKEN

    async with connected(fake.port, token=flaky) as grid:
        fake.tell(frames.TokenExpiring(expires_at=grid.now() + timedelta(seconds=60)))
        async with asyncio.timeout(SOON_S):
            await fresh.wait()
            await grid.ping()
    assert fake.upgrades == 1


class NoLoops(asyncio.DefaultEventLoopPolicy):
    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        raise OSError("Too many open files")


def test_a_connection_whose_thread_gets_no_loop_fails_and_is_left() -> None:
    entered = gridsignal.sync.connect("ws://127.0.0.1:1", token="fake-token", outbox=":memory:")
    before = asyncio.get_event_loop_policy()
    asyncio.set_event_loop_policy(NoLoops())
    try:
        with pytest.raises(OSError, match="Too many open files"):
            entered.__enter__()
    finally:
        asyncio.set_event_loop_policy(before)
    leaving = threading.Thread(target=entered.__exit__, args=(None, None, None), daemon=True)
    leaving.start()
    leaving.join(SOON_S)
    assert not leaving.is_alive()
