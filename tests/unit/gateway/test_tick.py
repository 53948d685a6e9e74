"""The tick follows the load: a busy loop flushes seldomer, an idle gateway is as quick as ever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_services.gateway.tick import Tick

LEAST_S, MOST_S = 0.005, 0.02
COSTS, SHARES = st.floats(0.0001, 0.1), st.floats(0, 1)


def played(cost_s: float, others: float, wait_s: float, flushes: int, tick: Tick | None = None) -> Tick:
    """So many flushes that each cost so much, one a tick or, where messages are seldomer, one a message; in between
    everything else takes this share of the time.
    """
    tick = tick or Tick(LEAST_S, MOST_S)
    for _ in range(flushes):
        since_s = max(tick.length_s, wait_s, cost_s)
        tick.flushed(cost_s, min(others * since_s, since_s - cost_s), since_s)
    return tick


def test_a_loop_that_has_time_writes_at_once() -> None:
    assert played(0.0034, 0.07, 1 / 150, 20).length_s < 1 / 150


def test_a_loop_that_has_much_else_to_do_joins_more() -> None:
    assert played(0.004, 0.0, 0.001, 20).length_s == pytest.approx(0.0057, rel=0.01)
    assert played(0.004, 0.25, 0.001, 20).length_s == pytest.approx(0.0123, rel=0.01)
    assert played(0.014, 0.0, 0.001, 20).length_s == pytest.approx(MOST_S, rel=0.01)


def test_what_took_long_once_is_over_when_the_load_is() -> None:
    assert played(0.0005, 0.0, 0.001, 20, played(0.014, 0.0, 0.001, 20)).length_s == LEAST_S


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)), max_size=50))
def test_it_keeps_to_its_bounds(flushes: list[tuple[float, float, float]]) -> None:
    tick = Tick(LEAST_S, MOST_S)
    for took_s, others_s, since_s in flushes:
        tick.flushed(took_s, others_s, since_s)
        assert LEAST_S <= tick.length_s <= MOST_S


@given(COSTS, SHARES, st.floats(0.0001, 0.1))
def test_under_one_load_it_comes_to_rest(cost_s: float, others: float, wait_s: float) -> None:
    tick = played(cost_s, others, wait_s, 60)
    before = tick.length_s
    assert played(cost_s, others, wait_s, 1, tick).length_s == pytest.approx(before, rel=0.01)


@given(COSTS, COSTS, SHARES, SHARES)
def test_more_to_do_never_shortens_it(one_s: float, other_s: float, one: float, other: float) -> None:
    less, more = sorted((one_s, other_s)), sorted((one, other))
    assert played(less[0], more[0], 0.0, 60).length_s <= played(less[1], more[1], 0.0, 60).length_s * 1.01


def test_a_longest_that_is_shorter_than_the_least_changes_nothing() -> None:
    assert played(1.0, 0.0, 0.0, 5, Tick(0.05, 0.02)).length_s == 0.05
