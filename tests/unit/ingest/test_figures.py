"""Figures as feeds spell them, read exactly or refused."""

from __future__ import annotations

from datetime import timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_services.ingest.feed import Malformed
from gridsignal_services.ingest.figures import decimal_of, epoch_s, instant, json_of, name, words, xml_of
from tests.builders import utc

BILLION_LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><x>&b;</x>"""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("6,123.5", "6123.5"),
        ("1,006,123", "1006123"),
        ("-0.5", "-0.5"),
        (" 12.34567 ", "12.3457"),
        ("1e2", "100"),
        ("0", "0"),
        ("\u22125.5", "-5.5"),
    ],
)
def test_numbers_are_read_exactly_to_four_places(text: str, value: str) -> None:
    assert decimal_of(text) == Decimal(value)


@pytest.mark.parametrize(
    "value",
    [
        "NaN",
        "Infinity",
        "",
        "1,23",
        "2,415",
        "-1,000",
        "1.234,56",
        "1 234.5",
        "1\u00a0234.5",
        "1'234.5",
        "\u0663",
        "12.3.4",
        "0x10",
        "1e999",
        "85 EUR",
        True,
        1.5,
        None,
        [],
        10**400,
    ],
)
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(Malformed):
        decimal_of(value)


def test_a_time_needs_its_offset_unless_the_feed_has_a_fixed_one() -> None:
    assert instant("2024-05-12T13:00Z") == utc("13:00")
    assert instant("2024-05-12T15:00:00+02:00") == utc("13:00")
    assert instant("2024-05-12T23:00:00", zone=timezone(timedelta(hours=10))) == utc("13:00")
    assert instant("2024-05-12T13:00:00.1234567Z").microsecond == 123456
    for text in ("2024-05-12T13:00", "12.05.2024", "", "1924-01-01T00:00Z", None, 5):
        with pytest.raises(Malformed):
            instant(text)


def test_stamps_in_another_unit_are_refused() -> None:
    assert epoch_s(1_715_000_000) == 1_715_000_000
    for value in (1_715_000_000_000, "1715000000", 1.5, True, -1):
        with pytest.raises(Malformed):
            epoch_s(value)


def test_json_numbers_stay_decimal_and_nan_is_no_number() -> None:
    assert json_of(b'{"a": 0.1}') == {"a": Decimal("0.1")}
    assert json_of(b"\xef\xbb\xbf[]") == []
    with pytest.raises(Malformed):
        decimal_of(json_of(b"[NaN]")[0])
    for body in (b"<html>", b"", b"\xff\xfe", b"[" * 100_000):
        with pytest.raises(Malformed):
            json_of(body)


def test_entities_document_types_and_html_are_refused() -> None:
    for body in (BILLION_LAUGHS, b"<!DOCTYPE html><html></html>", b"", b"404 page not found", b"<a><b></a>"):
        with pytest.raises(Malformed):
            xml_of(body)


@given(st.binary(max_size=200))
def test_whatever_the_bytes_they_are_read_or_refused(body: bytes) -> None:
    for reads in (json_of, xml_of):
        try:
            reads(body)
        except Malformed:
            continue


def test_words_of_others_keep_their_lines_and_lose_what_a_terminal_would_obey() -> None:
    assert words("one\r\ntwo\rthree\x1b[2J\x00\u202e") == "one\ntwo\nthree [2J  "
    assert words("x" * 600) == "x" * 512
    assert words(None) == ""
    assert name(" a\tb\r\nc ") == "a b c"


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"PK\x03\x04", "zip"),
        ("a,b".encode("utf-16"), "UTF-16"),
        (b" \n", "nothing"),
        (b"<!DOCTYPE html><html><head><title>Log in to the portal</title>", "web page titled 'Log in to the portal'"),
        (b"\xef\xbb\xbf<HTML>", "web page"),
        (b"404 page not found", "404 page not found"),
    ],
)
def test_what_is_no_document_is_called_by_its_name(body: bytes, named: str) -> None:
    for reads in (json_of, xml_of):
        with pytest.raises(Malformed, match=named):
            reads(body)
