"""Market notices as AEMO's people word them: whose window, which level, what is over, what is under review."""

from __future__ import annotations

import itertools

import pytest

from gridsignal_schemas.messages import GridAlert
from gridsignal_services.ingest.feed import Malformed
from tests.builders import utc
from tests.feed_documents import aemo_notice, aemo_row, aemo_summary
from tests.unit.ingest.asking import alerts, prices

FIRST, SECOND = "from 1800 hrs 12/05/2024 to 1930 hrs 12/05/2024", "from 1700 hrs 12/05/2024 to 1900 hrs 12/05/2024"
SPANS = {FIRST: ("08:00", "09:30"), SECOND: ("07:00", "09:00")}
ONE = {"AU-NSW": [FIRST], "AU-QLD": [SECOND]}
BOTH = {"AU-NSW": [FIRST, SECOND], "AU-QLD": [FIRST, SECOND]}


def notice(text: str, title: str = "", kind: str = "RESERVE NOTICE") -> bytes:
    return aemo_summary([], [{**aemo_notice(5, kind, text), "EXTERNALREFERENCE": title}])


def windows(found: list[GridAlert]) -> dict[str, list[tuple[object, object]]]:
    zones = itertools.groupby(found, key=lambda alert: alert.zone)
    return {zone: [(alert.starts_at, alert.ends_at) for alert in of_zone] for zone, of_zone in zones}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Forecast LOR1 in the NSW region {0} and in the QLD region {1}.", ONE),
        ("Forecast LOR1 conditions.\n\nNSW Region\n{0}.\nThe requirement is 700 MW.\n\nQLD Region\n{1}.", ONE),
        ("Forecast LOR1 {0} in the NSW region and {1} in the QLD region.", ONE),
        ("Forecast LOR1 in the NSW and QLD regions. NSW: {0}. QLD: {1}.", ONE),
        ("Forecast LOR1 in the NSW and QLD regions: [1.] {0}. [2.] {1}.", BOTH),
        ("Forecast LOR1 in the NSW region and the QLD region {0}; {1}.", BOTH),
        ("Forecast LOR1 in the NSW region {0}. Flows from QLD are limited. Again {1}.", {"AU-NSW": [FIRST, SECOND]}),
    ],
)
def test_a_window_is_of_the_region_that_is_named_beside_it(text: str, told: dict[str, list[str]]) -> None:
    expected = {zone: [tuple(map(utc, SPANS[one])) for one in own] for zone, own in told.items()}
    found = alerts("aemo", notice(text.format(FIRST, SECOND)))
    assert windows(found) == expected
    assert {alert.zone: alert.alert_id for alert in reversed(found)} == dict.fromkeys(told, "aemo-5")


def test_a_level_is_of_the_window_that_it_is_told_of() -> None:
    text = f"LOR2 in the NSW region {FIRST} and LOR1 in the QLD region {SECOND}"
    assert [(a.zone, a.level, a.action) for a in alerts("aemo", notice(text))] == [
        ("AU-NSW", 2, "PREPARE"),
        ("AU-QLD", 1, "INFORM"),
    ]
    assert {a.level for a in alerts("aemo", notice(text, "Forecast LOR1 in NSW and QLD"))} == {1}


LEVELS = (
    *("LOR2", "LOR 2", "LOR-2", "LOR level 2", "LOR level two", "LOR level II", "L.O.R. 2", "LOR condition level 2"),
    *("Lack Of Reserve Level Two (LOR2)", "Lack of Reserve (LOR) condition level 2", "Level 2 Lack of Reserve"),
    *("lack of reserve 2", "Low Reserve Condition (LRC2)"),
)


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_is_read_in_words_too(level: str) -> None:
    (alert,) = alerts("aemo", notice(f"Forecast {level} in the NSW region {FIRST}"))
    assert (alert.kind, alert.level) == ("RESERVE_SHORTFALL", 2)


def test_a_lack_of_reserve_whose_level_can_t_be_read_is_one_all_the_same() -> None:
    (alert,) = alerts("aemo", notice(f"Forecast Lack of Reserve (amber) in the NSW region {FIRST}"))
    assert (alert.kind, alert.level) == ("RESERVE_SHORTFALL", 1)


MAINLAND = ["AU-NSW", "AU-QLD", "AU-SA", "AU-VIC"]


@pytest.mark.parametrize(
    ("where", "zones"),
    [
        ("all NEM regions", [*MAINLAND[:3], "AU-TAS", "AU-VIC"]),
        ("all regions of the NEM", [*MAINLAND[:3], "AU-TAS", "AU-VIC"]),
        ("all mainland regions", MAINLAND),
        ("the mainland NEM regions", MAINLAND),
        ("all NEM regions except Tasmania", MAINLAND),
        ("all regions, excluding the TAS and SA regions,", ["AU-NSW", "AU-QLD", "AU-VIC"]),
        ("the regions of Victoria and Tasmania", ["AU-TAS", "AU-VIC"]),
        ("the N.S.W. region", ["AU-NSW"]),
        ("the ACT", ["AU-NSW"]),
    ],
)
def test_all_regions_are_all_but_those_that_are_excepted(where: str, zones: list[str]) -> None:
    text = f"AEMO will act on a forecast LOR1 in {where} {FIRST}."
    assert [alert.zone for alert in alerts("aemo", notice(text))] == zones


def test_a_notice_without_bounds_is_refused() -> None:
    with pytest.raises(Malformed, match="at most 50000 characters"):
        alerts("aemo", notice(f"Forecast LOR1 in the NSW region {FIRST}. " * 1000))


BEGINS = (
    "1800 hrs",
    "18:00",
    "18:00 hours",
    "6:00 PM",
    "6 pm",
    "1800 AEST",
    "1800 hrs AEST",
    "1900 hrs AEDT",
    "6.00pm",
)
ENDS = (
    "1930 hrs",
    "19:30",
    "19:30 hours",
    "7:30 PM",
    "7:30pm",
    "1930 AEST",
    "1930 hrs AEST",
    "2030 hrs AEDT",
    "7.30 p.m.",
)
DAYS = ("12/05/2024", "12/05/24", "12-May-2024", "12 May 2024", "12th May 2024", "2024-05-12", "on Sunday, 12/05/2024")


@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize(("begin", "end"), list(zip(BEGINS, ENDS, strict=True)))
def test_times_and_days_are_read_as_people_write_them(begin: str, end: str, day: str) -> None:
    next_day = day.replace("12", "13", 1) if not day.startswith("2024") else "2024-05-13"
    for text, ends_at in (
        (f"from {begin} {day} to {end} {day}", utc("09:30")),
        (f"from {begin} to {end} {day}", utc("09:30")),
        (f"between {begin} and {end} {day}", utc("09:30")),
        (f"from {begin} {day} to {end} {next_day}", utc("2024-05-13T09:30")),
    ):
        (alert,) = alerts("aemo", notice(f"Forecast LOR1 in the NSW region {text}"))
        assert (alert.starts_at, alert.ends_at) == (utc("08:00"), ends_at)


SPANNED = (
    "1800 to 1930 hrs on 12 May 2024",
    "1800\u20131930 hrs 12/05/2024",
    "From: 1800 hrs 12/05/2024 To: 1930 hrs 12/05/2024",
    "Start: 1800 hrs 12/05/2024, End: 1930 hrs 12/05/2024",
    "commencing at 1800 hrs 12/05/2024 and ending at 1930 hrs 12/05/2024",
    "from 1800 h to 1930 h 12/05/2024",
    "from 12/05/2024 1800 hrs to 12/05/2024 1930 hrs",
    "from 12/05/2024 18:00 to 19:30",
    "from 1800 hrs AEST on 12 May 2024 through to 1930 hrs AEST on 12 May 2024",
    "from 1800 hrs, 12/05/2024, to 1930 hrs, 12/05/2024",
    "from 1800 hours 12 May to 1930 hours 12 May",
    "from 1800 to 1930 hrs today",
    "from 1800 to 1930 hrs on Sunday",
)


@pytest.mark.parametrize("text", SPANNED)
def test_a_span_is_one_whichever_words_open_and_close_it(text: str) -> None:
    (alert,) = alerts("aemo", notice(f"AEMO declares a Forecast LOR1 condition in the NSW region {text}."))
    assert (alert.starts_at, alert.ends_at) == (utc("08:00"), utc("09:30"))


@pytest.mark.parametrize(
    ("text", "day"),
    [("tomorrow", "2024-05-13"), ("on Tuesday", "2024-05-14"), ("on 3 June", "2024-06-03"), ("13th May", "2024-05-13")],
)
def test_a_day_without_its_year_or_date_is_the_next_one_after_the_notice(text: str, day: str) -> None:
    (alert,) = alerts("aemo", notice(f"Forecast LOR1 in the NSW region from 1800 hrs to 1930 hrs {text}."))
    assert (alert.starts_at, alert.ends_at) == (utc(f"{day}T08:00"), utc(f"{day}T09:30"))


@pytest.mark.parametrize("text", ["from 1400 to 1500 MW", "between 2024 and 2025", "up from 400 to 500 MW"])
def test_a_number_that_nobody_calls_a_time_is_none(text: str) -> None:
    (alert,) = alerts("aemo", notice(f"Actual LOR1 in the NSW region, demand {text}."))
    assert (alert.starts_at, alert.ends_at) == (utc("00:03:48"), None)


@pytest.mark.parametrize("wrong", ["1800 hrs 31/02/2024", "2560 hrs 12/05/2024", "13:00 pm 12/05/2024"])
def test_a_time_that_is_none_is_named(wrong: str) -> None:
    with pytest.raises(Malformed, match=r"notice 5, window 1: expected a (?:day|time of day)"):
        alerts("aemo", notice(f"Forecast LOR1 in the NSW region from {wrong} to 1930 hrs 12/05/2024"))


OVER = (
    "is cancelled at 1700 hrs",
    "has been cancelled",
    "has been withdrawn",
    "is no longer applicable",
    "no longer applies",
    "has ceased",
    "has now ended",
    "has been lifted",
    "was rescinded",
)
NOT_OVER = (
    "This notice will be cancelled if sufficient response is forthcoming.",
    "AEMO may cancel this condition when reserves recover.",
    "The planned outage of the Bannaby line was cancelled.",
    "The direction to restore the line has not been cancelled.",
)


@pytest.mark.parametrize("words", OVER)
def test_a_condition_that_is_called_off_is_over(words: str) -> None:
    text = (
        f"The forecast LOR2 condition in the NSW region\nadvised in AEMO Electricity Market Notice No. 117999 {words}."
    )
    (alert,) = alerts("aemo", notice(text))
    assert (alert.level, alert.ends_at, alert.supersedes) == (0, alert.issued_at, "aemo-117999")


@pytest.mark.parametrize("words", NOT_OVER)
def test_what_may_be_called_off_or_was_something_else_is_not_over(words: str) -> None:
    (alert,) = alerts("aemo", notice(f"Forecast LOR2 in the NSW region {FIRST}. {words}"))
    assert (alert.level, alert.ends_at) == (2, utc("09:30"))


@pytest.mark.parametrize(
    ("text", "level", "action"),
    [
        ("AEMO has directed 200 MW of load shedding in the NSW region from 1805 hrs.", 3, "SHED"),
        ("Load shedding in the NSW region has commenced at 1805 hrs.", 3, "SHED"),
        ("AEMO has given permission to restore all load in the NSW region from 1905 hrs.", 0, "INFORM"),
        ("A transmission line tripped in the NSW region at 1805 hrs.", 2, "PREPARE"),
    ],
)
def test_load_that_is_shed_is_told_as_such(text: str, level: int, action: str) -> None:
    (alert,) = alerts("aemo", notice(text, kind="POWER SYSTEM EVENTS"))
    assert (alert.kind, alert.level, alert.action) == ("GRID_EMERGENCY", level, action)


@pytest.mark.parametrize(
    ("text", "reviewed"),
    [
        ("for trading interval 12-May-2024 10:35.", 1),
        ("for the trading interval ending 12/05/2024 10:35 are subject to review", 1),
        ("for trading intervals 12-May-2024 10:35, 12-May-2024 10:45 and 10:50", 3),
        ("for trading intervals 12-May-2024 10:35 to 12-May-2024 10:50.", 4),
        ("for trading intervals 12/05/2024 10:35 to 10:45", 3),
        ("for trading interval 12-May-2024 11:35.", 0),
        ("Prices for interval 12-May-2024 10:35 are subject to review", 1),
        ("for dispatch interval 10:35 on 12 May 2024", 1),
        ("for the trading interval ending 1035 hrs on 12 May 2024", 1),
        ("for the interval 12/05/2024 10:35:00", 1),
        ("for DI ending 12 May 2024, 10:35", 1),
        ("for trading interval ending 12-May-2024 10.35", 1),
        ("for trading intervals 1035 hrs to 1045 hrs on 12 May 2024", 3),
    ],
)
def test_prices_of_every_interval_that_is_under_review_are_preliminary(text: str, reviewed: int) -> None:
    rows = [aemo_row(SETTLEMENTDATE=f"2024-05-12T10:{minute}:00") for minute in (35, 40, 45, 50)]
    review, stand = (aemo_notice(n, f"PRICES {kind}", text) for n, kind in ((8, "SUBJECT TO REVIEW"), (9, "UNCHANGED")))
    found = prices("aemo", aemo_summary(rows, [review]))
    assert sum(record.status == "PRELIMINARY" for record in found) == reviewed
    found = prices("aemo", aemo_summary(rows, [review, stand]))
    assert {record.status for record in found} == {"FINAL"}


def test_a_review_that_does_not_say_of_what_is_of_all_prices_about_its_time() -> None:
    rows = [aemo_row(SETTLEMENTDATE=f"2024-05-12T{time}:00") for time in ("08:55", "09:00", "10:35", "11:05", "11:10")]
    found = prices("aemo", aemo_summary(rows, [aemo_notice(8, "PRICES SUBJECT TO REVIEW", "some of today's prices")]))
    assert [record.status for record in found] == ["FINAL", "PRELIMINARY", "PRELIMINARY", "PRELIMINARY", "FINAL"]


@pytest.mark.parametrize(
    ("changes", "status", "flags"),
    [
        ({"SETTLEMENTDATE": "2024/05/12 10:35:00"}, "FINAL", []),
        ({"PRICE": None, "RRP": 20.5}, "FINAL", []),
        ({"PRICE_STATUS": "Firm"}, "FINAL", []),
        ({"APCFLAG": "0", "MARKETSUSPENDEDFLAG": "0.0"}, "FINAL", []),
        ({"APCFLAG": "1", "MARKETSUSPENDEDFLAG": ""}, "FINAL", ["capped"]),
    ],
)
def test_a_row_is_read_in_either_of_its_spellings(changes: dict[str, object], status: str, flags: list[str]) -> None:
    (record,) = prices("aemo", aemo_summary([aemo_row(**changes)]))
    assert (record.starts_at, record.prices_per_mwh, record.status) == (utc("00:30"), [aemo_row()["PRICE"]], status)
    assert record.flags == flags
