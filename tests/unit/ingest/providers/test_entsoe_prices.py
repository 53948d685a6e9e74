"""A44: curves A01 and A03, mixed resolutions, repeats, two auctions, days of 92 to 100 quarter hours."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_services.ingest.feed import (
    Banned,
    FeedError,
    Malformed,
    NotYetAvailable,
    Outage,
    Refused,
    TooLarge,
    Unsupported,
)
from gridsignal_services.ingest.schedule import day_starts_at
from tests.builders import utc
from tests.feed_documents import (
    BE,
    DE_LU,
    acknowledgement,
    generation_document,
    period,
    price_series,
    prices_document,
    zipped,
)
from tests.unit.ingest.asking import prices, told

DAY = ("2024-10-05T22:00Z", "2024-10-06T22:00Z")
NEXT = ("2024-10-06T22:00Z", "2024-10-07T22:00Z")


def hours(*values: object) -> dict[int, object]:
    return dict(enumerate(values, 1))


def document(*periods: str, **series: Any) -> bytes:
    return prices_document(price_series(*periods, **series))


def test_a03_repeats_an_omitted_position_up_to_the_period_s_end() -> None:
    (record,) = prices("entsoe", document(period(*DAY, "PT60M", {1: 10, 3: -5.5})))
    assert record.prices_per_mwh == [Decimal(10)] * 2 + [Decimal("-5.5")] * 22
    assert record.flags == ["filled_a03"]
    assert (record.zone, record.dataset, record.currency, record.status) == ("BE", "SDAC", "EUR", "FINAL")


def test_a01_leaves_a_gap_where_a_position_is_missing() -> None:
    (record,) = prices("entsoe", document(period(*DAY, "PT60M", {1: 10, 3: 30}), curve="A01"))
    assert record.prices_per_mwh == [Decimal(10), None, Decimal(30), *[None] * 21]
    assert record.flags == ["gap"]


def test_nothing_stands_before_the_first_position_so_it_is_a_gap() -> None:
    (record,) = prices("entsoe", document(period(*DAY, "PT60M", {3: 30})))
    assert record.prices_per_mwh == [None, None, *[Decimal(30)] * 22]
    assert record.starts_at == utc("2024-10-05T22:00")


def test_positions_are_sorted_before_they_are_filled() -> None:
    (record,) = prices("entsoe", document(period(*DAY, "PT60M", {5: 50, 1: 10, 3: 30})))
    assert [price for price in record.prices_per_mwh[:6] if price] == [Decimal(p) for p in (10, 10, 30, 30, 50, 50)]


def test_a_position_with_a_thousands_comma_is_read() -> None:
    body = document(period("2024-10-05T22:00Z", "2024-10-06T22:00Z", "PT1M", {1: 1, 1000: 2}))
    (record,) = prices("entsoe", body.replace(b"<position>1000<", b"<position>1,000<"))
    assert (record.prices_per_mwh[998], record.prices_per_mwh[999]) == (Decimal(1), Decimal(2))


def test_days_of_different_resolution_are_messages_of_their_own() -> None:
    quarters = period(*DAY, "PT15M", {n: n for n in range(1, 97, 4)})
    found = prices("entsoe", document(quarters, period(*NEXT, "PT60M", hours(*range(24)))))
    assert [(r.resolution_s, len(r.prices_per_mwh)) for r in found] == [(900, 96), (3600, 24)]


def test_a_gap_between_two_periods_of_a_day_is_a_gap() -> None:
    morning = period("2024-10-05T22:00Z", "2024-10-06T04:00Z", "PT60M", {1: 1})
    evening = period("2024-10-06T16:00Z", "2024-10-06T22:00Z", "PT60M", {1: 2})
    (record,) = prices("entsoe", document(morning, evening))
    assert record.prices_per_mwh == [Decimal(1)] * 6 + [None] * 12 + [Decimal(2)] * 6


def test_a_day_told_twice_is_published_once_and_a_contradiction_is_refused() -> None:
    one, other = period(*DAY, "PT60M", hours(*range(24))), period(*DAY, "PT60M", hours(*range(1, 25)))
    (record,) = prices("entsoe", prices_document(price_series(one), price_series(one)))
    assert record.flags == ["duplicate_dropped"]
    with pytest.raises(Malformed, match="two values"):
        told("entsoe", prices_document(price_series(one), price_series(other)))


def test_the_second_auction_is_never_told_as_the_coupled_one() -> None:
    early = period(*DAY, "PT15M", {1: 1})
    (only,) = prices("entsoe", document(early, zone=DE_LU, sequence=2))
    assert (only.zone, only.dataset) == ("DE-LU", "EXAA")
    coupled = price_series(period(*DAY, "PT60M", {1: 7}), zone=DE_LU, sequence=1)
    both = prices("entsoe", prices_document(price_series(early, zone=DE_LU, sequence=2), coupled))
    assert [(r.dataset, r.resolution_s) for r in both] == [("EXAA", 900), ("SDAC", 3600)]


def test_an_explicit_auction_is_no_zone_s_price() -> None:
    with pytest.raises(Malformed, match="implicit auction"):
        told("entsoe", document(period(*DAY, "PT60M", {1: 1}), auction="A02"))


@pytest.mark.parametrize(("day", "quarters"), [("2026-03-29", 92), ("2025-10-26", 100), ("2025-12-01", 96)])
def test_a_market_day_has_92_96_or_100_quarter_hours(day: str, quarters: int) -> None:
    begin = date.fromisoformat(day)
    start, end = (f"{day_starts_at(d):%Y-%m-%dT%H:%MZ}" for d in (begin, begin + timedelta(days=1)))
    (record,) = prices("entsoe", document(period(start, end, "PT15M", {1: 1, 50: 2})))
    assert len(record.prices_per_mwh) == quarters


def test_an_answer_of_more_days_than_asked_for_is_clipped() -> None:
    body = document(period(*DAY, "PT60M", hours(*range(24))), period(*NEXT, "PT60M", hours(*range(24))))
    window = utc("2024-10-06T22:00"), utc("2024-10-07T22:00")
    (record,) = prices("entsoe", body, window=window)
    assert (record.starts_at, record.ends_at) == window
    with pytest.raises(NotYetAvailable):
        told("entsoe", body, window=(utc("2024-10-08T22:00"), utc("2024-10-09T22:00")))


def test_a_zip_of_documents_is_read_whatever_its_content_type_says() -> None:
    bodies = [document(period(*day, "PT60M", hours(*range(24)))) for day in (DAY, NEXT)]
    assert len(prices("entsoe", zipped(*bodies))) == 2
    assert len(prices("entsoe", zipped(bodies[0], acknowledgement("No matching data found")))) == 1
    assert len(prices("entsoe", zipped(bodies[0], bodies[0]))) == 1
    other = document(period(*DAY, "PT60M", hours(*range(1, 25))))
    with pytest.raises(Malformed, match="two series"):
        told("entsoe", zipped(bodies[0], other))


def test_a_zip_bomb_and_a_broken_zip_are_refused() -> None:
    for body in (zipped(*[b"x"] * 300), zipped(b"\0" * (65 << 20)), zipped(b"x")[:60]):
        with pytest.raises(Malformed):
            told("entsoe", body)


def test_a_byte_order_mark_an_empty_first_line_and_another_namespace_change_nothing() -> None:
    plain = document(period(*DAY, "PT60M", hours(*range(24))))
    for body in (b"\xef\xbb\xbf" + plain, b"\n\n" + plain, plain.replace(b":7:3", b":7:0")):
        assert prices("entsoe", body) == prices("entsoe", plain)


ANSWERS: list[tuple[bytes, int, type[FeedError]]] = [
    (acknowledgement("No matching data found for Data item Day-ahead Prices"), 200, NotYetAvailable),
    (acknowledgement("No matching data found", namespace=False), 400, NotYetAvailable),
    (acknowledgement("the amount of requested data exceeds allowed limit"), 400, TooLarge),
    (acknowledgement("The number of instances (149) exceeds the allowed maximum (100)"), 200, TooLarge),
    (acknowledgement("The combination of [in_Domain] is not valid, or check you request against dependency tables"), 400, Unsupported),  # noqa: E501 - as the platform words it
    (acknowledgement("in_Domain is not valid for this area"), 400, Unsupported),
    (acknowledgement("Unexpected error occurred"), 200, Outage),
    (acknowledgement("Invalid security token"), 401, Refused),
    (b"<html>Max allowed requests per minute from each unique IP is max up to 400 only</html>", 200, Banned),
    (b"", 429, Banned),
    (b"404 page not found", 404, Outage),
    (b"<html><head><title>502 Bad Gateway</title></head></html>", 502, Outage),
    (b"<html></html>", 503, Outage),
    (b"<html></html>", 200, Malformed),
    (b"", 200, NotYetAvailable),
    (document(period(*DAY, "PT60M", {1: 1}))[:-80], 200, Malformed),
    (generation_document().replace(b"A75", b"A65"), 200, NotYetAvailable),
    (b"<Unknown_MarketDocument/>", 200, Malformed),
    (b'<!DOCTYPE x [<!ENTITY a "b">]><Publication_MarketDocument/>', 200, Malformed),
]  # fmt: skip


@pytest.mark.parametrize(("body", "status", "fault"), ANSWERS, ids=range(len(ANSWERS)))
def test_every_way_to_say_no_has_its_type(body: bytes, status: int, fault: type[FeedError]) -> None:
    with pytest.raises(fault):
        told("entsoe", body, status=status)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ((b"PT60M", b"PT7M"), "whole steps"),
        ((b"PT60M", b"60"), "resolution"),
        ((b"<position>1<", b"<position>99<"), "position from 1 to 24"),
        ((b"<position>1<", b"<position>0<"), "position from 1 to 24"),
        ((b"<price.amount>1<", b"<price.amount>NaN<"), "number"),
        ((b"<price.amount>1</price.amount>", b""), "position and a value"),
        ((b"A03", b"A02"), "curveType"),
        ((BE.encode(), b"10YXX----------X"), "area we know"),
        ((b"MWH", b"KWH"), "per MWH"),
        ((b"2024-10-06T22:00Z", b"2024-10-04T22:00Z"), "whole steps"),
        ((b"2024-10-06T22:00Z", b"2024-10-06T22:00"), "offset"),
    ],
)
def test_a_document_that_breaks_its_own_rules_is_refused_as_a_whole(
    change: tuple[bytes, bytes], complaint: str
) -> None:
    body = document(period(*DAY, "PT60M", {1: 1}))
    assert change[0] in body
    with pytest.raises(Malformed, match=complaint):
        told("entsoe", body.replace(*change))


@st.composite
def periods(draw: st.DrawFn) -> tuple[str, dict[int, int], int, int]:
    """A period of a drawn market day: its XML, its points, its count and step in minutes."""
    day = date(2025, 10, 20) + timedelta(days=draw(st.integers(0, 200)))
    step = draw(st.sampled_from([15, 30, 60]))
    start, end = day_starts_at(day), day_starts_at(day + timedelta(days=1))
    count = (end - start) // timedelta(minutes=step)
    positions = draw(st.lists(st.integers(1, count), min_size=1, max_size=12, unique=True))
    points = {position: draw(st.integers(-500, 4000)) for position in positions}
    times = f"{start:%Y-%m-%dT%H:%MZ}", f"{end:%Y-%m-%dT%H:%MZ}"
    return period(*times, f"PT{step}M", points), points, count, step


@given(periods(), st.sampled_from(["A01", "A03"]))
def test_whatever_positions_are_told_the_day_is_whole_and_every_price_in_its_place(
    drawn: tuple[str, dict[int, int], int, int], curve: str
) -> None:
    xml, points, count, step = drawn
    (record,) = prices("entsoe", document(xml, curve=curve))
    values = record.prices_per_mwh
    assert (len(values), record.resolution_s) == (count, step * 60)
    for position in range(1, count + 1):
        before = [p for p in points if p <= position]
        expected = points.get(position) if curve == "A01" else points[max(before)] if before else None
        assert values[position - 1] == expected
    assert record.starts_at.utcoffset() == timedelta(0)
    assert all(one[1] == next_[0] for one, next_ in pairwise(record.intervals()))
