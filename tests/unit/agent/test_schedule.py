"""Orders add up to one schedule."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gridsignal.agent.schedule import Commitment, Manner, Schedule, Stretch, net
from gridsignal_schemas.values import MW
from tests.builders import utc

NOW = utc("18:00")
MINUTES = st.integers(-90, 180).map(lambda minutes: timedelta(minutes=minutes))
ORDERS = st.lists(
    st.builds(
        lambda start, length, shed_w: (NOW + start, None if length is None else NOW + start + length, shed_w),
        MINUTES,
        st.none() | st.integers(1, 120).map(lambda minutes: timedelta(minutes=minutes)),
        st.integers(-5 * MW, 20 * MW).filter(bool),
    ),
    max_size=5,
).map(lambda found: [Commitment(f"o{at}", *each) for at, each in enumerate(found)])
MANNERS = st.builds(Manner, st.integers(0, 900), st.integers(0, 900), st.integers(1, 6), st.sampled_from([60, 900]))
AT_ONCE = Manner(restore_s=0)


@given(ORDERS, MINUTES)
def test_at_each_moment_it_asks_for_the_sum_of_the_orders(orders: list[Commitment], after: timedelta) -> None:
    orders, when = [order for order in orders if order.ends_at is not None], NOW + abs(after)
    slot = net(orders, NOW, manner=AT_ONCE).at(when)
    live = [order.shed_w for order in orders if order.ends_at and order.starts_at <= when < order.ends_at]
    assert (slot.shed_w if slot is not None else 0) == sum(live)


@given(ORDERS, MANNERS)
def test_it_is_in_order_without_overlap_and_every_part_of_it_ends(orders: list[Commitment], manner: Manner) -> None:
    slots = net(orders, NOW, manner=manner).slots
    assert all(NOW <= slot.starts_at < slot.ends_at and slot.orders and slot.shed_w for slot in slots)
    assert all(one.ends_at <= other.starts_at for one, other in pairwise(slots))
    assert len(slots) <= 4 * manner.steps * max(1, len(orders))


@given(ORDERS, MANNERS)
def test_a_single_order_is_never_exceeded_and_is_full_from_its_start_to_its_end(
    orders: list[Commitment], manner: Manner
) -> None:
    for order in orders:
        schedule = net([order], NOW, manner=manner)
        assert all(abs(slot.shed_w) <= abs(order.shed_w) for slot in schedule.slots)
        begun = max(NOW, order.starts_at)
        if order.ends_at is None or begun < order.ends_at:
            slot = schedule.at(begun)
            assert slot is not None
            assert slot.shed_w == order.shed_w


def test_an_order_without_an_end_is_held_for_a_lease_that_changes_once_in_a_lease() -> None:
    order = Commitment("open", NOW, None, MW)
    first = net([order], NOW, manner=AT_ONCE)
    assert first.until(NOW) == NOW + timedelta(minutes=30)
    later = NOW + timedelta(minutes=14)
    assert net([order], later, manner=AT_ONCE).until(later) == first.until(NOW)
    renewed = NOW + timedelta(minutes=15)
    assert net([order], renewed, manner=AT_ONCE).until(renewed) == NOW + timedelta(minutes=45)


def test_load_comes_back_in_steps() -> None:
    schedule = net([Commitment("o", NOW, utc("18:45"), 8 * MW)], NOW, manner=Manner(restore_s=240))
    seen = [(slot.shed_w // MW, f"{slot.ends_at:%H:%M}") for slot in schedule.slots]
    assert seen == [(8, "18:45"), (6, "18:46"), (4, "18:47"), (2, "18:48")]


def test_a_ramp_is_kept_on_the_way_there_and_back() -> None:
    order = Commitment("o", utc("19:00"), utc("19:45"), 8 * MW, ramp_w_per_min=2 * MW)
    schedule = net([order], NOW, manner=Manner(restore_s=0))
    seen = [(f"{slot.starts_at:%H:%M}", slot.shed_w // MW) for slot in schedule.slots]
    assert seen == [
        ("18:57", 2), ("18:58", 4), ("18:59", 6), ("19:00", 8), ("19:45", 6), ("19:46", 4), ("19:47", 2),
    ]  # fmt: skip


def test_a_limit_follows_the_baseline_and_never_asks_for_more_load() -> None:
    order = Commitment("limit", NOW, utc("19:00"), 3 * MW, import_limit_w=10 * MW)
    baseline = [Stretch(NOW, utc("18:30"), 13 * MW), Stretch(utc("18:30"), utc("19:00"), 9 * MW)]
    schedule = net([order], NOW, manner=AT_ONCE, baseline=baseline)
    assert [(slot.shed_w, slot.cap_w, slot.ends_at) for slot in schedule.slots] == [
        (3 * MW, 10 * MW, utc("18:30")),
    ]
    both = net([order, Commitment("less", NOW, utc("19:00"), 5 * MW)], NOW, manner=AT_ONCE, baseline=baseline)
    assert [slot.cap_w for slot in both.slots] == [8 * MW, 4 * MW]
    assert net([order], NOW) == Schedule(), "without a baseline a limit means nothing"
