"""The periods in which an operator sees a site: joined they are few, and the same time."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gridsignal_services.dispatch.metered import Window, joined, touches
from tests.builders import a_meter_reading, utc

HOUR = timedelta(hours=1)
WINDOW = st.tuples(st.integers(0, 20), st.integers(1, 6)).map(
    lambda at: (utc("00:00") + at[0] * HOUR, utc("00:00") + (at[0] + at[1]) * HOUR)
)


@given(st.lists(WINDOW, max_size=12), st.integers(0, 1600), st.integers(1, 200))
def test_joined_periods_are_apart_and_show_the_same_readings(windows: list[Window], at: int, lasts: int) -> None:
    found = joined(windows)
    assert all(before[1] < after[0] for before, after in pairwise(found))
    starts_at = utc("00:00") + at * timedelta(minutes=1)
    reading = a_meter_reading(starts_at=starts_at, ends_at=starts_at + lasts * timedelta(minutes=1))
    seen = any(since < reading.ends_at and reading.starts_at < until for since, until in windows)
    assert touches(reading, found) == seen


def test_as_many_orders_as_there_may_be_in_a_week_leave_a_few_periods() -> None:
    orders = [(utc("00:00") + n * timedelta(minutes=5), utc("02:15") + n * timedelta(minutes=5)) for n in range(2000)]
    assert joined(reversed(orders)) == [(orders[0][0], orders[-1][1])]
