"""OpenADR 3.1 events: what becomes of their payloads, and how a VTN is asked."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_schemas.messages import DispatchRequest, GridAlert, Record
from gridsignal_schemas.rules.requests import request_faults
from gridsignal_services.ingest.feed import Ask, FeedAnswer, FeedError, Malformed, Refused, Signal, Unsupported
from gridsignal_services.ingest.providers.openadr3 import PROVIDER, login, merge, next_page, token
from tests.builders import utc
from tests.feed_documents import as_json, interval, openadr_event
from tests.unit.ingest.asking import alerts, carbon, prices, told

NOW = utc("10:00")
REFERENCE = {"reference_kw": "10000"}


def of(*events: dict[str, Any], **ask: Any) -> list[Record]:
    return told("openadr3", as_json(list(events)), zone="DE-LU", now=NOW, **ask)


def requests(*events: dict[str, Any], **settings: str) -> list[DispatchRequest]:
    found = of(*events, settings=REFERENCE | settings)
    return [record for record in found if isinstance(record, DispatchRequest)]


# --- prices and carbon ------------------------------------------------------------------------------------------


def test_a_price_per_kilowatt_hour_becomes_one_per_megawatt_hour() -> None:
    (record,) = prices("openadr3", as_json([openadr_event(interval("PRICE", 0.17), interval("PRICE", -0.03))]), "DE-LU")
    assert record.prices_per_mwh == [Decimal(170), Decimal(-30)]
    assert (record.currency, record.flags, record.dataset) == ("EUR", ["currency_assumed"], "tariff-1")


def test_several_values_share_their_interval_evenly() -> None:
    descriptor = {"payloadType": "PRICE", "units": "KWH", "currency": "USD"}
    event = openadr_event(interval("PRICE", 0.17, 0.03, 0.11, duration="PT3H"), payloadDescriptors=[descriptor])
    (record,) = prices("openadr3", as_json([event]), "DE-LU")
    assert (record.resolution_s, record.currency) == (3600, "USD")
    assert record.prices_per_mwh == [Decimal(170), Decimal(30), Decimal(110)]


def test_intervals_of_different_length_are_messages_of_their_own() -> None:
    event = openadr_event(interval("PRICE", 1), interval("PRICE", 2, duration="PT2H"))
    found = prices("openadr3", as_json([event]), "DE-LU")
    assert [(r.resolution_s, r.starts_at) for r in found] == [(3600, utc("12:00")), (7200, utc("13:00"))]


def test_the_urgent_event_holds_and_the_other_fills_what_it_leaves() -> None:
    calm = openadr_event(interval("PRICE", 1, duration="PT4H"), id="calm", priority=None)
    urgent = openadr_event(interval("PRICE", 9, start="2024-05-12T13:00:00Z"), id="urgent", priority=0)
    found = prices("openadr3", as_json([calm, urgent]), "DE-LU")
    whole = {start: value for record in found for start, _, value in record.intervals()}
    assert whole == {utc("12:00"): Decimal(1000), utc("13:00"): Decimal(9000), utc("14:00"): Decimal(1000)}
    assert all(one.ends_at <= next_.starts_at for one, next_ in pairwise(sorted(found, key=lambda r: r.starts_at)))


def test_a_price_is_cut_at_the_market_s_midnight_so_that_a_day_keeps_its_identity() -> None:
    event = openadr_event(interval("PRICE", 1, start="2024-05-12T20:00:00Z", duration="PT4H"))
    found = prices("openadr3", as_json([event]), "DE-LU")
    assert [r.starts_at for r in found] == [utc("20:00"), utc("22:00")]


def test_greenhouse_gas_is_marginal_carbon() -> None:
    (record,) = carbon("openadr3", as_json([openadr_event(interval("GHG", 320))]), "DE-LU")
    assert (record.accounting, record.grams_per_kwh, record.status) == ("MARGINAL", [Decimal(320)], "FORECAST")


# --- alerts and requests ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "values", "meaning"),
    [
        ("SIMPLE", [0], ("FLEX_ALERT", 0, "INFORM")),
        ("SIMPLE", [2], ("FLEX_ALERT", 2, "SHED")),
        ("SIMPLE", [3], ("GRID_EMERGENCY", 3, "SHED")),
        ("ALERT_GRID_EMERGENCY", ["now"], ("GRID_EMERGENCY", 3, "PREPARE")),
        ("ALERT_BLACK_START", ["wait"], ("GRID_EMERGENCY", 3, "RESTORE_FORBIDDEN")),
        ("ALERT_FLEX_ALERT", ["scarce"], ("FLEX_ALERT", 2, "SHED")),
        ("ALERT_WIND", ["blows"], ("WEATHER", 1, "INFORM")),
        ("ALERT_LOCUSTS", ["many"], ("OTHER", 1, "INFORM")),
        ("DISPATCH_INSTRUCTION", ["a", "b"], ("OTHER", 1, "PREPARE")),
    ],
)
def test_alerts_levels_and_instructions_become_alerts(
    kind: str, values: list[object], meaning: tuple[str, int, str]
) -> None:
    (alert,) = alerts("openadr3", as_json([openadr_event(interval(kind, *values))]), "DE-LU", now=NOW)
    assert (alert.kind, alert.level, alert.action) == meaning
    assert (alert.starts_at, alert.ends_at, alert.issued_at) == (utc("12:00"), utc("13:00"), utc("09:00"))


def test_a_setpoint_below_the_reference_asks_for_the_difference_with_deadlines_the_ledger_takes() -> None:
    (request,) = requests(openadr_event(interval("DISPATCH_SETPOINT", 4000)), operator="tso-north")
    assert (request.direction, request.power_w, request.operator) == ("LOAD_DECREASE", 6_000_000, "tso-north")
    assert (request.gate_closure_at, request.decision_deadline) == (utc("11:53"), utc("11:54"))
    assert (request.visibility, request.run_mode) == ("PUBLIC", "LIVE")
    assert request_faults(request, NOW) == []


def test_a_setpoint_above_the_reference_asks_for_more_and_a_limit_above_it_for_nothing() -> None:
    (request,) = requests(openadr_event(interval("DISPATCH_SETPOINT", 12_000)))
    assert (request.direction, request.power_w) == ("LOAD_INCREASE", 2_000_000)
    assert requests(openadr_event(interval("IMPORT_CAPACITY_LIMIT", 12_000))) == []
    (limit,) = requests(openadr_event(interval("IMPORT_CAPACITY_LIMIT", 9_000)))
    assert (limit.direction, limit.power_w) == ("LOAD_DECREASE", 1_000_000)
    (relative,) = requests(openadr_event(interval("DISPATCH_SETPOINT_RELATIVE", -500)))
    assert (relative.direction, relative.power_w) == ("LOAD_DECREASE", 500_000)


def test_units_of_a_setpoint_come_from_its_descriptor() -> None:
    descriptors = [{"payloadType": "DISPATCH_SETPOINT", "units": "MW"}]
    (request,) = requests(openadr_event(interval("DISPATCH_SETPOINT", 4), payloadDescriptors=descriptors))
    assert request.power_w == 6_000_000
    with pytest.raises(Malformed, match="KW"):
        requests(openadr_event(interval("DISPATCH_SETPOINT", 4), payloadDescriptors=[descriptors[0] | {"units": "PS"}]))


@pytest.mark.parametrize(
    ("event", "settings"),
    [
        (openadr_event(interval("DISPATCH_SETPOINT", 0)), {}),
        (openadr_event(interval("DISPATCH_SETPOINT", 0, duration="P9999Y")), REFERENCE),
        (openadr_event(interval("DISPATCH_SETPOINT", 0), modificationDateTime="2024-05-12T11:55:00Z"), REFERENCE),
    ],
    ids=["no reference", "no end", "too late for an auction"],
)
def test_what_can_be_no_request_is_told_as_an_alert(event: dict[str, Any], settings: dict[str, str]) -> None:
    (alert,) = of(event, settings=settings)
    assert isinstance(alert, GridAlert)
    assert alert.text.startswith("DISPATCH_SETPOINT 0 KW")


def test_targets_are_heard_by_those_they_are_names_of_and_by_nobody_else() -> None:
    event = openadr_event(interval("DISPATCH_SETPOINT", 0), targets=["ven-7", "ven-8"])
    (request,) = requests(event, **{"target.ven-7": "acme-ai"})
    assert (request.visibility, request.audience) == ("LISTED", ["acme-ai"])
    (unheard,) = requests(event)
    assert (unheard.visibility, unheard.audience) == ("LISTED", [])
    (public,) = requests(openadr_event(interval("DISPATCH_SETPOINT", 0), targets=[]))
    assert public.visibility == "PUBLIC"


def test_the_same_event_has_the_same_ids_whenever_it_is_read() -> None:
    event = openadr_event(interval("DISPATCH_SETPOINT", 0), interval("SIMPLE", 1))
    assert of(event, settings=REFERENCE)[0] == of(event, settings=REFERENCE)[0]
    long = openadr_event(interval("SIMPLE", 1), id="x" * 128)
    assert len({getattr(record, "alert_id", "") for record in of(event, long)}) == 2 + 1


# --- the VTN ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "fault"),
    [
        (as_json([openadr_event(targets=[{"type": "VEN_NAME", "values": ["x"]}])]), 200, Unsupported),
        (as_json([{"objectType": "PROGRAM", "programName": "x"}]), 200, Unsupported),
        (as_json([{"reportName": "x", "programID": "1", "resources": []}]), 200, Unsupported),
        (as_json({"title": "Bad Request", "status": 400, "detail": "x"}), 200, Malformed),
        (as_json([openadr_event(interval("PRICE", "cheap"))]), 200, Malformed),
        (as_json([openadr_event(interval("PRICE", 1, duration="P9999Y"))]), 200, Malformed),
        (as_json([openadr_event(interval("PRICE", 1, 2, 3, duration="PT1S"))]), 200, Malformed),
        (as_json([openadr_event(interval("SIMPLE", 7))]), 200, Malformed),
        (as_json([openadr_event(interval("PRICE", 1), intervalPeriod=None)]), 200, Malformed),
        (b"<html></html>", 200, Malformed),
        (b"", 403, Refused),
    ],
)
def test_what_is_no_list_of_events_is_refused(body: bytes, status: int, fault: type[FeedError]) -> None:
    with pytest.raises(fault):
        told("openadr3", body, zone="DE-LU", status=status)


def test_an_empty_list_is_good_news_and_an_expired_token_is_told_apart() -> None:
    assert told("openadr3", b"[]", zone="DE-LU") == []
    with pytest.raises(Refused) as caught:
        told("openadr3", b"", zone="DE-LU", status=401)
    assert caught.value.expired


def ask(**changes: Any) -> Ask:
    settings = {"address": "https://vtn.example/3.1.0/", "client_id": "us", "client_secret": "hush"}
    return Ask(zone="DE-LU", signal=Signal.EVENT, now=NOW, settings=settings, **changes)


def test_client_credentials_travel_in_the_body_and_the_token_in_a_header() -> None:
    call = login(ask())
    assert (call.method, call.url) == ("POST", "https://vtn.example/3.1.0/auth/token")
    assert call.form == {
        "grant_type": "client_credentials", "client_id": "us", "client_secret": "hush", "scope": "read_all"
    }  # fmt: skip
    given = token(FeedAnswer(as_json({"access_token": "t", "token_type": "Bearer", "expires_in": 60})), ask())
    assert given == ("t", NOW + timedelta(seconds=60))
    events = PROVIDER.request(ask(token="t", page=50))
    assert events.url == "https://vtn.example/3.1.0/events"
    assert (events.params["skip"], events.headers["Authorization"]) == ("50", "Bearer t")


def test_a_short_page_need_not_be_the_last_but_an_empty_one_is() -> None:
    page = as_json([openadr_event()] * 3)
    assert next_page(FeedAnswer(page), ask(page=50)) == 53
    assert next_page(FeedAnswer(b"[]"), ask(page=53)) is None
    assert merge([FeedAnswer(page), FeedAnswer(b" [ ] "), FeedAnswer(page)]).body.count(b"programID") == 6


# --- whatever an event says -------------------------------------------------------------------------------------

LENGTHS = st.sampled_from(["PT15M", "PT1H", "PT90M", "PT7H", "P1D", "PT0S"])
PAYLOADS = st.lists(st.floats(-1, 1).map(lambda x: round(x, 4)), min_size=1, max_size=4)
EVENTS = st.lists(
    st.tuples(
        st.integers(0, 96),
        st.none() | st.integers(0, 3),
        st.lists(st.tuples(LENGTHS, PAYLOADS), min_size=1, max_size=5),
    ),
    min_size=1,
    max_size=4,
)


@given(EVENTS)
def test_whatever_events_overlap_no_instant_has_two_prices(
    drawn: list[tuple[int, int | None, list[tuple[str, list[float]]]]],
) -> None:
    events = [
        openadr_event(
            *(interval("PRICE", *values, duration=length) for length, values in intervals),
            id=f"event-{n}",
            priority=priority,
            intervalPeriod={"start": f"{utc('00:00') + quarter * timedelta(minutes=15):%Y-%m-%dT%H:%M:%SZ}"},
        )
        for n, (quarter, priority, intervals) in enumerate(drawn)
    ]
    events.append(openadr_event(interval("PRICE", 0.5), id="readable"))
    found = sorted(prices("openadr3", as_json(events), "DE-LU"), key=lambda record: record.starts_at)
    assert all(one.ends_at <= next_.starts_at for one, next_ in pairwise(found))
