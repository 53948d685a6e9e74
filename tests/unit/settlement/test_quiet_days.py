"""The error of a method on quiet days: what it would have said beside what was drawn."""

from __future__ import annotations

from datetime import date, time, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_services.settlement.baseline_said import Event, Site
from gridsignal_services.settlement.days import Calendar
from gridsignal_services.settlement.history import History
from gridsignal_services.settlement.methods import METHODS, changed
from gridsignal_services.settlement.quiet_days import QUIET_DAYS, Errors, errors, quiet_days
from gridsignal_services.settlement.reading_rows import readings
from tests.reading_files import BERLIN, csv_of, hours

DAY = date(2024, 5, 14)
HOUR = timedelta(hours=1)
CALENDAR = Calendar(BERLIN)
EVENT = Event(DAY, CALENDAR.at(DAY, time(17)), CALENDAR.at(DAY, time(18)))
LATEST_OF_ONE = changed(METHODS["high-5-of-10"], {"pick": "LATEST", "x": 1, "y": 1, "day_types": "ALL"})


def site(powers_w: list[int], event_days: frozenset[date] = frozenset()) -> Site:
    """Of the days before, newest first, the power from 17:00 to 18:00."""
    days = [DAY - timedelta(days=back) for back in range(1, len(powers_w) + 1)]
    text = csv_of(line for day, power_w in zip(days, powers_w, strict=True) for line in hours(day, {17: power_w}))
    return Site(History(readings(text.splitlines())), CALENDAR, event_days)


def test_the_error_of_yesterday_as_a_baseline() -> None:
    """The day before says 90, 110, 90 of days that drew 120, 90, 110: it is off by -30, 20, -20."""
    known = site([120, 90, 110, 90])
    found = errors(LATEST_OF_ONE, known, quiet_days(known, EVENT), HOUR)
    assert found.days == 3
    assert found.bias == Fraction((90 - 120) + (110 - 90) + (90 - 110), 120 + 90 + 110)
    mean_square = Decimal(30 * 30 + 20 * 20 + 20 * 20) / 3
    assert round(found.rrmse, 20) == round(mean_square.sqrt() / (Decimal(320) / 3), 20)


def test_event_days_and_days_without_readings_are_not_quiet() -> None:
    asked = DAY - timedelta(days=2)
    days = quiet_days(site([1] * 40, frozenset({asked})), EVENT)
    assert len(days) == QUIET_DAYS
    assert [each.day for each in days[:2]] == [DAY - timedelta(days=1), DAY - timedelta(days=3)]
    assert [each.day for each in quiet_days(site([1, 1]), EVENT)] == [DAY - timedelta(days=back) for back in (1, 2)]


def test_hours_of_a_quiet_day_are_those_of_its_own_clock() -> None:
    winter = Event(date(2024, 4, 1), CALENDAR.at(date(2024, 4, 1), time(17)), CALENDAR.at(date(2024, 4, 1), time(18)))
    known = Site(History(readings(csv_of(hours(date(2024, 3, 30), {17: 1})).splitlines())), CALENDAR)
    assert [each.starts_at for each in quiet_days(known, winter)] == [CALENDAR.at(date(2024, 3, 30), time(17))]


@pytest.mark.parametrize("name", ["declared", "uk-bl01"])
def test_a_method_without_a_baseline_has_no_error(name: str) -> None:
    known = site([5] * 8)
    assert errors(METHODS[name], known, quiet_days(known, EVENT), HOUR) == Errors(0, None, None)


def test_a_site_that_drew_nothing_has_no_relative_error() -> None:
    known = site([0] * 4)
    assert errors(LATEST_OF_ONE, known, quiet_days(known, EVENT), HOUR) == Errors(3, None, None)


@given(st.integers(1, 10**9))
def test_a_steady_site_is_met_exactly(power_w: int) -> None:
    known = site([power_w] * 20)
    found = errors(METHODS["high-4-of-5"], known, quiet_days(known, EVENT), HOUR)
    assert (found.bias, found.rrmse) == (0, 0)
    assert found.days > 0


@given(st.lists(st.integers(1, 1000), min_size=3, max_size=12), st.integers(2, 9))
def test_errors_are_relative(powers_w: list[int], times: int) -> None:
    small, large = (site([power_w * scale for power_w in powers_w]) for scale in (1, times))
    days = quiet_days(small, EVENT)
    assert errors(LATEST_OF_ONE, small, days, HOUR) == errors(LATEST_OF_ONE, large, days, HOUR)


@given(st.lists(st.integers(1, 1000), min_size=3, max_size=12))
def test_a_bias_is_no_greater_than_the_error(powers_w: list[int]) -> None:
    known = site(powers_w)
    found = errors(LATEST_OF_ONE, known, quiet_days(known, EVENT), HOUR)
    assert abs(found.bias) <= Fraction(found.rrmse) + Fraction(1, 10**20)
