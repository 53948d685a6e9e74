"""Notices of AEMO's that are about several regions or windows, of which some are called off and others stand."""

from __future__ import annotations

import pytest

from gridsignal_schemas.messages import GridAlert
from gridsignal_services.ingest.feed import Ask, FeedAnswer, read
from gridsignal_services.ingest.providers import PROVIDERS
from tests.builders import utc
from tests.unit.ingest.asking import NOW
from tests.unit.ingest.providers.test_aemo_notices import FIRST, SECOND, SPANS, notice

TITLE = "Forecast Lack Of Reserve Level 1 (LOR1) in the NSW and QLD Regions on 12/05/2024"
OFF = "advised in AEMO Electricity Market Notice No. 117999 "
OVER = ["is cancelled", "has been withdrawn", "is no longer forecast", "has now ended"]
Told = list[tuple[str, int, str]]


def told(text: str, title: str = "") -> tuple[Told, list[str]]:
    """(zone, level, window) of each alert, the window empty for one that is over; and what was left out."""
    ask = Ask(zone=None, signal=None, now=NOW)
    found = read(PROVIDERS["aemo"], FeedAnswer(notice(text, title)), ask)
    names = {(utc(begin), utc(end)): name for name, (begin, end) in SPANS.items()}
    shown = [
        (alert.zone, alert.level, "" if alert.starts_at == alert.ends_at else names[alert.starts_at, alert.ends_at])
        for alert in found
        if isinstance(alert, GridAlert) and alert.ends_at is not None
    ]
    assert len(shown) == len(found)
    return shown, list(ask.left_out)


@pytest.mark.parametrize(
    "text",
    [
        f"Forecast LOR1 in the NSW region {FIRST} and {SECOND}. In the QLD region reserves are tight.",
        f"In the NSW region {FIRST}. Flows to QLD are limited. In the NSW region {SECOND}.",
        f"NSW region: {FIRST}; {SECOND}. QLD region: to be advised.",
    ],
)
def test_a_region_without_a_window_of_its_own_gets_nobody_s_and_is_named(text: str) -> None:
    found, left_out = told(text, TITLE)
    assert found == [("AU-NSW", 1, FIRST), ("AU-NSW", 1, SECOND)]
    assert left_out == ["notice 5: expected a time beside the name of AU-QLD, got none"]
    found, left_out = told(text.replace(f" and {SECOND}", "").replace(f"; {SECOND}", "").replace(SECOND, "then"), TITLE)
    assert (found, len(left_out)) == ([("AU-NSW", 1, FIRST)], 1)


@pytest.mark.parametrize(
    "text",
    [
        f"The condition is {FIRST}. The requirement is 700 MW in NSW.",
        f"[1.] {FIRST}.\nFlows from QLD are limited.",
        f"Forecast LOR1 in the NSW region, and also in the adjoining QLD region, {FIRST}",
    ],
)
def test_a_window_beside_which_nobody_is_named_is_of_all_that_the_notice_names(text: str) -> None:
    assert told(text, TITLE) == ([("AU-NSW", 1, FIRST), ("AU-QLD", 1, FIRST)], [])


BETWEEN = [". The", " but the", "; the", ", while the", "\n\nThe", " and the"]
JOINED = [
    (over, between) for over in OVER for between in BETWEEN if not (over.endswith("forecast") and "and" in between)
]
"""Who joins these two says of both that they are no longer forecast."""


@pytest.mark.parametrize(("over", "between"), JOINED)
def test_a_region_that_is_called_off_takes_no_other_with_it(over: str, between: str) -> None:
    text = (
        f"The LOR1 condition in the NSW region {OFF}{over}{between} LOR1 condition in the QLD region continues {FIRST}."
    )
    assert told(text, TITLE) == ([("AU-NSW", 0, ""), ("AU-QLD", 1, FIRST)], [])


@pytest.mark.parametrize("over", OVER)
@pytest.mark.parametrize("between", [".\n\n", ".\n \n  ", "\n\n\n", "; "])
@pytest.mark.parametrize(
    "window",
    [
        FIRST,
        "1800 hrs to 1930 hrs 12/05/2024",
        "18:00 hrs until 19:30 hrs AEST on 12/05/2024",
        "12/05/2024 1800 hrs - 1930 hrs",
        "On 12/05/2024 at 6 pm to 7:30 pm",
    ],
)
def test_a_window_with_which_a_part_begins_is_of_that_part(over: str, between: str, window: str) -> None:
    off, on = f"The LOR1 condition in the NSW region {OFF}{over}", "a LOR2 condition is forecast in the QLD region."
    expected = [("AU-NSW", 0, ""), ("AU-QLD", 2, FIRST)]
    assert told(f"{off}{between}{window}: {on}") == (expected, [])


@pytest.mark.parametrize("over", OVER)
@pytest.mark.parametrize(
    "text",
    [
        "The Forecast LOR2 condition in the NSW region {off}{over}. A LOR1 condition remains {window}.",
        "The Forecast LOR2 condition in the NSW region {other} {off}{over}. Forecast LOR1 {window}.",
        "In the NSW region:\n\n[1.] LOR2 {other} {over}.\n\n[2.] LOR1 {window}.",
    ],
)
def test_of_a_condition_that_is_called_off_in_part_the_rest_stands_at_its_own_level(text: str, over: str) -> None:
    text = text.format(off=OFF, over=over, other=FIRST, window=SECOND)
    for title in ("", "Partial cancellation of the Forecast LOR2 in the NSW Region on 12/05/2024"):
        assert told(text, title) == ([("AU-NSW", 1, SECOND)], [])


@pytest.mark.parametrize("over", OVER)
@pytest.mark.parametrize(
    "text",
    [
        "The LOR1 condition in the NSW region {off}{over}. It had been forecast {window}.",
        "The LOR1 condition in the NSW region {window} {off}{over}.",
        "The LOR1 condition in the NSW region {off}{over} for these periods:\n\n[1.] {window}\n[2.] {other}\n\nManager",
    ],
)
def test_what_is_called_off_as_a_whole_is_over_whatever_windows_it_had(text: str, over: str) -> None:
    text = text.format(off=OFF, over=over, other=FIRST, window=SECOND)
    for title in ("", "Cancellation of the Forecast LOR1 in the NSW Region on 12/05/2024"):
        assert told(text, title) == ([("AU-NSW", 0, "")], [])


def test_each_region_replaces_the_notice_that_is_named_beside_it() -> None:
    text = (
        "The LOR1 condition in the NSW region advised in MN 117998 is cancelled. "
        f"The LOR1 condition in the QLD region advised in MN 117999 is now {FIRST}."
    )
    found = read(PROVIDERS["aemo"], FeedAnswer(notice(text, TITLE)), Ask(zone=None, signal=None, now=NOW))
    assert [alert.supersedes for alert in found if isinstance(alert, GridAlert)] == ["aemo-117998", "aemo-117999"]


def test_a_window_that_can_t_be_read_costs_itself() -> None:
    found, left_out = told(f"Forecast LOR1 in the NSW region {FIRST} and from 2560 hrs to 2570 hrs 12/05/2024")
    assert found == [("AU-NSW", 1, FIRST)]
    assert left_out == ["notice 5, window 2: expected a time of day, got 2560"]
