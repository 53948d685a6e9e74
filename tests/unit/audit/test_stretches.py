"""Which readings an export takes along: those that touch a stretch of time from which a figure is computed."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from gridsignal_services.audit.exporting import Stretches
from tests.builders import a_meter_reading, utc

START = utc("00:00")
PAIRS = st.tuples(st.integers(0, 40), st.integers(1, 12)).map(lambda pair: (pair[0], sum(pair)))


@given(st.lists(st.tuples(st.sampled_from(["a-1", "b-1"]), PAIRS), max_size=8), PAIRS)
def test_a_reading_touches_the_stretches_that_it_overlaps_and_no_other(
    stretches: list[tuple[str, tuple[int, int]]], told: tuple[int, int]
) -> None:
    at = [START + timedelta(minutes=minute) for minute in range(60)]
    found = Stretches((site, at[since], at[until]) for site, (since, until) in stretches)
    for site in ("a-1", "b-1", "c-1"):
        reading = a_meter_reading(site=site, starts_at=at[told[0]], ends_at=at[told[1]])
        overlaps = [of for of, (since, until) in stretches if of == site and since < told[1] and until > told[0]]
        assert found.touch(reading) == bool(overlaps)
