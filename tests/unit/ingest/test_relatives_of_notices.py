"""Postings and notices with a fact missing, garbled or worded otherwise: told as far as it can be, never as more."""

from __future__ import annotations

import pytest

from gridsignal_schemas.messages import GridAlert, SpotPrice
from gridsignal_services.ingest.feed import Malformed, Signal
from tests.builders import utc
from tests.feed_documents import (
    aemo_notice,
    aemo_row,
    aemo_summary,
    as_json,
    ercot,
    pjm,
    pjm_message,
)
from tests.unit.ingest.asking import NOW
from tests.unit.ingest.test_one_bad_element import LOR
from tests.unit.ingest.test_relatives_of_elements import of


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


def test_a_posting_without_a_region_is_of_no_part_of_the_zone_and_said_to_be() -> None:
    message = pjm_message().replace("<regionName>MIDATL</regionName>", "").replace("<regionName>WEST</regionName>", "")
    (alert,), left_out = of("us_emergency", pjm(message), None)
    assert isinstance(alert, GridAlert)
    assert (alert.zone, alert.area) == ("US-MIDA-PJM", None)
    assert left_out == ["message 7: expected a regionName, got none"]


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


POSTINGS = [
    ("Emergency Load Management Reduction Action (30, 60 or 120-min)", ("GRID_EMERGENCY", 3, "SHED")),
    ("Load Shed Directive", ("GRID_EMERGENCY", 3, "SHED")),
    ("Minimum Generation Emergency Declaration", ("MINIMUM_LOAD", 3, "RAISE")),
    ("Synchronized Reserve Event", ("RESERVE_SHORTFALL", 2, "PREPARE")),
    ("Hot Weather Alert for Thursday", ("WEATHER", 1, "INFORM")),
    ("Load Management Reduction Action Cancelled", ("GRID_EMERGENCY", 0, "INFORM")),
    ("EEA Level 2 terminated", ("GRID_EMERGENCY", 0, "INFORM")),
]


@pytest.mark.parametrize(("kind", "meaning"), POSTINGS)
def test_a_posting_s_level_stands_somewhere_in_its_name_and_is_none_once_it_is_cancelled(
    kind: str, meaning: tuple[str, int, str]
) -> None:
    found, _ = of("us_emergency", pjm(pjm_message(messageType=kind, priority="")), None)
    assert {(a.kind, a.level, a.action) for a in found if isinstance(a, GridAlert)} == {meaning}


@pytest.mark.parametrize(
    ("text", "is_drill"),
    [
        ("DRILL DRILL DRILL", True),
        ("Drill: load dump", True),
        ("EXERCISE - all", True),
        ("This is not a drill", False),
        ("Drill rigs are down in the west", False),
        ("Test results follow", False),
    ],
)
def test_a_drill_says_so_at_its_beginning_too(text: str, *, is_drill: bool) -> None:
    found, _ = of("us_emergency", pjm(pjm_message(message=text)), None)
    assert {alert.is_drill for alert in found if isinstance(alert, GridAlert)} == {is_drill}
