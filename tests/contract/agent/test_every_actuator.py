"""What holds of every actuator, whatever is behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from gridsignal.agent.schedule import Schedule, Slot
from gridsignal_schemas.values import KW, MW
from tests.contract.agent.stands import BASELINE_W, CAN_W, END, STANDS, START, Stand, scheduled

AMOUNTS = [(1 * MW,), (4 * MW + 7 * KW,), (CAN_W,), (3 * MW, 2 * MW + 500 * KW), (1 * MW, 1 * MW, 1 * MW)]
LATER = START + timedelta(minutes=10)


@pytest.fixture(params=list(STANDS))
async def stand(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stand]:
    async with STANDS[request.param](tmp_path) as up:
        yield up


@pytest.mark.parametrize("amounts", AMOUNTS, ids=lambda amounts: "+".join(str(w // KW) for w in amounts))
async def test_the_watts_that_are_ordered_are_the_watts_that_are_read_back(
    stand: Stand, amounts: tuple[int, ...]
) -> None:
    actuator = stand.make()
    actions = await actuator.apply(scheduled(*amounts), START)
    assert actions
    orders = [f"order-{at}" for at in range(1, len(amounts) + 1)]
    assert all(order in action.reason for action in actions for order in orders)
    assert (await actuator.observe(START)).shed_w == sum(amounts)
    await actuator.aclose()


async def test_a_schedule_that_holds_is_not_applied_again(stand: Stand) -> None:
    actuator = stand.make()
    assert await actuator.apply(scheduled(4 * MW), START)
    assert await actuator.apply(scheduled(4 * MW), START) == ()
    await stand.at(LATER)
    assert await actuator.apply(scheduled(4 * MW, now=LATER), LATER) == ()
    await actuator.aclose()


async def test_of_more_than_there_is_as_much_as_there_is_is_done_once(stand: Stand) -> None:
    actuator = stand.make()
    too_much = scheduled(CAN_W, 1 * MW)
    await actuator.apply(too_much, START)
    observed = await actuator.observe(START)
    assert observed.shed_w == CAN_W
    assert observed.room_w in (0, None)
    assert await actuator.apply(too_much, START) == ()
    await actuator.aclose()


async def test_a_second_order_adds_and_its_end_takes_away_its_own(stand: Stand) -> None:
    actuator = stand.make()
    for orders in ((4 * MW,), (4 * MW, 3 * MW), (4 * MW,)):
        await actuator.apply(scheduled(*orders), START)
        assert (await actuator.observe(START)).shed_w == sum(orders)
    await actuator.aclose()


async def test_where_nothing_may_start_what_runs_is_not_moved(stand: Stand) -> None:
    actuator = stand.make()
    held = Schedule((Slot(START, END, 0, BASELINE_W, ("alert fault-7 of tso-north",)),))
    assert await actuator.apply(held, START) == ()
    assert (await actuator.observe(START)).shed_w == 0
    await actuator.aclose()


async def test_an_empty_schedule_gives_everything_back(stand: Stand) -> None:
    actuator = stand.make()
    assert await actuator.apply(Schedule(), START) == ()
    await actuator.apply(scheduled(4 * MW), START)
    await stand.at(LATER)
    given_back = await actuator.apply(Schedule(), LATER)
    assert given_back
    assert all(action.reason for action in given_back)
    assert (await actuator.observe(LATER)).shed_w == 0
    await actuator.aclose()


async def test_an_agent_that_starts_reads_back_what_the_one_before_it_applied(stand: Stand) -> None:
    actuator = stand.make()
    await actuator.apply(scheduled(4 * MW), START)
    await actuator.aclose()
    await stand.at(LATER)
    following = stand.make()
    assert (await following.observe(LATER)).shed_w == 4 * MW
    assert await following.apply(scheduled(4 * MW, now=LATER), LATER) == ()
    await following.aclose()


async def test_what_was_applied_ends_by_itself_when_the_agent_is_gone(stand: Stand) -> None:
    actuator = stand.make()
    schedule = scheduled(4 * MW)
    await actuator.apply(schedule, START)
    await actuator.aclose()
    over = schedule.until(START)
    assert over is not None
    assert over >= END
    assert (await stand.reads(over + timedelta(seconds=1))).shed_w == 0


async def test_looking_moves_nothing(stand: Stand) -> None:
    actuator = stand.make()
    assert await actuator.check(START)
    assert (await actuator.observe(START)).shed_w == 0
    await actuator.aclose()
