"""Journeys in which it is decided who is ordered: cleared, withdrawn, cancelled, refused, void.

Where nothing else is said, 10 MW less are asked for three quarter hours, so that a quarter hour at 80 EUR/MWh is
2.5 MWh x 80 = 200 EUR, and a megawatt that lacks in it costs 0.25 MWh x 44 = 11 EUR.
The table in journeys says what each comes to.
"""

from __future__ import annotations

import pytest

import gridsignal
from gridsignal_schemas.messages import FlexOffer
from gridsignal_schemas.values import MW, rfc3339
from tests.builders import a_flex_offer, a_flexibility, an_option
from tests.journey.travelling import END, GATE, START, Hours

# --- scenarios 1 to 6 --------------------------------------------------------------------------------------------


async def twelve_megawatts(hours: Hours) -> None:
    await hours.ask(12)
    await hours.award("fra-1", "90", 12, notice_s=60)
    await hours.metered("fra-1", 24, 24, 24)


async def worked_example_of_uftp(hours: Hours) -> None:
    """Baseline 10 MW, ordered 2 at 28, a shortfall at 44; the meter says 7, 8, 9, 10 and 11 MW."""
    await hours.sites["muc-1"].declare_baseline(hours.at(START), [10 * MW] * 5)
    await hours.ask(2, end=START + 75)
    await hours.award("muc-1", "28", 2)
    await hours.metered("muc-1", 7, 8, 9, 10, 11)


async def below_the_floor(hours: Hours) -> None:
    await hours.ask(5)
    await hours.offer("fra-1", "80", min_power_w=6 * MW)
    await hours.reach(GATE)


async def at_the_floor(hours: Hours) -> None:
    await hours.ask(6)
    await hours.award("fra-1", "80", min_power_w=6 * MW)
    await hours.metered("fra-1", 30, 30, 30)


async def exclusive_options(hours: Hours) -> None:
    """What the other site refuses is not ordered of the second option."""
    await hours.ask()
    await hours.offer("muc-1", "90", 6)
    await hours.sites["fra-1"].offer(_either_or(hours, cheap=(4, "70"), dear=(5, "75")))
    await hours.reach(GATE)
    await hours.sites["muc-1"].refuse(await hours.order("muc-1"))
    await hours.accept("fra-1")
    await hours.metered("fra-1", 32, 32, 32)


def _either_or(hours: Hours, **options: tuple[int, str]) -> FlexOffer:
    starts_at, ends_at = hours.at(START), hours.at(END)
    return a_flex_offer(
        offer_id=f"either-or-{hours.requests[-1]}",
        request_id=hours.requests[-1],
        expires_at=ends_at,
        flexibility=a_flexibility(kind="SHED", complete_by=None, rebound=None),
        options=[
            an_option(
                option=name,
                power_w=mw * MW,
                price_per_mwh=price,
                min_power_w=0,
                starts_at=starts_at,
                ends_at=ends_at,
            )
            for name, (mw, price) in options.items()
        ],
    )


async def withdrawn_before_the_clearing(hours: Hours) -> None:
    await hours.ask()
    await hours.offer("fra-1", "80", offer_id="early")
    await hours.sites["fra-1"].withdraw("early")
    await hours.reach(GATE)


async def withdrawn_before_the_acceptance(hours: Hours) -> None:
    await hours.ask()
    await hours.offer("fra-1", "80", offer_id="crossing")
    await hours.reach(GATE)
    order = await hours.order("fra-1")
    await hours.sites["fra-1"].withdraw("crossing")
    with pytest.raises(gridsignal.Refused):
        await hours.sites["fra-1"].accept(order)


async def withdrawn_after_the_acceptance(hours: Hours) -> None:
    await hours.ask()
    await hours.award("fra-1", "80", offer_id="late")
    with pytest.raises(gridsignal.Refused):
        await hours.sites["fra-1"].withdraw("late")
    await hours.metered("fra-1", 26, 26, 26)


async def the_same_megawatts_twice(hours: Hours) -> None:
    for gate in (GATE, GATE + 1):
        await hours.ask(gate_closure_at=rfc3339(hours.at(gate)))
        await hours.offer("muc-1", "80")
    await hours.reach(GATE)
    await hours.accept("muc-1", request=0)
    await hours.metered("muc-1", 8, 8, 8)


# --- what is cancelled, refused, or met by silence ---------------------------------------------------------------


async def cancelled_before_it_starts(hours: Hours) -> None:
    request_id = await hours.ask()
    await hours.award("fra-1", "80")
    await hours.reach(START - 10)
    await hours.operator(f"requests/{request_id}/cancel")


async def cancelled_while_it_runs(hours: Hours) -> None:
    """Five of the second quarter's minutes: 10 MW x 5 min x 80 = 66.67."""
    request_id = await hours.ask()
    await hours.award("fra-1", "80")
    await hours.reach(START + 20)
    await hours.operator(f"requests/{request_id}/cancel")
    await hours.metered("fra-1", 26, 26, 36)


async def one_order_cancelled(hours: Hours) -> None:
    await hours.ask()
    order = await hours.award("fra-1", "80")
    await hours.operator(f"orders/{order.order_id}/cancel")


async def refused_and_awarded_again(hours: Hours) -> None:
    await hours.ask()
    await hours.offer("fra-1", "80")
    await hours.offer("muc-1", "90")
    await hours.reach(GATE)
    await hours.sites["fra-1"].refuse(await hours.order("fra-1"), "NO", "a job came in")
    await hours.accept("muc-1")
    await hours.metered("muc-1", 8, 8, 8)


async def refused_by_the_only_one(hours: Hours) -> None:
    await hours.ask()
    await hours.offer("fra-1", "80")
    await hours.reach(GATE)
    await hours.sites["fra-1"].refuse(await hours.order("fra-1"))


async def silence(hours: Hours) -> None:
    await hours.ask()
    await hours.offer("fra-1", "80")
    await hours.offer("muc-1", "90")
    await hours.reach(GATE)
    order = await hours.order("fra-1")
    await hours.reach(GATE + 5)
    with pytest.raises(gridsignal.TooLate):
        await hours.sites["fra-1"].accept(order)
    await hours.accept("muc-1")
    await hours.metered("muc-1", 8, 8, 8)


async def accepted_in_part(hours: Hours) -> None:
    """6 of 10 MW: 120 a quarter hour, and nothing lacks; the other site has 4 at 90."""
    await hours.ask()
    await hours.offer("fra-1", "80")
    await hours.offer("muc-1", "90")
    await hours.reach(GATE)
    await hours.accept("fra-1", 6)
    await hours.accept("muc-1")
    await hours.metered("fra-1", 30, 30, 30)
    await hours.metered("muc-1", 14, 14, 14)
