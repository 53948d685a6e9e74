"""Energy-Charts, GB Carbon Intensity, Electricity Maps, WattTime: arrays, nestings, statuses, units."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from gridsignal_services.ingest.feed import (
    Ask,
    Banned,
    FeedError,
    Malformed,
    NotYetAvailable,
    Outage,
    Refused,
    Signal,
    Unsupported,
)
from gridsignal_services.ingest.providers import PROVIDERS
from tests.builders import utc
from tests.feed_documents import as_json, electricity_maps, energy_charts, half_hours, watttime
from tests.unit.ingest.asking import NOW, carbon, prices, told

MIDNIGHT = utc("2024-05-11T22:00")


# --- energy_charts ----------------------------------------------------------------------------------------------


def test_arrays_become_a_market_day_with_its_licence_and_gaps() -> None:
    (record,) = prices("energy_charts", energy_charts(MIDNIGHT, [1.5, None, -3, 0, None]), zone="DE-LU")
    assert record.prices_per_mwh == [Decimal("1.5"), None, Decimal(-3), Decimal(0)]
    assert (record.starts_at, record.resolution_s, record.flags) == (MIDNIGHT, 900, ["gap"])
    assert record.licence is not None
    assert record.licence.startswith("CC BY 4.0")


def test_a_gap_at_the_start_of_a_day_does_not_make_it_another_series() -> None:
    (record,) = prices("energy_charts", energy_charts(MIDNIGHT, [None, 2, 3]), zone="DE-LU")
    assert (record.starts_at, record.prices_per_mwh[0]) == (MIDNIGHT, None)


def test_hours_that_become_quarter_hours_at_midnight_are_two_days() -> None:
    hours = [int(MIDNIGHT.timestamp()) + 3600 * i for i in range(24)]
    quarters = [hours[-1] + 3600 + 900 * i for i in range(96)]
    body = energy_charts(MIDNIGHT, [0] * 120, unix_seconds=hours + quarters)
    found = prices("energy_charts", body, zone="FR")
    assert [(r.resolution_s, len(r.prices_per_mwh)) for r in found] == [(3600, 24), (900, 96)]


def test_measured_carbon_and_its_forecast_are_series_of_their_own() -> None:
    body = energy_charts(MIDNIGHT, [], unix_seconds=[int(MIDNIGHT.timestamp()) + 900 * i for i in range(3)])
    told_ = body.replace(b'"price": []', b'"co2eq": [300, 310, null], "co2eq_forecast": [null, null, 320]')
    found = carbon("energy_charts", told_.replace(b'"EUR / MWh"', b'""'), zone="DE-LU")
    assert [(r.dataset, r.status, r.grams_per_kwh) for r in found] == [
        ("co2eq", "MEASURED", [Decimal(300), Decimal(310)]),
        ("co2eq_forecast", "FORECAST", [None, None, Decimal(320)]),
    ]


@pytest.mark.parametrize(
    ("body", "status", "fault"),
    [
        (b'{"detail": "no content available"}', 404, NotYetAvailable),
        (energy_charts(MIDNIGHT, []), 200, NotYetAvailable),
        (energy_charts(MIDNIGHT, [None, None]), 200, NotYetAvailable),
        (energy_charts(MIDNIGHT, [1, 2], unix_seconds=[1_715_464_800]), 200, Malformed),
        (energy_charts(MIDNIGHT, [1, 2], unix_seconds=[1_715_464_800_000, 1_715_464_801_000]), 200, Malformed),
        (energy_charts(MIDNIGHT, [1, 2], unit="ct / kWh"), 200, Malformed),
        (energy_charts(MIDNIGHT, ["n/e", True]), 200, Malformed),
        (b"<html>busy</html>", 200, Malformed),
        (b"", 429, Banned),
        (b"", 502, Outage),
    ],
)
def test_energy_charts_says_no_in_many_ways(body: bytes, status: int, fault: type[FeedError]) -> None:
    with pytest.raises(fault):
        told("energy_charts", body, zone="DE-LU", status=status)


def test_italian_and_nordic_zones_have_names_of_their_own_there() -> None:
    names = {"IT-NO": "IT-North", "NO-NO2": "NO2", "DK-DK1": "DK1", "DE-LU": "DE-LU"}
    for zone, theirs in names.items():
        ask = Ask(zone=zone, signal=Signal.PRICE, now=NOW, starts_at=MIDNIGHT, ends_at=NOW)
        assert PROVIDERS["energy_charts"].request(ask).params["bzn"] == theirs


# --- gb_carbon --------------------------------------------------------------------------------------------------


def test_forecast_and_actual_are_both_told_each_with_its_status() -> None:
    body = as_json({"data": half_hours(utc("10:00"), [(100, 90), (0, None)])})
    found = carbon("gb_carbon", body)
    assert [(r.dataset, r.status, r.grams_per_kwh) for r in found] == [
        ("national-forecast", "FORECAST", [Decimal(100), Decimal(0)]),
        ("national-actual", "MEASURED", [Decimal(90)]),
    ]
    assert {(r.zone, r.scope, r.mix) for r in found} == {("GB", "DIRECT", "CONSUMPTION")}


def test_all_three_nestings_of_regions_are_read() -> None:
    rows = half_hours(utc("10:00"), [(100, None)])
    several = {"data": [rows[0] | {"regions": [{"regionid": 1, **rows[0]}, {"regionid": 14, **rows[0]}]}]}
    assert [r.zone for r in carbon("gb_carbon", as_json(several))] == ["GB-REG-1", "GB-REG-14"]
    assert [r.zone for r in carbon("gb_carbon", as_json({"data": [{"regionid": 3, "data": rows}]}))] == ["GB-REG-3"]
    assert [r.zone for r in carbon("gb_carbon", as_json({"data": {"regionid": 16, "data": rows}}))] == ["GB-REG-16"]


def test_half_hours_are_cut_at_midnights_of_utc_also_when_british_clocks_change() -> None:
    body = as_json({"data": half_hours(utc("2024-10-26T23:00"), [(n, None) for n in range(50)])})
    assert [len(r.grams_per_kwh) for r in carbon("gb_carbon", body)] == [2, 48]


@pytest.mark.parametrize(
    ("body", "status", "fault"),
    [
        (b'{"data":[]}', 200, NotYetAvailable),
        (b"{}", 200, NotYetAvailable),
        (as_json({"data": half_hours(utc("10:00"), [(None, None)])}), 200, NotYetAvailable),
        (b'{"error": {"code": "500 Internal Server Error", "message": "x"}}', 500, Outage),
        (b'\xef\xbb\xbf{"error": {"code": "400 Bad Request", "message": "x"}}', 400, Malformed),
        (b'{"data": [{"from": "2024-05-12T10:00Z", "to": "2024-05-12T11:00Z", "intensity": {}}]}', 200, Malformed),
        (b'{"data": "soon"}', 200, Malformed),
        (b"<html></html>", 200, Malformed),
    ],
)
def test_gb_carbon_says_no_in_many_ways(body: bytes, status: int, fault: type[FeedError]) -> None:
    with pytest.raises(fault):
        told("gb_carbon", body, status=status)


# --- electricitymaps --------------------------------------------------------------------------------------------


def test_each_hour_is_a_series_of_its_own_estimated_or_measured() -> None:
    body = electricity_maps([("2024-05-12T12:00:00.000Z", 310, True), ("2024-05-12T11:00:00.000Z", 300, False)])
    found = carbon("electricitymaps", body)
    assert [(r.starts_at, r.status, r.grams_per_kwh) for r in found] == [
        (utc("11:00"), "MEASURED", [Decimal(300)]),
        (utc("12:00"), "ESTIMATED", [Decimal(310)]),
    ]
    assert found[1].flags == ["time_slicer_average"]


def test_an_hour_that_does_not_say_whether_it_is_estimated_is_as_its_method_says() -> None:
    body = electricity_maps([("2024-05-12T11:00:00Z", 300, False), ("2024-05-12T12:00:00Z", 310, True)])
    silent = body.replace(b'"isEstimated": true', b'"isEstimated": null').replace(b'"isEstimated": false, ', b"")
    assert [record.status for record in carbon("electricitymaps", silent)] == ["MEASURED", "ESTIMATED"]


def test_a_null_is_a_gap_and_a_missing_figure_another_document() -> None:
    body = electricity_maps([("2024-05-12T11:00:00Z", None, False), ("2024-05-12T12:00:00Z", 0, False)])
    (record,) = carbon("electricitymaps", body)
    assert record.grams_per_kwh == [Decimal(0)]
    with pytest.raises(Malformed, match="carbonIntensity"):
        told("electricitymaps", body.replace(b"carbonIntensity", b"powerConsumption"))


def test_a_forecast_is_one_curve_with_its_vintage() -> None:
    rows = [{"carbonIntensity": n, "datetime": f"2024-05-13T{n:02}:00:00Z"} for n in range(5)]
    (record,) = carbon(
        "electricitymaps", as_json({"zone": "DE", "updatedAt": "2024-05-12T20:00:00Z", "forecast": rows})
    )
    assert (record.status, record.issued_at, len(record.grams_per_kwh)) == ("FORECAST", utc("20:00"), 5)


@pytest.mark.parametrize(
    ("body", "status", "fault"),
    [
        (b'{"status": "no-data", "data": {}}', 200, NotYetAvailable),
        (b'{"status": "ok", "data": {"carbonIntensity": 1}}', 200, Unsupported),
        (b'{"zone": "DE", "history": []}', 200, NotYetAvailable),
        (electricity_maps([("2024-05-12T11:00:00", 1, False)]), 200, Malformed),
        (electricity_maps([("2024-05-12T11:00:00Z", 1, False), ("2024-05-12T11:00:00Z", 2, False)]), 200, Malformed),
        (electricity_maps([("2024-05-12T11:00:00Z", 1, False)]).replace(b"lifecycle", b"magic"), 200, Malformed),
        (b"", 401, Refused),
    ],
)
def test_electricity_maps_says_no_in_many_ways(body: bytes, status: int, fault: type[FeedError]) -> None:
    with pytest.raises(fault):
        told("electricitymaps", body, status=status)


# --- watttime ---------------------------------------------------------------------------------------------------


def test_pounds_per_megawatt_hour_become_grams_and_the_model_is_part_of_the_dataset() -> None:
    (record,) = carbon("watttime", watttime([870, None, 0], utc("10:00")))
    assert record.grams_per_kwh == [Decimal("394.6254"), None, Decimal(0)]
    assert (record.accounting, record.scope, record.dataset) == ("MARGINAL", "DIRECT", "co2_moer@2023-03-01")
    (later,) = carbon("watttime", watttime([870], utc("10:00"), model={"date": "2024-01-01"}))
    assert later.series_id != record.series_id


def test_a_forecast_of_watttime_keeps_when_it_was_made() -> None:
    (record,) = carbon("watttime", watttime([1, 2], utc("10:00"), generated_at="2024-05-12T09:55:00+00:00"))
    assert (record.status, record.issued_at) == ("FORECAST", utc("09:55"))


FORBIDDEN = b"<html><head><title>403 Forbidden</title></head></html>"


@pytest.mark.parametrize(
    ("body", "status", "fault", "expired"),
    [
        (FORBIDDEN, 403, Refused, True),
        (b'{"error": "unauthorized"}', 401, Refused, True),
        (b'{"error": "Invalid scope"}', 403, Refused, False),
        (b'{"error": "No coverage"}', 404, Unsupported, None),
        (watttime([96.0], utc("10:00"), units="percentile"), 200, Unsupported, None),
        (watttime([1], utc("10:00"), signal_type="health_damage"), 200, Unsupported, None),
        (watttime([1], utc("10:00"), units="kg_per_kwh"), 200, Malformed, None),
        (watttime([], utc("10:00")), 200, NotYetAvailable, None),
    ],
)
def test_watttime_says_no_in_many_ways(body: bytes, status: int, fault: type[FeedError], expired: bool | None) -> None:
    with pytest.raises(fault) as caught:
        told("watttime", body, status=status)
    assert getattr(caught.value, "expired", None) is expired


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
@pytest.mark.parametrize(
    "body", [b"", b"\0", b"null", b"[]", b"{}", b'""', b"[[[[", b"<a/>", b"PK\x03\x04", b"\xff\xfe<\0"]
)
def test_what_is_no_answer_at_all_is_refused_by_every_feed(provider: str, body: bytes) -> None:
    try:
        assert told(provider, body, zone="DE-LU") == []
    except FeedError as refusal:
        assert str(refusal)  # noqa: PT017 - either is right; nothing else may be raised


def test_a_question_names_no_secret_outside_the_places_that_are_hidden() -> None:
    settings = {"token": "hush-1", "user": "hush-2", "password": "hush-3", "address": "https://a.example"}
    ask: dict[str, Any] = {"now": NOW, "starts_at": MIDNIGHT, "ends_at": NOW, "settings": settings, "token": "hush-4"}
    zones = {"aemo": "AU-NSW", "us_emergency": "US-TEX-ERCO", "gb_carbon": "GB"}
    for name, provider in PROVIDERS.items():
        for signal in provider.cadence:
            call = provider.request(Ask(zone=zones.get(name, "DE-LU"), signal=signal, **ask))
            assert "hush" not in f"{call.url}{dict(call.params)}"
            assert all(secret in call.secrets for secret in call.headers.values())
