"""Units and currencies of OpenADR payloads count wherever they are told, the nearest first; none is guessed."""

from __future__ import annotations

from decimal import Decimal
from itertools import product
from typing import Any

import pytest

from gridsignal_schemas.messages import DispatchRequest, GridAlert, Record, SpotPrice
from gridsignal_services.ingest.feed import Ask, FeedAnswer, Malformed, Signal, read
from gridsignal_services.ingest.providers.openadr3 import PROVIDER
from tests.builders import utc
from tests.feed_documents import as_json, interval, openadr_event
from tests.unit.ingest.asking import prices

NOW = utc("10:00")
LEVELS = ("payload", "interval", "event", "program")
KWH, MWH = {"units": "KWH", "currency": "SEK"}, {"units": "MWH", "currency": "NOK"}


def told(
    kind: str, value: object, by_level: dict[str, dict[str, str]], *, status: int = 200, **event: Any
) -> list[Record]:
    """An event with one payload described at these levels, read with its program where it needs that."""
    of_kind = {level: [{"payloadType": kind, **fact}] for level, fact in by_level.items()}
    one: dict[str, Any] = interval(kind, value)
    one["payloads"][0] |= by_level.get("payload", {})
    one["payloadDescriptors"] = of_kind.get("interval")
    answer = FeedAnswer(as_json([openadr_event(one, payloadDescriptors=of_kind.get("event"), **event)]))
    ask = Ask("SE-SE2", Signal.EVENT, NOW, settings={"reference_kw": "20000", "address": "https://vtn.example"})
    assert PROVIDER.beside is not None
    programs = [
        FeedAnswer(as_json({"id": "tariff-1", "payloadDescriptors": of_kind.get("program")}), status=status)
        for _ in PROVIDER.beside([answer], ask)
    ]
    ask = Ask("SE-SE2", Signal.EVENT, NOW, settings=ask.settings, beside=tuple(programs))
    return read(PROVIDER, answer, ask)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("fact", "per_mwh"), [(KWH, 250), (MWH, Decimal("0.25"))])
def test_a_price_is_in_the_unit_and_currency_told_at_any_level(
    level: str, fact: dict[str, str], per_mwh: Decimal
) -> None:
    (record,) = told("PRICE", 0.25, {level: fact})
    assert isinstance(record, SpotPrice)
    assert (record.currency, record.prices_per_mwh, record.flags) == (fact["currency"], [per_mwh], [])


@pytest.mark.parametrize(
    ("near", "far"), [(a, b) for a, b in product(LEVELS, LEVELS) if LEVELS.index(a) < LEVELS.index(b)]
)
def test_the_nearest_level_counts_and_the_farther_one_fills_what_it_leaves_out(near: str, far: str) -> None:
    (record,) = told("PRICE", 0.25, {near: KWH, far: MWH})
    assert isinstance(record, SpotPrice)
    assert (record.currency, record.prices_per_mwh) == ("SEK", [250])
    (record,) = told("PRICE", 0.25, {near: {"units": "MWH"}, far: KWH})
    assert isinstance(record, SpotPrice)
    assert (record.currency, record.prices_per_mwh) == ("SEK", [Decimal("0.25")])


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("unit", "value"), [("W", 5_000_000), ("KW", 5000), ("MW", 5), ("mw", 5), ("", 5000)])
def test_a_limit_is_in_the_unit_told_at_any_level(level: str, unit: str, value: int) -> None:
    (request,) = told("IMPORT_CAPACITY_LIMIT", value, {level: {"units": unit}})
    assert isinstance(request, DispatchRequest)
    assert (request.direction, request.power_w) == ("LOAD_DECREASE", 15_000_000)


def test_intervals_of_one_event_may_be_in_two_currencies() -> None:
    event = openadr_event(interval("PRICE", 0.25), interval("PRICE", 0.5))
    for one, fact in zip(event["intervals"], (KWH, MWH), strict=True):
        one["payloadDescriptors"] = [{"payloadType": "price", **fact}]
    found = prices("openadr3", as_json([event]), "SE-SE2")
    assert [(r.currency, r.starts_at, *r.prices_per_mwh) for r in found] == [
        ("SEK", utc("12:00"), Decimal(250)),
        ("NOK", utc("13:00"), Decimal("0.5")),
    ]


def test_two_descriptors_that_disagree_are_refused_and_those_of_reports_tell_nothing() -> None:
    event = openadr_event(
        interval("PRICE", 0.25), payloadDescriptors=[{"payloadType": "PRICE"} | one for one in (KWH, MWH)]
    )
    with pytest.raises(Malformed, match="event 1: expected one of the units of PRICE, got KWH and MWH"):
        prices("openadr3", as_json([event]), "SE-SE2")
    event["payloadDescriptors"][1]["objectType"] = "REPORT_PAYLOAD_DESCRIPTOR"
    assert [record.currency for record in prices("openadr3", as_json([event]), "SE-SE2")] == ["SEK"]


def test_a_limit_whose_program_may_not_be_read_is_told_and_not_taken_for_kilowatts() -> None:
    (request,) = told("IMPORT_CAPACITY_LIMIT", 5_000, {}, status=404)  # nobody describes it: kilowatts
    assert isinstance(request, DispatchRequest)
    assert request.power_w == 15_000_000
    (alert,) = told("IMPORT_CAPACITY_LIMIT", 5_000_000, {}, status=403)
    assert isinstance(alert, GridAlert)
    assert (alert.kind, alert.text) == ("FLEX_ALERT", "IMPORT_CAPACITY_LIMIT 5000000 in an unknown unit: an event")


@pytest.mark.parametrize(("kind", "unit"), [("PRICE", "KWH"), ("PRICE", "MWH"), ("GHG", "G/KWH")])
@pytest.mark.parametrize("level", LEVELS[:3])
@pytest.mark.parametrize("other", [{}, {"currency": "SEK"}])
def test_a_price_or_intensity_whose_program_may_not_be_read_is_in_the_unit_told_beside_it_or_refused(
    kind: str, unit: str, level: str, other: dict[str, str]
) -> None:
    expected = f"expected the units of {kind}, got none, and program tariff-1 may not be read"
    with pytest.raises(Malformed, match=f"event event-1, price or GHG 1: {expected}"):
        told(kind, 85, {level: other}, status=403)
    described = {level: {"units": unit, **other}}
    assert told(kind, 85, described, status=403) == told(kind, 85, described, status=404)


@pytest.mark.parametrize(
    "answer", [FeedAnswer(b"", status=500), FeedAnswer(b"<html>"), FeedAnswer(b"[]"), FeedAnswer(b"")]
)
def test_a_program_that_can_t_be_read_now_costs_the_events_that_leave_their_units_to_it(answer: FeedAnswer) -> None:
    lost, kept = (openadr_event(interval("PRICE", 0.25), id=name, programID=name) for name in ("lost", "kept"))
    own = openadr_event(interval("PRICE", 0.5), id="own", payloadDescriptors=[{"payloadType": "PRICE", **KWH}])
    program = FeedAnswer(as_json({"id": "kept", "payloadDescriptors": [{"payloadType": "PRICE", **KWH}]}))
    ask = Ask("SE-SE2", Signal.EVENT, NOW, beside=(answer, program))
    found = read(PROVIDER, FeedAnswer(as_json([lost, kept, own])), ask)
    assert sorted((r.dataset, r.currency) for r in found if isinstance(r, SpotPrice)) == [
        ("kept", "SEK"),
        ("tariff-1", "SEK"),
    ]
    assert ["expected program lost to say its units" in text for text in ask.left_out] == [True]


def test_events_of_programs_beyond_those_that_are_asked_are_in_no_guessed_unit() -> None:
    events = [openadr_event(interval("PRICE", 85), id=f"e{at}", programID=f"p{at}") for at in range(52)]
    answer = FeedAnswer(as_json(events))
    assert PROVIDER.beside is not None
    asked = PROVIDER.beside([answer], Ask("SE-SE2", Signal.EVENT, NOW, settings={"address": "https://vtn.example"}))
    told = {"payloadDescriptors": [{"payloadType": "PRICE", "units": "MWH", "currency": "SEK"}]}
    programs = tuple(FeedAnswer(as_json({"id": f"p{at}"} | told)) for at in range(len(asked)))
    ask = Ask("SE-SE2", Signal.EVENT, NOW, beside=programs)
    found = read(PROVIDER, answer, ask)
    assert (len(asked), {price for r in found if isinstance(r, SpotPrice) for price in r.prices_per_mwh}) == (50, {85})
    assert len(found) == 50
    assert ["expected at most 50 programs" in text and "got 52" in text for text in ask.left_out] == [True, True]


def test_a_price_as_text_is_a_price_and_one_with_a_comma_a_gap() -> None:
    event = openadr_event(interval("PRICE", "0.00125"), interval("PRICE", "0,25"), interval("PRICE", 0.5))
    ask = Ask("SE-SE2", Signal.EVENT, NOW)
    found = read(PROVIDER, FeedAnswer(as_json([event])), ask)
    assert [r.prices_per_mwh for r in found if isinstance(r, SpotPrice)] == [[Decimal("1.25")], [500]]
    assert ["0,25" in text for text in ask.left_out] == [True]
