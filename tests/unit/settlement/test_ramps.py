"""Ramps: a faster change than may be is told at any resolution, that there was none by the minute alone."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gridsignal_schemas.values import MW
from gridsignal_services.settlement.energy import net_means
from gridsignal_services.settlement.ramps import Ramps
from gridsignal_services.settlement.said import Said
from tests.builders import utc

NOON = utc("12:00")
MINUTE = timedelta(minutes=1)


def minutes(powers_mw: list[int], each: int = 1, meter: str = "m1", late: int = 0) -> list[Said]:
    """Means that follow one another from 11:59 on, `late` minutes later."""
    ends = [NOON - MINUTE + (late + each * number) * MINUTE for number in range(len(powers_mw) + 1)]
    told = zip(powers_mw, ends, ends[1:], strict=False)
    return [Said(meter, since, until, power * MW) for power, since, until in told]


def kept(said: list[Said], mw_per_min: int, until: int) -> bool | None:
    return Ramps(net_means(said)).are_kept(mw_per_min * MW, NOON, NOON + until * MINUTE)


def test_by_the_minute_it_is_known() -> None:
    assert kept(minutes([40, 38, 36, 34]), 2, 3) is True
    assert kept(minutes([40, 38, 35, 34]), 2, 3) is False


def test_the_step_into_the_period_counts_and_what_came_before_does_not() -> None:
    assert kept(minutes([40, 28, 28, 28]), 2, 3) is False
    assert kept(minutes([40, 28, 28, 28])[1:], 2, 3) is None  # what was before is not known
    assert Ramps(net_means(minutes([40, 28, 28, 28]))).are_kept(2 * MW, NOON + MINUTE, NOON + 3 * MINUTE) is True


def test_longer_means_tell_a_faster_change_and_nothing_else() -> None:
    assert kept(minutes([40, 10, 10], each=5), 5, 9) is False
    assert kept(minutes([40, 38, 38], each=5), 5, 9) is None
    assert kept(minutes([40, 40]), 5, 3) is None  # and then silence


def test_meters_that_are_read_at_other_times_are_compared_where_all_begin() -> None:
    first, second = minutes([20, 8, 8], each=2), minutes([20] * 6)
    assert kept(first + second, 20, 5) is None
    assert kept(first + second, 5, 5) is False
    assert kept(minutes([20, 8, 8], each=2) + minutes([20] * 3, each=2, meter="m2", late=1), 1, 5) is None


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=60), st.integers(1, 10))
def test_no_site_that_kept_its_ramp_is_told_otherwise_at_any_resolution(steps: list[int], each: int) -> None:
    """A site that changes by at most 3 MW a minute, linearly, and means of it over any number of minutes."""
    at = [100]
    for step in steps:
        at += [at[-1] + step]
    twice = [before + after for before, after in pairwise(at)]  # 2 x the mean of each minute
    means = [sum(twice[first : first + each]) for first in range(0, len(twice) - each + 1, each)]
    said = [
        Said("m1", NOON + number * each * MINUTE, NOON + (number + 1) * each * MINUTE, mean * MW // (2 * each))
        for number, mean in enumerate(means)
    ]
    found = Ramps(net_means(said)).are_kept(3 * MW + 1, NOON, NOON + len(steps) * MINUTE)
    assert found is not False
