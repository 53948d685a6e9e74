"""Journeys in which an order changes, is short, is priced, metered, disputed.

Where nothing else is said, 10 MW less are asked for three quarter hours, so that a quarter hour at 80 EUR/MWh is
2.5 MWh x 80 = 200 EUR, and a megawatt that lacks in it costs 0.25 MWh x 44 = 11 EUR.
The table in journeys says what each comes to.
"""

from __future__ import annotations

from typing import Any

from gridsignal_schemas.messages import Settlement
from gridsignal_schemas.values import MW, rfc3339
from tests.journey.travelling import END, GATE, START, Hours

# --- what changes while it runs ----------------------------------------------------------------------------------


async def derated_while_it_runs(hours: Hours) -> None:
    """From the second quarter on 7 MW, of which nothing lacks: 140. The other site has 3 MW for the last ten minutes.

    It has five minutes to answer and fifteen to get there: 0.5 MWh x 90.
    """
    await hours.ask()
    await hours.offer("fra-1", "80")
    await hours.offer("muc-1", "90", 6)
    await hours.reach(GATE)
    order = await hours.accept("fra-1")
    await hours.reach(START + 15)
    await hours.sites["fra-1"].report(order, "UNAVAILABLE", available_w=7 * MW, reason="a cooling fault")
    await hours.accept("muc-1")
    await hours.metered("fra-1", 26, 29, 29)
    await hours.metered("muc-1", 18, 18, 18, 18, 15, 15, start=START + 15, every=5)


async def ended_by_its_site(hours: Hours) -> None:
    """The last quarter lacks altogether, whatever the meter says: 10 x 11."""
    await hours.ask()
    order = await hours.award("fra-1", "80")
    await hours.reach(START + 30)
    await hours.sites["fra-1"].report(order, "COMPLETED")
    await hours.metered("fra-1", 26, 26, 26)


async def derated_to_nothing(hours: Hours) -> None:
    """As of any derating, of what is not ordered any more nothing lacks."""
    await hours.ask()
    order = await hours.award("fra-1", "80")
    await hours.reach(START + 30)
    await hours.sites["fra-1"].report(order, "UNAVAILABLE", available_w=0, reason="a fire")
    await hours.metered("fra-1", 26, 26, 36)


async def released_early(hours: Hours) -> None:
    await hours.ask()
    order = await hours.award("fra-1", "80")
    await hours.reach(START + 10)
    await hours.operator(f"orders/{order.order_id}/release", ends_at=rfc3339(hours.at(START + 30)))
    await hours.metered("fra-1", 26, 26, 36)


async def shortened_and_extended(hours: Hours) -> None:
    await hours.ask()
    order = await hours.award("fra-1", "80")
    await hours.reach(START + 10)
    await hours.operator(f"orders/{order.order_id}/release", ends_at=rfc3339(hours.at(START + 20)))
    await hours.operator(f"orders/{order.order_id}/extend", ends_at=rfc3339(hours.at(END)))
    await hours.metered("fra-1", 26, 26, 26)


async def extended_beyond_the_request(hours: Hours) -> None:
    await hours.ask()
    order = await hours.award("fra-1", "80", ends_at=hours.at(END + 10))
    await hours.reach(END - 5)
    await hours.operator(f"orders/{order.order_id}/extend", ends_at=rfc3339(hours.at(END + 6)))
    await hours.metered("fra-1", 26, 26, 26, 26)


# --- two sites, and two orders of one ----------------------------------------------------------------------------


async def two_sites_of_which_one_is_short(hours: Hours) -> None:
    """6 MW at 80 are 120; of 4 MW at 90 half comes: 45 less 22."""
    await hours.ask()
    await _both(hours)
    await hours.metered("fra-1", 30, 30, 30)
    await hours.metered("muc-1", 16, 16, 16)


async def paid_as_cleared(hours: Hours) -> None:
    """All get the dearest award's 90: 6 MW are 135, 4 MW are 90."""
    await hours.ask(pricing="PAY_AS_CLEARED")
    await _both(hours)
    await hours.metered("fra-1", 30, 30, 30)
    await hours.metered("muc-1", 14, 14, 14)


async def _both(hours: Hours) -> None:
    await hours.offer("fra-1", "80", 6)
    await hours.offer("muc-1", "90", 4)
    await hours.reach(GATE)
    await hours.accept("fra-1")
    await hours.accept("muc-1")


async def two_orders_that_overlap(hours: Hours) -> None:
    """10 MW at 80, and from the second quarter on 8 MW at 70: of the 16 MW there, 6 are left for the second order.

    6 MW at 70 are 105, less 2 x 11.
    """
    await hours.ask()
    await hours.offer("fra-1", "80")
    await hours.ask(8, start=START + 15, end=END + 14)
    await hours.offer("fra-1", "70", 8)
    await hours.reach(GATE)
    await hours.accept("fra-1", request=0)
    await hours.accept("fra-1", request=1)
    await hours.metered("fra-1", 26, 20, 18, 28)


# --- prices below zero, and what is paid beside the energy -------------------------------------------------------


async def less_at_a_price_below_zero(hours: Hours) -> None:
    """The site pays: 2.5 MWh x -20."""
    await hours.ask()
    await hours.award("fra-1", "-20")
    await hours.metered("fra-1", 26, 26, 26)


async def more_at_a_price_below_zero(hours: Hours) -> None:
    """2.5 MWh x -30, and in the last quarter 1.25 x -30 less 5 x 11."""
    await hours.ask(direction="LOAD_INCREASE")
    await hours.award("fra-1", "-30")
    await hours.metered("fra-1", 46, 47, 41)


async def more_at_a_price(hours: Hours) -> None:
    """2.5 MWh x 15."""
    await hours.ask(direction="LOAD_INCREASE")
    await hours.award("fra-1", "15")
    await hours.metered("fra-1", 46, 46, 46)


async def an_activation_that_costs(hours: Hours) -> None:
    await hours.ask()
    await hours.award("fra-1", "80", activation_fee="50")
    await hours.metered("fra-1", 26, 26, 26)


async def unpaid(hours: Hours) -> None:
    await hours.ask(pricing="UNPAID", deficiency_price_per_mwh=None)
    await hours.award("fra-1", "0")
    await hours.metered("fra-1", 26, 26, 26)


# --- what counts, and what is said of it -------------------------------------------------------------------------


async def a_dry_run(hours: Hours) -> None:
    await hours.ask(run_mode="DRY_RUN")
    await hours.award("fra-1", "80")
    await hours.metered("fra-1", 36, 36, 36)


async def a_test_activation(hours: Hours) -> None:
    await hours.ask(run_mode="TEST_ACTIVATION")
    await hours.award("fra-1", "80")
    await hours.metered("fra-1", 26, 26, 26)


async def an_offer_sent_twice(hours: Hours) -> None:
    await hours.ask()
    request = await hours.offer("fra-1", "80", offer_id="twice")
    await hours.sites["fra-1"].offer(request, 10 * MW, "80", offer_id="twice")
    await hours.reach(GATE)
    await hours.accept("fra-1")
    await hours.metered("fra-1", 26, 26, 26)


async def nobody_metered(hours: Hours) -> None:
    await hours.ask()
    await hours.award("ber-1", "80")


async def one_quarter_metered_late(hours: Hours) -> None:
    await hours.ask()
    await hours.award("fra-1", "80")
    await hours.metered("fra-1", 26, None, 26)


async def the_missing_quarter(hours: Hours) -> None:
    await hours.metered("fra-1", None, 31)


async def delivered(hours: Hours) -> None:
    await hours.ask()
    await hours.award("fra-1", "80")
    await hours.metered("fra-1", 26, 26, 26)


async def a_correction(hours: Hours) -> None:
    """Half of what was ordered came: 100 less 5 x 11."""
    await hours.metered("fra-1", None, 31, seq=9)


async def a_dispute_that_is_rejected(hours: Hours) -> None:
    settlement = await _dispute(hours)
    body = {"reason_code": "readings", "reason": "the exchange is in the readings"}
    await hours.operator(f"orders/{settlement.order_id}/settlement/disputes/reject", **body)


async def a_dispute_that_a_correction_answers(hours: Hours) -> None:
    await _dispute(hours)
    await a_correction(hours)


async def _dispute(hours: Hours) -> Settlement:
    stack = hours.world.stack
    async with hours.world.site("acme-ai", "fra-1", instance="books", api=stack.api_url) as books:
        found: list[Any] = [each async for each in books.settlements(request_id=hours.requests[-1])]
        (settled,) = found
        await books.dispute(settled.settlement, "readings", "the meter was exchanged", claimed="900")
    settlement: Settlement = settled.settlement
    return settlement
