"""A query of Prometheus covers the window that is asked of it, whatever its step."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gridsignal.agent.meters.csv_file import mean_of
from gridsignal.agent.meters.prometheus import asked
from tests.builders import utc

NOON = utc("12:00")
STARTS = st.integers(0, 10**7).map(lambda us: NOON + timedelta(microseconds=us))
MOST_POINTS = 11_000
"""Prometheus refuses a query of more."""


def cut(at: datetime) -> datetime:
    """As Prometheus keeps time: in milliseconds."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


@given(STARTS, st.integers(1, 86_400), st.integers(1, 86_400))
def test_a_series_without_a_gap_has_a_mean_over_every_window(start: datetime, window_s: int, step_s: int) -> None:
    end = start + timedelta(seconds=window_s)
    first, last, step = asked(start, end, step_s)
    assert first <= start
    assert first <= last < end
    count = (cut(last) - cut(first)) // timedelta(seconds=step) + 1
    assert count <= MOST_POINTS
    points = [(cut(first) + at * timedelta(seconds=step), 420.0) for at in range(count)]
    assert mean_of(points, start, end, timedelta(seconds=step)) == 420
    for gap in {0, count // 2, count - 1}:
        rest = [*points[:gap], *points[gap + 1 :]]
        assert mean_of(rest, start, end, timedelta(seconds=step)) is None
