"""A site's watts: what servers draw and what the connection point shows are told apart, and agree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gridsignal.agent.jobs import ConnectionWatts, ItWatts
from gridsignal.agent.site import PuePoint, Site

CURVE = (
    PuePoint(load=0.25, temperature_c=10, pue=1.3),
    PuePoint(load=1.0, temperature_c=10, pue=1.1),
    PuePoint(load=0.25, temperature_c=30, pue=1.5),
    PuePoint(load=1.0, temperature_c=30, pue=1.25),
)
CAPACITY_W = 10_000_000


def a_site(**more: object) -> Site:
    said = {"site": "fra-1", "zone": "DE-LU", "it_capacity_w": CAPACITY_W, "connection_limit_w": 12_500_000}
    return Site.model_validate({**said, "pue": CURVE, **more})


loads = st.integers(0, CAPACITY_W)
temperatures = st.floats(-30, 45)


def test_at_a_point_of_the_curve_the_pue_is_what_was_measured() -> None:
    for point in CURVE:
        it_w = ItWatts(round(point.load * CAPACITY_W))
        assert a_site().connection_w(it_w, point.temperature_c) == pytest.approx(point.pue * it_w, abs=1)


@given(loads, loads, temperatures)
def test_more_load_draws_more_and_at_least_itself(one: int, other: int, temperature_c: float) -> None:
    less, more = sorted((one, other))
    site = a_site()
    assert less <= site.connection_w(ItWatts(less), temperature_c) <= site.connection_w(ItWatts(more), temperature_c)


@given(st.integers(0, 20_000_000), temperatures)
def test_what_is_said_to_fit_under_a_limit_does_and_a_watt_more_does_not(limit_w: int, temperature_c: float) -> None:
    site = a_site()
    it_w = site.it_w(ConnectionWatts(limit_w), temperature_c)
    assert it_w == 0 or site.connection_w(it_w, temperature_c) <= limit_w
    assert it_w == CAPACITY_W or site.connection_w(ItWatts(it_w + 1), temperature_c) > limit_w


@given(loads, temperatures, temperatures)
def test_no_day_is_cheaper_to_cool_than_a_colder_one(it_w: int, one: float, other: float) -> None:
    cold, warm = sorted((one, other))
    assert a_site().overhead_w(it_w, cold) <= a_site().overhead_w(it_w, warm) + 1e-6


@given(loads, loads, st.integers(1, 3_600), st.floats(0, 100_000))
def test_cooling_comes_ever_closer_and_never_passes(before: int, after: int, lag_s: int, seconds: float) -> None:
    site = a_site(cooling_lag_s=lag_s)
    came = site.cooled(before, after, seconds)
    assert min(before, after) - 1e-6 <= came <= max(before, after) + 1e-6
    assert abs(site.cooled(before, after, seconds + 60) - after) <= abs(came - after) + 1e-6
    assert a_site().cooled(before, after, seconds) == after


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"base_it_w": CAPACITY_W + 1}, "expected base_it_w of at most"),
        ({"pue": (CURVE[0], CURVE[0])}, "expected each load once at 10 degrees"),
        ({"pue": (PuePoint(load=0.5, pue=2.0), PuePoint(load=1.0, pue=1.1))}, "expected overhead that grows"),
        ({"base_it_w": CAPACITY_W, "connection_limit_w": 1_000}, "expected a connection limit above the base load"),
        ({"pue": ()}, "at least 1"),
    ],
)
def test_a_site_that_can_not_be_is_refused(more: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        a_site(**more)
