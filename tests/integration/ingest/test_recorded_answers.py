"""The oracles of recorded answers of the public feeds, which are not part of the repository."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from gridsignal_schemas.messages import CarbonIntensity, GridAlert, Record, SpotPrice
from gridsignal_services.ingest.feed import (
    Ask,
    Banned,
    FeedAnswer,
    FeedError,
    Malformed,
    NotYetAvailable,
    Outage,
    Refused,
    TooLarge,
    Unsupported,
    read,
)
from gridsignal_services.ingest.providers import PROVIDERS
from gridsignal_services.ingest.series import hours

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def told(provider: str, file: Path, status: int = 200, zone: str | None = None) -> list[Record]:
    return read(PROVIDERS[provider], FeedAnswer(file.read_bytes(), status=status), Ask(zone=zone, signal=None, now=NOW))


def lengths(records: list[Record]) -> list[tuple[str, int, int]]:
    return [(r.dataset, r.resolution_s, len(r.prices_per_mwh)) for r in records if isinstance(r, SpotPrice)]


def test_quarter_hours_sent_every_fourth_are_filled_and_the_third_day_is_hourly(samples: Path) -> None:
    records = told("entsoe", samples / "entsoe/a44_BE_15m_every_4th_then_60m_20241005.xml")
    assert lengths(records) == [("SDAC", 900, 96), ("SDAC", 900, 96), ("SDAC", 3600, 24)]
    for record in records[:2]:
        assert isinstance(record, SpotPrice)
        prices = record.prices_per_mwh
        assert all(len(set(prices[i : i + 4])) == 1 for i in range(0, 96, 4))
        assert any(price is not None and price < 0 for r in records for price in r.prices_per_mwh)  # type: ignore[attr-defined]  # all of them are prices


def test_two_auctions_of_one_zone_stay_apart(samples: Path) -> None:
    records = told("entsoe", samples / "entsoe/a44_DE_LU_seq1_60m_seq2_15m_overlap_20241005.xml")
    assert sorted(lengths(records)) == [("EXAA", 900, 96)] * 2 + [("SDAC", 3600, 24)] * 2


def test_unsorted_positions_are_sorted_first(samples: Path) -> None:
    records = told("entsoe", samples / "entsoe/a44_BE_15m_A03_multi_period_unsorted_20241005.xml")
    assert lengths(records) == [("SDAC", 900, 20), ("SDAC", 3600, 2)]


def test_documents_made_here_have_exactly_the_expected_values(samples: Path) -> None:
    expected = json.loads((samples / "entsoe/synthetic_expected_values.json").read_text(), parse_float=Decimal)
    for name, oracle in expected.items():
        records = told("entsoe", samples / "entsoe" / name)
        assert len(records) == 1
        record = records[0]
        assert isinstance(record, SpotPrice)
        assert record.starts_at == datetime.fromisoformat(oracle["start"])
        assert record.prices_per_mwh == oracle["values"]
        assert record.dataset == ("EXAA" if "only_sequence_2" in name else "SDAC")


@pytest.mark.parametrize(
    ("provider", "file", "status", "fault"),
    [
        ("entsoe", "entsoe/a44_a03_documentation_sample_PT1H.xml", 200, Malformed),
        ("entsoe", "entsoe/a65_declared_year_single_point.xml", 200, Malformed),
        ("entsoe", "entsoe/unknown_root_element.xml", 200, Malformed),
        ("entsoe", "entsoe/ack_999_no_matching_data.xml", 200, NotYetAvailable),
        ("entsoe", "entsoe/ack_999_no_matching_data.xml", 400, NotYetAvailable),
        ("entsoe", "entsoe_errors/ack_999_instances_exceed_maximum_no_namespace.xml", 400, TooLarge),
        ("entsoe", "entsoe_errors/http400_html_not_xml.html", 400, Malformed),
        ("entsoe", "entsoe_errors/http404_platform_migration_202609.txt", 404, Outage),
        ("entsoe", "entsoe_errors/http429_ban_reconstructed.html", 429, Banned),
        ("gb_carbon", "uk_carbon_intensity/error_400_bad_date.json", 400, Malformed),
        ("gb_carbon", "uk_carbon_intensity/error_500_outage_20250113.json", 500, Outage),
        ("gb_carbon", "uk_carbon_intensity/http200_empty_data_beyond_horizon_20260907.json", 200, NotYetAvailable),
        ("gb_carbon", "uk_carbon_intensity/http200_empty_object_beyond_horizon_20260908.json", 200, NotYetAvailable),
        ("electricitymaps", "electricitymaps/legacy_status_no_data.json", 200, NotYetAvailable),
        ("watttime", "watttime/error_403_invalid_scope.json", 403, Refused),
        ("watttime", "watttime/error_403_nginx_html_not_json.html", 403, Refused),
        ("watttime", "watttime/v3_signal_index_percentile.json", 200, Unsupported),
    ],
)
def test_every_refusal_has_its_type(
    samples: Path, provider: str, file: str, status: int, fault: type[FeedError]
) -> None:
    with pytest.raises(fault):
        told(provider, samples / file, status)


def test_history_of_electricity_maps_is_22_measured_and_2_estimated(samples: Path) -> None:
    records = told("electricitymaps", samples / "electricitymaps/v3_history_DE_24h.json")
    assert Counter(str(r.status) for r in records if isinstance(r, CarbonIntensity)) == {"MEASURED": 22, "ESTIMATED": 2}


def test_pounds_become_grams_and_the_forecast_keeps_its_vintage(samples: Path) -> None:
    (record,) = told("watttime", samples / "watttime/v3_forecast.json")
    assert isinstance(record, CarbonIntensity)
    assert (record.accounting, record.grams_per_kwh[0]) == ("MARGINAL", Decimal("394.6254"))
    assert record.issued_at == datetime(2022, 7, 15, tzinfo=UTC)


def test_zero_grams_are_a_value(samples: Path) -> None:
    (record,) = told("gb_carbon", samples / "uk_carbon_intensity/regional_zero_intensity_20260618.json")
    assert isinstance(record, CarbonIntensity)
    assert (record.zone, record.grams_per_kwh) == ("GB-REG-1", [Decimal(0)])


def test_an_interval_end_in_market_time_becomes_a_start_in_utc(samples: Path) -> None:
    (record,) = told("aemo", samples / "aemo/api_5min_row_negative_price_NSW1_20251114.json")
    assert isinstance(record, SpotPrice)
    assert record.starts_at == datetime(2025, 11, 14, 1, 30, tzinfo=UTC)
    assert record.status == "PRELIMINARY"


def test_a_drill_at_the_highest_level_is_marked(samples: Path) -> None:
    (alert,) = told("us_emergency", samples / "pjm/emergency_postings_3.xml")
    assert isinstance(alert, GridAlert)
    assert (alert.level, alert.is_drill) == (3, True)


def test_hours_of_energy_charts_are_a_market_day_with_its_licence(samples: Path) -> None:
    (record,) = told("energy_charts", samples / "energy_charts/price_DE-LU_60m_20241208_issue179.json", zone="DE-LU")
    assert isinstance(record, SpotPrice)
    assert (record.starts_at, record.resolution_s) == (datetime(2024, 12, 7, 23, tzinfo=UTC), 3600)
    assert len(record.prices_per_mwh) == 24
    assert record.licence is not None
    assert "CC BY 4.0" in record.licence


def test_a_null_actual_is_no_figure_and_the_forecast_is_one(samples: Path) -> None:
    records = told("gb_carbon", samples / "uk_carbon_intensity/national_fw24h_actual_null_20200524.json")
    assert {r.dataset for r in records if isinstance(r, CarbonIntensity)} == {"national-forecast"}
    assert sum(len(r.grams_per_kwh) for r in records if isinstance(r, CarbonIntensity)) == 14


def test_a_history_that_was_imputed_says_so(samples: Path) -> None:
    (record,) = told("watttime", samples / "watttime/v3_historical_imputed.json")
    assert isinstance(record, CarbonIntensity)
    assert (record.status, record.flags) == ("MEASURED", ["imputed"])


def test_a_lack_of_reserve_names_two_windows_and_the_notice_it_replaces(samples: Path) -> None:
    records = told("aemo", samples / "aemo/market_notice_113616_forecast_LOR1_QLD_20240122.txt")
    found = [(a.zone, a.level, a.starts_at, a.ends_at, a.supersedes) for a in records if isinstance(a, GridAlert)]
    day = datetime(2024, 1, 22, tzinfo=UTC)
    assert found == [
        ("AU-QLD", 1, day.replace(hour=8), day.replace(hour=8, minute=30), "aemo-113601"),
        ("AU-QLD", 1, day.replace(hour=9), day.replace(hour=9, minute=30), "aemo-113601"),
    ]


def test_every_body_of_the_openadr_user_guide_is_read_or_told_from_an_event(samples: Path) -> None:
    outcomes: Counter[str] = Counter()
    for file in sorted((samples / "openadr3").glob("*.json")):
        try:
            outcomes.update(record.record_name for record in told("openadr3", file, zone="DE-LU"))
        except Unsupported:
            outcomes["no event"] += 1
    assert outcomes == {"SpotPrice": 9, "CarbonIntensity": 1, "GridAlert": 11, "no event": 19}


def test_values_that_share_an_interval_of_the_user_guide_are_hours(samples: Path) -> None:
    file = samples / "openadr3/ug310_7_3_1_create_event_with_multi_valued_payload.json"
    (record,) = told("openadr3", file, zone="US-CAL-CISO")
    assert isinstance(record, SpotPrice)
    assert (record.resolution_s, record.currency) == (3600, "USD")
    assert record.prices_per_mwh == [Decimal(170), Decimal(30), Decimal(110)]


def test_the_derived_year_has_its_known_defects(samples: Path) -> None:
    rows = [r for r in hours((samples / "series/derived_hourly_utc_2024.csv").read_text()) if r.zone == "DE-LU"]
    assert len(rows) == 8784
    assert sum(row.price is not None and row.price < 0 for row in rows) == 457
    assert sum(row.price_flag == "dst_avg" for row in rows) == 2
    assert sum(row.price is None for row in rows) == 25
