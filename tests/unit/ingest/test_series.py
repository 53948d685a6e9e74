"""Recorded days: what is published when, and what a broken file is answered."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from gridsignal_schemas.messages import CarbonIntensity, SpotPrice
from gridsignal_services.ingest.feed import Malformed
from gridsignal_services.ingest.replay import selection, shipped, shipped_days, shipped_text
from gridsignal_services.ingest.series import COLUMNS, hours, publications
from tests.builders import utc

HEADER = ",".join(COLUMNS)


def rows(*lines: str) -> str:
    return "\n".join([HEADER, *lines]) + "\n"


def of_kind(kind: type, plan: list[Any]) -> list[Any]:
    return [publication for publication in plan if isinstance(publication.record, kind)]


def test_both_shipped_days_are_there() -> None:
    assert shipped_days() == ["2024-05-12", "2024-12-12"]


def test_prices_of_a_day_are_published_at_12_57_market_time_the_day_before() -> None:
    prices = of_kind(SpotPrice, shipped())
    assert [(p.at, p.record.zone, len(p.record.prices_per_mwh)) for p in prices] == [
        (utc("2024-05-11T10:57"), "DE-LU", 24),
        (utc("2024-05-11T10:57"), "FR", 24),
        (utc("2024-12-11T11:57"), "DE-LU", 24),
        (utc("2024-12-11T11:57"), "FR", 24),
    ]
    record = prices[0].record
    assert (record.status, record.dataset, record.provider, record.flags) == ("FINAL", "SDAC", "replay", ["replayed"])
    assert record.issued_at == prices[0].at
    assert record.starts_at == utc("2024-05-11T22:00")
    assert (min(record.prices_per_mwh), record.at(utc("11:30"))) == (Decimal("-135.45"), Decimal("-135.45"))


def test_carbon_is_history_one_measured_hour_when_it_ends_and_france_has_none() -> None:
    carbon = of_kind(CarbonIntensity, shipped("2024-12-12"))
    assert len(carbon) == 24
    assert all(p.at == p.record.ends_at and p.record.status == "MEASURED" for p in carbon)
    assert {p.record.zone for p in carbon} == {"DE-LU"}
    assert carbon[-1].record.grams_per_kwh == [Decimal("592.15")]


def test_the_plan_is_in_order_and_the_same_every_time() -> None:
    assert shipped() == shipped()
    moments = [publication.at for publication in shipped()]
    assert moments == sorted(moments)


def test_zones_and_market_days_can_be_selected() -> None:
    rows_read = hours(shipped_text("2024-05-12"))
    plan = publications(rows_read, selection(["FR"], [date(2024, 5, 12)]))
    assert [publication.record.record_name for publication in plan] == ["SpotPrice"]
    assert publications(rows_read, selection([], [date(2024, 5, 13)])) == []


def test_missing_hours_are_gaps_and_a_day_without_prices_is_not_published() -> None:
    plan = publications(
        hours(rows("DE-LU,2024-05-12T00:00:00Z,5,EUR,,,,", "DE-LU,2024-05-14T00:00:00Z,,EUR,missing,,,"))
    )
    assert len(plan) == 1
    record = plan[0].record
    assert isinstance(record, SpotPrice)
    assert len(record.prices_per_mwh) == 24
    assert record.prices_per_mwh[:4] == [None, None, Decimal(5), None]


@pytest.mark.parametrize(("day", "count"), [("2024-03-31", 23), ("2024-10-27", 25)])
def test_the_days_of_the_clock_changes_have_their_own_length(day: str, count: int) -> None:
    noon = datetime.fromisoformat(f"{day}T12:00:00+00:00").isoformat()
    record = publications(hours(rows(f"FR,{noon},5,EUR,dst_avg,,,")))[0].record
    assert isinstance(record, SpotPrice)
    assert len(record.prices_per_mwh) == count
    assert record.flags == ["replayed", "dst_avg"]


def test_direct_carbon_is_a_series_of_its_own_and_an_estimate_says_so() -> None:
    plan = publications(hours(rows("DE-LU,2024-05-12T00:00:00Z,,,,200,150,true")))
    assert [(p.record.scope, p.record.status) for p in plan] == [("DIRECT", "ESTIMATED"), ("LIFECYCLE", "ESTIMATED")]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "expected the columns"),
        ("zone,price\nDE-LU,5\n", "expected the columns"),
        (rows("DE-LU,2024-05-12T00:00:00,5,EUR,,,,"), "line 2: expected a time with its offset"),
        (rows("DE-LU,2024-05-12T00:00:00Z,NaN,EUR,,,,"), "line 2: expected a number"),
        (rows("DE-LU,yesterday,5,EUR,,,,"), "line 2: expected a time"),
        (rows(",2024-05-12T00:00:00Z,5,EUR,,,,"), "line 2: expected a zone"),
        (rows("DE-LU,2024-05-12T00:00:00Z,5,EUR,,,,maybe"), "line 2: expected true, false or nothing"),
        (rows(*["DE-LU,2024-05-12T00:00:00Z,5,EUR,,,,"] * 2), "two rows for DE-LU"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(text: str, complaint: str) -> None:
    with pytest.raises(Malformed, match=complaint):
        hours(text)
