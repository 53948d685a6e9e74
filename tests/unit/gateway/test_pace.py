"""The tick follows the load: busy flushes are made seldomer, an idle gateway is as quick as ever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_services.gateway.pace import Pace

LEAST_S, MOST_S = 0.005, 0.02


def played(cost_s: float, wait_s: float, flushes: int, pace: Pace | None = None) -> Pace:
    """So many flushes that each cost so much, one a tick or, where messages are seldomer, one a message."""
    pace = pace or Pace(LEAST_S, MOST_S)
    for _ in range(flushes):
        pace.flushed(cost_s, max(pace.tick_s, wait_s, cost_s))
    return pace


def test_a_gateway_that_writes_most_of_the_time_joins_more() -> None:
    assert played(0.004, 0.001, 20).tick_s == pytest.approx(0.005 * 1.5**2)  # 4 of 11 ms
    assert played(0.014, 0.001, 20).tick_s == MOST_S


def test_what_took_long_once_is_over_when_the_load_is() -> None:
    assert played(0.0005, 0.001, 20, played(0.014, 0.001, 20)).tick_s == LEAST_S


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=50))
def test_it_keeps_to_its_bounds(flushes: list[tuple[float, float]]) -> None:
    pace = Pace(LEAST_S, MOST_S)
    for took_s, since_s in flushes:
        pace.flushed(took_s, since_s)
        assert LEAST_S <= pace.tick_s <= MOST_S


@given(st.floats(0.0001, 0.1), st.floats(0.0001, 0.1))
def test_under_one_load_it_comes_to_rest(cost_s: float, wait_s: float) -> None:
    pace = played(cost_s, wait_s, 20)
    before = pace.tick_s
    assert played(cost_s, wait_s, 1, pace).tick_s == before


def test_a_longest_that_is_shorter_than_the_least_changes_nothing() -> None:
    assert played(1.0, 0.0, 5, Pace(0.05, 0.02)).tick_s == 0.05
