"""A CSV of readings: what counts of it, and each fault by line and column, with what was expected and what was got."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_schemas.messages import Quality
from gridsignal_services.settlement.energy import Gap
from gridsignal_services.settlement.history import History
from gridsignal_services.settlement.reading_rows import WrongRow, readings
from gridsignal_services.settlement.said import Said

AT = datetime(2024, 5, 14, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ALL = "starts_at,ends_at,import_w,export_w,register_wh,quality,seq,meter"
ROW = "2024-05-14T12:00Z,2024-05-14T13:00Z"


def read(*rows: str, head: str = ALL) -> list[Said]:
    return list(readings(f"{line}\n" for line in (head, *rows)))


READING = Said("main", AT, AT + HOUR, Fraction(10), Fraction(0))


@pytest.mark.parametrize(
    ("row", "reading"),
    [
        (f"{ROW},10,,,,,", READING),
        (
            f"{ROW},10.25,4,99,ESTIMATED,7,battery",
            Said("battery", AT, AT + HOUR, Fraction("10.25"), Fraction(4), 99, Quality.ESTIMATED, 7),
        ),
        (f"{ROW},,4,,ok,,", READING._replace(import_w=Fraction(0), export_w=Fraction(4))),
        (f"{ROW},,,99,,,", READING._replace(import_w=None, register_wh=99)),
        (f"{ROW},,,,,,", READING._replace(import_w=Fraction(0), quality=Quality.MISSING)),
        (f"{ROW},10,,,bad,,", READING._replace(quality=Quality.BAD)),
        ("2024-05-14T14:00+02:00, 2024-05-14T15:00:00+02:00, 10,,,,,", READING),
    ],
)
def test_a_row_is_a_reading(row: str, reading: Said) -> None:
    assert read(row, "") == [reading]


def test_three_columns_are_enough_in_any_order() -> None:
    assert read("10," + ROW, head="\ufeffimport_w,starts_at,ends_at") == [READING]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (f"{ROW},ten,,,,,", r"line 3, column import_w: expected a number such as 24000000, .*, got 'ten'"),
        (f"{ROW},-10,,,,,", r"line 3, column import_w: expected a number .* not below 0, .*, got '-10'"),
        (f"{ROW},NaN,,,,,", r"line 3, column import_w: .*, got 'NaN'"),
        (f"{ROW},1,x,,,,", r"line 3, column export_w: .*, got 'x'"),
        (f"{ROW},1,,x,,,", r"line 3, column register_wh: expected a whole number from 0 to \d+, got 'x'"),
        (f"{ROW},1,,,GOOD,,", r"line 3, column quality: expected one of UNKNOWN, OK, .*, got 'GOOD'"),
        (f"{ROW},1,,,,1.5,", r"line 3, column seq: expected a whole number from 0 to \d+, got '1.5'"),
        ("2024-05-14T12:00,2024-05-14T13:00Z,1,,,,,", r"line 3, column starts_at: expected a time with its offset"),
        ("2024-05-14T12:00Z,,1,,,,,", r"line 3, column ends_at: expected a time with its offset .*, got nothing"),
        ("2024-05-14T12:00Z,2024-05-14T12:00Z,1,,,,,", r"line 3, column ends_at: expected a time after starts_at"),
        (f"{ROW},1,,,,,,,", r"line 3: expected as many cells as columns, got more"),
        (f'{ROW},"1,,,,,', r"line 3: expected a row of CSV, got one that can't be read"),
    ],
)
def test_a_fault_is_named_by_its_line_and_column(row: str, said: str) -> None:
    with pytest.raises(WrongRow, match=said):
        read(f"{ROW},1,,,,,", row)


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (
            "",
            r"line 1: expected the columns starts_at, ends_at, import_w, got none named starts_at or ends_at or",
        ),
        ("starts_at,ends_at", r"line 1: expected the columns .*, got none named import_w"),
        ("starts_at,ends_at,import_w,kw", r"line 1: expected no columns but starts_at, .*, got 'kw'"),
    ],
)
def test_a_fault_of_the_head_line_is_named(head: str, said: str) -> None:
    with pytest.raises(WrongRow, match=said):
        read(head=head)


def reading(power_w: int | None, starts_min: int, ends_min: int, meter: str = "main", seq: int = 0) -> Said:
    minute = timedelta(minutes=1)
    quality = Quality.OK if power_w is not None else Quality.BAD
    return Said(meter, AT + starts_min * minute, AT + ends_min * minute, power_w or 0, quality=quality, seq=seq)


@pytest.mark.parametrize(
    ("said", "mean_w"),
    [
        ([reading(10, 0, 30), reading(20, 30, 60)], Fraction(15)),
        ([reading(10, 0, 15), reading(20, 15, 60)], Fraction(35, 2)),
        ([reading(10, -60, 90)], Fraction(10)),
        ([reading(10, 0, 60), reading(30, 0, 60)], Fraction(10)),
        ([reading(10, 0, 60), reading(30, 0, 60, seq=1)], Fraction(30)),
        ([reading(10, 0, 60), reading(30, 30, 60, seq=1)], Fraction(20)),
        ([reading(10, 0, 60), reading(30, 0, 60, "battery")], Fraction(40)),
        ([reading(10, 0, 60), reading(30, 0, 30, "battery")], Gap.METER_MISSING),
        ([reading(10, 0, 30), reading(10, 31, 60)], Gap.METER_MISSING),
        ([reading(10, 0, 30), reading(None, 30, 60)], Gap.BAD_QUALITY),
        ([reading(10, 0, 60), reading(None, 0, 60, seq=1)], Gap.BAD_QUALITY),
        ([reading(10, -60, 0), reading(10, 60, 90)], Gap.METER_MISSING),
        ([], Gap.METER_MISSING),
    ],
)
def test_the_mean_of_an_hour(said: list[Said], mean_w: Fraction | Gap) -> None:
    assert History(said).mean_w(AT, AT + HOUR) == mean_w


@given(st.lists(st.integers(-(10**6), 10**6), min_size=60, max_size=60), st.integers(1, 59))
def test_the_energy_of_two_parts_is_that_of_the_whole(powers_w: list[int], cut: int) -> None:
    history = History(reading(power_w, at, at + 1) for at, power_w in enumerate(powers_w))
    middle = AT + timedelta(minutes=cut)
    first, second, whole = (
        Fraction(history.mean_w(*part)) for part in ((AT, middle), (middle, AT + HOUR), (AT, AT + HOUR))
    )
    assert cut * first + (60 - cut) * second == 60 * whole == sum(powers_w)


def test_the_commonest_length_is_the_resolution() -> None:
    assert History([reading(1, 0, 15), reading(1, 15, 30), reading(1, 30, 90)]).resolution == timedelta(minutes=15)
    assert History([reading(1, 0, 15), reading(1, 30, 90)]).resolution == timedelta(minutes=15)
    assert History([]).resolution is None


def test_what_a_register_rose_by_counts_before_the_mean() -> None:
    rose = [reading(10, -60, 0)._replace(register_wh=100), reading(10, 0, 60)._replace(register_wh=111)]
    assert History(rose).mean_w(AT, AT + HOUR) == 11
