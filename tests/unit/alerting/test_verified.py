"""What the meters show of an alert does not depend on anybody's word."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal import MW
from gridsignal_schemas.messages import AlertAction, MeterReading, Quality
from gridsignal_services.alerting.verified import moved
from tests.builders import a_meter_reading, utc

BEGAN = utc("18:00")
CAPACITY = 60 * MW


def reading(minutes: int, import_w: int, **changes: object) -> MeterReading:
    """Five minutes from so many after the beginning on."""
    starts_at = BEGAN + timedelta(minutes=minutes)
    return a_meter_reading(starts_at=starts_at, ends_at=starts_at + timedelta(minutes=5), import_w=import_w, **changes)


@given(st.integers(0, 60), st.lists(st.integers(0, 60), max_size=12))
def test_the_first_interval_that_moved_as_asked_verifies_and_the_most_is_told(before: int, since: list[int]) -> None:
    readings = [reading(-5, before * MW)] + [reading(5 * at, mw * MW) for at, mw in enumerate(since)]
    for action, sign in ((AlertAction.SHED, 1), (AlertAction.RAISE, -1)):
        changes = [sign * (before - mw) * MW for mw in since]
        found = moved(action, BEGAN, CAPACITY, readings)
        first = next((at for at, change in enumerate(changes) if change >= CAPACITY // 100), None)
        assert (found is None) == (first is None)
        if found is not None and first is not None:
            assert found.at == BEGAN + timedelta(minutes=5 * first + 5)
            assert found.power_w == max(changes)


@pytest.mark.parametrize("action", [each for each in AlertAction if each not in ("SHED", "RAISE")])
def test_what_asks_for_no_movement_is_verified_by_none(action: AlertAction) -> None:
    assert moved(action, BEGAN, CAPACITY, [reading(-5, 40 * MW), reading(0, 0)]) is None


def test_an_interval_that_began_before_the_alert_proves_nothing() -> None:
    assert moved(AlertAction.SHED, BEGAN, CAPACITY, [reading(-10, 40 * MW), reading(-2, 0)]) is None


def test_without_a_reading_before_nothing_is_proved() -> None:
    assert moved(AlertAction.SHED, BEGAN, CAPACITY, [reading(0, 0)]) is None


@pytest.mark.parametrize("missing", [None, Quality.BAD, Quality.MISSING])
def test_meters_count_together_or_not_at_all(missing: Quality | None) -> None:
    both = [reading(-5, 20 * MW, meter="a"), reading(-5, 20 * MW, meter="b"), reading(0, 0, meter="a")]
    if missing is not None:
        both.append(reading(0, 0, meter="b", quality=missing))
    assert moved(AlertAction.SHED, BEGAN, CAPACITY, both) is None
    found = moved(AlertAction.SHED, BEGAN, CAPACITY, [*both, reading(0, 15 * MW, meter="b", quality=Quality.OK)])
    assert found is not None
    assert found.power_w == 25 * MW
