"""More stories of messages.md, told through real HTTP and WebSocket."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

import gridsignal
from gridsignal_schemas.messages import DispatchOrder, DispatchRequest, OfferDecision
from tests.builders import utc

MW = 1_000_000
Sites = tuple[gridsignal.Grid, gridsignal.Grid]


async def offered(world: Any, grid: gridsignal.Grid, hearing: Any, power_w: int, price: str, **terms: Any) -> Any:
    """A request's offer by one site; what the site goes on hearing."""
    heard = grid.subscribe("dispatch", zones=["DE-LU"])
    await grid.offer(await hearing(heard, DispatchRequest), power_w, price, **terms)
    return heard


async def test_twelve_megawatts_for_45_minutes_at_90_are_worth_810_euros(
    world: Any, sites: Sites, hearing: Any
) -> None:
    """Scenario 1: from the offer to the metered delivery."""
    one, _ = sites
    await world.ask(power_w=12 * MW)
    heard = await offered(world, one, hearing, 12 * MW, "90", notice_s=60)
    await world.reach(utc("17:00"))
    order = await hearing(heard, DispatchOrder)
    await one.accept(order)
    for quarter in range(3):
        start = order.starts_at + timedelta(minutes=15 * quarter)
        end = start + timedelta(minutes=15)
        await world.reach(end)
        await one.meter(meter="main", starts_at=start, ends_at=end, import_w=24 * MW, seq=quarter)
    await world.reach(utc("19:00"))
    async with world.desk() as desk:
        view = (await desk.get(f"/v1/orders/{order.order_id}")).json()
    assert (view["state"], view["delivered_wh"]) == ("COMPLETED", 9 * MW)
    assert Decimal(view["delivered_wh"]) / MW * order.price_per_mwh == Decimal(810)


@pytest.mark.parametrize(("asked", "awarded"), [(5 * MW, None), (6 * MW, 6 * MW)])
async def test_an_offer_is_not_awarded_below_its_floor(
    world: Any, sites: Sites, hearing: Any, asked: int, awarded: int | None
) -> None:
    """Scenario 3: half of ten megawatts is refused where six are the floor."""
    one, _ = sites
    request_id = await world.ask(power_w=asked)
    await offered(world, one, hearing, 10 * MW, "80", min_power_w=6 * MW)
    await world.reach(utc("17:00"))
    async with world.desk() as desk:
        (line,) = (await desk.get(f"/v1/requests/{request_id}/book")).json()["offers"]
    assert line["awarded_w"] == awarded
    assert (line["codes"] == ["MIN_POWER"]) is (awarded is None)


async def test_a_withdrawal_logged_before_the_acceptance_wins(world: Any, sites: Sites, hearing: Any) -> None:
    """Scenario 5: the order is cancelled, and a yes that comes later is refused."""
    one, _ = sites
    await world.ask()
    heard = await offered(world, one, hearing, 10 * MW, "80", offer_id="crossing")
    await world.reach(utc("17:00"))
    order = await hearing(heard, DispatchOrder)
    await one.withdraw("crossing", "a job came in")
    cancelled = await hearing(heard, DispatchOrder, state="CANCELLED")
    assert (cancelled.order_id, cancelled.revision) == (order.order_id, 2)
    with pytest.raises(gridsignal.Refused):
        await one.accept(order)


async def test_the_same_megawatts_are_not_awarded_twice(world: Any, sites: Sites, hearing: Any) -> None:
    """Scenario 6: ten megawatts in each of two overlapping requests, and room for one of them."""
    _, other = sites
    first, second = await world.ask(), await world.ask(gate_closure_at="2024-05-12T17:01:00Z")
    heard = other.subscribe("dispatch", zones=["DE-LU"])
    for _ in range(2):
        request = await hearing(heard, DispatchRequest)
        await other.offer(request, 10 * MW, "80")
    await world.reach(utc("17:02"))
    async with world.desk() as desk:
        books = [(await desk.get(f"/v1/requests/{request_id}/book")).json() for request_id in (first, second)]
    lines = [book["offers"][0] for book in books]
    assert sorted(str(line["awarded_w"]) for line in lines) == ["10000000", "None"]
    assert [line["codes"] for line in lines if line["awarded_w"] is None] == [["OVERCOMMITTED"]]


async def test_a_derating_goes_on_to_the_offers_on_standby(world: Any, sites: Sites, hearing: Any) -> None:
    """Scenario 11."""
    one, other = sites
    await world.ask()
    heard = await offered(world, one, hearing, 10 * MW, "80", expires_at=utc("19:00"))
    heard_other = await offered(world, other, hearing, 6 * MW, "90", expires_at=utc("19:00"))
    await world.reach(utc("17:00"))
    order = await hearing(heard, DispatchOrder)
    await one.accept(order)
    await hearing(heard_other, OfferDecision, decision="STANDBY")
    await one.report(order, "UNAVAILABLE", available_w=7 * MW, reason="a cooling fault")
    called = await hearing(heard_other, DispatchOrder)
    assert (called.site, called.power_w) == ("muc-1", 3 * MW)


@pytest.mark.parametrize("run_mode", ["TEST_ACTIVATION", "DRY_RUN"])
async def test_the_run_mode_reaches_the_order(world: Any, sites: Sites, hearing: Any, run_mode: str) -> None:
    """Scenario 13, as far as there is a settlement: who acts on an order sees what it is."""
    one, _ = sites
    await world.ask(run_mode=run_mode)
    heard = await offered(world, one, hearing, 10 * MW, "80")
    await world.reach(utc("17:00"))
    assert (await hearing(heard, DispatchOrder)).run_mode == run_mode


async def test_who_was_away_during_order_and_cancellation_hears_both_in_order(world: Any, hearing: Any) -> None:
    """Scenario 7: nothing is missing on resume, and a yes to what is over is refused."""
    request_id = await world.ask()
    async with world.site("acme-ai", "fra-1") as before:
        heard = before.subscribe("dispatch", zones=["DE-LU"])
        await before.offer(await hearing(heard, DispatchRequest), 10 * MW, "80")
        await hearing(heard, OfferDecision, decision="ACCEPTED_FOR_CLEARING")
        cursor = heard.cursor
    await world.reach(utc("17:00"))
    async with world.desk() as desk:
        assert (await desk.post(f"/v1/requests/{request_id}/cancel", json={})).status_code == 200
    await world.reach(utc("17:01"))
    async with world.site("acme-ai", "fra-1") as back:
        resumed = back.subscribe("dispatch", zones=["DE-LU"], cursor=cursor)
        order = await hearing(resumed, DispatchOrder)
        over = await hearing(resumed, DispatchOrder)
        assert (order.state, over.state, over.order_id) == ("ISSUED", "CANCELLED", order.order_id)
        with pytest.raises(gridsignal.Refused):
            await back.accept(order)
