"""Who is called: merit order with fees, and every rule that passes an offer over."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from gridsignal_schemas.rules.lifecycle import RequestState
from gridsignal_schemas.values import MW
from tests.builders import an_option, utc
from tests.unit.ledger.market import Market


def lost(market: Market) -> dict[str, str]:
    """Why each loser of the first clearing lost."""
    (clearing, *_) = market.ledger.requests[market.request.request_id].clearings
    return {rejection.participant: rejection.code for rejection in clearing.rejected}


def test_the_cheapest_go_first_and_the_last_gives_what_is_left() -> None:
    market = Market("acme", "volt", "hyper")
    for who, price in (("acme", "80"), ("volt", "-5"), ("hyper", "79.9999")):
        market.offer(who, 5 * MW, price)
    market.close()
    assert market.ordered() == {"volt": 5 * MW, "hyper": 5 * MW, "acme": 2 * MW}
    assert market.state is RequestState.AWARDED


def test_at_the_same_price_the_earlier_goes_first() -> None:
    market = Market("acme", "volt")
    market.offer("volt")
    market.offer("acme")
    market.close()
    assert market.ordered() == {"volt": 12 * MW}
    assert lost(market) == {"acme": "OUTBID"}


def test_a_fee_is_spread_over_the_megawatt_hours_awarded() -> None:
    market = Market("acme", "volt")
    market.offer("acme", 12 * MW, "80", activation_fee=Decimal(99))  # 9 MWh: 91 EUR/MWh
    market.offer("volt", 12 * MW, "90")
    market.close()
    assert market.ordered() == {"volt": 12 * MW}
    market = Market("acme", "volt")
    market.offer("acme", 12 * MW, "80", activation_fee=Decimal("89.9"))
    market.offer("volt", 12 * MW, "90")
    market.close()
    assert market.ordered() == {"acme": 12 * MW}


def test_a_fee_weighs_more_where_little_is_left_to_give() -> None:
    market = Market("acme", "volt", "hyper")
    market.offer("hyper", 11 * MW, "10")
    market.offer("acme", 12 * MW, "50", activation_fee=Decimal(60))  # on 9 MWh 57, on 0.75 MWh 130
    market.offer("volt", 12 * MW, "90")
    market.close()
    assert market.ordered() == {"hyper": 11 * MW, "volt": 1 * MW}


def test_those_who_stand_by_are_ranked_with_their_fees() -> None:
    market = Market("acme", "volt", "hyper")
    market.offer("hyper", 12 * MW, "10")
    market.offer("acme", 12 * MW, "80", activation_fee=Decimal(99))
    market.offer("volt", 12 * MW, "90")
    market.close()
    assert [market.offered(who).rank for who in ("hyper", "volt", "acme")] == [1, 2, 3]


@pytest.mark.parametrize(
    ("request_", "offer", "code"),
    [
        ({"power_w": 5 * MW}, {"divisible": False}, "INDIVISIBLE"),
        ({"power_w": 5 * MW}, {"levels_w": [6 * MW, 12 * MW]}, "LEVELS"),
        ({"power_w": 12 * MW, "step_w": 5 * MW // 5 * 4}, {"levels_w": [5 * MW], "min_power_w": 0}, "STEP"),
        ({"power_w": 5 * MW}, {"min_power_w": 6 * MW}, "MIN_POWER"),
        ({"ends_at": utc("18:10")}, {}, "DURATION"),
    ],
)
def test_what_does_not_fit_is_passed_over_with_the_reason(
    request_: dict[str, Any], offer: dict[str, Any], code: str
) -> None:
    market = Market("acme", **request_)
    market.offer("acme", 12 * MW, **offer)
    market.close()
    assert market.state is RequestState.UNMET
    assert lost(market) == {"acme": code}
    assert market.offered("acme").codes == (code,)


def test_what_is_left_below_the_smallest_award_stays_open() -> None:
    market = Market("acme", "volt", min_quantity_w=3 * MW)
    market.offer("acme", 10 * MW, "50")
    market.offer("volt", 10 * MW, "60")
    market.close()
    assert market.ordered() == {"acme": 10 * MW}
    assert market.state is RequestState.PARTIALLY_AWARDED
    assert lost(market) == {"volt": "MIN_QUANTITY"}


def test_in_a_re_clearing_the_smallest_award_is_no_more_than_the_shortfall() -> None:
    market = Market("acme", "volt", min_quantity_w=3 * MW)
    market.offer("acme", 12 * MW, "50")
    market.offer("volt", 10 * MW, "60")
    market.close()
    market.answer("acme", accepted_w=10 * MW)
    market.act()
    assert market.ordered() == {"acme": 10 * MW, "volt": 2 * MW}


def test_awards_are_multiples_of_the_step_and_levels_are_taken_as_they_are() -> None:
    market = Market("acme", "volt", step_w=1 * MW)
    market.offer("acme", 11 * MW, "50", levels_w=[9_200_000, 8 * MW, 11 * MW - 1])
    market.offer("volt", 3_900_000, "60")
    market.close()
    assert market.ordered() == {"acme": 8 * MW, "volt": 3 * MW}


def test_an_indivisible_offer_may_exceed_what_is_lacking_by_a_step_and_no_more() -> None:
    for power_w, ordered in ((13 * MW, {"acme": 13 * MW}), (14 * MW, {})):
        market = Market("acme", step_w=1 * MW)
        market.offer("acme", power_w, divisible=False)
        market.close()
        assert market.ordered() == ordered


def test_a_step_is_exceeded_once_and_not_by_each_award() -> None:
    market = Market("acme", "volt", step_w=1 * MW)
    market.offer("acme", 13 * MW, divisible=False)
    market.offer("volt", 1 * MW)
    assert market.add(market.by_hand(("acme", 13 * MW), ("volt", 1 * MW))).code == "EXCEEDS_SHORTFALL"


def test_offers_for_parts_of_the_period_are_put_together() -> None:
    market = Market("acme", "volt")
    market.offer("acme", 12 * MW, "50", ends_at=utc("18:25"))
    market.offer("volt", 12 * MW, "60", starts_at=utc("18:25"))
    market.close()
    assert market.ordered() == {"acme": 12 * MW, "volt": 12 * MW}
    assert market.state is RequestState.AWARDED


def test_a_site_that_rests_is_passed_over() -> None:
    market = Market("acme", starts_at=utc("19:00"), ends_at=utc("19:45"))
    market.ask(request_id="before")
    market.offer("acme", 6 * MW, offer_id="acme-before", request_id="before")
    market.offer("acme", 6 * MW, starts_at=utc("19:00"), ends_at=utc("19:45"), rest_s=901)
    market.add(market.by_hand(request_id="before"))
    market.answer("acme")
    market.close()
    assert lost(market) == {"acme": "REST"}


def test_a_site_is_not_activated_more_often_than_it_can_be() -> None:
    market = Market("acme", starts_at=utc("19:00"), ends_at=utc("19:45"))
    market.ask(request_id="before")
    market.offer("acme", 6 * MW, offer_id="acme-before", request_id="before")
    market.offer("acme", 6 * MW, starts_at=utc("19:00"), ends_at=utc("19:45"), max_activations_per_day=1)
    market.add(market.by_hand(request_id="before"))
    market.answer("acme")
    market.close()
    assert lost(market) == {"acme": "ACTIVATIONS"}


def paid(market: Market) -> dict[str, tuple[Decimal | None, Decimal | None]]:
    orders = [tracked.order for tracked in market.ledger.orders.values()]
    return {order.participant: (order.price_per_mwh, order.clearing_price_per_mwh) for order in orders}


@pytest.mark.parametrize(
    ("pricing", "acme", "volt"),
    [
        ("PAY_AS_BID", (Decimal(50), None), (Decimal(60), None)),
        ("PAY_AS_CLEARED", (Decimal(50), Decimal(60)), (Decimal(60), Decimal(60))),
        ("REGULATED", (Decimal(120), None), (Decimal(120), None)),
        ("UNPAID", (Decimal(0), None), (Decimal(0), None)),
    ],
)
def test_each_pricing_rule_pays_what_it_says(pricing: str, acme: tuple[Any, Any], volt: tuple[Any, Any]) -> None:
    market = Market("acme", "volt", pricing=pricing)
    market.offer("acme", 8 * MW, "50")
    market.offer("volt", 8 * MW, "60")
    market.close()
    assert paid(market) == {"acme": acme, "volt": volt}


def test_an_order_made_late_starts_at_the_next_five_minutes_it_can_be_ready() -> None:
    market = Market("acme", "volt", ends_at=utc("19:30"))
    for who in ("acme", "volt"):
        market.offer(who, 12 * MW, options=[an_option(ends_at=utc("19:30"), ramp_down_w_per_min=12 * MW)])
    market.close()
    market.answer("acme")
    market.run_until(utc("18:10:01"))
    market.answer("acme", "UNAVAILABLE")
    market.act()
    assert market.order("volt").order.starts_at == utc("18:30")  # ready at 18:25:01
