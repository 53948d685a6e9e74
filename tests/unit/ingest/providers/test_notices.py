"""AEMO, PJM and ERCOT: five-minute prices, and what operators tell in words."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridsignal_services.ingest.feed import FeedError, Malformed, NotYetAvailable
from tests.builders import utc
from tests.feed_documents import aemo_notice, aemo_row, aemo_summary, as_json, ercot, pjm, pjm_message
from tests.unit.ingest.asking import alerts, prices, told

LOR = "The Forecast LOR{} condition in the QLD region "


def test_a_stamp_is_the_end_of_its_five_minutes_in_market_time_all_year() -> None:
    for stamp, start in (("2024-01-15T10:35:00", "2024-01-15T00:30"), ("2024-07-15T10:35:00", "2024-07-15T00:30")):
        (record,) = prices("aemo", aemo_summary([aemo_row(SETTLEMENTDATE=stamp)]))
        assert (record.starts_at, record.resolution_s, record.product) == (utc(start), 300, "REAL_TIME")


@pytest.mark.parametrize(
    ("changes", "status", "flags"),
    [
        ({}, "FINAL", []),
        ({"PRICE_STATUS": "PRELIMINARY"}, "PRELIMINARY", []),
        ({"PRICE_STATUS": None}, "PRELIMINARY", []),
        ({"APCFLAG": 1.0}, "FINAL", ["capped"]),
        ({"MARKETSUSPENDEDFLAG": 1.0}, "FINAL", ["market_suspended"]),
    ],
)
def test_a_price_is_final_when_it_is_firm(changes: dict[str, object], status: str, flags: list[str]) -> None:
    (record,) = prices("aemo", aemo_summary([aemo_row(**changes)]))
    assert (record.status, record.flags, record.currency) == (status, flags, "AUD")


def test_a_price_under_review_is_preliminary_although_it_is_firm() -> None:
    text = "PRICES ARE SUBJECT TO REVIEW for trading interval 12-May-2024 10:35."
    body = aemo_summary([aemo_row(), aemo_row(REGIONID="VIC1", SETTLEMENTDATE="2024-05-12T10:40:00")],
                        [aemo_notice(9, "PRICES SUBJECT TO REVIEW", text)])  # fmt: skip
    assert [(r.zone, r.status, r.flags) for r in prices("aemo", body)] == [
        ("AU-NSW", "PRELIMINARY", ["under_review"]),
        ("AU-VIC", "FINAL", []),
    ]


def test_numbers_as_text_and_the_floor_are_read() -> None:
    (record,) = prices("aemo", aemo_summary([aemo_row(PRICE="-1,000.00")]))
    assert record.prices_per_mwh == [Decimal(-1000)]


def test_a_region_that_was_not_asked_for_is_left_out() -> None:
    body = aemo_summary([aemo_row(), aemo_row(REGIONID="QLD1")])
    assert [r.zone for r in prices("aemo", body, zone="AU-QLD")] == ["AU-QLD"]
    with pytest.raises(NotYetAvailable):
        told("aemo", body, zone="AU-TAS")


@pytest.mark.parametrize(("level", "action"), [(1, "INFORM"), (2, "PREPARE"), (3, "SHED")])
def test_a_lack_of_reserve_has_three_levels(level: int, action: str) -> None:
    text = LOR.format(level) + "from 1800 hrs 12/05/2024 to 1930 hrs 12/05/2024"
    (alert,) = alerts("aemo", aemo_summary([], [aemo_notice(5, "RESERVE NOTICE", text)]), zone="AU-QLD")
    assert (alert.kind, alert.level, alert.action) == ("RESERVE_SHORTFALL", level, action)
    assert (alert.starts_at, alert.ends_at) == (utc("08:00"), utc("09:30"))


@pytest.mark.parametrize(
    ("text", "windows"),
    [
        (
            "1.] From 1800 hrs 12/05/2024 to 1830 hrs 12/05/2024. [2.] From 2300 hrs 12/05/2024 to 0030 hrs 13/05/2024",
            [("08:00", "08:30"), ("13:00", "14:30")],
        ),
        ("from 0630 hrs to 0730 hrs 13/05/2024", [("2024-05-12T20:30", "2024-05-12T21:30")]),
        ("from 1800 hrs on 12/05/2024 to 2400 hrs on 12/05/2024", [("08:00", "14:00")]),
        ("has been declared from 1005 hrs and is forecast to exist until 1200 hrs", [("00:05", "02:00")]),
        ("has been declared", [("00:03:48", None)]),
    ],
)
def test_windows_are_found_as_people_write_them(text: str, windows: list[tuple[str, str | None]]) -> None:
    body = aemo_summary([], [aemo_notice(5, "RESERVE NOTICE", LOR.format(1) + text)])
    found = [(a.starts_at, a.ends_at) for a in alerts("aemo", body, zone="AU-QLD")]
    assert found == [(utc(start), None if end is None else utc(end)) for start, end in windows]


def test_an_update_and_a_cancellation_name_the_notice_they_replace() -> None:
    update = LOR.format(1) + "advised in AEMO Electricity Market Notice No. 113601 has been updated"
    cancelled = LOR.format(2) + "is cancelled at 1700 hrs. Refer to Market Notice 113602"
    notices = [aemo_notice(113616, "RESERVE NOTICE", update), aemo_notice(113617, "RESERVE NOTICE", cancelled)]
    first, second = alerts("aemo", aemo_summary([], notices), zone="AU-QLD")
    assert (first.supersedes, first.level, first.ends_at) == ("aemo-113601", 1, None)
    assert (second.supersedes, second.level, second.ends_at) == ("aemo-113602", 0, second.issued_at)


def test_a_notice_file_is_read_with_its_local_day_first_date() -> None:
    text = b"113616\nRESERVE NOTICE\n02/01/2024 05:20:20 PM\n\nActual LOR1 condition in the VIC region\n"
    (alert,) = alerts("aemo", text)
    assert (alert.alert_id, alert.zone, alert.issued_at) == ("aemo-113616", "AU-VIC", utc("2024-01-02T07:20:20"))


@pytest.mark.parametrize(
    "body",
    [
        aemo_summary([aemo_row(REGIONID="XXX1")]),
        aemo_summary([aemo_row(SETTLEMENTDATE="12/05/2024")]),
        aemo_summary([aemo_row(PRICE="dear")]),
        aemo_summary([aemo_row(), aemo_row(PRICE=3)]),
        as_json({"OTHER": []}),
        b"A notice\nwithout\na head",
        b"<html></html>",
    ],
)
def test_what_aemo_does_not_document_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        told("aemo", body)


def test_a_posting_is_an_alert_for_each_region_from_when_it_applies() -> None:
    found = alerts("us_emergency", pjm(pjm_message()))
    assert [(a.alert_id, a.area) for a in found] == [("pjm-7-MIDATL", "MIDATL"), ("pjm-7-WEST", "WEST")]
    assert {(a.starts_at, a.ends_at) for a in found} == {(utc("2024-05-13T04:00"), utc("2024-05-14T03:59"))}
    assert {(a.kind, a.level, a.is_drill) for a in found} == {("WEATHER", 1, False)}


def test_a_drill_of_load_shedding_says_both() -> None:
    message = pjm_message(messageType="Manual Load Dump Action", priority="Action", pjmDrill="true")
    alert = alerts("us_emergency", pjm(message))[0]
    assert (alert.level, alert.action, alert.is_drill) == (3, "SHED", True)
    assert alerts("us_emergency", pjm(pjm_message(messageType="Test")))[0].is_drill


def test_a_cancelled_posting_ends_when_it_was_cancelled() -> None:
    alert = alerts("us_emergency", pjm(pjm_message(canceledTimestamp="2024-05-13T10:00Z")))[0]
    assert (alert.starts_at, alert.ends_at) == (utc("2024-05-13T04:00"), utc("2024-05-13T10:00"))
    early = alerts("us_emergency", pjm(pjm_message(canceledTimestamp="2024-05-12T13:00Z")))[0]
    assert early.starts_at == early.ends_at == utc("13:00")


@pytest.mark.parametrize(("state", "level"), [("normal", 0), ("Watch", 1), ("EEA 1", 2), ("eea3", 3)])
def test_ercot_s_condition_is_one_alert_whatever_it_is(state: str, level: int) -> None:
    (alert,) = alerts("us_emergency", ercot(state))
    assert (alert.alert_id, alert.zone, alert.level) == ("ercot-condition", "US-TEX-ERCO", level)
    assert alert.starts_at == utc("07:46:40")


@pytest.mark.parametrize(
    ("condition", "level"),
    [
        ({"state": "EEA2"}, 3),
        ({"state": "energy_emergency_alert_2"}, 3),
        ({"state": "eea", "title": "EEA 2"}, 3),
        ({"state": "level2", "title": "Energy Emergency Alert Level 2"}, 3),
        ({"state": "energy emergency", "title": "Energy Emergency Alert 3"}, 3),
        ({"state": "eea", "eea_level": 1.0}, 2),
        ({"state": "eea", "eea_level": "EEA2"}, 3),
        ({"state": "eea"}, 2),
        ({"state": "normal", "title": "No EEA 2 any more"}, 0),
    ],
)
def test_the_step_of_an_emergency_is_found_wherever_it_is_said(condition: dict[str, object], level: int) -> None:
    (alert,) = alerts("us_emergency", ercot(**condition))  # type: ignore[arg-type]  # a state is a text
    assert (alert.level, alert.kind) == (level, "GRID_EMERGENCY" if level else "OTHER")


def test_line_ends_and_control_characters_of_others_do_no_harm() -> None:
    notice = aemo_notice(5, "RESERVE NOTICE", LOR.format(1) + "was declared\r\nby us\x07")
    (alert,) = alerts("aemo", aemo_summary([], [notice]), zone="AU-QLD")
    assert alert.text.endswith("was declared\nby us ")


def test_no_posting_is_good_news() -> None:
    assert told("us_emergency", pjm()) == []


@pytest.mark.parametrize(
    "body",
    [
        pjm(pjm_message(pjmDrill="")),
        pjm(pjm_message(messageId="")),
        ercot("sunny"),
        ercot(datetime="now"),
        b"{}",
        b"<a/>",
    ],
)
def test_a_posting_that_lacks_what_matters_is_refused(body: bytes) -> None:
    with pytest.raises(FeedError):
        told("us_emergency", body)
