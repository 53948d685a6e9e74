"""Grid time as the gateway tells it."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gridsignal.clock import GatewayClock, skew
from gridsignal_schemas.messages import GridClock
from tests.builders import utc

NOON = utc("12:00")


def test_clocks_that_may_agree_are_taken_to_agree() -> None:
    assert skew(NOON, NOON + timedelta(milliseconds=3), NOON + timedelta(milliseconds=5)) == timedelta(0)


def test_clocks_that_surely_differ_are_corrected_by_the_middle_of_the_round_trip() -> None:
    told = NOON + timedelta(seconds=90)
    assert skew(NOON, told, NOON + timedelta(seconds=2)) == timedelta(seconds=89)
    assert skew(NOON, NOON - timedelta(seconds=9), NOON + timedelta(seconds=2)) == timedelta(seconds=-10)


def test_grid_time_is_the_gateways_wall_time() -> None:
    clock = GatewayClock(lambda: NOON)
    clock.welcomed(None, timedelta(seconds=3))
    assert clock.now() == NOON + timedelta(seconds=3)


def test_a_simulation_runs_at_its_own_rate() -> None:
    clock = GatewayClock(lambda: NOON)
    clock.welcomed(GridClock(origin=utc("2024-05-11T10:00"), rate=600.0, epoch=utc("11:59")), timedelta(0))
    assert clock.now() == utc("2024-05-11T20:00")


class Machine:
    """A machine with a clock that can be set, and one that can't."""

    def __init__(self, wrong: timedelta) -> None:
        self.right, self.wrong = NOON, wrong

    def wall(self) -> datetime:
        return self.right + self.wrong

    def steady_s(self) -> float:
        return (self.right - NOON).total_seconds() + 4711.0

    def passes(self, seconds: float) -> None:
        self.right += timedelta(seconds=seconds)


STEPS = st.lists(st.tuples(st.floats(0, 86_400), st.integers(-10_000, 10_000)), max_size=8)


@given(wrong=st.integers(-10_000, 10_000), steps=STEPS)
def test_grid_time_stays_right_however_the_machines_clock_is_set(wrong: int, steps: list[tuple[float, int]]) -> None:
    machine = Machine(timedelta(seconds=wrong))
    clock = GatewayClock(machine.wall, steady_s=machine.steady_s)
    clock.welcomed(None, -machine.wrong)
    for passed_s, set_to_s in steps:
        machine.passes(passed_s)
        machine.wrong = timedelta(seconds=set_to_s)
        assert abs(clock.now() - machine.right) < timedelta(milliseconds=1)
        assert clock.was_set == (set_to_s != wrong)
    clock.welcomed(None, -machine.wrong)
    assert not clock.was_set
    assert abs(clock.now() - machine.right) < timedelta(milliseconds=1)


def test_a_clock_that_is_only_slewed_is_followed() -> None:
    machine = Machine(timedelta(0))
    clock = GatewayClock(machine.wall, steady_s=machine.steady_s)
    machine.wrong = timedelta(milliseconds=100)
    assert clock.now() == machine.wall()
    assert not clock.was_set
