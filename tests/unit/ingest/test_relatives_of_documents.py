"""Facts one level away, units that are not ours, steps that their stamps deny: read right or refused by name."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from gridsignal_services.ingest.feed import Malformed
from tests.feed_documents import (
    BE,
    DE_LU,
    as_json,
    electricity_maps,
    energy_charts,
    generation_document,
    generation_series,
    half_hours,
    interval,
    megawatts,
    minutes,
    openadr_event,
    period,
    price_series,
    prices_document,
)
from tests.unit.ingest.asking import carbon, prices, told
from tests.unit.ingest.test_one_bad_element import asked, figures

START = minutes("2024-05-12T00:00:00+00:00")
DAY = ("2024-05-11T22:00Z", "2024-05-12T22:00Z")
HOURS = {hour: hour for hour in range(1, 25)}
SERIES = price_series(period(*DAY, "PT60M", HOURS), zone=DE_LU, curve="A01")
SPARSE = price_series(period(*DAY, "PT60M", {1: 1, 3: 3}), zone=DE_LU)
FIELDS = [
    "<currency_Unit.name>EUR</currency_Unit.name>",
    "<price_Measure_Unit.name>MWH</price_Measure_Unit.name>",
    f"<in_Domain.mRID>{DE_LU}</in_Domain.mRID>",
    "<contract_MarketAgreement.type>A01</contract_MarketAgreement.type>",
    "<curveType>A03</curveType>",
]


@pytest.mark.parametrize("field", FIELDS)
def test_a_fact_of_a_series_counts_wherever_the_document_says_it(field: str) -> None:
    """In the series itself, in each of its periods, or once for all series."""
    assert field in SPARSE
    plain = prices("entsoe", prices_document(SPARSE))
    bare = SPARSE.replace(field, "")
    in_period = bare.replace("<resolution>", f"{field}<resolution>")
    above = prices_document(bare).replace(b"<type>A44</type>", f"<type>A44</type>{field}".encode())
    assert prices("entsoe", prices_document(in_period)) == plain
    assert prices("entsoe", above) == plain


def test_a_series_overrules_its_document_and_a_period_needs_no_resolution_of_its_own() -> None:
    pounds = FIELDS[0].replace("EUR", "GBP")
    body = prices_document(SERIES).replace(b"<type>A44</type>", f"<type>A44</type>{pounds}".encode())
    assert [record.currency for record in prices("entsoe", body)] == ["EUR"]
    step = "<resolution>PT60M</resolution>"
    above = SERIES.replace(step, "").replace("<curveType>", f"{step}<curveType>")
    assert figures(told("entsoe", prices_document(above))) == [*range(1, 25)]


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("EUR", "", "expected a currency such as EUR, got ''"),
        ("MWH", "KWH", "expected prices per MWH, got KWH"),
        ("00Z<", "00<", "expected a time with its offset"),
        ("PT60M", "PT7M", "expected a period of whole steps"),
    ],
)
def test_what_is_said_nowhere_is_refused_and_not_guessed(old: str, new: str, named: str) -> None:
    with pytest.raises(Malformed, match=named):
        told("entsoe", prices_document(SERIES.replace(old, new)))


GAS, WIND = (generation_series(kind, megawatts(DAY[0], [100, 200])) for kind in ("B04", "B19"))


def test_a_type_in_another_unit_is_refused_and_storage_and_the_silent_spoil_no_mix() -> None:
    usual = carbon("entsoe", generation_document(GAS, WIND))
    unit = "<quantity_Measure_Unit.name>{}</quantity_Measure_Unit.name><curveType>"
    assert carbon("entsoe", generation_document(GAS.replace("<curveType>", unit.format("MAW")), WIND)) == usual
    with pytest.raises(Malformed, match="expected B04 in MAW, got KWT"):
        carbon("entsoe", generation_document(GAS.replace("<curveType>", unit.format("KWT")), WIND))
    storage = generation_series("B25", megawatts(DAY[0], [5, 5])).replace("PT60M", "PT7M")
    silent = generation_series("B16", megawatts(DAY[0], []))
    assert carbon("entsoe", generation_document(GAS, storage, WIND, silent)) == usual


GRAMS = ["g/kWh", "gCO2eq/kWh", "gCO2eq / kWh", "g CO2eq./kWh", "g CO\u2082 per kWh", "gCO2-eq/kWh"]


@pytest.mark.parametrize("unit", GRAMS)
def test_grams_are_grams_however_they_are_spelt(unit: str) -> None:
    body = energy_charts(START, [1, 2, 3, 4], unit=unit).replace(b'"price"', b'"co2eq"')
    assert figures(told("energy_charts", body, zone="DE-LU")) == [1, 2, 3, 4]
    maps = electricity_maps([("2024-05-12T11:00:00Z", 300, False)]).replace(b'{"zone"', b'{"unit": "UNIT", "zone"')
    assert figures(told("electricitymaps", maps.replace(b"UNIT", unit.encode()))) == [300]


@pytest.mark.parametrize("unit", ["kg/MWh", "lbCO2eq/MWh", "gC/kWh", "g/MJ", "mg/kWh"])
def test_what_is_no_grams_per_kwh_is_refused_with_its_unit(unit: str) -> None:
    maps = electricity_maps([("2024-05-12T11:00:00Z", 300, False)])
    above, in_rows = b'{"unit": "UNIT", "zone"', b'"units": "UNIT", "carbonI'
    for body in (maps.replace(b'{"zone"', above), maps.replace(b'"carbonI', in_rows)):
        with pytest.raises(Malformed, match=unit):
            told("electricitymaps", body.replace(b"UNIT", unit.encode()))


def test_a_price_without_a_unit_is_marked_and_one_per_kwh_refused() -> None:
    (record,) = prices("energy_charts", energy_charts(START, [1, 2, 3, 4], unit="No Unit"), "DE-LU")
    assert (record.currency, record.flags) == ("EUR", ["currency_assumed"])
    (record,) = prices("energy_charts", energy_charts(START, [1, 2, 3, 4], unit="PLN / MWh"), "PL")
    assert (record.currency, record.flags) == ("PLN", [])
    for unit in ("EUR/kWh", "ct/kWh", "MWh"):
        with pytest.raises(Malformed, match=unit):
            prices("energy_charts", energy_charts(START, [1, 2, 3, 4], unit=unit), "DE-LU")


MOER = {"region": "CAISO_NORTH", "signal_type": "co2_moer", "units": "lbs_co2_per_mwh"}


def quarters(count: int) -> list[tuple[str, int | None, bool]]:
    return [(f"2024-05-12T{n // 4:02}:{n % 4 * 15:02}:00Z", n, False) for n in range(count)]


def points(step_s: int, count: int = 24, **meta: object) -> bytes:
    times = (START + n * timedelta(seconds=step_s) for n in range(count))
    return as_json({"data": [{"point_time": time.isoformat(), "value": 100} for time in times], "meta": MOER | meta})


def test_a_step_that_its_stamps_deny_is_refused_and_one_that_is_not_told_is_theirs() -> None:
    for provider, body in (
        ("electricitymaps", electricity_maps(quarters(8))),
        ("electricitymaps", electricity_maps(quarters(2))),
        ("electricitymaps", electricity_maps(quarters(8)).replace(b'"history"', b'"forecast"')),
        ("watttime", points(300, data_point_period_seconds=3600)),
    ):
        with pytest.raises(Malformed, match=r"expected (?:intervals|stamps)"):
            told(provider, body)
    for step_s in (300, 600, 900, 3600):
        for meta in ({}, {"data_point_period_seconds": step_s}):
            (record,) = carbon("watttime", points(step_s, 12, **meta))
            assert (record.resolution_s, len(record.grams_per_kwh), record.flags) == (step_s, 12, [])
    for wrong in (0, 7, 7200, "300", True):
        with pytest.raises(Malformed, match="data_point_period_seconds"):
            told("watttime", points(300, data_point_period_seconds=wrong))


def test_one_series_or_time_that_can_t_be_used_costs_itself() -> None:
    charts = energy_charts(START, [1, 2, 3, 4], co2eq=[1, 2, 3, 4], co2eq_forecast=[1]).replace(b'"price"', b'"prices"')
    charts = charts.replace(b"EUR / MWh", b"g/kWh")
    assert [record.dataset for record in carbon("energy_charts", charts, "DE-LU")] == ["co2eq"]
    maps = electricity_maps([("2024-05-12T11:00:00Z", 300, False)]).replace(b"2024-05-12T13:00:00.000Z", b"just now")
    assert [record.issued_at for record in carbon("electricitymaps", maps)] == [None]
    vintage = {"generated_at": "2024-05-12T00:00Z"}
    forecast = vintage | {"forecast": [{"point_time": "2024-05-12T00:00Z", "value": 10}]}
    body = as_json({"data": [None, forecast, vintage | {"forecast": []}], "meta": MOER})
    assert len(figures(told("watttime", body))) == 1


def region(**names: object) -> bytes:
    return as_json({"data": [names | {"data": half_hours(START, [(1, None), (2, None)])}]})


def test_a_region_that_is_not_numbered_is_not_the_nation() -> None:
    assert {record.zone for record in carbon("gb_carbon", region(regionid="3"))} == {"GB-REG-3"}
    for names in ({"shortname": "London"}, {"dnoregion": "UKPN"}, {"regionid": 19}, {"regionid": "x"}):
        with pytest.raises(Malformed, match="expected a region from 1 to 17"):
            told("gb_carbon", region(**names))


def with_prices(currency: str) -> dict[str, Any]:
    told_of = [{"payloadType": "PRICE", "units": "KWH", "currency": currency}]
    return openadr_event(interval("PRICE", 0.25), id=f"in-{currency}", payloadDescriptors=told_of)


def test_an_odd_currency_time_or_level_of_one_event_leaves_the_others() -> None:
    odd = [with_prices("euro"), openadr_event(interval("SIMPLE", 1.5), id="half")]
    good = [with_prices("sek"), openadr_event(interval("price", 1.5), id="lower")]
    records, ask = asked("openadr3", as_json([*odd, *good]))
    assert sorted(record.currency for record in records) == ["EUR", "SEK"]  # type: ignore[attr-defined]  # prices
    assert ["in-euro" in text or "half" in text for text in ask.left_out] == [True, True]
    made = openadr_event(interval("PRICE", 0.25), modificationDateTime="2024-05-12T09:00:00", createdDateTime="09:00")
    assert figures(told("openadr3", as_json([made]), zone="DE-LU")) == [250]


def test_two_areas_are_no_mix() -> None:
    with pytest.raises(Malformed, match="one area"):
        told("entsoe", generation_document(GAS, WIND.replace(BE, DE_LU)))
