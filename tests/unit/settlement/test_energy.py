"""Energy by registers where meters have one: exchange, reset and rollover; meters are added, qualities carried."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_schemas.messages import MeterReading, Quality
from gridsignal_services.settlement.carry import carried, rounded
from gridsignal_services.settlement.energy import WATT_US_PER_WH, Energies, Gap, Installed, net_means
from gridsignal_services.settlement.rules import Rounding
from gridsignal_services.settlement.said import Said
from tests.builders import a_meter_reading, utc

START = utc("18:00")
QUARTER = timedelta(minutes=15)


def said(quarter: int, register_wh: int | None = None, import_w: int | None = None, **more: Any) -> Said:
    """One meter's word on a quarter hour, mostly by its register alone."""
    since = START + quarter * QUARTER
    return Said("m1", since, since + QUARTER, import_w, register_wh=register_wh)._replace(**more)


def energy_wh(
    readings: list[Said | MeterReading], quarter: int, capacity_w: int | None = None, **meters: Installed
) -> Fraction | None:
    since = START + quarter * QUARTER
    energy = Energies(net_means(readings, capacity_w, meters)).over(since, since + QUARTER)
    return None if energy.watt_us is None else energy.watt_us / WATT_US_PER_WH


def why(readings: list[Said | MeterReading], quarter: int, **meters: Installed) -> tuple[Gap | None, set[Quality]]:
    since = START + quarter * QUARTER
    energy = Energies(net_means(readings, None, meters)).over(since, since + QUARTER)
    return energy.gap, set(energy.qualities)


def test_a_register_says_what_was_drawn_between_two_readings() -> None:
    readings = [said(0, 1000), said(1, 1250), said(2, 1260)]
    assert [energy_wh(readings, quarter) for quarter in range(3)] == [None, 250, 10]
    assert why(readings, 0) == (Gap.REGISTER_UNKNOWN, {Quality.MISSING})
    assert why(readings, 1) == (None, {Quality.OK})


def test_a_register_counts_before_the_mean_and_exports_are_taken_off() -> None:
    readings = [said(0, 1000, 900), said(1, 1250, 990, export_w=40)]
    assert energy_wh(readings, 0) == 225
    assert energy_wh(readings, 1) == 240


def test_an_opening_reading_gives_the_first_quarter_its_beginning() -> None:
    opening = said(0, 760, ends_at=START)
    assert energy_wh([opening, said(0, 1000)], 0) == 240


def test_a_register_rolls_over_by_its_digits() -> None:
    readings = [said(0, 999_950), said(1, 50)]
    assert energy_wh(readings, 1) == 100
    assert why(readings, 1) == (None, {Quality.ESTIMATED})
    assert energy_wh(readings, 1, m1=Installed(digits=6)) == 100
    assert why(readings, 1, m1=Installed(digits=6)) == (None, {Quality.OK})
    assert energy_wh(readings, 1, m1=Installed(digits=7)) is None


def test_the_digits_may_be_those_of_the_reading_that_opens_a_meter() -> None:
    opening = said(0, 999_500, ends_at=START)
    assert energy_wh([opening, said(0, 3_417)], 0) == 3_917
    assert why([opening, said(0, 3_417)], 0) == (None, {Quality.ESTIMATED})


def test_a_register_that_was_reset_gives_no_energy_and_the_next_quarters_go_on() -> None:
    readings = [said(0, 54_321), said(1, 20), said(2, 270)]
    assert why(readings, 1) == (Gap.REGISTER_UNKNOWN, {Quality.MISSING})
    assert energy_wh(readings, 2) == 250


def test_where_a_register_contradicts_the_mean_the_mean_counts_as_an_estimate() -> None:
    readings = [said(0, 54_321, 1000), said(1, 900_000, 1000), said(2, 900_250, 1000)]
    assert [energy_wh(readings, quarter) for quarter in range(3)] == [250, 250, 250]
    assert why(readings, 1) == (None, {Quality.ESTIMATED})
    assert why(readings, 2) == (None, {Quality.OK})


def test_a_register_that_rose_by_more_than_the_connection_carries_is_another_one() -> None:
    readings = [said(0, 1000), said(1, 900_000)]
    assert energy_wh(readings, 1) == 899_000
    assert energy_wh(readings, 1, capacity_w=10_000) is None


def test_a_meter_that_was_taken_out_is_not_missing_afterwards() -> None:
    readings = [said(0, None, 4000), said(1, None, 800, meter="m2")]
    assert [energy_wh(readings, quarter) for quarter in range(2)] == [None, None]
    exchange = START + QUARTER
    known = {"m1": Installed(until=exchange), "m2": Installed(since=exchange)}
    assert [energy_wh(readings, quarter, **known) for quarter in range(2)] == [1000, 200]
    assert energy_wh([said(0, None, 4000)], 0, m1=Installed(), m2=Installed()) is None


def test_meters_are_added_and_a_bad_one_takes_the_figure_with_it() -> None:
    north, south = said(0, None, 4000), said(0, None, 800, meter="m2", quality=Quality.ESTIMATED)
    assert energy_wh([north, south], 0) == 1200
    assert why([north, south], 0) == (None, {Quality.OK, Quality.ESTIMATED})
    bad = south._replace(quality=Quality.BAD)
    assert why([north, bad], 0) == (Gap.BAD_QUALITY, {Quality.OK, Quality.BAD})


def test_a_meter_that_is_silent_beside_a_bad_one_is_missing_in_the_sum() -> None:
    bad = said(1, import_w=7, meter="m2", quality=Quality.BAD)
    assert why([said(0, import_w=5), bad, said(1, import_w=5, meter="m3")], 1) == (
        Gap.BAD_QUALITY,
        {Quality.OK, Quality.BAD, Quality.MISSING},
    )


def test_a_corrected_register_changes_both_quarters_it_bounds() -> None:
    readings = [said(0, 1000), said(1, 1250), said(2, 1500), said(1, 1300, seq=9)]
    assert [energy_wh(readings, quarter) for quarter in (1, 2)] == [300, 200]


def test_an_hour_of_the_clock_change_is_an_hour() -> None:
    twice = datetime.fromisoformat("2026-10-25T02:30:00+02:00")
    readings = [a_meter_reading(starts_at=twice + QUARTER * n, ends_at=twice + QUARTER * (n + 1)) for n in range(8)]
    whole = Energies(net_means(readings)).over(twice, datetime.fromisoformat("2026-10-25T03:30:00+01:00"))
    assert whole.watt_us == 28_000_000 * 2 * WATT_US_PER_WH


registers = st.lists(st.integers(0, 5000), min_size=2, max_size=8)


@given(registers, st.integers(0, 10**6), st.randoms())
def test_rises_of_a_register_add_up_to_its_end_less_its_beginning(
    rises: list[int], first: int, chance: random.Random
) -> None:
    readings, register = [], first
    for quarter, rise in enumerate(rises):
        register += rise
        readings.append(said(quarter, register))
    opening = said(0, first, ends_at=START)
    shuffled = [opening, *readings]
    chance.shuffle(shuffled)
    whole = Energies(net_means(shuffled)).over(START, START + QUARTER * len(rises))
    assert whole.watt_us == (register - first) * WATT_US_PER_WH


@given(st.lists(st.fractions(-1000, 1000)), st.sampled_from(Rounding))
def test_rounded_parts_add_up_to_the_rounded_sum(parts: list[Fraction], rounding: Rounding) -> None:
    whole = carried(parts, rounding)
    assert sum(whole) == rounded(sum(parts, Fraction(0)), rounding)
    assert all(abs(given - kept) < 1 for given, kept in zip(parts, whole, strict=True))


@pytest.mark.parametrize(("half", "even", "up"), [("1/2", 0, 1), ("3/2", 2, 2), ("-1/2", 0, -1), ("-5/2", -2, -3)])
def test_a_half_goes_to_the_even_or_away_from_zero(half: str, even: int, up: int) -> None:
    assert rounded(Fraction(half), Rounding.HALF_EVEN) == even
    assert rounded(Fraction(half), Rounding.HALF_UP) == up
