"""What is offered is there, and what is accepted is possible."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal.agent.actuators import Observed
from gridsignal.agent.config import Offers
from gridsignal.agent.offering import Promise, possible_w, proposed, too_dear
from gridsignal.agent.schedule import Commitment, Manner, net
from gridsignal_schemas.values import MW
from tests.builders import a_dispatch_order, a_dispatch_request, utc

START, END, NOW = utc("18:00"), utc("18:45"), utc("16:00")
OFFERS = Offers(price_per_mwh=Decimal(90), most_w=10 * MW)
WATTS = st.integers(1, 12 * MW)


def a_request(**changes: Any) -> Any:
    named = {"direction": "LOAD_DECREASE", "starts_at": START, "ends_at": END, "currency": "EUR", "power_w": 12 * MW}
    return a_dispatch_request(
        **named | {"gate_closure_at": utc("17:00"), "min_quantity_w": MW, "step_w": None} | changes
    )


@given(WATTS, st.lists(st.tuples(st.integers(-2, 2), WATTS), max_size=4), st.none() | WATTS)
def test_offers_of_one_time_together_are_within_what_there_is(
    asked_w: int, before: list[tuple[int, int]], room_w: int | None
) -> None:
    hour = timedelta(hours=1)
    promised = [Promise(START + at * hour, END + at * hour, watts) for at, watts in before]
    proposal = proposed(a_request(power_w=asked_w, min_quantity_w=1), OFFERS, promised, room_w, NOW)
    beside = sum(watts for at, watts in before if at == 0)
    most_w = OFFERS.most_w if room_w is None else min(OFFERS.most_w, room_w)
    assert proposal.watts == max(0, min(asked_w, most_w - beside))
    assert bool(proposal.watts) != bool(proposal.why_not)


@pytest.mark.parametrize(
    "changes",
    [
        {"direction": "LOAD_INCREASE"},
        {"gate_closure_at": NOW},
        {"currency": "GBP"},
        {"ends_at": START + timedelta(hours=5)},
        {"min_quantity_w": 11 * MW},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_does_not_fit_is_not_offered_and_the_reason_is_said(changes: dict[str, Any]) -> None:
    proposal = proposed(a_request(**changes), OFFERS, [], None, NOW)
    assert proposal.watts == 0
    assert proposal.why_not


@pytest.mark.parametrize(
    ("before", "asked", "free"),
    [("DRY_RUN", "LIVE", 8), ("LIVE", "DRY_RUN", 3), ("DRY_RUN", "DRY_RUN", 3), ("TEST_ACTIVATION", "LIVE", 3)],
)
def test_a_dry_run_sees_what_is_real_and_what_is_real_sees_no_dry_run(before: str, asked: str, free: int) -> None:
    promised = [Promise(START, END, 5 * MW, is_dry=before == "DRY_RUN")]
    proposal = proposed(a_request(run_mode=asked, min_quantity_w=1), OFFERS, promised, 8 * MW, NOW)
    assert proposal.watts == free * MW


@pytest.mark.parametrize(("cap", "takes"), [(None, True), (Decimal(90), True), (Decimal("89.99"), False)])
def test_above_a_price_cap_nothing_is_offered(cap: Decimal | None, takes: bool) -> None:
    assert (too_dear(a_request(price_cap_per_mwh=cap), Decimal(90)) == "") is takes


@given(st.lists(WATTS, max_size=3), WATTS, st.integers(0, 20 * MW), st.integers(0, 20 * MW))
def test_orders_together_are_within_what_the_actuator_can_hold(
    bound: list[int], asked_w: int, shed_w: int, room_w: int
) -> None:
    order = a_dispatch_order(starts_at=START, ends_at=END, power_w=asked_w, direction="LOAD_DECREASE")
    schedule = net([Commitment(f"o{at}", START, END, w) for at, w in enumerate(bound)], NOW, manner=Manner(restore_s=0))
    watts = possible_w(order, Observed(shed_w, None, room_w), schedule)
    assert 0 <= watts <= asked_w
    assert watts == 0 or sum(bound) + watts <= shed_w + room_w
