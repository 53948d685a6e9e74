"""The tick follows the load: busy flushes are made seldomer, an idle gateway is as quick as ever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_services.gateway.tick import Tick

LEAST_S, MOST_S = 0.005, 0.02


def played(cost_s: float, wait_s: float, flushes: int, tick: Tick | None = None) -> Tick:
    """So many flushes that each cost so much, one a tick or, where messages are seldomer, one a message."""
    tick = tick or Tick(LEAST_S, MOST_S)
    for _ in range(flushes):
        tick.flushed(cost_s, max(tick.length_s, wait_s, cost_s))
    return tick


def test_a_gateway_that_writes_most_of_the_time_joins_more() -> None:
    assert played(0.004, 0.001, 20).length_s == pytest.approx(0.005 * 1.5**2)  # 4 of 11 ms
    assert played(0.014, 0.001, 20).length_s == MOST_S


def test_what_took_long_once_is_over_when_the_load_is() -> None:
    assert played(0.0005, 0.001, 20, played(0.014, 0.001, 20)).length_s == LEAST_S


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=50))
def test_it_keeps_to_its_bounds(flushes: list[tuple[float, float]]) -> None:
    tick = Tick(LEAST_S, MOST_S)
    for took_s, since_s in flushes:
        tick.flushed(took_s, since_s)
        assert LEAST_S <= tick.length_s <= MOST_S


@given(st.floats(0.0001, 0.1), st.floats(0.0001, 0.1))
def test_under_one_load_it_comes_to_rest(cost_s: float, wait_s: float) -> None:
    tick = played(cost_s, wait_s, 20)
    before = tick.length_s
    assert played(cost_s, wait_s, 1, tick).length_s == before


def test_a_longest_that_is_shorter_than_the_least_changes_nothing() -> None:
    assert played(1.0, 0.0, 5, Tick(0.05, 0.02)).length_s == 0.05
