"""What a program reads: the state, then everything new, once and in order, over any number of breaks."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

import gridsignal
from gridsignal import CarbonIntensity, Gap, GridAlert, SpotPrice
from tests.builders import a_carbon_intensity, a_grid_alert, a_spot_price
from tests.integration.client_stage import HASTY, Stage, connected, take
from tests.patience import SOON_S


def revised(number: int) -> SpotPrice:
    """A correction of the day's curve that can be told from the others."""
    return a_spot_price(revision=number, prices_per_mwh=[Decimal(number)] * 24, status="CORRECTED")


def revisions(messages: list[gridsignal.Message]) -> list[int]:
    return [message.revision for message in messages if isinstance(message, SpotPrice)]


async def test_the_state_comes_first_and_then_what_is_new(stage: Stage) -> None:
    await stage.publish(a_spot_price())
    async with connected(stage) as grid:
        prices = grid.subscribe("prices", zones=["DE-LU"])
        (now,) = await take(prices, 1)
        await stage.publish(revised(2))
        (then,) = await take(prices, 1)
    assert now == a_spot_price()
    assert then == revised(2)


async def test_several_streams_come_through_one_iterator(stage: Stage) -> None:
    await stage.publish(a_spot_price(), a_carbon_intensity(), a_grid_alert())
    async with connected(stage) as grid:
        found = await take(grid.subscribe("prices", "carbon", "alerts", zones=["DE-LU"]), 3)
    assert {type(message) for message in found} == {SpotPrice, CarbonIntensity, GridAlert}


async def test_without_a_snapshot_only_what_is_new_comes(stage: Stage) -> None:
    await stage.publish(a_spot_price())
    async with connected(stage) as grid:
        prices = grid.subscribe("prices", snapshot=False)
        await grid.ping()
        await stage.publish(revised(2))
        assert revisions(await take(prices, 1)) == [2]


async def test_a_filter_keeps_other_zones_and_accountings_away(stage: Stage) -> None:
    async with connected(stage) as grid:
        found = grid.subscribe("prices", "carbon", zones=["DE-LU"], accounting=["MARGINAL"])
        await grid.ping()
        await stage.publish(a_spot_price(zone="FR"), a_carbon_intensity(), a_spot_price())
        (only,) = await take(found, 1)
    assert isinstance(only, SpotPrice)
    assert only.zone == "DE-LU"


async def test_breaks_lose_nothing_and_repeat_nothing(stage: Stage) -> None:
    async with connected(stage) as grid:
        prices = grid.subscribe("prices")
        await grid.ping()
        for number in range(1, 31):
            if number % 5 == 0:
                stage.relay.cut()
            await stage.publish(revised(number))
        assert revisions(await take(prices, 30)) == list(range(1, 31))
    assert stage.relay.accepted > 1


async def test_what_happened_while_nobody_was_connected_is_made_up_for(stage: Stage) -> None:
    async with connected(stage) as grid:
        prices = grid.subscribe("prices")
        await grid.ping()
        stage.relay.refuse_new()
        stage.relay.cut()
        await stage.publish(revised(1), revised(2))
        stage.relay.admit()
        assert revisions(await take(prices, 2)) == [1, 2]


async def test_a_saved_cursor_resumes_in_another_program(stage: Stage) -> None:
    async with connected(stage) as grid:
        prices = grid.subscribe("prices")
        await grid.ping()
        await stage.publish(revised(1), revised(2))
        assert revisions(await take(prices, 1)) == [1]
        saved = prices.cursor
    await stage.publish(revised(3))
    async with connected(stage) as grid:
        assert revisions(await take(grid.subscribe("prices", cursor=saved), 2)) == [2, 3]


async def test_a_cursor_nobody_gave_is_told_as_a_gap_and_answered_by_the_state(stage: Stage) -> None:
    await stage.publish(a_spot_price())
    async with connected(stage) as grid:
        gap, now = await take(grid.subscribe("prices", cursor="forged"), 2)
    assert isinstance(gap, Gap)
    assert gap.stream == "prices"
    assert gap.reason
    assert isinstance(now, SpotPrice)


async def test_silence_is_noticed_and_the_stream_goes_on(stage: Stage) -> None:
    quick = replace(HASTY, ping_s=0.1, dead_after_s=0.4)
    async with connected(stage, limits=quick) as grid:
        prices = grid.subscribe("prices")
        await grid.ping()
        stage.relay.frozen_up = stage.relay.frozen_down = True
        await stage.publish(revised(1))
        stage.relay.came.clear()
        async with asyncio.timeout(SOON_S):
            await stage.relay.came.wait()
        stage.relay.frozen_up = stage.relay.frozen_down = False
        stage.relay.cut()
        assert revisions(await take(prices, 1)) == [1]


async def test_a_program_that_reads_slowly_gets_everything_and_blocks_nothing(stage: Stage) -> None:
    async with connected(stage, limits=replace(HASTY, queue=4)) as grid:
        slow, other = grid.subscribe("prices"), grid.subscribe("alerts")
        await grid.ping()
        for number in range(1, 41):
            await stage.publish(revised(number))
        await stage.publish(a_grid_alert())
        (alert,) = await take(other, 1)
        await grid.ping()
        assert isinstance(alert, GridAlert)
        assert revisions(await take(slow, 40)) == list(range(1, 41))


async def test_who_leaves_hears_no_more_and_can_come_back(stage: Stage) -> None:
    async with connected(stage) as grid:
        async with grid.subscribe("prices") as prices:
            await grid.ping()
        await stage.publish(revised(1))
        with pytest.raises(StopAsyncIteration):
            await anext(prices)
        assert revisions(await take(grid.subscribe("prices"), 1)) == [1]


async def test_a_broken_off_loop_frees_its_subscription(stage: Stage) -> None:
    await stage.publish(revised(1))
    async with connected(stage) as grid:
        for _ in range(3):
            async with asyncio.timeout(SOON_S):
                async for message in grid.subscribe("prices"):
                    assert revisions([message]) == [1]
                    break
            await asyncio.sleep(0)


async def test_the_same_subscription_twice_is_the_callers_mistake(stage: Stage) -> None:
    async with connected(stage) as grid:
        first = grid.subscribe("prices", zones=["DE-LU"])
        with pytest.raises(gridsignal.UsageError, match="one subscription to 'prices'"):
            grid.subscribe("prices", zones=["DE-LU"])
        await first.aclose()


async def test_a_stream_that_does_not_exist_is_refused(stage: Stage) -> None:
    async with connected(stage) as grid:
        with pytest.raises(gridsignal.SubscriptionRefused, match="weather"):
            await take(grid.subscribe("weather"), 1)


async def test_a_token_nobody_gave_is_refused_at_once(stage: Stage) -> None:
    with pytest.raises(gridsignal.Unauthorized):
        async with gridsignal.connect(f"ws://127.0.0.1:{stage.relay.port}", token="forged"):
            raise AssertionError("it was let in")


async def test_all_is_settled_when_nothing_is_left_to_do(stage: Stage) -> None:
    await stage.publish(revised(1))
    async with connected(stage) as grid:
        prices = grid.subscribe("prices")
        read: list[gridsignal.Message] = []

        async def follow() -> None:
            async for message in prices:
                read.append(message)  # noqa: PERF401 - what has been read so far is the point

        following = asyncio.create_task(follow())
        async with asyncio.timeout(SOON_S):
            await grid.settled()
            assert revisions(read) == [1]
            await stage.publish(revised(2))
            await grid.settled()
        assert revisions(read) == [1, 2]
        await prices.aclose()
        await following
