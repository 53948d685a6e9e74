"""What the embedded log commits together: bounded, in each one's order, and nobody behind all of another's."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_services.bus.room import Room
from gridsignal_services.bus.sqlite_file import Lane
from gridsignal_services.bus.sqlite_lines import BATCH_BYTES, MAX_BATCH, Lines, Waiting

LANE = Lane("prices", 0, 1)
SHORT, LONGEST = 64, 1_000_000


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def waiting(loop: asyncio.AbstractEventLoop, whose: str, size: int) -> Waiting:
    return Waiting(LANE, "", {}, "{}", bytes(size), loop.create_future(), whose)


APPENDS = st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(SHORT, LONGEST)), min_size=1, max_size=60)


@given(rounds=st.lists(APPENDS, min_size=1, max_size=4))
def test_every_append_is_in_one_batch_in_its_own_order_and_no_batch_is_long(
    loop: asyncio.AbstractEventLoop, rounds: list[list[tuple[str, int]]]
) -> None:
    lines, put, got = Lines(), defaultdict[str, list[Waiting]](list), defaultdict[str, list[Waiting]](list)
    came = dict[int, int]()

    def take() -> None:
        batch = lines.batch()
        assert 1 <= len(batch) <= MAX_BATCH
        assert sum(each.size for each in batch) - max(each.size for each in batch) < BATCH_BYTES
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
    short = waiting(loop, "victim", SHORT - 1)
    lines.add(short)
    assert short in lines.batch()


def test_many_short_ones_are_counted(loop: asyncio.AbstractEventLoop) -> None:
    lines, first = Lines(), waiting(loop, "a", 0)
    for each in [first, *(waiting(loop, "a", 0) for _ in range(2 * MAX_BATCH))]:
        lines.add(each)
    most = min(MAX_BATCH, -(-BATCH_BYTES // first.size))
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
