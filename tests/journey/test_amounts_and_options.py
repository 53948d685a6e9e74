"""Stories of messages.md about what is ordered, acted on and paid."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

import gridsignal
from gridsignal_schemas.messages import DispatchOrder, DispatchRequest, OfferDecision, RunMode
from gridsignal_services.replica import Replica
from tests.builders import a_flex_offer, a_flexibility, an_option, utc

MW = 1_000_000
QUARTER = timedelta(minutes=15)
Sites = tuple[gridsignal.Grid, gridsignal.Grid]


async def ordered(world: Any, grid: gridsignal.Grid, hearing: Any, power_w: int, price: str) -> DispatchOrder:
    """An order to the site, which was the only one to offer, accepted."""
    heard = grid.subscribe("dispatch", zones=["DE-LU"])
    await grid.offer(await hearing(heard, DispatchRequest), power_w, price)
    await world.reach(utc("17:00"))
    order: DispatchOrder = await hearing(heard, DispatchOrder)
    await grid.accept(order)
    return order


async def metered(world: Any, grid: gridsignal.Grid, order: DispatchOrder, import_w: int) -> dict[str, Any]:
    """The order as its operator reads it, once its first quarter hour has been metered."""
    end = order.starts_at + QUARTER
    await world.reach(end)
    await grid.meter(meter="main", starts_at=order.starts_at, ends_at=end, import_w=import_w, seq=1)
    await world.reach(end + timedelta(minutes=1))
    async with world.desk() as desk:
        view: dict[str, Any] = (await desk.get(f"/v1/orders/{order.order_id}")).json()
    return view


@pytest.mark.parametrize(
    ("actual_mw", "delivered_mw", "missing_mw", "amount"),
    [(7, 2, 0, "14"), (8, 2, 0, "14"), (9, 1, 1, "-4"), (10, 0, 2, "-22"), (11, 0, 3, "-33")],
)
async def test_the_worked_example_of_uftp_is_paid_to_the_euro(
    world: Any, sites: Sites, hearing: Any, actual_mw: int, delivered_mw: int, missing_mw: int, amount: str
) -> None:
    """Scenario 2: baseline 10 MW, ordered 2 MW for a quarter hour at 28 EUR/MWh, deficiency 44 EUR/MWh."""
    _, muc = sites
    await muc.declare_baseline(utc("00:00"), [10 * MW] * 24, resolution_s=3600)
    await world.ask(power_w=2 * MW, ends_at="2024-05-12T18:15:00Z", deficiency_price_per_mwh="44")
    order = await ordered(world, muc, hearing, 2 * MW, "28")

    view = await metered(world, muc, order, actual_mw * MW)

    (interval,) = view["metered"]
    assert (interval["baseline_w"], interval["ordered_w"]) == (10 * MW, 2 * MW)
    assert (interval["delivered_w"], interval["deficiency_w"]) == (delivered_mw * MW, missing_mw * MW)
    assert (interval["amount"], view["amount"], view["currency"]) == (amount, amount, "EUR")


async def test_of_exclusive_options_one_is_ordered_and_never_another(world: Any, sites: Sites, hearing: Any) -> None:
    """Scenario 4: not at gate closure, where both would fit, and not when a shortfall is looked for a home."""
    one, other = sites
    request_id = await world.ask(power_w=10 * MW)
    heard, heard_other = (grid.subscribe("dispatch", zones=["DE-LU"]) for grid in sites)
    request = await hearing(heard, DispatchRequest)
    options = [
        an_option(option="cheap", power_w=4 * MW, price_per_mwh="70", min_power_w=0),
        an_option(option="dear", power_w=5 * MW, price_per_mwh="75", min_power_w=0),
    ]
    await one.offer(
        a_flex_offer(
            offer_id="either-or",
            request_id=request_id,
            options=options,
            flexibility=a_flexibility(kind="SHED", complete_by=None, rebound=None),
        )
    )
    await other.offer(request, 6 * MW, "90", expires_at=utc("18:30"))
    await world.reach(utc("17:00"))
    mine, theirs = await hearing(heard, DispatchOrder), await hearing(heard_other, DispatchOrder)
    assert mine.option in {"cheap", "dear"}
    await one.accept(mine)
    await other.refuse(theirs, "NO", "a job came in")
    await world.reach(utc("17:30"))
    async with world.desk() as desk:
        orders = (await desk.get("/v1/orders", params={"request_id": request_id})).json()["orders"]
    assert [(o["order"]["site"], o["order"]["option"], o["state"]) for o in orders] == [
        ("fra-1", mine.option, "ACCEPTED"),
        ("muc-1", "o1", "REFUSED"),
    ]


@pytest.mark.parametrize("run_mode", list(RunMode)[1:])
async def test_a_dry_run_moves_nothing_and_costs_nothing_and_a_test_activation_is_real(
    world: Any, sites: Sites, hearing: Any, run_mode: RunMode
) -> None:
    """Scenario 13, end to end: requests, offers, decisions and orders are alike; load and money are not."""
    _, muc = sites
    await muc.declare_baseline(utc("00:00"), [10 * MW] * 24, resolution_s=3600)
    moved = []
    await world.ask(power_w=2 * MW, ends_at="2024-05-12T18:15:00Z", run_mode=run_mode)
    order = await ordered(world, muc, hearing, 2 * MW, "28")
    if order.moves_power:
        moved.append(order.order_id)

    view = await metered(world, muc, order, (10 - 2 * len(moved)) * MW)

    is_dry = run_mode is RunMode.DRY_RUN
    assert view["order"]["run_mode"] == run_mode
    assert moved == ([] if is_dry else [order.order_id])
    assert (view["amount"], view["metered"][0]["amount"]) == ((None, None) if is_dry else ("14", "14"))


@asynccontextmanager
async def replayed(world: Any) -> AsyncIterator[Replica]:
    """Somebody who reads the log anew, as far as it goes now."""
    anew = Replica(world.stack.log, world.stack.codec, source="tests")
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(anew.run())
        await anew.caught_up()
        yield anew
        reading.cancel()


CROSSINGS = {"before the clearing": "WITHDRAWN", "before the acceptance": "WITHDRAWN", "after it": "AWARDED"}


@pytest.mark.parametrize("withdrawn", CROSSINGS)
async def test_a_withdrawal_and_an_order_that_cross_end_alike_everywhere(
    world: Any, sites: Sites, hearing: Any, withdrawn: str
) -> None:
    """Scenario 5, every order of arrival: both doors, and whoever reads the log anew, say the same."""
    one, _ = sites
    request_id = await world.ask()
    heard = one.subscribe("dispatch", zones=["DE-LU"])
    await one.offer(await hearing(heard, DispatchRequest), 10 * MW, "80", offer_id="crossing")
    await hearing(heard, OfferDecision, decision="ACCEPTED_FOR_CLEARING")
    if withdrawn == "before the clearing":
        await one.withdraw("crossing")
    await world.reach(utc("17:00"))
    if withdrawn != "before the clearing":
        order = await hearing(heard, DispatchOrder)
        first, second = one.withdraw("crossing"), one.accept(order)
        if withdrawn == "after it":
            first, second = second, first
        await first
        with pytest.raises(gridsignal.Refused):
            await second
    await world.reach(utc("17:10"))

    states = await one.query(offer_ids=["crossing"])
    async with world.desk() as desk, replayed(world) as anew:
        (line,) = (await desk.get(f"/v1/requests/{request_id}/book")).json()["offers"]
        read = anew.ledger_of("DE-LU")
        orders = {order_id: tracked.state for order_id, tracked in read.orders.items()}
        again = read.offers["acme-ai", "crossing"].state
    live = {i: tracked.state for i, tracked in world.stack.replica.ledger_of("DE-LU").orders.items()}
    assert states.offers["crossing"] is not None
    assert (states.offers["crossing"].state, line["state"], again) == (CROSSINGS[withdrawn],) * 3
    assert orders == live
    assert [str(state) for state in live.values()] == (
        [] if withdrawn == "before the clearing" else ["ACCEPTED" if withdrawn == "after it" else "CANCELLED"]
    )
