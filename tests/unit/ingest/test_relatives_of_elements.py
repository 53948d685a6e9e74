"""A fact that is missing or garbled somewhere spoils that place alone, is told, and never filled from a neighbour."""

from __future__ import annotations

from typing import Any

import pytest

from gridsignal_schemas.messages import GridAlert, Record, SpotPrice
from gridsignal_services.ingest.feed import Answer, Ask, FeedError, Malformed, Signal, read
from gridsignal_services.ingest.providers import PROVIDERS
from tests.builders import utc
from tests.feed_documents import (
    BE,
    aemo_notice,
    aemo_row,
    aemo_summary,
    as_json,
    ercot,
    generation_document,
    generation_series,
    interval,
    megawatts,
    openadr_event,
    period,
    pjm,
    pjm_message,
    price_series,
    prices_document,
)
from tests.unit.ingest.asking import NOW, told
from tests.unit.ingest.test_one_bad_element import DAY, HOURS, LOR, asked, figures

NEXT = (DAY[1], "2024-05-13T22:00Z")
DOMAINS = [f"<{name}_Domain.mRID>{BE}</{name}_Domain.mRID>" for name in ("in", "out")]


def of(provider: str, body: bytes, signal: Signal | None) -> tuple[list[Record], list[str]]:
    ask = Ask(zone=None, signal=signal, now=NOW)
    return read(PROVIDERS[provider], Answer(body), ask), list(ask.left_out)


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


# --- notices ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "12,5", "A/7 b", "7.1"])
def test_a_posting_is_told_whatever_its_number_looks_like_unless_it_has_none(name: str) -> None:
    found, left_out = of("us_emergency", pjm(pjm_message(), pjm_message(messageId=name)), None)
    ids = {alert.alert_id for alert in found if isinstance(alert, GridAlert)}
    assert (len(ids), len(left_out)) == ((4, 0) if name else (2, 1))


@pytest.mark.parametrize(
    ("changes", "ends_at"),
    [
        ({"applicableEndTime": "", "effectiveEndTime": "2024-05-12T18:00Z"}, None),
        ({"applicableEndTime": ""}, utc("2024-05-14T04:00")),
        ({"applicableEndTime": "", "effectiveEndTime": ""}, None),
    ],
)
def test_the_end_of_a_posting_is_not_the_end_of_what_it_warns_of(changes: dict[str, str], ends_at: object) -> None:
    found, _ = of("us_emergency", pjm(pjm_message(**changes)), None)
    assert [getattr(alert, "ends_at", "") for alert in found] == [ends_at] * 2


@pytest.mark.parametrize("priority", ["", "x", "Urgent"])
def test_a_priority_that_is_not_known_is_read_from_the_posting_s_name(priority: str) -> None:
    found, _ = of("us_emergency", pjm(pjm_message(priority=priority)), None)
    assert {(alert.kind, alert.level) for alert in found if isinstance(alert, GridAlert)} == {("WEATHER", 1)}


@pytest.mark.parametrize("when", [None, "now", -1, 1_715_500_000_000])
def test_an_emergency_without_a_readable_time_is_one(when: object) -> None:
    (alert,), left_out = of("us_emergency", ercot("eea2", datetime=when), None)
    assert isinstance(alert, GridAlert)
    assert (alert.level, alert.starts_at, len(left_out)) == (3, NOW, 1)


@pytest.mark.parametrize("flag", ["x", [], "1,0", "on"])
@pytest.mark.parametrize("name", ["APCFLAG", "MARKETSUSPENDEDFLAG"])
def test_a_flag_that_can_t_be_read_costs_no_price_but_its_finality(name: str, flag: object) -> None:
    (record,), left_out = of("aemo", aemo_summary([aemo_row(**{name: flag})]), Signal.PRICE)
    assert isinstance(record, SpotPrice)
    assert (record.status, record.flags) == ("PRELIMINARY", [])
    assert [name in text for text in left_out] == [True]


def test_a_price_that_is_missing_is_called_missing_with_its_region() -> None:
    records, left_out = of("aemo", aemo_summary([aemo_row(PRICE=None, REGIONID=" vic1"), aemo_row()]), Signal.PRICE)
    assert (len(records), left_out) == (1, ["region 1: expected a PRICE or RRP of VIC1, got none"])


@pytest.mark.parametrize("number", [None, True, "x", "12,5", 0, -4, 1.5])
def test_a_notice_without_a_number_leaves_the_others(number: object) -> None:
    notices = [aemo_notice(5, "RESERVE NOTICE", LOR) | {"NOTICEID": number}, aemo_notice(6, "RESERVE NOTICE", LOR)]
    (alert,), left_out = of("aemo", aemo_summary([], notices), Signal.ALERT)
    assert isinstance(alert, GridAlert)
    assert alert.alert_id == "aemo-6"
    assert [text.startswith("notice 1: expected a") for text in left_out] == [True]


def test_regions_and_notices_are_no_answer_for_each_other_and_spoil_each_other_not() -> None:
    rows, notices = [aemo_row()], [aemo_notice(6, "RESERVE NOTICE", LOR)]
    for signal, name, body in (
        (Signal.PRICE, "ELEC_NEM_SUMMARY", {"ELEC_NEM_SUMMARY_MARKET_NOTICE": notices}),
        (Signal.ALERT, "ELEC_NEM_SUMMARY_MARKET_NOTICE", {"ELEC_NEM_SUMMARY": rows}),
    ):
        with pytest.raises(Malformed, match=f"expected {name}, got"):
            of("aemo", as_json(body), signal)
        assert len(of("aemo", as_json(body), None)[0]) == 1
    assert of("aemo", aemo_summary(rows, []), Signal.ALERT) == ([], [])
    (alert,), left_out = of("aemo", aemo_summary([aemo_row(PRICE="?")], notices), None)
    assert isinstance(alert, GridAlert)
    assert len(left_out) == 1


@pytest.mark.parametrize(
    ("title", "span"),
    [
        (
            "Forecast Minimum System Load 1 (MSL1) in the VIC Region on 14/05/2024",
            ("2024-05-13T14:00", "2024-05-14T14:00"),
        ),
        ("Forecast LOR1 in the VIC Region on 12 May 2024", ("2024-05-12T00:03:48", "2024-05-12T14:00")),
        ("Forecast LOR1 in the VIC Region", ("2024-05-12T00:03:48", None)),
        ("Actual LOR1 in the VIC Region on 12/05/2024", ("2024-05-12T00:03:48", None)),
    ],
)
def test_a_forecast_that_names_a_day_and_no_time_is_of_that_day(title: str, span: tuple[str, str | None]) -> None:
    notice = aemo_notice(5, "RESERVE NOTICE", "") | {"EXTERNALREFERENCE": title}
    (alert,), _ = of("aemo", aemo_summary([], [notice]), Signal.ALERT)
    assert isinstance(alert, GridAlert)
    assert (alert.starts_at, alert.ends_at) == (utc(span[0]), span[1] and utc(span[1]))


# --- events of a VTN --------------------------------------------------------------------------------------------


def events(*told_of: dict[str, Any]) -> tuple[list[Record], list[str]]:
    ask = Ask(zone="DE-LU", signal=Signal.EVENT, now=NOW)
    return read(PROVIDERS["openadr3"], Answer(as_json(list(told_of))), ask), list(ask.left_out)


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
