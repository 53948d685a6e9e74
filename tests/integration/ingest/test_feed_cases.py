"""Awkward documents of feeds and files, which are not part of the repository: each comes out as its story says."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli.conftest import ran


@pytest.fixture
def cases(samples: Path) -> Path:
    folder = samples / "cases" / "feeds"
    if not folder.is_dir():
        pytest.skip("needs the recorded answers of public feeds: set GRIDSIGNAL_SAMPLES to their folder")
    return folder


def parsed(file: Path, provider: str, *words: str) -> tuple[int, list[dict[str, Any]], str]:
    done = ran(["ingest", "parse", provider, str(file), "--json", *words])
    return done.code, done.rows(), done.err


def pushed(file: Path, zone: str, *words: str) -> tuple[int, list[dict[str, Any]], str]:
    given = ["--zone", zone, "--dataset", "SDAC", "--currency", "EUR"]
    done = ran(["push", str(file), "--dry-run", "--json", *given, *words])
    return done.code, [row["body"] for row in done.rows()], done.err


def values(row: dict[str, Any]) -> list[Decimal | None]:
    told = row.get("prices_per_mwh") or row["grams_per_kwh"]
    return [None if value is None else Decimal(value) for value in told]


def gaps(row: dict[str, Any]) -> list[int]:
    return [i for i, value in enumerate(values(row)) if value is None]


def test_01_a_price_below_the_old_floor(cases: Path) -> None:
    folder, at = cases / "01-entsoe-floor-minus-600", ["--zone", "DE-LU", "--now", "2026-10-10T12:00:00Z"]
    code, (record,), _ = parsed(folder / "input.xml", "entsoe", *at)
    assert (code, record["starts_at"], len(values(record))) == (0, "2026-10-10T22:00:00Z", 96)
    assert values(record)[52:54] == [Decimal("-523.4"), Decimal("-511.07")]
    code, (other,), _ = parsed(folder / "input-energy-charts.json", "energy_charts", *at)
    assert (code, values(other)) == (0, values(record))


@pytest.mark.parametrize("file", ["input.json", "input-notice.txt"])
def test_02_a_region_named_in_the_reference_alone(cases: Path, file: str) -> None:
    at = ["--signal", "alert", "--now", "2026-10-03T04:12:00Z"]
    code, (alert,), _ = parsed(cases / "02-aemo-msl-region-in-reference" / file, "aemo", *at)
    assert (code, alert["zone"], alert["kind"], alert["level"]) == (0, "AU-VIC", "MINIMUM_LOAD", 1)
    assert (alert["starts_at"], alert["ends_at"]) == ("2026-10-04T01:30:00Z", "2026-10-04T03:30:00Z")


@pytest.mark.parametrize("file", ["input.csv", "input-cheap-day.csv", "input-two-decimals.csv"])
def test_05_a_decimal_comma_is_never_thousands(cases: Path, file: str) -> None:
    code, bodies, err = pushed(cases / "05-push-quoted-decimal-comma" / file, "SE-SE2")
    assert (code, bodies) == (1, [])
    assert "line 2" in err


@pytest.mark.parametrize("file", ["input.csv", "input-smard-style.csv"])
def test_06_a_semicolon_is_called_a_semicolon(cases: Path, file: str) -> None:
    code, bodies, err = pushed(cases / "06-push-semicolon" / file, "DE-LU", "--timezone", "Europe/Berlin")
    assert (code, bodies) == (1, [])
    assert "semicolon" in err


def test_07_a_half_hour_told_twice_costs_itself(cases: Path) -> None:
    folder, at = cases / "07-gb-carbon-duplicate-half-hour", ["--zone", "GB", "--now", "2026-04-19T20:40:00Z"]
    code, rows, err = parsed(folder / "input.json", "gb_carbon", *at)
    assert (code, [values(row) for row in rows]) == (0, [[210, 214, None, 219, 215], [205, 209]])
    assert "two values for 2026-04-19T19:00:00" in err
    code, rows, err = parsed(folder / "input-identical.json", "gb_carbon", *at)
    assert (code, err) == (0, "")
    assert values(rows[0])[:4] == [210, 214, 218, 219]


def test_10_11_hours_that_are_none_or_two(cases: Path) -> None:
    spring, autumn = cases / "10-push-end-stamp-spring-forward", cases / "11-push-autumn-second-hour"
    for file, zone, line in (
        (spring / "input.csv", "America/Chicago", "line 3"),
        (spring / "input-quarter-hours-berlin.csv", "Europe/Berlin", "line 5"),
        (autumn / "input.csv", "Europe/Berlin", "line 3"),
        (autumn / "input-2A-2B.csv", "Europe/Berlin", "line 3"),
    ):
        code, bodies, err = pushed(file, "DE-LU", "--timezone", zone)
        assert (code, bodies) == (1, [])
        assert line in err
    code, (body,), _ = pushed(spring / "input-starts-berlin.csv", "DE-LU", "--timezone", "Europe/Berlin")
    assert (code, body["starts_at"], len(values(body))) == (0, "2026-03-29T00:15:00Z", 5)
    code, (body,), _ = pushed(autumn / "input-with-offsets.csv", "DE-LU")
    assert (code, body["starts_at"], len(values(body))) == (0, "2026-10-24T23:00:00Z", 4)


def test_13_a_land_that_changed_its_currency(cases: Path) -> None:
    at = ["--zone", "BG", "--now", "2025-12-31T13:30:00Z"]
    code, rows, _ = parsed(cases / "13-push-currency-change-bgn-eur" / "input-a44.xml", "entsoe", *at)
    assert (code, [row["currency"] for row in rows]) == (0, ["BGN", "EUR"])


def test_14_27_postings_that_are_no_shortage(cases: Path) -> None:
    at = ["--now", "2026-05-31T19:00:00Z"]
    code, rows, _ = parsed(cases / "14-pjm-high-system-voltage" / "input.xml", "us_emergency", *at)
    assert (code, [(row["kind"], row["action"]) for row in rows]) == (0, [("OTHER", "INFORM")] * 2)
    assert {(row["starts_at"], row["ends_at"]) for row in rows} == {("2026-06-01T02:00:00Z", "2026-06-01T12:00:00Z")}
    at = ["--now", "2026-02-20T15:00:00Z"]
    code, rows, _ = parsed(cases / "27-pjm-cold-weather-advisory" / "input.xml", "us_emergency", *at)
    assert (code, [(row["kind"], row["level"], row["action"]) for row in rows]) == (0, [("WEATHER", 0, "INFORM")] * 2)


def test_17_an_event_without_its_object_type(cases: Path) -> None:
    at = ["--zone", "DE-LU", "--now", "2026-11-12T12:00:00Z"]
    code, (record,), _ = parsed(cases / "17-openadr-event-without-objecttype" / "input.json", "openadr3", *at)
    assert (code, record["starts_at"], values(record)) == (0, "2026-11-12T17:00:00Z", [250])


def test_19_a_type_in_several_series(cases: Path) -> None:
    at = ["--now", "2026-10-06T08:00:00Z"]
    code, rows, _ = parsed(cases / "19-entsoe-a75-split-type" / "input.xml", "entsoe", *at)
    lifecycle = [values(row)[0] for row in rows if row["scope"] == "LIFECYCLE"]
    assert (code, lifecycle) == (0, [Decimal(text) for text in ("15", "15.2195", "15.4286", "15.6279")])
    assert {row["status"] for row in rows} == {"MEASURED"}


def test_21_exports_of_provincial_markets(cases: Path) -> None:
    folder = cases / "21-push-chinese-export"
    for file, named in (
        ("input-gbk.csv", "UTF-8"), ("input-utf8-bom.csv", "the columns"), ("input-slash-dates.csv", "line 2")
    ):  # fmt: skip
        code, bodies, err = pushed(folder / file, "CN-SD", "--timezone", "Asia/Shanghai")
        assert (code, bodies) == (1, [])
        assert named in err
    code, (body,), _ = pushed(folder / "input-iso-24h.csv", "CN-SD", "--timezone", "Asia/Shanghai")
    assert (code, body["starts_at"], len(values(body))) == (0, "2026-11-11T16:00:00Z", 96)


def test_23_a_refusal_is_repeated_in_its_words(cases: Path) -> None:
    at = ["--zone", "DE-LU", "--now", "2026-11-12T12:00:00Z"]
    code, _, err = parsed(cases / "23-entsoe-ack-curvetype" / "input.xml", "entsoe", *at)
    assert code == 1
    assert "Input parameter does not exist: curveType" in err


def test_24_a_row_of_no_length(cases: Path) -> None:
    code, bodies, _ = pushed(cases / "24-push-start-equals-end" / "input.csv", "US-TEX-ERCO")
    assert (code, bodies) == (1, [])


def test_25_a_forecast_that_spikes(cases: Path) -> None:
    at = ["--zone", "DE-LU", "--now", "2026-10-25T10:05:00Z"]
    code, rows, _ = parsed(cases / "25-energy-charts-co2-forecast-spike" / "input.json", "energy_charts", *at)
    assert (code, rows[0]["dataset"], len(values(rows[0]))) == (1, "co2eq", 48)
    assert [row["quarantined"]["dataset"] for row in rows[1:]] == ["co2eq_forecast"]
    assert rows[1]["reasons"][0]["code"] == "out_of_bounds"


def test_26_quarter_hours_of_carbon(cases: Path) -> None:
    at = ["--zone", "FR", "--now", "2026-06-12T12:05:00Z"]
    code, rows, _ = parsed(cases / "26-electricitymaps-quarter-hours" / "input.json", "electricitymaps", *at)
    assert (code, {row["resolution_s"] for row in rows}) == (0, {900})
    assert sorted(row["status"] for row in rows) == ["ESTIMATED"] * 2 + ["MEASURED"] * 6


def test_29_rows_that_are_missing_are_gaps(cases: Path) -> None:
    folder = cases / "29-push-two-rows-missing"
    for file, words, missing in (
        ("input.csv", [], [9, 11]),
        ("input.csv", ["--resolution-s", "900"], [9, 11]),
        ("input-one-missing.csv", [], [9]),
    ):
        code, (body,), _ = pushed(folder / file, "DE-LU", *words)
        assert (code, body["resolution_s"], len(values(body)), gaps(body)) == (0, 900, 96, missing)
    code, bodies, err = pushed(folder / "input-only-changes.csv", "DE-LU")
    assert (code, bodies) == (1, [])
    assert "resolution_s" in err
    at = ["--zone", "DE-LU", "--now", "2026-11-11T15:00:00Z"]
    code, (record,), _ = parsed(folder / "input-energy-charts.json", "energy_charts", *at)
    assert (code, record["resolution_s"], gaps(record)) == (0, 900, [9, 11])


def test_30_a_last_day_that_is_short(cases: Path) -> None:
    at = ["--zone", "DE-LU", "--now", "2026-09-03T12:05:00Z"]
    code, rows, _ = parsed(cases / "30-energy-charts-short-last-day" / "input.json", "energy_charts", *at)
    assert (code, [(row["resolution_s"], len(values(row))) for row in rows]) == (0, [(3600, 24), (900, 93)])
