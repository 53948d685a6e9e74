"""What the embedded log commits together: bounded, in each one's order, and nobody behind all of another's."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_services.bus import SERVICE
from gridsignal_services.bus.room import Room
from gridsignal_services.bus.sqlite_file import Lane
from gridsignal_services.bus.sqlite_lines import BATCH_BYTES, Lines, Waiting

LANE = Lane("prices", 0, 1)
SHORT, LONGEST = 64, 1_000_000


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def waiting(loop: asyncio.AbstractEventLoop, whose: str, size: int) -> Waiting:
    return Waiting(LANE, "", {}, "{}", bytes(size), loop.create_future(), whose)


SERVICES = ["service:dispatch", "service:ingest"]


def appends(whose: Sequence[str]) -> st.SearchStrategy[list[tuple[str, int]]]:
    return st.lists(st.tuples(st.sampled_from(whose), st.integers(SHORT, LONGEST)), min_size=1, max_size=60)


APPENDS = appends([*"abcdef", *SERVICES])


@given(rounds=st.lists(APPENDS, min_size=1, max_size=4))
def test_every_append_is_in_one_batch_in_its_own_order_and_no_batch_is_long(
    loop: asyncio.AbstractEventLoop, rounds: list[list[tuple[str, int]]]
) -> None:
    lines, put, got = Lines(), defaultdict[str, list[Waiting]](list), defaultdict[str, list[Waiting]](list)
    came = dict[int, int]()

    def take() -> None:
        batch = lines.batch()
        assert batch
        longest = {each.whose in SERVICES: each.size for each in sorted(batch, key=lambda each: each.size)}
        assert sum(each.size for each in batch) - sum(longest.values()) < BATCH_BYTES
        numbers = [came[id(each)] for each in batch]
        assert numbers == sorted(numbers), "what goes together lies in the order in which it came"
        for each in batch:
            got[each.whose].append(each)

    for appends in rounds:
        for whose, size in appends:
            put[whose].append(waiting(loop, whose, size))
            came[id(put[whose][-1])] = len(came)
            lines.add(put[whose][-1])
        take()
    while lines:
        take()
    assert got == put
    assert lines.batch() == []


@given(before=APPENDS, batches=st.integers(0, 5))
def test_a_short_append_behind_any_number_of_others_long_ones_is_in_the_next_batch(
    loop: asyncio.AbstractEventLoop, before: list[tuple[str, int]], batches: int
) -> None:
    lines = Lines()
    for whose, size in before * 20:
        lines.add(waiting(loop, whose, size))
    for _ in range(batches):
        lines.batch()
    shorts = [waiting(loop, whose, SHORT - 1) for whose in ("victim", "service:victim")]
    for short in shorts:
        lines.add(short)
    batch = lines.batch()
    assert all(short in batch for short in shorts)


@given(sizes=st.lists(st.integers(SHORT, LONGEST), min_size=1, max_size=5), modest=st.integers(SHORT, LONGEST))
def test_who_comes_back_each_time_it_was_served_gets_no_more_than_who_waits_all_the_time(
    loop: asyncio.AbstractEventLoop, sizes: list[int], modest: int
) -> None:
    lines, had = Lines(), Counter[str]()
    for _ in range(40):
        lines.add(waiting(loop, "modest", modest))
    coming = itertools.cycle(sizes)
    lines.add(waiting(loop, "greedy", next(coming)))
    while had["modest"] < 40 * waiting(loop, "modest", modest).size:
        batch = lines.batch()
        for each in batch:
            had[each.whose] += each.size
        if any(each.whose == "greedy" for each in batch):
            lines.add(waiting(loop, "greedy", next(coming)))
        modest_waits = had["modest"] < 40 * waiting(loop, "modest", modest).size
        assert not modest_waits or had["greedy"] <= had["modest"] + waiting(loop, "greedy", max(sizes)).size


@given(services=appends(SERVICES), others=appends([f"participant:{number}" for number in range(100)]))
def test_half_of_a_batch_is_the_services_and_half_the_others_however_many_they_are(
    loop: asyncio.AbstractEventLoop, services: list[tuple[str, int]], others: list[tuple[str, int]]
) -> None:
    lines, left = Lines(), Counter[bool]()
    for whose, size in [*others * 5, *services]:
        lines.add(waiting(loop, whose, size))
        left[whose in SERVICES] += 1
    while lines:
        had = Counter[bool]()
        for each in lines.batch():
            had[each.whose in SERVICES] += each.size
            left[each.whose in SERVICES] -= 1
        for are_services in (True, False):
            assert not left[are_services] or had[are_services] >= BATCH_BYTES // 2


def test_many_short_ones_are_counted(loop: asyncio.AbstractEventLoop) -> None:
    lines, first = Lines(), waiting(loop, "a", 0)
    most = -(-BATCH_BYTES // first.size)
    for each in [first, *(waiting(loop, "a", 0) for _ in range(2 * most))]:
        lines.add(each)
    assert [len(lines.batch()) for _ in range(2)] == [most, most]


async def test_who_fills_the_room_keeps_nobody_out_with_what_waits_behind_it() -> None:
    room, let_in = Room(100), list[str]()

    async def take(whose: str, size: int) -> None:
        await room.take(size, whose)
        let_in.append(whose)

    async with asyncio.TaskGroup() as tasks:
        for size in (150, *[60] * 5):
            tasks.create_task(take("greedy", size))
        tasks.create_task(take("modest", 10))
        await asyncio.sleep(0)
        assert let_in == ["greedy"]
        while len(let_in) < 7:
            room.free(150 if len(let_in) == 1 else 60)
            await asyncio.sleep(0)
    assert let_in.index("modest") == 2


async def test_a_service_has_every_other_turn_of_the_room_and_keeps_nobody_out() -> None:
    room, let_in = Room(1), list[str]()

    async def take(whose: str) -> None:
        await room.take(1, whose)
        let_in.append("service" if whose.startswith(SERVICE) else "other")

    async with asyncio.TaskGroup() as tasks:
        for number in range(50):
            tasks.create_task(take(f"participant:{number}"))
        for _ in range(10):
            tasks.create_task(take("service:dispatch"))
        await asyncio.sleep(0)
        assert let_in == ["other"]
        for _ in range(59):
            room.free(1)
            await asyncio.sleep(0)
    assert let_in == ["other", *["service", "other"] * 10, *["other"] * 39]
