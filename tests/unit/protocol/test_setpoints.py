"""The laws of delivering setpoints: none out of order, twice or too late, and none withheld without need."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from gridsignal_protocol.setpoints import Setpoints
from gridsignal_schemas.messages import RegulationSetpoint
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
    delivered: dict[str, list[RegulationSetpoint]] = {"a": [], "b": []}
    for order, cycle, valid_s, later_s in came:
        now += timedelta(seconds=later_s)
        until = START + timedelta(seconds=cycle * 2 + valid_s)
        setpoint = a_setpoint(order_id=order, cycle_no=cycle, valid_until=until)
        in_force = [each.cycle_no for each in delivered[order][-1:] if each.valid_until > now]
        is_newer, is_valid = all(cycle > newest for newest in in_force), now < until

        assert setpoints.take(setpoint, now) == (is_newer and is_valid)
        if is_newer and is_valid:
            delivered[order].append(setpoint)
            in_force = [cycle]
        assert setpoints.is_current(setpoint, now) == (is_valid and all(cycle >= newest for newest in in_force))


def test_an_ems_that_counts_anew_is_heard_once_its_last_setpoint_has_run_out() -> None:
    setpoints, last = Setpoints(), a_setpoint(cycle_no=9_000)
    anew = a_setpoint(cycle_no=0, valid_until=last.valid_until + timedelta(seconds=6))

    assert setpoints.take(last, last.target_at)
    assert not setpoints.take(anew, last.valid_until - timedelta(microseconds=1))
    assert setpoints.take(anew, last.valid_until)


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
