"""The laws of delivering setpoints: none out of order, twice or too late, and none withheld without need."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from gridsignal_protocol.server.setpoints import Setpoints
from tests.builders import a_setpoint

START = a_setpoint().target_at
arrivals = st.lists(
    st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 12), st.integers(0, 5), st.integers(0, 3)), max_size=60
)
"""Order, cycle, how long it is valid in seconds, how long after the one before it comes."""


@given(arrivals)
def test_what_is_delivered_of_an_order_rises_is_valid_and_is_all_that_does(
    came: list[tuple[str, int, int, int]],
) -> None:
    setpoints, now = Setpoints(), START
    newest: dict[str, int] = {}
    for order, cycle, valid_s, later_s in came:
        now += timedelta(seconds=later_s)
        setpoint = a_setpoint(
            order_id=order, cycle_no=cycle, valid_until=START + timedelta(seconds=cycle * 2 + valid_s)
        )
        is_newer = cycle > newest.get(order, -1)
        is_valid = now < setpoint.valid_until

        assert setpoints.take(setpoint, now) == (is_newer and is_valid)
        if is_newer and is_valid:
            newest[order] = cycle
        assert setpoints.is_current(setpoint, now) == (is_valid and cycle >= newest.get(order, 0))


@given(st.integers(1, 5), st.lists(st.integers(0, 9), min_size=1, max_size=40))
def test_no_more_orders_are_kept_than_there_is_room_for(limit: int, orders: list[int]) -> None:
    setpoints = Setpoints(limit=limit)
    for cycle, order in enumerate(orders):
        setpoints.take(a_setpoint(order_id=f"o{order}", cycle_no=cycle), START)

    heard_of = list(dict.fromkeys(reversed(orders)))
    for at, order in enumerate(heard_of):  # those heard of last are known, and take no cycle of before
        assert setpoints.is_current(a_setpoint(order_id=f"o{order}", cycle_no=0), START) == (
            at >= limit or _last(orders, order) == 0
        )


def _last(orders: list[int], order: int) -> int:
    return len(orders) - 1 - orders[::-1].index(order)
