"""Readings that overlap, repeat or contradict each other never count twice, in whatever order they came."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal import MW
from gridsignal_schemas.messages import DispatchOrder, MeterReading, OrderState, RunMode
from gridsignal_services.ledger.delivered import terms_of, totals
from gridsignal_services.ledger.tracked import Step
from gridsignal_services.settlement.energy import Gap, net_means
from tests.builders import a_meter_reading, utc
from tests.metered import delivery
from tests.unit.ledger.test_delivered import a_zone, ordered, quarter, two_orders
from tests.unit.ledger.zone import Zone

START = utc("18:00")
END = utc("18:45")
MINUTES = 60


@cache
def evening() -> tuple[Zone, DispatchOrder]:
    """An order of 12 MW from 18:00 to 18:45 under a baseline of 40 MW. Nobody changes it."""
    zone = a_zone()
    return zone, ordered(zone, 12 * MW)


@st.composite
def readings(draw: st.DrawFn) -> list[MeterReading]:
    """What one or two meters say of an hour, in whatever intervals, each with a `seq` of its own."""
    spans = st.tuples(st.integers(-10, MINUTES), st.integers(1, 45), st.integers(0, 60), st.sampled_from("ab"))
    said = draw(st.lists(spans, max_size=25))
    seqs = draw(st.permutations(range(len(said))))
    return [
        a_meter_reading(
            starts_at=START + timedelta(minutes=begin),
            ends_at=START + timedelta(minutes=begin + length),
            import_w=power * MW,
            meter=meter,
            seq=seq,
        )
        for (begin, length, power, meter), seq in zip(said, seqs, strict=True)
    ]


def by_the_minute(said: list[MeterReading], when: datetime) -> int | None:
    """The slow way: each meter's newest word on a moment, added; None where one that spoke of the order has none."""
    total, of_the_order = 0, {each.meter for each in said if each.ends_at > START and each.starts_at < END}
    for meter in of_the_order:
        of_moment = [r for r in said if r.meter == meter and r.starts_at <= when < r.ends_at]
        if not of_moment:
            return None
        total += max(of_moment, key=lambda reading: reading.seq).import_w
    return total if of_the_order and total <= 60 * MW else None


@given(readings(), st.randoms())
def test_each_moment_is_told_once_by_the_newest_word_of_each_meter(
    said: list[MeterReading], chance: random.Random
) -> None:
    zone, order = evening()
    tracked = zone.ledger.orders[order.order_id]
    intervals = delivery(zone.ledger.book, tracked, said)
    shown = {interval.starts_at: interval for interval in intervals}

    expected_wm = 0
    for minute in range(45):
        when = START + timedelta(minutes=minute)
        actual = by_the_minute(said, when)
        at = max((start for start in shown if start <= when), default=None)
        covering = shown[at] if at is not None and when < shown[at].ends_at else None
        assert (covering.actual_w if covering else None) == actual
        expected_wm += 0 if actual is None else min(max(40 * MW - actual, 0), 12 * MW)

    terms = terms_of(zone.ledger.book, tracked)
    assert terms is not None
    assert (totals(terms, intervals).delivered_wh or 0) == (expected_wm + 30) // 60
    assert all(left.ends_at <= right.starts_at for left, right in pairwise(intervals))

    chance.shuffle(said)
    assert delivery(zone.ledger.book, tracked, said) == intervals


def test_ten_readings_of_one_hour_are_one_hour() -> None:
    zone, order = evening()
    said = [quarter(0, 28 * MW, ends_at=utc("18:45") - timedelta(seconds=each), seq=each) for each in range(10)]
    terms = terms_of(zone.ledger.book, zone.ledger.orders[order.order_id])
    assert terms is not None
    sums = totals(terms, delivery(zone.ledger.book, zone.ledger.orders[order.order_id], said))
    assert (sums.delivered_wh, sums.amount, sums.metered_s) == (9_000_000, Decimal(810), 2700)


def test_a_live_meter_and_the_official_values_are_the_same_energy() -> None:
    live = [quarter(at * 5, 28 * MW, ends_at=START + timedelta(minutes=at * 5 + 5), seq=at) for at in range(3)]
    official = quarter(0, 30 * MW, seq=100)
    assert [(mean.net_w, mean.ends_at) for mean in net_means([*live, official])] == [(30 * MW, utc("18:15"))]
    assert [mean.net_w for mean in net_means([*live, official.model_copy(update={"seq": 0})])] == [28 * MW] * 3


def test_of_one_seq_twice_the_first_on_the_log_counts() -> None:
    first, second = quarter(0, 28 * MW, seq=7), quarter(0, 20 * MW, ends_at=utc("18:10"), seq=7)
    assert [mean.net_w for mean in net_means([first, second])] == [28 * MW]
    assert [mean.net_w for mean in net_means([second, first])] == [20 * MW, 28 * MW]


def test_a_meter_that_is_missing_is_a_gap_and_not_a_saving() -> None:
    means = net_means(
        [quarter(0, 20 * MW, meter="north"), quarter(15, 20 * MW, meter="north"), quarter(0, 8 * MW, meter="south")]
    )
    assert [(mean.net_w, mean.gap) for mean in means] == [(28 * MW, None), (None, Gap.METER_MISSING)]


@pytest.mark.parametrize("length", [timedelta(0), -timedelta(minutes=5), timedelta(days=2)])
def test_what_is_no_interval_says_nothing(length: timedelta) -> None:
    assert net_means([quarter(0, 28 * MW, ends_at=START + length)]) == []


def test_more_than_the_connection_carries_says_nothing() -> None:
    assert net_means([quarter(0, 61 * MW)], 60 * MW) == []
    both = [quarter(0, 40 * MW, meter="north"), quarter(0, 30 * MW, meter="south")]
    assert [(mean.net_w, mean.gap) for mean in net_means(both, 60 * MW)] == [(None, Gap.ABOVE_CAPACITY)]


def test_a_thousand_short_intervals_are_worth_no_more_than_the_long_one() -> None:
    zone, order = evening()
    tracked = zone.ledger.orders[order.order_id]
    spots = [START + timedelta(seconds=second) for second in range(1000)]
    said = [
        a_meter_reading(starts_at=at, ends_at=at + timedelta(seconds=1), import_w=40 * MW - 1801, seq=number)
        for number, at in enumerate(spots)
    ]
    terms = terms_of(zone.ledger.book, tracked)
    assert terms is not None
    assert totals(terms, delivery(zone.ledger.book, tracked, said)).delivered_wh == 500


def test_not_metered_yet_is_not_nothing_delivered() -> None:
    zone, order = evening()
    tracked = zone.ledger.orders[order.order_id]
    terms = terms_of(zone.ledger.book, tracked)
    assert terms is not None
    assert totals(terms, delivery(zone.ledger.book, tracked, [])) == (None, None, 0)
    nothing = totals(terms, delivery(zone.ledger.book, tracked, [quarter(0, 40 * MW)]))
    assert (nothing.delivered_wh, nothing.metered_s) == (0, 900)


@pytest.mark.parametrize("state", [OrderState.COMPLETED, OrderState.ABORTED, OrderState.CANCELLED, OrderState.VOIDED])
def test_a_dead_order_takes_no_share_of_another(state: OrderState) -> None:
    zone = a_zone()
    first, second = two_orders(zone)
    tracked = zone.ledger.orders[first.order_id]
    tracked.state = state  # as older logs have it: reported over before its period began
    tracked.history.append(Step(utc("17:30"), state, "planner"))

    (line,) = delivery(zone.ledger.book, zone.ledger.orders[second.order_id], [quarter(0, 24 * MW)])

    assert (line.delivered_w, line.deficiency_w) == (10 * MW, 0)
    assert all(each.delivered_w == 0 for each in delivery(zone.ledger.book, tracked, [quarter(0, 24 * MW)]))


def test_an_order_broken_off_delivers_until_then_and_owes_the_rest() -> None:
    zone = a_zone()
    order = ordered(zone, 12 * MW)
    tracked = zone.ledger.orders[order.order_id]
    tracked.state = OrderState.COMPLETED
    tracked.history.append(Step(utc("18:10"), OrderState.COMPLETED, "planner"))
    lines = delivery(zone.ledger.book, tracked, [quarter(0, 28 * MW)])
    assert [(line.ends_at, line.delivered_w, line.deficiency_w) for line in lines] == [
        (utc("18:10"), 12 * MW, 0),
        (utc("18:15"), 0, 12 * MW),
    ]


def test_a_dry_run_takes_nothing_of_what_is_real() -> None:
    zone = a_zone()
    first, second = two_orders(zone)
    tracked = zone.ledger.orders[first.order_id]
    tracked.order = tracked.order.model_copy(update={"run_mode": RunMode.DRY_RUN})
    (line,) = delivery(zone.ledger.book, zone.ledger.orders[second.order_id], [quarter(0, 24 * MW)])
    assert line.delivered_w == 10 * MW
