"""What a program writes: once on the log, whatever happens on the way, and an answer that says so."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

import gridsignal
from gridsignal import (
    MW,
    DispatchOrder,
    DispatchRequest,
    FlexOffer,
    Grid,
    OfferDecision,
    OrderResponse,
    Receipt,
    Subscription,
)
from gridsignal.answers import response_body
from gridsignal.outbox import Outbox
from gridsignal.testing import ManualClock
from gridsignal_schemas.messages import BaselineDeclaration, OfferWithdrawal
from tests.builders import a_dispatch_request, a_flex_offer, utc
from tests.integration.client_stage import NOON, Stage, connected, take
from tests.patience import SOON_S


async def asked(stage: Stage, signals: Subscription) -> DispatchRequest:
    """A request is on the log, and has reached the program."""
    await stage.ask(a_dispatch_request())
    (request,) = await take(signals, 1)
    assert isinstance(request, DispatchRequest)
    return request


async def ordered(stage: Stage, grid: Grid, signals: Subscription) -> DispatchOrder:
    """A request, an offer on it, and the order that comes of it."""
    request = await asked(stage, signals)
    receipt = await grid.offer(request, power_w=12 * MW, price_per_mwh="90", offer_id="ours")
    assert receipt.offer_id == "ours"
    await stage.order("ours")
    async with asyncio.timeout(SOON_S):
        async for message in signals:
            if isinstance(message, DispatchOrder):
                return message
            assert isinstance(message, OfferDecision)
    raise AssertionError("the stream ended")


async def test_an_offer_returns_once_the_log_has_it(stage: Stage) -> None:
    async with connected(stage) as grid:
        request = await asked(stage, grid.subscribe("dispatch"))
        receipt = await grid.offer(request, power_w=12 * MW, price_per_mwh="90")
        offer = await stage.logged(FlexOffer)
    assert (receipt.offer_id, receipt.revision) == (offer.offer_id, 1)
    assert offer.options[0].power_w == 12 * MW
    assert offer.request_revision == request.revision


async def test_the_same_offer_again_gets_the_first_receipt(stage: Stage) -> None:
    offer = a_flex_offer()
    async with connected(stage) as grid:
        await asked(stage, grid.subscribe("dispatch"))
        first = await grid.offer(offer)
        assert await grid.offer(offer) == first
    assert stage.count(FlexOffer) == 1


async def test_another_offer_under_the_same_name_is_a_conflict(stage: Stage) -> None:
    async with connected(stage) as grid:
        request = await asked(stage, grid.subscribe("dispatch"))
        await grid.offer(request, power_w=12 * MW, price_per_mwh="90", offer_id="ours")
        with pytest.raises(gridsignal.Conflict) as refused:
            await grid.offer(request, power_w=11 * MW, price_per_mwh="90", offer_id="ours")
    assert refused.value.code == "conflict"
    assert not refused.value.retriable


async def test_what_was_offered_without_a_connection_arrives_with_the_next(stage: Stage) -> None:
    async with connected(stage) as grid:
        request = await asked(stage, grid.subscribe("dispatch"))
        stage.relay.refuse_new()
        stage.relay.cut()
        offering = asyncio.create_task(grid.offer(request, power_w=12 * MW, price_per_mwh="90"))
        await asyncio.sleep(0)
        stage.relay.admit()
        async with asyncio.timeout(SOON_S):
            await offering
    assert stage.count(FlexOffer) == 1


async def test_a_lost_receipt_is_asked_for_again_and_the_offer_exists_once(stage: Stage) -> None:
    async with connected(stage) as grid:
        request = await asked(stage, grid.subscribe("dispatch"))
        stage.relay.frozen_down = True
        offering = asyncio.create_task(grid.offer(request, power_w=12 * MW, price_per_mwh="90"))
        await stage.logged(FlexOffer)
        assert not offering.done()
        stage.relay.cut()
        stage.relay.frozen_down = False
        async with asyncio.timeout(SOON_S):
            receipt = await offering
    assert receipt.offer_id is not None
    assert stage.count(FlexOffer) == 1


async def test_a_program_that_dies_before_the_receipt_offers_once(stage: Stage, tmp_path: Path) -> None:
    outbox = tmp_path / "outbox.db"
    async with connected(stage, outbox=outbox) as grid:
        request = await asked(stage, grid.subscribe("dispatch"))
        stage.relay.frozen_up = True
        offering = asyncio.create_task(grid.offer(request, power_w=12 * MW, price_per_mwh="90", offer_id="ours"))
        async with asyncio.timeout(SOON_S):
            await stage.relay.swallowed.wait()
    with pytest.raises(gridsignal.GridClosed):
        await offering
    stage.relay.frozen_up = False
    stage.relay.cut()
    async with connected(stage, outbox=outbox) as grid:
        await stage.logged(FlexOffer, offer_id="ours")
        async with asyncio.timeout(SOON_S):
            await grid.settled()
    async with connected(stage, outbox=outbox) as grid:
        await grid.settled()
    assert stage.count(FlexOffer) == 1


async def test_an_offer_that_comes_too_late_is_not_sent_and_the_caller_is_told(stage: Stage) -> None:
    async with connected(stage) as grid:
        request = await asked(stage, grid.subscribe("dispatch"))
        stage.relay.refuse_new()
        stage.relay.cut()
        late = request.model_copy(update={"gate_closure_at": stage.clock.now()})
        with pytest.raises(gridsignal.DeadlinePassed) as told:
            async with asyncio.timeout(SOON_S):
                await grid.offer(late, power_w=12 * MW, price_per_mwh="90")
        stage.relay.admit()
        await grid.ping()
    assert not told.value.sent
    assert stage.count(FlexOffer) == 0


async def test_an_order_is_acknowledged_by_the_sdk_and_accepted_by_the_program(stage: Stage) -> None:
    async with connected(stage) as grid:
        order = await ordered(stage, grid, grid.subscribe("dispatch"))
        await stage.logged(OrderResponse, response="RECEIVED")
        receipt = await grid.accept(order)
        accepted = await stage.logged(OrderResponse, response="ACCEPTED")
        async with asyncio.timeout(SOON_S):
            await grid.query(order_ids=[order.order_id])
    assert receipt.response_id == accepted.response_id
    assert accepted.order_id == order.order_id
    assert accepted.accepted_w is None


async def test_an_order_can_be_accepted_in_part(stage: Stage) -> None:
    async with connected(stage) as grid:
        order = await ordered(stage, grid, grid.subscribe("dispatch"))
        await grid.accept(order, power_w=8 * MW)
        accepted = await stage.logged(OrderResponse, response="ACCEPTED")
    assert accepted.accepted_w == 8 * MW


async def test_an_order_can_be_refused_with_its_reason(stage: Stage) -> None:
    async with connected(stage) as grid:
        order = await ordered(stage, grid, grid.subscribe("dispatch"))
        await grid.refuse(order, "MAINTENANCE", "a transformer is open")
        refused = await stage.logged(OrderResponse, response="REFUSED")
    assert (refused.reason_code, refused.reason) == ("MAINTENANCE", "a transformer is open")


async def test_an_order_seen_again_after_a_break_is_acknowledged_once(stage: Stage) -> None:
    async with connected(stage) as grid:
        signals = grid.subscribe("dispatch")
        await ordered(stage, grid, signals)
        await stage.logged(OrderResponse, response="RECEIVED")
        stage.relay.cut()
        async with asyncio.timeout(SOON_S):
            await grid.ping()
            await grid.ping()
    assert stage.count(OrderResponse) == 1


ANSWERS: dict[str, Callable[[Grid, DispatchOrder], Awaitable[Receipt]]] = {
    "ACCEPTED": lambda grid, order: grid.accept(order),
    "ACCEPTED in part": lambda grid, order: grid.accept(order, power_w=8 * MW),
    "REFUSED": lambda grid, order: grid.refuse(order, "MAINTENANCE"),
}


@pytest.mark.parametrize("answer", ANSWERS)
async def test_an_answer_given_again_by_a_later_run_or_another_program_is_the_same_answer(
    stage: Stage, answer: str
) -> None:
    async with connected(stage, instance="before") as grid:
        order = await ordered(stage, grid, grid.subscribe("dispatch"))
        first = await ANSWERS[answer](grid, order)
        await grid.settled()
    async with connected(stage, instance="after", clock=ManualClock(NOON + timedelta(minutes=1))) as grid:
        assert await ANSWERS[answer](grid, order) == first
        await grid.settled()
    said = answer.split()[0]
    assert (await stage.logged(OrderResponse, response=said)).actor == "before"
    assert stage.count(OrderResponse) == 2  # it, and the SDK's own RECEIVED


async def test_an_acknowledgement_an_earlier_run_left_in_the_outbox_is_no_conflict(
    stage: Stage, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(stage) as grid:
        order = await ordered(stage, grid, grid.subscribe("dispatch"))
        await stage.logged(OrderResponse, response="RECEIVED")
    left = Outbox(tmp_path / "outbox.db")
    body = response_body(order, "RECEIVED", actor="before", at=NOON - timedelta(minutes=1))
    await left.put("respond", body["response_id"], "", body)
    await left.aclose()
    async with connected(stage, outbox=tmp_path / "outbox.db") as grid:
        async with asyncio.timeout(SOON_S):
            await grid.settled()
    assert stage.count(OrderResponse) == 1
    assert "left by an earlier run" not in caplog.text


async def test_an_offer_can_be_taken_back(stage: Stage) -> None:
    async with connected(stage) as grid:
        request = await asked(stage, grid.subscribe("dispatch"))
        await grid.offer(request, power_w=12 * MW, price_per_mwh="90", offer_id="ours")
        await grid.withdraw("ours", "a job came in")
        withdrawal = await stage.logged(OfferWithdrawal)
    assert (withdrawal.offer_id, withdrawal.reason) == ("ours", "a job came in")


async def test_a_query_tells_what_the_log_holds(stage: Stage) -> None:
    async with connected(stage) as grid:
        request = await asked(stage, grid.subscribe("dispatch"))
        receipt = await grid.offer(request, power_w=12 * MW, price_per_mwh="90", offer_id="ours")
        states = await grid.query(offer_ids=["ours", "never"])
    assert states.offers["never"] is None
    found = states.offers["ours"]
    assert found is not None
    assert found.receipt == receipt


async def test_a_baseline_and_readings_reach_the_log(stage: Stage) -> None:
    async with connected(stage) as grid:
        await stage.ask(a_dispatch_request())
        before = stage.count(BaselineDeclaration)
        await grid.declare_baseline(utc("18:00"), [40 * MW] * 4)
        receipt = await grid.meter(meter="m1", starts_at=utc("11:00"), ends_at=utc("11:15"), import_w=28 * MW)
    assert stage.count(BaselineDeclaration) == before + 1
    assert len(receipt.sha256) == 64


async def test_who_speaks_for_no_site_is_told_before_anything_is_sent(stage: Stage) -> None:
    async with connected(stage, site=None) as grid:
        with pytest.raises(gridsignal.UsageError, match="connect\\(site="):
            await grid.withdraw("ours")
