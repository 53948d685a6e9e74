"""Grid time as the gateway tells it."""

from __future__ import annotations

from datetime import timedelta

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
