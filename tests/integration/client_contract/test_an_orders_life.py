"""What becomes of offers and orders by the clock, the operator and the site: the same at both gateways."""

from __future__ import annotations

from datetime import timedelta

import pytest

import gridsignal
from gridsignal import (
    MW,
    DispatchOrder,
    DispatchRequest,
    FlexOffer,
    OfferDecision,
    OrderResponse,
    OrderState,
)
from tests.builders import a_dispatch_request, a_flex_offer, utc
from tests.integration.client_contract.hearing import hear, ordered
from tests.integration.client_stage import Stage, connected

# --- the order's life -------------------------------------------------------------------------------------------


async def test_silence_voids_an_order_and_the_site_hears_of_it(stage: Stage) -> None:
    async with connected(stage) as grid:
        signals = grid.subscribe("dispatch")
        order = await ordered(stage, grid, signals)
        await stage.reach(order.respond_by + timedelta(seconds=1))
        voided = await hear(signals, DispatchOrder)
        failed = await hear(signals, OfferDecision, decision="FAILED_AWARD")
        assert list(await grid.orders()) == []
    assert (voided.state, voided.revision, voided.reason_code) == ("VOIDED", 2, "NO_ANSWER")
    assert failed.codes == ["NO_ANSWER"]


async def test_an_order_lives_by_the_clock_and_reports_of_what_it_did_are_acknowledged(stage: Stage) -> None:
    async with connected(stage) as grid:
        signals = grid.subscribe("dispatch")
        order = await ordered(stage, grid, signals)
        await stage.logged(OrderResponse, response="RECEIVED")
        seen = [await grid.orders()]
        await grid.accept(order, power_w=8 * MW)
        awarded = await stage.act() or await hear(signals, OfferDecision, decision="AWARDED")
        seen.append(await grid.orders())
        await stage.reach(order.starts_at)
        await grid.report(order, "STARTED")
        await grid.report(order, "STARTED", reason="another word of the same")
        seen.append(await grid.orders())
        assert order.ends_at is not None
        await stage.reach(order.ends_at)
        await grid.report(order, "COMPLETED")
        seen.append(await grid.orders())
    assert [[(one.state, one.accepted_w, one.binds) for one in found] for found in seen] == [
        [("RECEIVED", None, False)],
        [("ACCEPTED", 8 * MW, True)],
        [("ACTIVE", 8 * MW, True)],
        [],
    ]
    assert seen[2][0].answered == ("RECEIVED", "ACCEPTED", "STARTED")
    assert seen[2][0].order == order.model_copy(update={"state": OrderState.ACTIVE, "power_w": 8 * MW})
    assert (awarded.option, awarded.power_w) == (order.option, 8 * MW)


async def test_a_program_that_starts_in_the_middle_of_an_order_finds_it_as_it_stands(stage: Stage) -> None:
    async with connected(stage, instance="before") as grid:
        order = await ordered(stage, grid, grid.subscribe("dispatch"))
        await grid.accept(order, power_w=8 * MW)
        await stage.reach(order.starts_at)
    async with connected(stage, instance="after") as grid:
        found = await hear(grid.subscribe("dispatch"), DispatchOrder)
        await grid.accept(found)  # it may ask again: this site has accepted
        (standing,) = await grid.orders()
        (offered,) = await grid.offers()
    assert found == order.model_copy(update={"state": OrderState.ACTIVE, "power_w": 8 * MW})
    assert (standing.order, standing.binds) == (found, True)
    assert (offered.state, offered.awarded_w) == ("AWARDED", 8 * MW)


async def test_an_early_release_and_an_extension_are_revisions_of_the_order(stage: Stage) -> None:
    async with connected(stage) as grid:
        signals = grid.subscribe("dispatch")
        order = await ordered(stage, grid, signals)
        await grid.accept(order)
        await stage.reach(utc("18:10"))
        await stage.change(order, utc("18:30"))
        shorter = await hear(signals, DispatchOrder)
        await stage.change(shorter, utc("18:40"))
        longer = await hear(signals, DispatchOrder)
        await stage.reach(utc("18:35"))
        (standing,) = await grid.orders()
        await stage.reach(utc("18:40"))
        await grid.report(longer, "COMPLETED")
        assert list(await grid.orders()) == []
    assert [(one.revision, one.state, one.ends_at) for one in (shorter, longer)] == [
        (2, "ACTIVE", utc("18:30")),
        (3, "ACTIVE", utc("18:40")),
    ]
    assert standing.order == longer


async def test_an_order_is_extended_as_long_as_its_site_offered_and_no_longer(stage: Stage) -> None:
    async with connected(stage) as grid:
        signals = grid.subscribe("dispatch")
        request = a_dispatch_request()
        await stage.ask(request)
        await hear(signals, DispatchRequest)
        await grid.offer(request, 6 * MW, "80", offer_id="ours", ends_at=request.ends_at + timedelta(minutes=15))
        await stage.order("ours")
        await stage.act()
        order = await hear(signals, DispatchOrder)
        await grid.accept(order)
        refused = await stage.change(order, request.ends_at + timedelta(minutes=16))
        taken = await stage.change(order, request.ends_at + timedelta(minutes=15))
        longer = await hear(signals, DispatchOrder)
    assert refused == "expected an end by 2024-05-12T19:00:00Z, as the site offered, got 2024-05-12T19:01:00Z"
    assert (taken, order.ends_at, longer.ends_at) == ("", request.ends_at, request.ends_at + timedelta(minutes=15))


async def test_an_order_on_an_offer_that_says_no_more_ends_with_its_request(stage: Stage) -> None:
    async with connected(stage) as grid:
        signals = grid.subscribe("dispatch")
        request = a_dispatch_request()
        await stage.ask(request)
        await hear(signals, DispatchRequest)
        await grid.offer(request, 6 * MW, "80", offer_id="ours")
        await stage.order("ours")
        await stage.act()
        order = await hear(signals, DispatchOrder)
        await grid.accept(order)
        refused = await stage.change(order, request.ends_at + timedelta(minutes=1))
    assert refused.startswith("expected an end by 2024-05-12T18:45:00Z, as the site offered")


async def test_an_order_is_taken_back_alone(stage: Stage) -> None:
    async with connected(stage) as grid:
        signals = grid.subscribe("dispatch")
        order = await ordered(stage, grid, signals)
        await grid.accept(order)
        await stage.act()
        await stage.cancel_order(order)
        over = await hear(signals, DispatchOrder)
        released = await hear(signals, OfferDecision, decision="RELEASED")
        assert list(await grid.orders()) == []
    assert (over.state, over.revision, over.ends_at) == ("CANCELLED", 2, order.ends_at)
    assert released.offer_id == order.offer_id


async def test_a_cancellation_before_the_start_ends_an_order_and_one_in_the_middle_ends_it_now(stage: Stage) -> None:
    async with connected(stage) as grid:
        signals = grid.subscribe("dispatch")
        order = await ordered(stage, grid, signals)
        await grid.accept(order)
        await stage.cancel(order.request_id)
        over = await hear(signals, DispatchOrder)
        assert list(await grid.orders()) == []
    assert (over.state, over.revision) == ("CANCELLED", 2)


async def test_a_cancellation_of_an_order_that_runs_ends_it_now(stage: Stage) -> None:
    async with connected(stage) as grid:
        signals = grid.subscribe("dispatch")
        order = await ordered(stage, grid, signals)
        await grid.accept(order)
        await stage.reach(utc("18:20"))
        await stage.cancel(order.request_id)
        released = await hear(signals, DispatchOrder)
        await stage.reach(utc("18:21"))
        await grid.report(released, "COMPLETED")
    assert (released.state, released.revision, released.ends_at) == ("ACTIVE", 2, utc("18:20"))


async def test_a_derating_revises_the_order_and_none_at_all_aborts_it(stage: Stage) -> None:
    async with connected(stage) as grid:
        signals = grid.subscribe("dispatch")
        order = await ordered(stage, grid, signals)
        await grid.accept(order)
        await stage.reach(utc("18:10"))
        await grid.report(order, "UNAVAILABLE", available_w=5 * MW, reason="a cooling fault")
        await stage.act()
        less = await hear(signals, DispatchOrder)
        await grid.report(less, "UNAVAILABLE", available_w=0)
        await stage.act()
        none = await hear(signals, DispatchOrder)
        assert list(await grid.orders()) == []
    assert (less.state, less.revision, less.power_w, less.reason_code) == ("ACTIVE", 2, 5 * MW, "DERATED")
    assert (none.state, none.revision, none.power_w) == ("ABORTED", 3, 0)


async def test_an_obligation_begins_without_an_answer(stage: Stage) -> None:
    async with connected(stage) as grid:
        signals = grid.subscribe("dispatch")
        order = await ordered(stage, grid, signals, firmness="MANDATORY")
        await stage.reach(order.starts_at)
        (standing,) = await grid.orders()
        await grid.accept(order)
    assert (standing.state, standing.binds) == ("ACTIVE", True)


async def test_an_offer_taken_back_before_its_order_was_accepted_cancels_it(stage: Stage) -> None:
    async with connected(stage) as grid:
        signals = grid.subscribe("dispatch")
        await ordered(stage, grid, signals)
        first = await grid.withdraw("ours", "a job came in")
        await stage.act()
        over = await hear(signals, DispatchOrder)
        assert await grid.withdraw("ours") == first
    assert (over.state, over.reason_code) == ("CANCELLED", "OFFER_WITHDRAWN")


async def test_an_offer_whose_order_was_accepted_is_not_taken_back(stage: Stage) -> None:
    async with connected(stage) as grid:
        order = await ordered(stage, grid, grid.subscribe("dispatch"))
        await grid.accept(order)
        with pytest.raises(gridsignal.Refused, match="illegal_state"):
            await grid.withdraw("ours")
        with pytest.raises(gridsignal.NotPermitted, match="offer_unknown"):
            await grid.withdraw("never")


async def test_the_next_revision_of_an_offer_takes_its_place_and_none_is_skipped(stage: Stage) -> None:
    async with connected(stage) as grid:
        signals = grid.subscribe("dispatch")
        await stage.ask(a_dispatch_request())
        await hear(signals, DispatchRequest)
        await grid.offer(a_flex_offer())
        await grid.offer(a_flex_offer(revision=2, expires_at=utc("18:31")))
        with pytest.raises(gridsignal.Conflict) as skipped:
            await grid.offer(a_flex_offer(revision=4))
        (standing,) = await grid.offers()
    assert skipped.value.code == "revision"
    assert standing.revision == 2
    assert stage.count(FlexOffer) == 2
