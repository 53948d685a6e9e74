"""What is refused or rejected, and with which code: the same at both gateways."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

import gridsignal
from gridsignal import (
    MW,
    DispatchOrder,
    DispatchRequest,
    Grid,
    OfferDecision,
    Receipt,
)
from gridsignal_schemas.values import MAX_ACTIVATION_FEE
from tests.builders import a_dispatch_request, a_flex_offer, a_flexibility, a_rebound, an_option, utc
from tests.integration.client_contract.hearing import hear, ordered
from tests.integration.client_stage import Stage, connected

Act = Callable[[Stage, Grid, DispatchOrder], Awaitable[Any]]
TOLERATED = timedelta(seconds=1)  # a site's clock may be ahead by this much


# --- offers -----------------------------------------------------------------------------------------------------


_BACKWARDS = a_rebound(earliest=a_rebound().latest, latest=a_rebound().earliest)
BROKEN: dict[str, dict[str, Any]] = {
    "REQUEST_UNKNOWN": {"request_id": "no-such-request"},
    "REQUEST_REVISION": {"request_revision": 2},
    "COMPLETE_BY": {"flexibility": a_flexibility(complete_by=None)},
    "REBOUND": {"flexibility": a_flexibility(rebound=None)},
    "OPTION_NAMES": {"options": [an_option(), an_option()]},
    "WINDOW": {"options": [an_option(starts_at=utc("19:00"), ends_at=utc("20:00"))]},
    "DURATION": {"options": [an_option(min_duration_s=900, max_duration_s=60)]},
    "MIN_POWER": {"options": [an_option(min_power_w=13 * MW)]},
    "NOTICE": {"options": [an_option(notice_s=100_000, full_activation_s=900)]},
    "FULL_ACTIVATION": {"options": [an_option(full_activation_s=100_000)]},
    "RAMP": {"options": [an_option(ramp_down_w_per_min=1)]},
    "PRICE_CAP": {"options": [an_option(price_per_mwh="120.01")]},
    "MIN_QUANTITY": {"options": [an_option(power_w=1, min_power_w=0)]},
    "LEVELS": {"options": [an_option(levels_w=[1 * MW, 12 * MW])]},
    "LEVELS of a whole": {"options": [an_option(divisible=False, levels_w=[8 * MW])]},
    "COUNTERPART": {"flexibility": a_flexibility(kind="SHIFT_SITE")},
    "REBOUND that ends before it begins": {"flexibility": a_flexibility(rebound=_BACKWARDS)},
    "OVERCOMMITTED": {"options": [an_option(power_w=28 * MW + 1, ramp_down_w_per_min=28 * MW + 1)]},
    "FEE": {"options": [an_option(power_w=1, min_power_w=0, activation_fee=str(MAX_ACTIVATION_FEE))]},
    "UNKNOWN_SYMBOL of a kind": {"flexibility": a_flexibility(kind="UNKNOWN")},
    "UNKNOWN_SYMBOL of work": {"flexibility": a_flexibility(workload="UNKNOWN")},
    "REBOUND_CAP": {"flexibility": a_flexibility(rebound=a_rebound(peak_w=31 * MW))},
}


@pytest.mark.parametrize("rule", BROKEN)
async def test_an_offer_that_breaks_a_rule_is_received_and_rejected_with_its_code(stage: Stage, rule: str) -> None:
    code = rule.split()[0]
    async with connected(stage) as grid:
        signals = grid.subscribe("dispatch")
        await stage.ask(a_dispatch_request(rebound_cap_w=30 * MW))
        await hear(signals, DispatchRequest)
        await grid.offer(a_flex_offer(**BROKEN[rule]))
        await stage.act()
        decided = await hear(signals, OfferDecision)
        standing = await grid.query(offer_ids=[decided.offer_id])
        assert list(await grid.offers()) == []
    assert (decided.decision, code in decided.codes) == ("REJECTED", True), decided
    state = standing.offers[decided.offer_id]
    assert state is not None
    assert state.state == "REJECTED"


async def test_an_offer_on_a_request_whose_gate_is_closed_is_not_sent_and_one_sent_by_hand_is_rejected(
    stage: Stage,
) -> None:
    async with connected(stage) as grid:
        signals = grid.subscribe("dispatch")
        await stage.ask(a_dispatch_request(clearing_mode="BY_HAND"))
        request = await hear(signals, DispatchRequest)
        await stage.reach(request.gate_closure_at)
        with pytest.raises(gridsignal.DeadlinePassed):
            await grid.offer(request, power_w=12 * MW, price_per_mwh="90")
        await grid.offer(a_flex_offer())
        await stage.act()
        decided = await hear(signals, OfferDecision)
    assert decided.decision == "REJECTED"
    assert "GATE_CLOSED" in decided.codes


async def test_an_offer_stands_until_its_request_is_over(stage: Stage) -> None:
    async with connected(stage) as grid:
        signals = grid.subscribe("dispatch")
        await stage.ask(a_dispatch_request())
        request = await hear(signals, DispatchRequest)
        await grid.offer(request, power_w=12 * MW, price_per_mwh="90", offer_id="ours")
        (standing,) = await grid.offers()
    assert (standing.state, standing.revision, standing.awarded_w) == ("LIVE", 1, None)
    assert standing.offer.expires_at == request.ends_at
    assert standing.receipt is not None


# --- answers that are refused -----------------------------------------------------------------------------------


async def _accept(stage: Stage, grid: Grid, order: DispatchOrder) -> Receipt:
    return await grid.accept(order)


async def _accept_late(stage: Stage, grid: Grid, order: DispatchOrder) -> Receipt:
    await stage.reach(order.respond_by + timedelta(seconds=1))
    return await grid.accept(order)


async def _accept_nothing(stage: Stage, grid: Grid, order: DispatchOrder) -> Receipt:
    return await grid.accept(order, power_w=0)


async def _accept_too_much(stage: Stage, grid: Grid, order: DispatchOrder) -> Receipt:
    return await grid.accept(order, power_w=order.power_w + 1)


async def _accept_another_part(stage: Stage, grid: Grid, order: DispatchOrder) -> Receipt:
    await grid.accept(order)
    return await grid.accept(order, power_w=8 * MW)


async def _accept_what_was_refused(stage: Stage, grid: Grid, order: DispatchOrder) -> Receipt:
    await grid.refuse(order)
    return await grid.accept(order)


async def _accept_what_is_cancelled(stage: Stage, grid: Grid, order: DispatchOrder) -> Receipt:
    await stage.cancel(order.request_id)
    return await grid.accept(order)


async def _accept_what_is_cancelled_as_it_stands(stage: Stage, grid: Grid, order: DispatchOrder) -> Receipt:
    await stage.cancel(order.request_id)
    return await grid.accept(order.model_copy(update={"revision": 2}))


async def _accept_what_is_complete(stage: Stage, grid: Grid, order: DispatchOrder) -> Receipt:
    await grid.accept(order)
    assert order.ends_at is not None
    await stage.reach(order.ends_at)
    return await grid.accept(order, power_w=order.power_w)


async def _refuse_what_was_accepted(stage: Stage, grid: Grid, order: DispatchOrder) -> Receipt:
    await grid.accept(order)
    return await grid.refuse(order)


async def _sustain_what_was_not_begun(stage: Stage, grid: Grid, order: DispatchOrder) -> Receipt:
    await stage.reach(order.respond_by + timedelta(seconds=1))
    return await grid.report(order.model_copy(update={"revision": 2}), "UNAVAILABLE", available_w=1)


async def _be_unavailable_with_all_of_it(stage: Stage, grid: Grid, order: DispatchOrder) -> Receipt:
    await grid.accept(order)
    return await grid.report(order, "UNAVAILABLE", available_w=order.power_w)


async def _derate_by_an_old_revision(stage: Stage, grid: Grid, order: DispatchOrder) -> Receipt:
    await grid.accept(order)
    await grid.report(order, "UNAVAILABLE", available_w=8 * MW)
    return await grid.report(order, "UNAVAILABLE", available_w=4 * MW)


async def _answer_an_order_of_nobody(stage: Stage, grid: Grid, order: DispatchOrder) -> Receipt:
    return await grid.accept(order.model_copy(update={"order_id": "no-such-order"}))


async def _start_early(stage: Stage, grid: Grid, order: DispatchOrder) -> Receipt:
    await grid.accept(order)
    await stage.reach(order.starts_at - TOLERATED - timedelta(milliseconds=1))
    return await grid.report(order, "STARTED")


async def _sustain_early(stage: Stage, grid: Grid, order: DispatchOrder) -> Receipt:
    await grid.accept(order)
    return await grid.report(order, "SUSTAINING")


async def _complete_early(stage: Stage, grid: Grid, order: DispatchOrder) -> Receipt:
    await grid.accept(order)
    await stage.reach(order.starts_at - TOLERATED - timedelta(milliseconds=1))
    return await grid.report(order, "COMPLETED")


REFUSED: list[tuple[Act, str, type[gridsignal.Refused]]] = [
    (_accept_late, "too_late", gridsignal.TooLate),
    (_start_early, "too_early", gridsignal.TooEarly),
    (_sustain_early, "too_early", gridsignal.TooEarly),
    (_complete_early, "too_early", gridsignal.TooEarly),
    (_accept_nothing, "accepted_w", gridsignal.Invalid),
    (_accept_too_much, "accepted_w", gridsignal.Invalid),
    (_accept_another_part, "illegal_state", gridsignal.Refused),
    (_accept_what_was_refused, "illegal_state", gridsignal.Refused),
    (_accept_what_is_cancelled, "revision", gridsignal.Conflict),
    (_accept_what_is_cancelled_as_it_stands, "illegal_state", gridsignal.Refused),
    (_accept_what_is_complete, "illegal_state", gridsignal.Refused),
    (_refuse_what_was_accepted, "illegal_state", gridsignal.Refused),
    (_sustain_what_was_not_begun, "illegal_state", gridsignal.Refused),
    (_be_unavailable_with_all_of_it, "available_w", gridsignal.Invalid),
    (_derate_by_an_old_revision, "revision", gridsignal.Conflict),
    (_answer_an_order_of_nobody, "order_unknown", gridsignal.NotPermitted),
]


@pytest.mark.parametrize(("act", "code", "kind"), REFUSED, ids=lambda case: getattr(case, "__name__", None))
async def test_an_answer_that_is_not_possible_is_refused_with_its_code(
    stage: Stage, act: Act, code: str, kind: type[gridsignal.Refused]
) -> None:
    async with connected(stage) as grid:
        order = await ordered(stage, grid, grid.subscribe("dispatch"))
        with pytest.raises(kind) as refused:
            await act(stage, grid, order)
    assert refused.value.code == code


async def test_a_report_refused_as_too_early_is_taken_within_a_second_of_the_period(stage: Stage) -> None:
    async with connected(stage) as grid:
        signals = grid.subscribe("dispatch")
        order = await ordered(stage, grid, signals)
        await grid.accept(order)
        with pytest.raises(gridsignal.TooEarly) as refused:
            await grid.report(order, "STARTED")
        await stage.reach(order.starts_at - TOLERATED)
        await grid.report(order, "STARTED")
        (standing,) = await grid.orders()
    assert refused.value.retriable
    assert standing.state == "ACTIVE"


async def test_who_speaks_for_a_site_of_somebody_else_is_told_for_which_and_with_whose_token(stage: Stage) -> None:
    with pytest.raises(gridsignal.NotEntitled, match="asked for site 'ber-1' with a token"):
        async with connected(stage, site="ber-1"):
            pass
