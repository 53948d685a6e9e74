"""Everybody has a turn in each pass of the loop, the modest before the greedy, and nobody holds it."""

from __future__ import annotations

import asyncio
import itertools
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gridsignal_services.gateway.costs import _DELIVERY_S
from gridsignal_services.gateway.turns import Share, Turns
from tests.builders import REQUEST_ID
from tests.integration.gateway.test_offers_and_answers import asked, offered
from tests.integration.gateway_stand import Stand
from tests.patience import SOON_S

_NEXT_TO_NOTHING = 1e-9
"""Of the loop's time: what was saved up at the start is all there is, however busy the machine."""


class Digger:
    """Work of so many slices, each of some real milliseconds."""

    def __init__(
        self, name: str, share: Share, slices: int, done: list[str], slice_s: float = 0.0, owed_s: float = 0.0
    ) -> None:
        self.share, self.line = share, name
        self._name, self._slices, self._done, self._slice_s, self._owed_s = name, slices, done, slice_s, owed_s

    def take_owed_s(self) -> float:
        return self._owed_s

    def work(self) -> bool:
        until_s = time.thread_time() + self._slice_s
        while time.thread_time() < until_s:
            pass
        self._slices -= 1
        self._done.append(self._name)
        return self._slices > 0


async def until_done(done: list[str], count: int) -> None:
    async with asyncio.timeout(SOON_S):
        for _ in iter(lambda: len(done) >= count, True):
            await asyncio.sleep(0)


async def test_who_has_used_more_than_a_share_comes_after_all_others() -> None:
    turns, done = Turns(_NEXT_TO_NOTHING), list[str]()
    turns.ask(Digger("greedy", turns.share_of("greedy"), 200, done, slice_s=0.003))
    await until_done(done, 60)
    began = len(done)
    for number in range(5):
        turns.ask(Digger("modest", turns.share_of(f"modest {number}"), 2, done))
    await until_done(done, began + 11)
    assert done[began:].index("greedy") >= 10
    await until_done(done, 210)
    turns.stop()


async def test_the_loop_goes_round_between_slices() -> None:
    turns, done = Turns(_NEXT_TO_NOTHING), list[str]()
    turns.ask(Digger("greedy", turns.share_of("greedy"), 40, done, slice_s=0.003))
    seen = []
    async with asyncio.timeout(SOON_S):
        while len(done) < 40:
            await asyncio.sleep(0)
            seen.append(len(done))
    # two where its credit ends in between
    assert max(after - before for before, after in itertools.pairwise(seen)) <= 2


async def test_connections_of_one_organisation_take_turns() -> None:
    turns, done = Turns(_NEXT_TO_NOTHING), list[str]()
    share = turns.share_of("acme-ai")
    for name in ("one", "two", "three"):
        turns.ask(Digger(name, share, 5, done, slice_s=0.003))
    await until_done(done, 15)
    assert done == ["one", "two", "three"] * 5


async def test_a_piece_of_a_task_waits_for_its_turn_like_others() -> None:
    turns, done = Turns(_NEXT_TO_NOTHING), list[str]()
    greedy = turns.share_of("greedy")
    turns.ask(Digger("greedy", greedy, 60, done, slice_s=0.003))
    await until_done(done, 40)
    async with asyncio.timeout(SOON_S):
        await turns.turn(turns.share_of("modest"), "a connection")
        assert len(done) < 60
        await turns.turn(greedy, "a connection")
    turns.stop()


async def test_what_a_slice_causes_later_counts_with_it() -> None:
    turns, done = Turns(_NEXT_TO_NOTHING), list[str]()
    turns.ask(Digger("greedy", turns.share_of("greedy"), 200, done, owed_s=0.003))
    await until_done(done, 60)
    turns.ask(Digger("modest", turns.share_of("modest"), 1, done))
    began = len(done)
    await until_done(done, began + 2)
    assert done[began] == "modest"
    turns.stop()


async def test_a_connection_that_had_nothing_to_do_waits_for_no_busy_sibling() -> None:
    turns, done = Turns(_NEXT_TO_NOTHING), list[str]()
    share = turns.share_of("acme-ai")
    for number in range(300):
        turns.ask(Digger(f"sibling {number}", share, 100, done, owed_s=0.003))
    await until_done(done, 400)
    began = len(done)
    turns.ask(Digger("quiet", share, 1, done))
    await until_done(done, began + 4)
    assert "quiet" in done[began : began + 4]
    turns.stop()


async def test_those_that_come_and_go_keep_no_busy_one_waiting_for_ever() -> None:
    turns, done = Turns(_NEXT_TO_NOTHING), list[str]()
    share, numbers = turns.share_of("acme-ai"), itertools.count()

    class Visitor(Digger):
        def work(self) -> bool:
            turns.ask(visitor())  # the next is there at once
            return super().work()

    def visitor() -> Visitor:
        return Visitor(f"visitor {next(numbers)}", share, 1, done, owed_s=0.003)

    turns.ask(Digger("busy", share, 1000, done, owed_s=0.003))
    for _ in range(8):
        turns.ask(visitor())
    await until_done(done, 300)
    assert done.count("busy") >= 5
    turns.stop()


async def test_what_a_write_causes_is_charged_to_its_organisation(tmp_path: Path) -> None:
    async with Stand.open(tmp_path, organisation_share=_NEXT_TO_NOTHING) as stand, stand.client() as client:
        share = stand.gateway._conversations.turns.share_of("participant:acme-ai")
        for number in range(250):  # small to read, two records each: more than what was saved up
            await client.ask("withdraw", offer_id=f"offer-{number}")
        assert not share.is_modest(asyncio.get_running_loop().time())


async def test_handing_out_what_is_addressed_to_somebody_is_charged_to_whose_connections_they_are(
    tmp_path: Path,
) -> None:
    async with (
        Stand.open(tmp_path, organisation_share=_NEXT_TO_NOTHING, ping_s=100) as stand,
        AsyncExitStack() as open_,
    ):
        theirs = [await open_.enter_async_context(stand.client()) for _ in range(3)]
        token = stand.token("volt-colo")
        other = await open_.enter_async_context(stand.client(site="muc-1", token=token))
        for client in (*theirs, other):
            await client.subscribe("dispatch")
        turns = stand.gateway._conversations.turns
        shares = [turns.share_of(f"participant:{name}") for name in ("acme-ai", "volt-colo")]
        await asked(stand)
        await offered(theirs[0])
        for client in (*theirs, other):
            assert (await client.signal())["type"] == "DispatchRequest"
            await client.round_trip()
        left_s = [share._seconds._level for share in shares]
        await stand.clear(REQUEST_ID)
        for client in theirs:
            assert [(await client.signal())["type"] for _ in range(2)] == ["OfferDecision", "DispatchOrder"]
        spent_s = [before_s - share._seconds._level for before_s, share in zip(left_s, shares, strict=True)]
        assert spent_s == [pytest.approx(2 * len(theirs) * _DELIVERY_S, rel=0.01), pytest.approx(0.0, abs=1e-7)]


def test_a_share_is_refilled_by_time() -> None:
    share = Share(0.25, 0.0)
    share.charge(0.15, 0.0)
    assert not share.is_modest(0.0)
    assert not share.is_modest(0.15)
    assert share.is_modest(0.21)
