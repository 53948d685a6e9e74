"""How well a resource followed a regulation signal: PJM's scores, the classic one and that of the 2025 redesign.

Both go by means of 10 seconds in MW: what the signal asked of the resource, and what the resource did about its base
point. Formulas: PJM Manual 12, section 4 (performance score), and PJM's worked example of an hour, whose figures a test
reproduces to the tenth place; docs/regulation.md says what is ours where the manual is silent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul

SAMPLE_S = 10
"""Seconds that one sample is the mean of."""
HOUR = 360
"""Samples that are scored."""
AHEAD = 30
"""Samples after the hour that the classic score needs: a response may come five minutes late."""
_WINDOW = 31
"""Samples of a classic window: five minutes, both ends included."""
_INTERVAL = 30
"""Samples of an interval of the 2025 score: five minutes."""
_SHIFTS = 30
_MIDDLE = _WINDOW // 2
_SPREAD = sum((place - _MIDDLE) ** 2 for place in range(_WINDOW))
_STEEP = 0.05
"""MW per sample: below it a line is too flat for its correlation to say anything."""
_DELAY_S = 300

FORFEIT_BELOW = 0.25
"""An interval with a score below it is paid nothing."""
QUALIFIED_FROM = 0.40
"""The mean of the last QUALIFYING scores that a resource must keep to stay in the market."""
QUALIFYING = 1_200
"""Scores of 5 minutes in 100 hours."""


class NoScore(ValueError):
    """The samples say too little: what was expected and what was got."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Ten seconds."""

    expected_mw: float
    """What the signal asked for: the resource's band times the signal, -1 to 1."""
    response_mw: float
    """Power less the base point."""


@dataclass(frozen=True, slots=True)
class ClassicWindow:
    """Five minutes of the classic score."""

    starts_s: int
    """Seconds after the first sample."""
    correlation: float
    delay: float
    """1 for a response within 10 seconds, 0.067 for one that is 290 seconds late."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Five minutes of the 2025 score."""

    starts_s: int
    precision: float

    @property
    def forfeited(self) -> bool:
        """Whether it is paid nothing."""
        return self.precision < FORFEIT_BELOW


@dataclass(frozen=True, slots=True)
class Score:
    """An hour's score, each part from 0 to 1; a part that the method doesn't have is None."""

    correlation: float | None
    delay: float | None
    precision: float
    composite: float
    windows: tuple[ClassicWindow, ...] | tuple[Interval, ...]


def pjm_classic(samples: Sequence[Sample]) -> Score:
    """The mean of correlation, delay and precision over an hour.

    For each window of five minutes within the hour the response is shifted by 0 to 290 seconds. A shift scores the
    correlation with the signal, or, where either line is flat, 1 less the difference of their slopes (MW per sample).
    The best shift is the window's correlation, its length the delay; of equals the shortest.

    `samples` is an hour and the five minutes after it; with fewer, the windows that can be shifted in full are scored.
    Raises NoScore.
    """
    _fits(samples, least=_WINDOW + _SHIFTS - 1, most=HOUR + AHEAD + 1)
    expected = _Line([each.expected_mw for each in samples])
    response = _Line([each.response_mw for each in samples])
    starts = range(min(HOUR - _WINDOW + 2, len(samples) - _WINDOW - _SHIFTS + 2))
    windows = tuple(_window(expected, response, start) for start in starts)
    correlation = sum(window.correlation for window in windows) / len(windows)
    delay = sum(window.delay for window in windows) / len(windows)
    hour = samples[:HOUR]
    precision = _precision(hour, _asked_mw(hour))
    return Score(correlation, delay, precision, (correlation + delay + precision) / 3, windows)


def pjm_2025(samples: Sequence[Sample]) -> Score:
    """Precision alone, for each five minutes; the hour's is their mean. Raises NoScore.

    Errors are measured by what the signal asked for on average over the hour, as in the classic score's precision.
    """
    _fits(samples, least=_INTERVAL, most=HOUR + AHEAD + 1)
    hour = samples[:HOUR]
    asked_mw = _asked_mw(hour)
    intervals = tuple(
        Interval(start * SAMPLE_S, _precision(hour[start : start + _INTERVAL], asked_mw))
        for start in range(0, len(hour) - _INTERVAL + 1, _INTERVAL)
    )
    precision = sum(interval.precision for interval in intervals) / len(intervals)
    return Score(None, None, precision, precision, intervals)


METHODS = {"pjm-classic": pjm_classic, "pjm-2025": pjm_2025}


def credit(power_mw: float, score: float, capability: float, mileage: float, mileage_ratio: float) -> float:
    """What five minutes are paid after the 2025 redesign, in the currency of the prices.

    MW x score x (capability price + mileage ratio x mileage price) / 12; the prices are per MW and hour. An interval
    with a score below FORFEIT_BELOW is paid nothing.
    """
    if score < FORFEIT_BELOW:
        return 0.0
    return power_mw * score * (capability + mileage_ratio * mileage) / 12


def qualified(scores: Sequence[float]) -> bool:
    """Whether a resource with these 5-minute scores, the newest last, stays in the market."""
    newest = scores[-QUALIFYING:]
    return not newest or sum(newest) / len(newest) >= QUALIFIED_FROM


class _Line:
    """A series, asked for its windows: what each correlation needs is computed once."""

    def __init__(self, values: Sequence[float]) -> None:
        self._centred: list[list[float]] = []
        self.slopes: list[float] = []
        self._lengths: list[float] = []
        for start in range(len(values) - _WINDOW + 1):
            window = values[start : start + _WINDOW]
            mean = sum(window) / _WINDOW
            centred = [value - mean for value in window]
            self._centred.append(centred)
            self.slopes.append(sum((place - _MIDDLE) * value for place, value in enumerate(centred)) / _SPREAD)
            self._lengths.append(math.sqrt(sum(map(mul, centred, centred))))

    def correlation(self, start: int, other: _Line, others_start: int) -> float:
        """Pearson's, of one window here and one there; neither may be constant."""
        product = float(sum(map(mul, self._centred[start], other._centred[others_start])))
        return product / (self._lengths[start] * other._lengths[others_start])


def _window(expected: _Line, response: _Line, start: int) -> ClassicWindow:
    best, shift = -1.0, 0
    for late in range(_SHIFTS):
        score = _likeness(expected, start, response, start + late)
        if score > best:
            best, shift = score, late
    delay = abs(_DELAY_S - max(shift - 1, 0) * SAMPLE_S) / _DELAY_S
    return ClassicWindow(start * SAMPLE_S, best, delay)


def _likeness(expected: _Line, start: int, response: _Line, responded: int) -> float:
    asked, done = expected.slopes[start], response.slopes[responded]
    if abs(asked) > _STEEP and abs(done) > _STEEP:
        return max(0.0, expected.correlation(start, response, responded))
    return max(0.0, 1 - abs(asked - done))


def _asked_mw(samples: Sequence[Sample]) -> float:
    asked = sum(abs(each.expected_mw) for each in samples) / len(samples)
    if asked == 0:
        raise NoScore("expected a signal that asks for power at some time, got 0 throughout")
    return asked


def _precision(samples: Sequence[Sample], asked_mw: float) -> float:
    errors = (abs(each.response_mw - each.expected_mw) / asked_mw for each in samples)
    return sum(min(1.0, max(0.0, 1 - error)) for error in errors) / len(samples)


def _fits(samples: Sequence[Sample], least: int, most: int) -> None:
    if not least <= len(samples) <= most:
        raise NoScore(f"expected {least} to {most} samples of {SAMPLE_S} seconds, got {len(samples)}")
