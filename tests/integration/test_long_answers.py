"""Long answers: others have their turns between slices, an organisation has one at a time and pays for it."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from itertools import count, pairwise
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_services.access import Principal
from gridsignal_services.rest.callers import Callers
from gridsignal_services.rest.limits import RestLimits
from gridsignal_services.rest.problems import Problem
from gridsignal_services.work import Work


def who(organisation: str) -> Principal:
    return Principal("operator", organisation, "somebody", frozenset(), datetime(2030, 1, 1, tzinfo=UTC))


def callers(**limits: Any) -> Callers:
    nobody = cast(Any, None)  # whose token it is has been found out before
    return Callers(nobody, RestLimits(**limits), nobody)


@given(st.lists(st.integers(0, 3000), max_size=40))
def test_nobody_waits_for_more_than_a_slice_and_a_row(row_us: list[int]) -> None:
    now_us = 0
    turns: list[int] = []

    def make(cost_us: int) -> int:
        nonlocal now_us
        now_us += cost_us
        return cost_us

    async def others() -> None:
        while True:
            turns.append(now_us)
            await asyncio.sleep(0)

    async def answered() -> list[int]:
        beside = asyncio.create_task(others())
        await asyncio.sleep(0)
        made = await Work(lambda _: None, lambda: now_us / 1e6).each(row_us, make)
        turns.append(now_us)
        beside.cancel()
        return made

    assert asyncio.run(answered()) == row_us
    longest = max(row_us, default=0)
    assert all(later - earlier <= 1001 + longest for earlier, later in pairwise(turns))


@given(st.lists(st.sampled_from(["one", "two", "three", "four", "five", "six"]), max_size=30))
def test_an_organisation_has_at_most_one_long_answer_in_work(asked: list[str]) -> None:
    at_work: Counter[str] = Counter()
    most: Counter[str] = Counter()
    together = 0

    async def answer(door: Callers, organisation: str) -> None:
        nonlocal together
        async with door.turn(who(organisation)):
            at_work[organisation] += 1
            most[organisation] = max(most[organisation], at_work[organisation])
            together = max(together, at_work.total())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            at_work[organisation] -= 1

    async def all_of_them() -> None:
        door = callers()
        await asyncio.gather(*(answer(door, organisation) for organisation in asked))

    asyncio.run(all_of_them())
    assert most == Counter(set(asked))
    assert together <= 4


def test_what_waits_behind_an_answer_that_took_too_much_is_told_to_come_again() -> None:
    async def ask() -> list[int | None]:
        door = callers(work_ms_per_s=0.001, work_burst_ms=1)
        costs = count()

        async def answer(organisation: str) -> int | None:
            try:
                async with door.turn(who(organisation)) as work:
                    await work.away(_spin, next(costs) + 0.01)
            except Problem as refusal:
                return refusal.status
            return None

        return list(await asyncio.gather(answer("one"), answer("one"), answer("other")))

    assert asyncio.run(ask()) == [None, 429, None]


def _spin(seconds: float) -> None:
    """Computes for at least ten milliseconds."""
    total = 0
    for number in range(400_000):
        total += number


def test_a_piece_that_fails_fails_the_answer_and_gives_the_turn_back() -> None:
    async def ask() -> bool:
        door = callers()
        with pytest.raises(ZeroDivisionError):
            async with door.turn(who("one")) as work:
                await work.each_away(1 // number for number in (1, 0))
        async with door.turn(who("one")) as work:
            return await work.each_away(iter("ab")) == ["a", "b"]

    assert asyncio.run(ask())
