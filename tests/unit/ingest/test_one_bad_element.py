"""One bad element of an answer costs itself: whatever the feed, the rest is read and somebody is told."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridsignal_schemas.messages import CarbonIntensity, GridAlert, Record, SpotPrice
from gridsignal_services.ingest.feed import Ask, FeedAnswer, Malformed, read
from gridsignal_services.ingest.providers import PROVIDERS
from tests.feed_documents import (
    aemo_notice,
    aemo_row,
    aemo_summary,
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
    pjm,
    pjm_message,
    price_series,
    prices_document,
    watttime,
    zipped,
)
from tests.unit.ingest.asking import NOW

START = minutes("2024-05-12T00:00:00+00:00")
DAY = ("2024-05-11T22:00Z", "2024-05-12T22:00Z")
HOURS = {hour: hour for hour in range(1, 25)}
LOR = "Forecast LOR1 in the QLD region from 1800 hrs 12/05/2024 to 1930 hrs 12/05/2024"


def figures(records: list[Record]) -> list[Decimal | None]:
    """Every value of every series, in order of time."""
    series = sorted((r for r in records if isinstance(r, SpotPrice | CarbonIntensity)), key=lambda r: r.starts_at)
    return [v for r in series for v in (r.prices_per_mwh if isinstance(r, SpotPrice) else r.grams_per_kwh)]


def asked(provider: str, body: bytes) -> tuple[list[Record], Ask]:
    names_zone = provider not in ("energy_charts", "openadr3")
    ask = Ask(zone=None if names_zone else "DE-LU", signal=None, now=NOW)
    return read(PROVIDERS[provider], FeedAnswer(body), ask), ask


def a44(old: str = "", new: str = "", *, curve: str = "A01") -> bytes:
    text = price_series(period(*DAY, "PT60M", HOURS), curve=curve)
    assert old in text
    return prices_document(text.replace(old, new, 1))


def gb() -> bytes:
    return as_json({"data": half_hours(START, [(value, None) for value in range(5)])})


GOOD_HOURS: list[tuple[str, int | None, bool]] = [(f"2024-05-12T{hour:02}:00:00Z", hour, False) for hour in range(5)]
SERIES = {
    "energy charts, a word": ("energy_charts", energy_charts(START, [0, 1, "n/e", 3, 4]), 2),
    "energy charts, a truth": ("energy_charts", energy_charts(START, [0, 1, True, 3, 4]), 2),
    "energy charts, no number": ("energy_charts", energy_charts(START, [0, 1, "?", 3, 4]).replace(b'"?"', b"NaN"), 2),
    "energy charts, far too much": ("energy_charts", energy_charts(START, [0, 1, 10**15, 3, 4]), 2),
    "gb carbon, a word": ("gb_carbon", gb().replace(b'"forecast": 2', b'"forecast": "x"'), 2),
    "gb carbon, no time": (
        "gb_carbon",
        gb().replace(b"2024-05-12T01:00Z", b"yesterday", 1),
        None,
    ),
    "electricity maps, told twice": (
        "electricitymaps", electricity_maps([*GOOD_HOURS, (GOOD_HOURS[2][0], 9, False)]), None
    ),
    "electricity maps, a word": (
        "electricitymaps", electricity_maps(GOOD_HOURS).replace(b'Intensity": 2', b'Intensity": "x"'), None
    ),
    "watttime, a word": ("watttime", watttime([0, 1, "x", 3, 4], START), 2),
    "entsoe, no number": ("entsoe", a44("<price.amount>3<", "<price.amount>dear<"), 2),
    "entsoe, no value": ("entsoe", a44("<price.amount>3</price.amount>", ""), 2),
    "entsoe, no position": ("entsoe", a44("<position>3</position>", ""), 2),
    "entsoe, a position told twice": ("entsoe", a44("<position>4</position>", "<position>3</position>"), 2),
}  # fmt: skip


@pytest.mark.parametrize("case", SERIES)
def test_one_bad_element_of_a_series_is_a_gap(case: str) -> None:
    provider, body, gap = SERIES[case]
    records, ask = asked(provider, body)
    values = figures(records)
    assert ask.left_out
    assert len([value for value in values if value is not None]) >= 3
    if gap is not None:
        assert values[gap] is None
        assert values[1] is not None


def test_what_a_curve_repeats_is_never_what_could_not_be_read() -> None:
    records, ask = asked("entsoe", a44("<price.amount>3<", "<price.amount>?<", curve="A03"))
    assert figures(records)[1:4] == [2, None, 4]
    sparse = price_series(period(*DAY, "PT60M", {1: 1, 3: "?", 6: 6}), curve="A03")
    records, ask = asked("entsoe", prices_document(sparse))
    assert figures(records)[:7] == [1, 1, None, None, None, 6, 6]
    assert ask.left_out
    with pytest.raises(Malformed, match="position"):
        asked("entsoe", a44("<position>3</position>", "<position>x</position>", curve="A03"))


def test_a_mix_without_one_of_its_types_is_not_published() -> None:
    coal, wind = (generation_series(kind, megawatts(DAY[0], [10, 10])) for kind in ("B02", "B19"))
    assert asked("entsoe", generation_document(coal, wind))[0]
    with pytest.raises(Malformed):
        asked("entsoe", generation_document(coal.replace("PT60M", "PT7M"), wind))


def test_one_bad_document_series_or_period_leaves_the_others() -> None:
    good = price_series(period(*DAY, "PT60M", HOURS))
    for body in (
        zipped(prices_document(good), b"<html>"),
        prices_document(good, price_series(period(*DAY, "PT7M", {1: 1}), sequence=2)),
        prices_document(price_series(period(*DAY, "PT60M", HOURS), period("x", "y", "PT60M", {1: 1}))),
        prices_document(good, good.replace("MWH", "KWH")),
        prices_document(good, good.replace("EUR", "")),
        prices_document(good, good.replace("EUR", "eur")),
    ):
        records, ask = asked("entsoe", body)
        assert figures(records) == [Decimal(hour) for hour in range(1, 25)]
        assert len(ask.left_out) == 1


ROWS = {
    "aemo, a region": ("aemo", aemo_summary([aemo_row(), aemo_row(REGIONID="QLD1"), aemo_row(REGIONID="MOON1")])),
    "aemo, price": ("aemo", aemo_summary([aemo_row(), aemo_row(REGIONID="QLD1"), aemo_row(REGIONID="SA1", PRICE="")])),
    "aemo, a notice": ("aemo", aemo_summary([], [
        aemo_notice(5, "RESERVE NOTICE", LOR), aemo_notice(6, "RESERVE NOTICE", LOR.replace("1930", "1730")),
        aemo_notice(7, "RESERVE NOTICE", LOR),
    ])),
    "aemo, no notice": ("aemo", aemo_summary([aemo_row(), aemo_row(REGIONID="QLD1")], [5])),  # type: ignore[list-item]  # the fault
    "pjm, a message": ("us_emergency", pjm(pjm_message(), pjm_message(messageId="8", pjmDrill="maybe"))),
    "openadr, an event": ("openadr3", as_json([
        openadr_event(interval("ALERT_OTHER", "a"), id="1"), openadr_event(interval("SIMPLE", 9), id="2"),
        openadr_event(interval("SIMPLE", 1), id="3"), 5,
    ])),
    "openadr, a payload": ("openadr3", as_json([
        openadr_event(interval("ALERT_OTHER", "a"), interval("SIMPLE", "x"), interval("SIMPLE", 1), id="1"),
    ])),
}  # fmt: skip


@pytest.mark.parametrize("case", ROWS)
def test_one_bad_row_notice_or_event_leaves_the_others(case: str) -> None:
    records, ask = asked(*ROWS[case])
    assert ask.left_out
    assert len(records) == 2
    assert all(isinstance(record, SpotPrice | GridAlert) for record in records)


@pytest.mark.parametrize(
    ("provider", "body"),
    [
        ("energy_charts", energy_charts(START, ["a", "b", "c"])),
        ("gb_carbon", as_json({"data": [5, 6]})),
        ("aemo", aemo_summary([aemo_row(PRICE="-"), aemo_row(REGIONID="QLD1", PRICE="?")])),
        ("openadr3", as_json([5])),
        ("entsoe", a44("MWH", "KWH")),
    ],
)
def test_an_answer_without_a_good_element_is_refused_with_the_first_of_its_faults(provider: str, body: bytes) -> None:
    with pytest.raises(Malformed, match="expected"):
        asked(provider, body)
