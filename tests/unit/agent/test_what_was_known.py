"""A study knows of a moment what was published by then, and nothing that came later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal.agent.curves import SLOT
from gridsignal.agent.foresight import known_until, outlook_at
from gridsignal.agent.series import HOUR, Series, WrongSeries, series_of
from tests.reading_files import days_of_a_series

START = datetime(2024, 6, 1, tzinfo=UTC)
hours = st.integers(24, 90)


@pytest.mark.parametrize(
    ("zone", "now", "until"),
    [
        ("DE-LU", "2024-06-03T10:59:00+00:00", "2024-06-03T22:00:00+00:00"),
        ("DE-LU", "2024-06-03T11:00:00+00:00", "2024-06-04T22:00:00+00:00"),
        ("DE-LU", "2024-10-26T12:00:00+00:00", "2024-10-27T23:00:00+00:00"),
        ("US-NY-NYIS", "2024-06-03T16:59:00+00:00", "2024-06-04T04:00:00+00:00"),
        ("US-NY-NYIS", "2024-06-03T17:00:00+00:00", "2024-06-05T04:00:00+00:00"),
    ],
)
def test_prices_of_a_day_are_known_from_one_o_clock_of_the_day_before(zone: str, now: str, until: str) -> None:
    assert known_until(zone, datetime.fromisoformat(now)) == datetime.fromisoformat(until)


def a_series(shift: float = 0.0, since: int = 10**6) -> Series:
    prices = tuple(float(hour) + (shift if hour >= since else 0.0) for hour in range(120))
    return Series("DE-LU", START, "EUR", prices, tuple(300.0 + hour for hour in range(120)), 0)


@given(hours, st.floats(1, 1_000))
def test_what_is_published_later_changes_no_outlook_before(hour: int, shift: float) -> None:
    now = START + hour * HOUR
    since = round((known_until("DE-LU", now) - START) / HOUR)
    before, after = (outlook_at(each, now, 144, 7) for each in (a_series(), a_series(shift, since)))
    assert before == after
    assert before.prices.values[: before.prices.forecast_from] == tuple(
        a_series().slots(a_series().prices, now, before.prices.forecast_from)
    )


@given(hours)
def test_a_perfect_outlook_is_what_came(hour: int) -> None:
    series, now = a_series(), START + hour * HOUR
    found = outlook_at(series, now, 48, 7, perfect=True)
    assert found.prices.values == tuple(series.slots(series.prices, now, 48))
    assert found.carbon.values == tuple(series.slots(series.carbon, now, 48))
    assert found.starts(4) == now + 4 * SLOT


def test_a_series_is_read_from_a_file_and_its_gaps_are_counted() -> None:
    lines = days_of_a_series().splitlines(keepends=True)
    lines[30] = ",".join([*lines[30].split(",")[:2], "", "EUR", "300\n"])
    del lines[40]
    found = series_of(lines, "DE-LU")
    assert (len(found.prices), found.filled, found.currency) == (120, 2, "EUR")
    assert found.prices[29] == found.prices[28]
    assert found.prices[39] == found.prices[38]
    assert found.starts_at + timedelta(days=5) == datetime(2024, 6, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("start_utc", "start", "line 1: expected the columns zone, start_utc"),
        ("2024-06-01T03:00:00Z", "noon", "line 5: start_utc: expected an hour such as"),
        ("2024-06-01T03:00:00Z", "2024-06-01T01:00:00Z", "line 5: expected each hour once, in order"),
        ("80.00", "cheap", "line 2: price: expected a number such as 65.49, got 'cheap'"),
        ("DE-LU", "FR", "expected hours with price and carbon for DE-LU, got 0"),
    ],
)
def test_a_series_that_can_not_be_read_is_told_with_its_line(before: str, after: str, told: str) -> None:
    times = -1 if before == "DE-LU" else 1
    with pytest.raises(WrongSeries) as wrong:
        series_of(days_of_a_series().replace(before, after, times).splitlines(), "DE-LU")
    assert told in str(wrong.value)
