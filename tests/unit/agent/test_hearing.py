"""What a plan knows of prices and carbon by what was heard."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal.agent.hearing import KEPT, Heard, HeardCurve
from gridsignal.testing import spot_prices
from tests.builders import a_carbon_intensity, utc

NOON = utc("12:00")
DAY = timedelta(days=1)
PRICES = st.lists(st.integers(-500, 4000), min_size=1, max_size=96)


@given(PRICES, st.integers(1, 192))
def test_what_is_known_is_kept_and_what_is_not_is_yesterdays_or_the_last(prices: list[int], slots: int) -> None:
    curve = HeardCurve()
    curve.take(NOON, 900, [Decimal(price) for price in prices], NOON)
    found = curve.curve(NOON, slots)
    assert found is not None
    known = min(slots, len(prices))
    assert list(found.values[:known]) == prices[:known]
    for slot in range(known, slots):
        assert found.values[slot] == (found.values[slot - 96] if slot >= 96 else prices[-1])
    assert found.forecast_from == known


@pytest.mark.parametrize(
    ("resolution_s", "values", "quarters"),
    [(3600, [4, None], [4, 4, 4, 4]), (300, [1, 2, 3, 4, 5, None], [2]), (900, [7, 8], [7, 8])],
)
def test_intervals_of_any_length_become_quarter_hours(
    resolution_s: int, values: list[int | None], quarters: list[float]
) -> None:
    curve = HeardCurve()
    curve.take(NOON, resolution_s, [None if value is None else Decimal(value) for value in values], NOON)
    found = curve.curve(NOON, len(quarters) + 1)
    assert found is not None
    assert list(found.values[:-1]) == quarters
    assert found.forecast_from == len(quarters)


def test_an_older_word_changes_nothing_and_the_oldest_are_forgotten() -> None:
    curve = HeardCurve()
    curve.take(NOON, 900, [Decimal(2)], NOON)
    curve.take(NOON, 900, [Decimal(1)], NOON - DAY)
    found = curve.curve(NOON, 1)
    assert found is not None
    assert found.values == (2.0,)
    curve.take(NOON + DAY, 900, [Decimal(3)] * KEPT, NOON)
    assert curve.curve(NOON, 1) is None


def test_only_day_ahead_prices_of_the_zone_in_the_currency_count_and_carbon_is_optional() -> None:
    heard = Heard("DE-LU", "EUR")
    prices = spot_prices([5], starts_at=NOON)
    others = [{"zone": "FR"}, {"product": "INTRADAY"}, {"currency": "NOK"}]
    assert not any(heard.take(spot_prices([9], starts_at=NOON, **fields)) for fields in others)
    assert not heard.take(a_carbon_intensity(accounting="MARGINAL"))
    assert heard.outlook(NOON, 4) is None
    assert heard.take(prices)
    outlook = heard.outlook(NOON + timedelta(minutes=7), 4)
    assert outlook is not None
    assert (outlook.starts_at, outlook.prices.values, outlook.carbon.values) == (NOON, (5.0,) * 4, (0.0,) * 4)
    carbon = a_carbon_intensity()
    assert heard.take(carbon)
    outlook = heard.outlook(NOON, 1)
    assert outlook is not None
    assert outlook.carbon.values[0] > 0
