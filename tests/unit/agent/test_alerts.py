"""What alerts ask of a site's schedule."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal.agent.alerts import Way, way_of
from gridsignal.agent.schedule import Bound, Commitment, Manner, net
from tests.builders import a_grid_alert, utc

NOON, MINUTE = utc("12:00"), timedelta(minutes=1)
WATTS, MINUTES = st.integers(0, 100), st.integers(0, 60)
ORDERS = st.lists(st.tuples(WATTS, MINUTES, MINUTES), max_size=4)


@given(ORDERS, WATTS, MINUTES, st.integers(1, 60), st.booleans())
def test_within_its_time_a_bound_holds_whatever_orders_ask_and_outside_it_changes_nothing(
    orders: list[tuple[int, int, int]], low_w: int, first: int, minutes: int, is_hold: bool
) -> None:
    asked = [
        Commitment(f"order-{at}", NOON + start * MINUTE, NOON + (start + long) * MINUTE, watts)
        for at, (watts, start, long) in enumerate(orders)
    ]
    starts_at, ends_at = NOON + first * MINUTE, NOON + (first + minutes) * MINUTE
    bound = Bound("alert a of b", starts_at, ends_at, low_w, low_w if is_hold else None)
    manner = Manner(restore_s=0)
    free, held = net(asked, NOON, manner=manner), net(asked, NOON, manner=manner, bounds=[bound])
    for minute in range(130):
        now = NOON + minute * MINUTE
        one, other = free.at(now), held.at(now)
        usual_w, shed_w = one.shed_w if one else 0, other.shed_w if other else 0
        if not starts_at <= now < ends_at:
            assert shed_w == usual_w
        else:
            assert other is not None
            assert shed_w == (low_w if is_hold else max(low_w, usual_w))
            assert bound.name in other.reason


@pytest.mark.parametrize(
    ("said", "way"),
    [
        ({"action": "HOLD"}, Way.HOLD),
        ({"action": "SHED"}, Way.SHED),
        ({"action": "RESTORE_FORBIDDEN"}, Way.KEEP),
        ({"action": "RAISE"}, Way.NOTHING),
        ({"action": "UNKNOWN"}, Way.NOTHING),
        ({"action": "HOLD", "is_drill": True}, Way.NOTHING),
        ({"action": "HOLD", "provider": "a-feed"}, Way.NOTHING),
    ],
)
def test_an_alert_of_a_trusted_provider_that_is_no_exercise_is_obeyed(said: dict[str, Any], way: Way) -> None:
    assert way_of(a_grid_alert(**({"provider": "tso-north"} | said)), providers=["tso-north"]) is way
