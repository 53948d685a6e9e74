"""The SDK without async: the same calls and errors, from any thread, and an end that nobody has to wait for."""

from __future__ import annotations

import asyncio
import inspect
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

import gridsignal
from gridsignal.testing import FakeGrid
from tests.builders import a_spot_price
from tests.integration.client_stage import HASTY
from tests.patience import SOON_S


@pytest.fixture
async def fake() -> AsyncIterator[FakeGrid]:
    async with FakeGrid() as standing, asyncio.timeout(3 * SOON_S):
        yield standing


def connection(fake: FakeGrid, **options: Any) -> gridsignal.sync.Connection:
    given: dict[str, Any] = {"token": fake.token, "site": "fra-1", "outbox": ":memory:", "limits": HASTY}
    return gridsignal.sync.connect(fake.url, **given | options)


@asynccontextmanager
async def connected(fake: FakeGrid, **options: Any) -> AsyncIterator[gridsignal.sync.Grid]:
    """The fake grid runs in the test's loop, and so the program in other threads."""
    entered = connection(fake, **options)
    grid = await asyncio.to_thread(entered.__enter__)
    try:
        yield grid
    finally:
        await asyncio.to_thread(entered.__exit__, None, None, None)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "gridsignal"]


# --- the same ---------------------------------------------------------------------------------------------------


def parameters(function: Callable[..., Any] | property) -> list[inspect.Parameter]:
    if isinstance(function, property):
        return []
    return [one for one in inspect.signature(function).parameters.values() if one.name != "self"]


CALLS = sorted(name for name in vars(gridsignal.Grid) if not name.startswith("_"))


@pytest.mark.parametrize("name", [name for name in CALLS if name not in ("clock", "settled")])  # for simulations
def test_every_call_is_there_with_the_same_parameters(name: str) -> None:
    ours, theirs = getattr(gridsignal.sync.Grid, name), getattr(gridsignal.Grid, name)
    more = {"timeout"} if name in ("subscribe", "regulate") else set()  # whose iterators wait
    assert [one for one in parameters(ours) if one.name not in more] == parameters(theirs)
    assert not inspect.iscoroutinefunction(ours)
    assert isinstance(ours, property) == isinstance(theirs, property)
    assert ours.__doc__


def test_connect_takes_the_same_parameters() -> None:
    assert parameters(gridsignal.sync.connect) == parameters(gridsignal.connect)


async def test_a_refusal_and_a_token_that_lets_nobody_in_are_the_same_errors(fake: FakeGrid) -> None:
    fake.refuse("too_late")
    async with connected(fake) as grid:
        with pytest.raises(gridsignal.TooLate):
            await asyncio.to_thread(grid.withdraw, "ours")
    with pytest.raises(gridsignal.Unauthorized):
        await asyncio.to_thread(connection(fake, token="another").__enter__)
    assert threads() == []


# --- waiting ----------------------------------------------------------------------------------------------------


async def test_an_iterator_that_timed_out_is_read_on_and_has_lost_nothing(fake: FakeGrid) -> None:
    async with connected(fake) as grid:
        signals = await asyncio.to_thread(grid.subscribe, "prices", timeout=0)
        with pytest.raises(TimeoutError):
            await asyncio.to_thread(next, signals)
        await asyncio.to_thread(grid.ping)
        assert signals.cursor in ({}, {"prices": "fake-1-0"})  # a heartbeat may have said that nothing came yet
        curves = [fake.publish(a_spot_price(revision=number)) for number in (1, 2)]
        signals.timeout = SOON_S
        assert [await asyncio.to_thread(next, signals) for _ in curves] == curves
        last = signals.cursor
        signals.timeout = 0
        with pytest.raises(TimeoutError):
            await asyncio.to_thread(next, signals)
        assert signals.cursor == last
        await asyncio.to_thread(signals.close)
        on = await asyncio.to_thread(grid.subscribe, "prices", cursor=last, timeout=SOON_S)
        later = fake.publish(a_spot_price(revision=3))
        assert await asyncio.to_thread(next, on) == later


async def test_what_nobody_reads_any_more_can_be_subscribed_to_again(fake: FakeGrid) -> None:
    def script(grid: gridsignal.sync.Grid) -> list[gridsignal.Message]:
        found = []
        for _ in range(3):
            for message in grid.subscribe("prices", timeout=SOON_S):
                found.append(message)
                break
        with pytest.raises(TimeoutError):
            next(grid.subscribe("alerts", timeout=0))
        grid.subscribe("alerts")
        return found

    curve = fake.publish(a_spot_price())
    async with connected(fake) as grid:
        assert await asyncio.to_thread(script, grid) == [curve] * 3


async def test_a_call_waits_no_longer_than_it_may(fake: FakeGrid) -> None:
    fake.hold_answers = True
    async with connected(fake) as grid:
        grid.timeout = 0.01
        with pytest.raises(gridsignal.Unreachable, match=r"grid\.withdraw within 0\.01 s"):
            await asyncio.to_thread(grid.withdraw, "ours")


@pytest.mark.parametrize("how", ["the subscription is closed", "the block is left"])
async def test_a_reader_in_another_thread_ends_when(fake: FakeGrid, how: str) -> None:
    async with connected(fake) as grid:
        signals = await asyncio.to_thread(grid.subscribe, "prices")
        reading = asyncio.create_task(asyncio.to_thread(list[gridsignal.Message], signals))
        if how == "the subscription is closed":
            await asyncio.to_thread(signals.close)
            assert await reading == []
    assert await reading == []


async def test_a_call_under_way_ends_when_the_block_is_left(fake: FakeGrid) -> None:
    fake.hold_answers = True
    async with connected(fake) as grid:
        waiting = asyncio.create_task(asyncio.to_thread(grid.declare_baseline, grid.now(), [1]))
        await fake.next(gridsignal.BaselineDeclaration)
    with pytest.raises(gridsignal.GridClosed):
        await waiting


async def test_it_works_where_a_loop_runs_as_in_a_notebook(fake: FakeGrid) -> None:
    async def cell() -> gridsignal.Message:
        with connection(fake) as grid, grid.subscribe("prices", timeout=SOON_S) as signals:
            return next(signals)

    curve = fake.publish(a_spot_price())
    assert await asyncio.to_thread(asyncio.run, cell()) == curve
    assert threads() == []


# --- misuse -----------------------------------------------------------------------------------------------------


async def test_after_the_block_calls_are_refused_and_iterators_are_over(fake: FakeGrid) -> None:
    async with connected(fake) as grid:
        signals = await asyncio.to_thread(grid.subscribe, "prices")
    with pytest.raises(gridsignal.GridClosed):
        grid.ping()
    with pytest.raises(gridsignal.GridClosed):
        grid.subscribe("prices")
    assert list(signals) == []
    signals.close()


async def test_a_second_reader_is_refused_and_the_first_reads_on(fake: FakeGrid) -> None:
    async with connected(fake) as grid:
        signals = await asyncio.to_thread(grid.subscribe, "prices", timeout=SOON_S)
        both = {asyncio.create_task(asyncio.to_thread(next, signals)) for _ in range(2)}
        (refused,), (reading,) = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        with pytest.raises(gridsignal.UsageError, match="one reader"):
            await refused
        curve = fake.publish(a_spot_price())
        assert await reading == curve


async def test_a_call_that_would_wait_for_itself_is_refused(fake: FakeGrid) -> None:
    failures: list[gridsignal.UsageError] = []

    async def token() -> str:
        if "another" in fake.tokens:
            with pytest.raises(gridsignal.UsageError, match="another thread") as failed:
                grid.ping()
            failures.append(failed.value)
        return next(iter(fake.tokens))

    async with connected(fake, token=token) as grid:
        fake.tokens = {"another"}
        fake.break_lines()
        await asyncio.to_thread(grid.ping)
    assert failures


async def test_a_connection_is_entered_with_with_and_once(fake: FakeGrid) -> None:
    entered = connection(fake)
    with pytest.raises(gridsignal.UsageError, match=r"expected `with gridsignal\.sync\.connect.* before grid\.offer"):
        _ = entered.offer
    with pytest.raises(AttributeError):
        _ = entered.nonsense
    with pytest.raises(gridsignal.UsageError, match="got `async with`"):
        async with entered:
            raise AssertionError("it was let in")
    with pytest.raises(gridsignal.UsageError, match="never entered"):
        entered.__exit__(None, None, None)
    await asyncio.to_thread(entered.__enter__)
    with pytest.raises(gridsignal.UsageError, match="a second time"):
        entered.__enter__()
    await asyncio.to_thread(entered.__exit__, None, None, None)


# --- Ctrl-C -----------------------------------------------------------------------------------------------------

SCRIPT = """
import sys, threading
import gridsignal

try:
    with gridsignal.sync.connect(sys.argv[1], token="fake-token") as grid:
        for signal in grid.subscribe("prices"):
            print("waiting", flush=True)
except KeyboardInterrupt:
    print("left", threading.active_count(), flush=True)
"""


INTERRUPTED = """
import os, signal, sys, threading

def interrupt(*_):
    sys.setprofile(None), threading.setprofile(None)
    os.kill(os.getpid(), signal.SIGINT)

threading.setprofile(interrupt)
"""
"""Ctrl-C by the first step that the connection's thread takes, while whoever starts it waits for that."""


async def interrupted(url: str, ready: Callable[[asyncio.StreamReader], Any]) -> tuple[str, str, int | None]:
    """What the script says after Ctrl-C, on both streams, and its exit code."""
    pipe = asyncio.subprocess.PIPE
    script = await asyncio.create_subprocess_exec(sys.executable, "-c", SCRIPT, url, stdout=pipe, stderr=pipe)
    assert script.stdout is not None
    await ready(script.stdout)
    script.send_signal(signal.SIGINT)
    said, complaints = await script.communicate()
    return said.decode(), complaints.decode(), script.returncode


async def test_ctrl_c_ends_a_script_that_waits_for_a_signal(fake: FakeGrid) -> None:
    fake.publish(a_spot_price())
    assert await interrupted(fake.url, lambda said: said.readline()) == ("left 1\n", "", 0)


async def test_ctrl_c_ends_a_script_that_waits_for_its_connection() -> None:
    came, writers = asyncio.Event(), []

    def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        came.set()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert await interrupted(url, lambda _: came.wait()) == ("left 1\n", "", 0)
        for writer in writers:
            writer.close()


async def test_ctrl_c_ends_a_script_whose_connection_has_just_begun(fake: FakeGrid) -> None:
    pipe = asyncio.subprocess.PIPE
    command = [sys.executable, "-c", INTERRUPTED + SCRIPT, fake.url]
    script = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    said, complaints = await script.communicate()
    assert (said.decode(), complaints.decode(), script.returncode) == ("left 1\n", "", 0)
