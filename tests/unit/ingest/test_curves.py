"""Curves: cut at market midnights, joined with explicit gaps, never overlapping."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_services.ingest.curves import Curve, by_day, clipped, joined, so_far
from gridsignal_services.ingest.feed import Malformed
from gridsignal_services.ingest.left_out import LeftOutRows
from gridsignal_services.ingest.schedule import MARKET_TIME, day_starts_at, market_day
from gridsignal_services.ingest.stamps import from_stamps, of_step

START = datetime(2024, 5, 11, 22, tzinfo=UTC)


def curve(*values: int | None, start: datetime = START, step_s: int = 3600) -> Curve:
    return Curve(start, step_s, tuple(None if value is None else Decimal(value) for value in values))


def later(hours: float) -> datetime:
    return START + timedelta(hours=hours)


@given(st.integers(0, 3 * 365 * 24), st.sampled_from([900, 3600]), st.integers(1, 400))
def test_days_of_a_cut_curve_are_contiguous_and_each_lies_in_one_market_day(hour: int, step_s: int, count: int) -> None:
    start = START + timedelta(hours=hour)
    days = by_day(Curve(start, step_s, (Decimal(1),) * count), MARKET_TIME)
    assert days[0].starts_at == start
    assert sum(len(day.values) for day in days) == count
    for before, after in pairwise(days):
        assert before.ends_at == after.starts_at == day_starts_at(market_day(after.starts_at))


@pytest.mark.parametrize(("day", "quarters"), [("2026-03-29", 92), ("2025-10-26", 100), ("2025-12-01", 96)])
def test_a_day_of_quarter_hours_has_92_96_or_100(day: str, quarters: int) -> None:
    start = day_starts_at(datetime.fromisoformat(day).date())
    days = by_day(Curve(start, 900, (Decimal(1),) * 200), MARKET_TIME)
    assert len(days[0].values) == quarters


def test_a_gap_between_two_curves_of_one_day_is_explicit() -> None:
    assert joined([curve(5, start=later(3)), curve(1, 2)]) == [curve(1, 2, None, 5)]


def test_the_same_curve_twice_is_once() -> None:
    assert joined([curve(1, 2, 3), curve(1, 2, 3)]) == [curve(1, 2, 3)]


def test_two_values_for_one_instant_are_refused() -> None:
    with pytest.raises(Malformed, match="two values"):
        joined([curve(1, 2), curve(1, 3)])


def test_of_two_resolutions_that_agree_the_finer_one_stays() -> None:
    hours, quarters = curve(10, 20), curve(5, 15, 10, 10, step_s=900)
    assert joined([hours, quarters]) == [quarters, curve(20, start=later(1))]


def test_two_resolutions_that_disagree_are_refused() -> None:
    with pytest.raises(Malformed, match="disagree"):
        joined([curve(11), curve(5, 15, 10, 10, step_s=900)])


def test_clipping_keeps_whole_steps_inside_the_window() -> None:
    whole = curve(1, 2, 3, 4)
    assert clipped(whole, later(0.5), later(3.5)) == curve(2, 3, start=later(1))
    assert clipped(whole, later(4), None) is None
    assert clipped(whole, None, None) == whole


def test_what_is_known_so_far_ends_with_a_figure_and_keeps_its_start() -> None:
    assert so_far(curve(None, 1, None, 2, None)) == curve(None, 1, None, 2)
    assert so_far(curve(None)) is None


def stamps(*hours: float) -> list[int]:
    return [int(later(h).timestamp()) for h in hours]


def by_steps(*runs: tuple[int, int]) -> list[tuple[int, int, int]]:
    """What is read from stamps with so many equal distances (count, seconds): steps, points and gaps of each curve."""
    stamps = list(
        accumulate([seconds for count, seconds in runs for _ in range(count)], initial=int(START.timestamp()))
    )
    found = from_stamps(stamps, [Decimal(1)] * len(stamps))
    return [(c.resolution_s, len(c.values), c.values.count(None)) for c in found]


def test_the_step_is_read_from_the_stamps_and_may_change() -> None:
    assert by_steps((24, 3600), (92, 900)) == [(3600, 24, 0), (900, 93, 0)]
    assert by_steps((24, 3600), (8, 900)) == [(3600, 24, 0), (900, 9, 0)]


@given(st.integers(1, 40), st.integers(0, 4), st.integers(2, 4), st.integers(13, 60))
def test_rows_that_miss_at_regular_distances_are_gaps_and_no_resolution(
    before: int, missing: int, factor: int, after: int
) -> None:
    total = before + missing * factor + after + 1
    for runs in (
        [(before, 900), (missing, 900 * factor), (after, 900)],
        [(missing, 900 * factor), (before + after, 900)],
    ):
        assert by_steps(*runs) == [(900, total, missing * (factor - 1))]


@pytest.mark.parametrize(
    "runs",
    [
        [(2, 3600), (3, 900)],
        [(3, 7200), (5, 10_800)],
        [(1, 86_400)],
        [(3, 3600), (5, 1200), (3, 900)],
    ],
)
def test_a_step_that_would_be_a_guess_is_asked_for(runs: list[tuple[int, int]]) -> None:
    with pytest.raises(Malformed):
        by_steps(*runs)


def test_a_stamp_told_in_two_ways_is_a_gap_where_somebody_takes_note() -> None:
    left_out = LeftOutRows()
    found = of_step(stamps(0, 1, 1, 2, 2), [Decimal(v) for v in (1, 2, 3, 4, 4)], 3600, left_out)
    assert (found, len(left_out)) == (curve(1, None, 4), 1)
    assert left_out.texts[0].startswith("two values for 2024-05-11T23:00:00Z: 2 and 3")
    with pytest.raises(Malformed, match="two values"):
        of_step(stamps(0, 0), [Decimal(1), Decimal(2)], 3600)


@given(st.integers(1, 94), st.integers(12, 60), st.integers(2, 4))
def test_a_step_changes_at_midnight_and_elsewhere_rows_are_missing(before: int, missing: int, factor: int) -> None:
    """Every second row that is missing until the end is no longer interval of its own: its figure would be made up."""
    quarters = [*range(before), *range(before, before + missing * factor, factor)]
    at = int(START.timestamp())
    try:
        found = from_stamps([at + n * 900 for n in quarters], [Decimal(n) for n in quarters], None, MARKET_TIME)
    except Malformed:
        return
    assert {c.resolution_s for c in found} == {900}
    assert [v for c in found for v in c.values if v is not None] == quarters


@pytest.mark.parametrize("step_s", [700, 2700, 5400, 7200])
def test_a_step_that_does_not_divide_an_hour_is_refused(step_s: int) -> None:
    with pytest.raises(Malformed, match=f"expected a step that divides 3600 s, got {step_s} s"):
        from_stamps([int(START.timestamp()) + n * step_s for n in range(20)], [Decimal(1)] * 20)


def test_a_single_jump_of_whole_steps_is_a_gap() -> None:
    found = from_stamps(stamps(0, 0.25, 0.5, 1.5, 1.75), [Decimal(i) for i in range(5)])
    assert found == [curve(0, 1, 2, None, None, None, 3, 4, step_s=900)]


def test_stamps_that_fit_no_step_are_refused() -> None:
    with pytest.raises(Malformed, match="fits no step"):
        from_stamps(
            [0 + int(START.timestamp()), 3600 + int(START.timestamp()), 3607 + int(START.timestamp())], [None] * 3
        )


def test_a_known_step_needs_no_second_stamp() -> None:
    assert of_step(stamps(0), [Decimal(1)], 1800) == curve(1, step_s=1800)
    assert of_step(stamps(1, 0), [Decimal(1), Decimal(0)], 1800) == curve(0, None, 1, step_s=1800)


@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(-500, 4000)), min_size=2, max_size=60, unique_by=lambda r: r[0])
)
def test_whatever_the_stamps_no_interval_overlaps_another(rows: list[tuple[int, int]]) -> None:
    first = int(START.timestamp())
    try:
        found = from_stamps([first + step * 900 for step, _ in rows], [Decimal(value) for _, value in rows])
    except Malformed:
        return
    for before, after in pairwise(found):
        assert before.ends_at <= after.starts_at
    told = {
        c.starts_at + timedelta(seconds=i * c.resolution_s): v
        for c in found
        for i, v in enumerate(c.values)
        if v is not None
    }
    assert told == {START + timedelta(seconds=step * 900): value for step, value in rows}
