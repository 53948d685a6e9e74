"""A fact that is missing or garbled somewhere spoils that place alone, is told, and never filled from a neighbour."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from gridsignal_schemas.messages import CarbonIntensity, GridAlert, Record, SpotPrice
from gridsignal_services.ingest.feed import Ask, FeedAnswer, FeedError, Malformed, NotYetAvailable, Signal, read
from gridsignal_services.ingest.providers import PROVIDERS
from tests.builders import utc
from tests.feed_documents import (
    BE,
    as_json,
    electricity_maps,
    energy_charts,
    generation_document,
    generation_series,
    interval,
    megawatts,
    minutes,
    openadr_event,
    period,
    price_series,
    prices_document,
    watttime,
)
from tests.unit.ingest.asking import NOW, told
from tests.unit.ingest.test_one_bad_element import DAY, HOURS, asked, figures

NEXT = (DAY[1], "2024-05-13T22:00Z")
DOMAINS = [f"<{name}_Domain.mRID>{BE}</{name}_Domain.mRID>" for name in ("in", "out")]


def of(provider: str, body: bytes, signal: Signal | None) -> tuple[list[Record], list[str]]:
    ask = Ask(zone=None, signal=signal, now=NOW)
    return read(PROVIDERS[provider], FeedAnswer(body), ask), list(ask.left_out)


# --- documents of the transparency platform ---------------------------------------------------------------------


@pytest.mark.parametrize("position", ["1,5", "1,55", ",5", "5,", "1,,2", "1.5", "+5"])
def test_a_position_is_no_other_by_leaving_out_its_marks(position: str) -> None:
    text = price_series(period(*DAY, "PT60M", HOURS), curve="A01").replace("<position>5<", f"<position>{position}<")
    records, ask = asked("entsoe", prices_document(text))
    assert figures(records) == [hour if hour != 5 else None for hour in range(1, 25)]
    assert len(ask.left_out) == 1


def test_what_one_period_says_another_has_not_said() -> None:
    quarters = period(*DAY, "PT15M", {n: n for n in range(1, 97)})
    hours = period(*NEXT, "PT60M", HOURS).replace("<resolution>PT60M</resolution>", "")
    records, ask = asked("entsoe", prices_document(price_series(quarters, hours, curve="A01")))
    assert figures(records) == [*range(1, 97)]
    assert "resolution" in str(ask.left_out)


@pytest.mark.parametrize("kind", ["", "x", "B4", "12 EUR", "b04"])
def test_a_type_that_is_no_code_is_no_unknown_plant(kind: str) -> None:
    gas, odd = (generation_series(one, megawatts(DAY[0], [10, 10])) for one in ("B04", kind))
    with pytest.raises(Malformed, match="expected a psrType such as B04"):
        told("entsoe", generation_document(gas, odd))


@pytest.mark.parametrize("missing", DOMAINS)
def test_a_series_without_one_of_its_domains_is_told_and_not_passed_over(missing: str) -> None:
    good = price_series(period(*DAY, "PT60M", HOURS), curve="A01")
    records, ask = asked("entsoe", prices_document(good, good.replace(missing, "")))
    assert figures(records) == [*range(1, 25)]
    assert "series 2: expected an" in str(ask.left_out)


# --- series of several places -----------------------------------------------------------------------------------

NOON = minutes("2024-05-12T12:00:00+00:00")


def test_a_region_without_figures_costs_no_other_its_own() -> None:
    regions: list[dict[str, Any]] = [{"regionid": n, "intensity": {"forecast": n}} for n in range(1, 18)]
    del regions[1]["intensity"]
    regions[2]["intensity"] = {"forecast": "1,5"}
    body = as_json({"data": [{"from": "2024-05-12T12:00Z", "to": "2024-05-12T12:30Z", "regions": regions}]})
    records, left_out = of("gb_carbon", body, None)
    assert len(figures(records)) == 15
    assert [text.startswith("GB-REG-2 half hour 1") for text in left_out] == [True, False]
    half_hour = {"from": "2024-05-12T12:00Z", "to": "2024-05-12T12:30Z", "intensity": None}
    with pytest.raises(Malformed, match="GB-REG-2 half hour 1: expected intensity"):
        of("gb_carbon", as_json({"data": [{"regionid": 2, "data": [half_hour]}]}), None)


def test_a_point_in_another_unit_than_the_others_is_left_out() -> None:
    told_of = json.loads(watttime([870, 860, 50], NOON))
    told_of["data"][2]["units"] = "percentile"
    records, left_out = of("watttime", as_json(told_of), None)
    assert figures(records) == [Decimal("394.6254"), Decimal("390.0894")]
    assert left_out == ["point 3: expected lbs_co2_per_mwh, got 'percentile'"]


@pytest.mark.parametrize("unit", ["lbs_co2_per_mwh", "lb_co2_per_mwh", "lbs CO2/MWh", "lbs/MWh"])
def test_pounds_are_pounds_in_each_point_or_for_all(unit: str) -> None:
    told_of = json.loads(watttime([870], NOON, units=unit))
    assert figures(told("watttime", as_json(told_of))) == [Decimal("394.6254")]
    told_of["data"][0]["units"] = told_of["meta"].pop("units")
    assert figures(told("watttime", as_json(told_of))) == [Decimal("394.6254")]
    for other in ("kg_co2_per_mwh", "lbs_co2_per_kwh", None):
        told_of["data"][0]["units"] = other
        with pytest.raises(Malformed, match="point 1: expected lbs_co2_per_mwh"):
            told("watttime", as_json(told_of))


def test_an_interval_lasts_as_long_as_it_says_itself() -> None:
    told_of = json.loads(electricity_maps([(f"2024-05-12T{hour}:00:00Z", hour, False) for hour in (10, 11, 12)]))
    told_of["history"][2]["temporalGranularity"] = "15_minutes"
    records, _ = of("electricitymaps", as_json(told_of), None)
    assert [record.resolution_s for record in records if isinstance(record, CarbonIntensity)] == [3600, 3600, 900]


@pytest.mark.parametrize("unit", ["EUR per MWh", "EUR/MWh", "\u20ac / MWh", "Euro/MWh"])
def test_euros_per_megawatt_hour_are_that_however_they_are_spelt(unit: str) -> None:
    (record,) = told("energy_charts", energy_charts(NOON, [1, 2], unit=unit), zone="DE-LU")
    assert isinstance(record, SpotPrice)
    assert (record.currency, record.flags) == ("EUR", [])


def test_a_list_that_is_not_there_yet_is_awaited() -> None:
    with pytest.raises(NotYetAvailable):
        told("energy_charts", energy_charts(NOON, [1, 2], price=None), zone="DE-LU")


# --- events of a VTN --------------------------------------------------------------------------------------------


def events(*told_of: dict[str, Any]) -> tuple[list[Record], list[str]]:
    ask = Ask(zone="DE-LU", signal=Signal.EVENT, now=NOW)
    return read(PROVIDERS["openadr3"], FeedAnswer(as_json(list(told_of))), ask), list(ask.left_out)


@pytest.mark.parametrize("payload", [None, "x", 5, {}, {"values": [1]}, {"type": "", "values": [1]}])
def test_one_bad_payload_of_an_interval_leaves_the_others(payload: object) -> None:
    one = interval("PRICE", 0.25)
    one["payloads"].insert(0, payload)
    records, left_out = events(openadr_event(one, id=None))
    assert figures(records) == [250]
    assert [text.startswith("event an event, interval 1, payload 1: expected") for text in left_out] == [True]


def test_an_interval_after_one_without_a_duration_begins_when_it_says_itself() -> None:
    timeless = {"start": "2024-05-12T12:00:00Z"}
    follows = openadr_event(interval("SIMPLE", 1), interval("SIMPLE", 2, duration="PT1H"), intervalPeriod=timeless)
    (alert,), left_out = events(follows)
    assert isinstance(alert, GridAlert)
    assert (alert.level, alert.starts_at, alert.ends_at) == (1, utc("12:00"), None)
    assert "interval 2: expected a start" in left_out[0]
    later = interval("SIMPLE", 2, start="2024-05-12T13:00:00Z", duration="PT1H")
    found, left_out = events(openadr_event(interval("SIMPLE", 1), later, intervalPeriod=timeless))
    assert [(alert.level, alert.ends_at) for alert in found if isinstance(alert, GridAlert)] == [
        (1, utc("13:00")),
        (2, utc("14:00")),
    ]
    assert left_out == []


@pytest.mark.parametrize(("key", "named"), [("event-1", "event event-1"), (None, "event an event")])
def test_an_event_is_named_by_what_it_has(key: str | None, named: str) -> None:
    for broken in (openadr_event(id=key, intervals=[5]), openadr_event(interval("PRICE", "x"), id=key)):
        with pytest.raises(FeedError, match=named):
            told("openadr3", as_json([broken]), zone="DE-LU")
