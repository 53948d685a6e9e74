"""A Danish hour in four quarters (Energinet's DataHub): hourly meters are split with carry, what is missing is said.

The figures are kWh with three places there, which are watt-hours here.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from gridsignal_schemas.messages import MeterReading, Quality
from gridsignal_services.settlement.carry import carried
from gridsignal_services.settlement.energy import WATT_US_PER_WH, Energies, net_means
from tests.builders import a_meter_reading

HOUR = datetime.fromisoformat("2023-07-02T02:00:00Z")
QUARTER = timedelta(minutes=15)
QUARTERS = [HOUR + QUARTER * number for number in range(4)]
SAID = {"measured": Quality.OK, "missing": Quality.MISSING, "calculated": Quality.ESTIMATED}
AREA = "800"

Row = dict[str, str]


@dataclass(frozen=True)
class Hour:
    """Watt-hours by the quarter, and the qualities they are made of."""

    wh: list[int]
    qualities: list[set[Quality]]

    def __add__(self, other: Hour) -> Hour:
        return Hour(
            [one + two for one, two in zip(self.wh, other.wh, strict=True)],
            [one | two for one, two in zip(self.qualities, other.qualities, strict=True)],
        )

    def __neg__(self) -> Hour:
        return Hour([-each for each in self.wh], self.qualities)

    def calculated(self, sign: int) -> Hour:
        """What of it lies on one side of zero, as a calculated figure."""
        return Hour([max(0, sign * each) for each in self.wh], [{Quality.ESTIMATED}] * 4)


NOTHING = Hour([0] * 4, [set()] * 4)


@pytest.fixture(scope="module")
def hour(samples: Path) -> Callable[[str], list[Row]]:
    def rows(name: str) -> list[Row]:
        with (samples / "settlement" / "danish_datahub_hour" / f"{name}.csv").open(encoding="utf-8-sig") as file:
            return list(csv.DictReader(file, delimiter=";"))

    return rows


def reading(row: Row, span: timedelta) -> MeterReading:
    """A row's energy as mean power: kWh in a quarter are four times as many kW."""
    starts_at = datetime.fromisoformat(row["observation_time"])
    power_w = Decimal(row["quantity"] or 0) * 1000 * (timedelta(hours=1) // span)
    assert power_w == int(power_w)
    return a_meter_reading(
        starts_at=starts_at,
        ends_at=starts_at + span,
        import_w=int(power_w),
        meter=row["metering_point_id"],
        quality=SAID[row["quality"]],
    )


def measured(readings: list[MeterReading]) -> Hour:
    energies = Energies(net_means(readings))
    quarters = [energies.over(since, since + QUARTER) for since in QUARTERS]
    parts = [(quarter.watt_us or 0) / WATT_US_PER_WH for quarter in quarters]
    return Hour(carried(parts), [set(quarter.qualities) for quarter in quarters])


def totals(rows: Callable[[str], list[Row]]) -> dict[str, Hour]:
    points, series = rows("when_metering_point_periods"), rows("when_time_series_points")

    def total(where: Callable[[Row], bool]) -> Hour:
        sums = NOTHING
        for point in filter(where, points):
            span = {"PT15M": QUARTER, "PT1H": timedelta(hours=1)}[point["resolution"]]
            said = [row for row in series if row["metering_point_id"] == point["metering_point_id"]]
            if said:
                sums += measured([reading(row, span) for row in said])
        return sums

    def inside(point: Row) -> bool:
        return point["grid_area_code"] == AREA

    exchange = total(lambda p: p["type"] == "E20" and p["to_grid_area_code"] == AREA)
    exchange += -total(lambda p: p["type"] == "E20" and p["from_grid_area_code"] == AREA)
    flex = total(lambda p: inside(p) and p["type"] == "E17" and p["settlement_method"] == "D01")
    fixed = total(lambda p: inside(p) and p["type"] == "E17" and p["settlement_method"] == "E02")
    production = total(lambda p: inside(p) and p["type"] == "E18")
    loss = exchange + production + -(flex + fixed)
    loss = Hour(loss.wh, [{Quality.ESTIMATED}] * 4)
    flex += loss.calculated(1)
    return {
        "exchange": exchange,
        "non_profiled_consumption": fixed,
        "grid_loss": loss,
        "flex_consumption": flex,
        "production": production + loss.calculated(-1),
        "total_consumption": flex + fixed,
    }


@pytest.mark.parametrize(
    "name",
    ["exchange", "non_profiled_consumption", "grid_loss", "flex_consumption", "production", "total_consumption"],
)
def test_every_sum_of_the_hour_is_energinets_to_the_last_watt_hour(hour: Callable[[str], list[Row]], name: str) -> None:
    expected = hour(f"then_energy_results_{name}")
    mine = totals(hour)[name]
    assert mine.wh == [int(1000 * Decimal(row["quantity"])) for row in expected]
    qualities = [{word.strip(" '") for word in row["quantity_qualities"].strip("[]").split(",")} for row in expected]
    assert mine.qualities == [{SAID[word] for word in words} for words in qualities]


def test_an_hour_is_split_with_carry(hour: Callable[[str], list[Row]]) -> None:
    (row,) = (row for row in hour("when_time_series_points") if row["quantity"] == "2.003")
    assert measured([reading(row, timedelta(hours=1))]).wh == [501, 501, 500, 501]
