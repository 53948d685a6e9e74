"""What a meter reading must satisfy before it counts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from gridsignal import MW
from gridsignal_schemas.messages import MeterPoint
from gridsignal_schemas.rules.readings import reading_faults
from tests.builders import a_meter_reading, utc

OVER = utc("18:15")


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({}, set()),
        ({"import_w": 60 * MW}, set()),
        ({"ends_at": utc("18:00")}, {"READING_EMPTY"}),
        ({"ends_at": utc("17:45")}, {"READING_EMPTY"}),
        ({"starts_at": utc("2024-05-11T18:14")}, {"READING_TOO_LONG"}),
        ({"ends_at": utc("18:16")}, {"READING_IN_FUTURE"}),
        ({"starts_at": utc("19:00"), "ends_at": utc("2024-05-14T19:00")}, {"READING_TOO_LONG", "READING_IN_FUTURE"}),
        ({"import_w": 60 * MW + 1}, {"READING_ABOVE_CAPACITY"}),
        ({"export_w": 61 * MW}, {"READING_ABOVE_CAPACITY"}),
        ({"point": MeterPoint.IT, "export_w": 1}, {"READING_EXPORT"}),
        ({"point": MeterPoint.GENERATION, "export_w": 70 * MW}, set()),
    ],
)
def test_a_reading_is_of_time_that_is_over_and_of_what_the_connection_carries(
    changes: dict[str, Any], codes: set[str]
) -> None:
    faults = reading_faults(a_meter_reading(**changes), OVER, 60 * MW)
    assert {fault.code for fault in faults} == codes
    assert all("expected" in fault.message for fault in faults)


def test_a_meters_clock_may_be_a_little_ahead() -> None:
    assert not reading_faults(a_meter_reading(), OVER - timedelta(seconds=20), None)
