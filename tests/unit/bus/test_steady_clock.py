"""Append times follow the wall, but not where it leaps for a moment."""

from __future__ import annotations

from gridsignal_services.bus.steady_clock import LASTING_US, LEAP_US, SteadyWall

SECOND = 1_000_000
DAY = 86_400 * SECOND


class Clocks:
    """A wall clock that somebody sets, and one that nobody does."""

    def __init__(self) -> None:
        self.wall_us, self.steady_us = 1_700_000_000 * SECOND, 5 * SECOND
        self.log = SteadyWall(lambda: self.wall_us * 1000, lambda: self.steady_us * 1000)

    def pass_by(self, us: int) -> int:
        self.wall_us += us
        self.steady_us += us
        return self.log()


def test_without_leaps_it_is_the_wall() -> None:
    clocks = Clocks()
    assert [clocks.pass_by(us) - clocks.wall_us for us in (0, 1, SECOND, DAY)] == [0, 0, 0, 0]


def test_one_moment_a_day_ahead_does_not_take_the_log_along() -> None:
    clocks = Clocks()
    before = clocks.log()
    clocks.wall_us += DAY
    assert clocks.pass_by(SECOND) == before + SECOND
    clocks.wall_us -= DAY
    assert clocks.pass_by(SECOND) == before + 2 * SECOND == clocks.wall_us


def test_a_clock_that_was_set_right_is_believed_after_a_while() -> None:
    clocks = Clocks()
    clocks.log()
    clocks.wall_us += DAY
    clocks.pass_by(0)
    assert clocks.pass_by(LASTING_US - SECOND) < clocks.wall_us
    assert clocks.pass_by(SECOND) == clocks.wall_us


def test_small_corrections_and_steps_back_are_followed_at_once() -> None:
    clocks = Clocks()
    clocks.log()
    clocks.wall_us += LEAP_US
    assert clocks.pass_by(0) == clocks.wall_us
    clocks.wall_us -= DAY
    assert clocks.pass_by(0) == clocks.wall_us  # the log itself never runs back
