"""How the SDK comes back, moves on a drain, keeps its token fresh, and knows when to stay away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

import gridsignal
from gridsignal import MW, DispatchOrder, DispatchRequest, FlexOffer, Gap, OrderOver, OrderResponse, SpotPrice
from gridsignal.testing import FakeGrid
from gridsignal_schemas.messages import GridClock
from tests.builders import a_dispatch_order, a_spot_price
from tests.integration.client_stage import HASTY, take
from tests.patience import SOON_S


def revised(number: int) -> SpotPrice:
    return a_spot_price(revision=number, prices_per_mwh=[Decimal(number)] * 24)


def revisions(messages: list[gridsignal.Message]) -> list[int]:
    return [message.revision for message in messages if isinstance(message, SpotPrice)]


@pytest.fixture
async def fake() -> AsyncIterator[FakeGrid]:
    async with FakeGrid() as standing:
        yield standing


@asynccontextmanager
async def connected(fake: FakeGrid, **options: Any) -> AsyncIterator[gridsignal.Grid]:
    given: dict[str, Any] = {"token": fake.token, "site": "fra-1", "outbox": ":memory:", "limits": HASTY}
    async with asyncio.timeout(2 * SOON_S), gridsignal.connect(fake.url, **given | options) as grid:
        yield grid


async def test_a_drain_opens_the_new_line_before_the_old_one_is_left(fake: FakeGrid) -> None:
    async with connected(fake) as grid:
        prices = grid.subscribe("prices")
        await grid.ping()
        fake.drain()
        for number in range(1, 11):
            fake.publish(revised(number))
            await asyncio.sleep(0)
        assert revisions(await take(prices, 10)) == list(range(1, 11))
        await grid.ping()
    assert fake.upgrades == 2


async def test_an_offer_on_its_way_survives_a_drain(fake: FakeGrid) -> None:
    async with connected(fake) as grid:
        signals = grid.subscribe("dispatch")
        fake.ask(12 * MW)
        (request,) = await take(signals, 1)
        assert isinstance(request, DispatchRequest)
        fake.hold_answers = True
        offering = asyncio.create_task(grid.offer(request, power_w=12 * MW, price_per_mwh="90"))
        offer = await fake.next(FlexOffer)
        fake.hold_answers = False
        fake.drain()
        async with asyncio.timeout(SOON_S):
            receipt = await offering
    assert receipt.offer_id == offer.offer_id


@pytest.mark.parametrize("code", [1001, 1011, 1012, 4001, 4003, 4029, 4030, 4123])
async def test_codes_that_come_back_resume_without_a_gap(fake: FakeGrid, code: int) -> None:
    async with connected(fake) as grid:
        prices = grid.subscribe("prices")
        await grid.ping()
        await fake.close(code)
        fake.publish(revised(1))
        assert revisions(await take(prices, 1)) == [1]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (4500, gridsignal.ProtocolViolation),
        (4501, gridsignal.Unauthorized),
        (4503, gridsignal.NotEntitled),
        (4509, gridsignal.Replaced),
    ],
)
async def test_codes_that_stay_away_reach_everyone_who_waits(
    fake: FakeGrid, code: int, error: type[gridsignal.GridsignalError]
) -> None:
    async with connected(fake) as grid:
        prices = grid.subscribe("prices")
        fake.hold_answers = True
        withdrawing = asyncio.create_task(grid.withdraw("ours"))
        await grid.ping()
        await fake.close(code)
        with pytest.raises(error):
            await take(prices, 1)
        with pytest.raises(error):
            await withdrawing
        with pytest.raises(error):
            await grid.ping()
    assert fake.upgrades == 1


async def test_changed_entitlements_begin_afresh_and_say_so(fake: FakeGrid) -> None:
    fake.publish(revised(1))
    async with connected(fake) as grid:
        prices = grid.subscribe("prices")
        await take(prices, 1)
        await grid.ping()
        await fake.close(4006)
        gap, state = await take(prices, 2)
    assert gap == Gap("prices", "entitlements_changed")
    assert revisions([state]) == [1]


@pytest.mark.parametrize("why", ["retention", "epoch"])
async def test_a_position_the_log_no_longer_has_is_told_and_answered_by_the_state(fake: FakeGrid, why: str) -> None:
    async with connected(fake) as grid:
        prices = grid.subscribe("prices")
        await grid.ping()
        await fake.stop()
        fake.world.published.extend([revised(1), revised(2)])
        fake.forget("retention" if why == "retention" else "epoch")
        await fake.start(fake.port)
        gap, state = await take(prices, 2)
    assert gap == Gap("prices", "cursor_expired" if why == "retention" else "epoch_changed")
    assert revisions([state]) == [2]


async def test_an_order_that_ended_unseen_is_told_as_over(fake: FakeGrid) -> None:
    async with connected(fake) as grid:
        signals = grid.subscribe("dispatch")
        await grid.ping()
        order = fake.publish(a_dispatch_order())
        await take(signals, 1)
        await fake.stop()
        fake.world.publish(a_dispatch_order(revision=2, state="CANCELLED"))
        fake.forget()
        await fake.start(fake.port)
        gap, over = await take(signals, 2)
    assert isinstance(gap, Gap)
    assert over == OrderOver(order)


async def test_an_order_and_its_end_during_a_break_are_both_seen_in_order(fake: FakeGrid) -> None:
    async with connected(fake) as grid:
        signals = grid.subscribe("dispatch")
        await grid.ping()
        fake.break_lines()
        fake.publish(a_dispatch_order())
        fake.publish(a_dispatch_order(revision=2, state="CANCELLED"))
        found = await take(signals, 2)
    assert [order.state for order in found if isinstance(order, DispatchOrder)] == ["ISSUED", "CANCELLED"]


# --- the first connection ---------------------------------------------------------------------------------------


async def test_a_gateway_that_is_not_there_yet_is_waited_for() -> None:
    fake = FakeGrid()
    await fake.start()
    await fake.stop()
    trying = asyncio.Event()

    def token() -> str:
        trying.set()
        return fake.token

    async def program() -> None:
        async with connected(fake, token=token) as grid:
            await grid.ping()

    connecting = asyncio.create_task(program())
    await trying.wait()
    await fake.start(fake.port)
    await connecting
    await fake.stop()


async def test_no_gateway_at_all_is_unreachable_and_worth_another_try(fake: FakeGrid) -> None:
    await fake.stop()
    with pytest.raises(gridsignal.Unreachable) as failed:
        async with connected(fake, limits=replace(HASTY, first_connect_s=0.1)):
            raise AssertionError("nobody is there")
    assert failed.value.retriable


async def test_an_overloaded_gateway_is_tried_again(fake: FakeGrid) -> None:
    fake.unavailable = (503, {"Retry-After": "0"})
    with pytest.raises(gridsignal.Unreachable, match="HTTP 503"):
        async with connected(fake, limits=replace(HASTY, first_connect_s=0.3)):
            raise AssertionError("it was let in")
    assert fake.upgrades > 1


@pytest.mark.parametrize("url", ["http://127.0.0.1", "127.0.0.1:8081", "ws://me:secret@127.0.0.1"])
async def test_a_wrong_url_is_the_callers_mistake(url: str) -> None:
    with pytest.raises(gridsignal.UsageError, match="expected a url"):
        async with gridsignal.connect(url, token="t"):
            raise AssertionError("it was let in")


# --- what is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("schema", gridsignal.Invalid),
        ("conflict", gridsignal.Conflict),
        ("too_late", gridsignal.TooLate),
        ("forbidden", gridsignal.NotPermitted),
        ("from-the-future", gridsignal.Refused),
    ],
)
async def test_a_refusal_is_a_typed_error(fake: FakeGrid, code: str, error: type[gridsignal.Refused]) -> None:
    fake.refuse(code)
    async with connected(fake) as grid:
        with pytest.raises(gridsignal.Refused) as refused:
            await grid.accept(a_dispatch_order())
    assert type(refused.value) is error
    assert refused.value.code == code


async def test_a_refusal_for_now_is_tried_again_until_the_log_has_it(fake: FakeGrid) -> None:
    fake.refuse("unavailable", times=2, retriable=True, retry_after_ms=1)
    order = fake.publish(a_dispatch_order(respond_by=fake.now() + timedelta(minutes=5)))
    async with connected(fake) as grid:
        async with asyncio.timeout(SOON_S):
            receipt = await grid.accept(order)
        answer = await fake.next(OrderResponse)
    assert receipt.response_id == answer.response_id


async def test_more_than_a_frame_holds_is_refused_before_it_is_stored(fake: FakeGrid) -> None:
    async with connected(fake) as grid:
        with pytest.raises(gridsignal.TooLarge):
            await grid.withdraw("ours", "x" * 70_000)


# --- grid time --------------------------------------------------------------------------------------------------


async def test_a_simulations_clock_is_taken_from_the_welcome(fake: FakeGrid) -> None:
    wall = fake.world.now()
    clock = GridClock(origin=a_spot_price().starts_at, rate=3600.0, epoch=wall)
    async with FakeGrid(grid_clock=clock) as scaled, connected(scaled) as grid:
        begin = grid.now()
        assert begin >= clock.origin
        async with asyncio.timeout(SOON_S):
            await grid.clock.sleep_until(begin + timedelta(minutes=1))
        assert grid.now() >= begin + timedelta(minutes=1)
