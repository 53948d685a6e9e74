"""Regulation scores: PJM's worked hour to the tenth place, what holds of every score, and what is paid."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridsignal_services.regulation import sample_rows
from gridsignal_services.regulation.scoring import (
    AHEAD,
    HOUR,
    METHODS,
    ClassicWindow,
    Interval,
    NoScore,
    Sample,
    credit,
    pjm_2025,
    pjm_classic,
    qualified,
)

LINES = HOUR + AHEAD + 1
asked = st.floats(-50, -0.01) | st.floats(0.01, 50)
hours = st.lists(st.tuples(asked, st.floats(-50, 50)), min_size=60, max_size=90).map(
    lambda pairs: [Sample(*pair) for pair in pairs]
)


def a_wave(late: int = 0, lines: int = LINES) -> list[Sample]:
    """A signal of 10 MW that goes round in about 12 minutes, and a response that is so many lines late."""
    signal = [10 * math.sin(place / 11.3) for place in range(-late, lines)]
    return [Sample(expected, response) for expected, response in zip(signal[late:], signal, strict=False)]


def test_the_worked_hour_of_pjm_to_the_tenth_place(samples: Path) -> None:
    with (samples / "settlement" / "pjm_40min_template_example.csv").open(newline="") as lines:
        found = pjm_classic(sample_rows.samples(lines))
    assert found.correlation is not None
    assert found.delay is not None
    figures = [found.correlation, found.delay, found.precision, found.composite]
    assert [round(figure, 10) for figure in figures] == [0.9764748945, 0.729305136, 0.5676141888, 0.7577980731]
    assert len(found.windows) == 331


def test_the_newer_score_of_the_same_hour_is_its_precision_by_five_minutes(samples: Path) -> None:
    with (samples / "settlement" / "pjm_40min_template_example.csv").open(newline="") as lines:
        found = pjm_2025(sample_rows.samples(lines))
    assert (found.correlation, found.delay) == (None, None)
    assert (round(found.precision, 10), found.composite) == (0.5676141888, found.precision)
    intervals = [window for window in found.windows if isinstance(window, Interval)]
    assert [window.starts_s for window in intervals] == [300 * place for place in range(12)]
    assert [window.forfeited for window in intervals] == [True] + [False] * 11


@given(hours)
@settings(max_examples=40, deadline=None)
def test_every_part_of_every_score_is_from_0_to_1(hour: list[Sample]) -> None:
    for method in METHODS.values():
        found = method(hour)
        parts = [part for part in (found.correlation, found.delay, found.precision) if part is not None]
        assert all(-1e-9 <= part <= 1 + 1e-9 for part in [*parts, found.composite])
        assert found.composite == pytest.approx(sum(parts) / len(parts))


@given(hours, st.floats(0.5, 100))
@settings(max_examples=20, deadline=None)
def test_precision_knows_no_unit(hour: list[Sample], factor: float) -> None:
    scaled = [Sample(each.expected_mw * factor, each.response_mw * factor) for each in hour]
    assert pjm_2025(scaled).precision == pytest.approx(pjm_2025(hour).precision)


@pytest.mark.parametrize("method", METHODS)
def test_who_does_what_is_asked_for_scores_1(method: str) -> None:
    assert METHODS[method](a_wave()).composite == pytest.approx(1)


def test_a_late_response_costs_delay_and_no_correlation() -> None:
    scores = [pjm_classic(a_wave(late)) for late in range(0, 29, 4)]
    assert all(score.correlation == pytest.approx(1) for score in scores)
    for late, score in zip(range(0, 29, 4), scores, strict=True):
        windows = [window for window in score.windows if isinstance(window, ClassicWindow)]
        assert {window.delay for window in windows} == {(300 - max(late - 1, 0) * 10) / 300}
    assert all(sooner.precision > later.precision for sooner, later in pairwise(scores[:6]))


def test_between_flat_lines_the_slopes_decide() -> None:
    flat = [Sample(5.0, 5.0 + 0.04 * place) for place in range(60)]
    assert pjm_classic(flat).correlation == pytest.approx(0.96)


@pytest.mark.parametrize(
    ("method", "lines", "fault"),
    [
        ("pjm-classic", 59, "expected 60 to 391 samples of 10 seconds, got 59"),
        ("pjm-2025", 29, "expected 30 to 391 samples of 10 seconds, got 29"),
        ("pjm-2025", 392, "expected 30 to 391 samples of 10 seconds, got 392"),
    ],
)
def test_too_little_or_too_much_is_no_score(method: str, lines: int, fault: str) -> None:
    with pytest.raises(NoScore, match=fault):
        METHODS[method](a_wave(lines=lines))


@pytest.mark.parametrize("method", METHODS)
def test_a_signal_that_asks_for_nothing_is_no_score(method: str) -> None:
    with pytest.raises(NoScore, match="got 0 throughout"):
        METHODS[method]([Sample(0.0, 1.0)] * 60)


@pytest.mark.parametrize(
    ("power_mw", "score", "capability", "mileage", "ratio", "paid"),
    [
        (100, 1.0, 20, 2, 1, 183.333),
        (100, 1.0, 20, 2, 0, 166.667),
        (10, 0.25, 55, 0, 0, 11.458),
        (10, 0.2499, 55, 0, 0, 0),
    ],
)
def test_what_five_minutes_are_paid(
    power_mw: float, score: float, capability: float, mileage: float, ratio: float, paid: float
) -> None:
    assert round(credit(power_mw, score, capability, mileage, ratio), 3) == paid


def test_who_stays_in_the_market_is_decided_by_the_newest_hundred_hours() -> None:
    assert qualified([])
    assert qualified([0.4] * 5)
    assert not qualified([1.0] * 1_000 + [0.39] * 1_200)
    assert qualified([0.0] * 1_000 + [0.41] * 1_200)
