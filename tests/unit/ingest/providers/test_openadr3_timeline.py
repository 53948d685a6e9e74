"""When the intervals of an OpenADR 3.1 event are."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from gridsignal_services.ingest.feed import Ask, Malformed
from gridsignal_services.ingest.providers.openadr3_timeline import after, spans
from tests.builders import utc
from tests.feed_documents import interval, openadr_event

NOW = utc("10:00")
ASK = Ask(zone="DE-LU", signal=None, now=NOW)


def times(event: dict[str, Any], issued_at: datetime | None = None) -> list[tuple[datetime, datetime | None]]:
    return [(span.starts_at, span.ends_at) for span in spans(event, issued_at, ASK)]


def test_an_interval_without_a_start_follows_the_one_before_it_and_overrides_the_length() -> None:
    event = openadr_event(interval("PRICE", 1), interval("PRICE", 2, duration="PT2H"), interval("PRICE", 3))
    assert times(event) == [
        (utc("12:00"), utc("13:00")),
        (utc("13:00"), utc("15:00")),
        (utc("15:00"), utc("16:00")),
    ]


@pytest.mark.parametrize("start", ["0000-00-00", "0001-01-01", "0001-01-01T00:00:00", "0001-01-01T00:00:00Z"])
def test_a_start_of_the_year_0_or_1_is_when_the_event_was_made(start: str) -> None:
    event = openadr_event(interval("SIMPLE", 1, start=start, duration="PT1H"))
    assert times(event, utc("09:00")) == [(utc("09:00"), utc("10:00"))]
    assert times(event) == [(NOW, utc("11:00"))]


def test_a_duration_of_thousands_of_years_is_until_cancelled() -> None:
    assert times(openadr_event(interval("SIMPLE", 1, duration="P9999Y"))) == [(utc("12:00"), None)]
    event = openadr_event(interval("SIMPLE", 1, duration="P9999Y"), interval("SIMPLE", 2))
    assert times(event) == [(utc("12:00"), None)]  # nobody knows when the second one begins
    with pytest.raises(Malformed, match="after one without end"):
        times(openadr_event(interval("SIMPLE", 1, duration="P9999Y"), interval("SIMPLE", 2, start="2024-05-12T15:00Z")))


@pytest.mark.parametrize(
    ("duration", "end"),
    [
        ("PT15M", "12:15"),
        ("PT1H30M", "13:30"),
        ("P1D", "2024-05-13T12:00"),
        ("P1W", "2024-05-19T12:00"),
        ("P1M", "2024-06-12T12:00"),
        ("P1Y2M", "2025-07-12T12:00"),
        ("PT0S", "12:00"),
    ],
)
def test_durations_are_read_by_the_calendar(duration: str, end: str) -> None:
    assert after(utc("12:00"), duration) == utc(end)


@pytest.mark.parametrize("duration", ["", "P", "PT", "1H", "-PT1H", "PT1H1D", "P1.5D"])
def test_what_is_no_duration_is_refused(duration: str) -> None:
    with pytest.raises(Malformed, match="duration"):
        after(NOW, duration)


def test_an_event_s_duration_cuts_its_intervals_or_repeats_them() -> None:
    two = interval("PRICE", 1), interval("PRICE", 2)
    assert times(openadr_event(*two, duration="PT90M"))[-1] == (utc("13:00"), utc("13:30"))
    assert times(openadr_event(*two, duration="PT5H"))[-2:] == [
        (utc("15:00"), utc("16:00")),
        (utc("16:00"), utc("17:00")),
    ]


def test_intervals_that_repeat_for_ever_are_told_for_two_days() -> None:
    day = interval("PRICE", 1, start="2020-01-01T00:00:00Z", duration="PT12H"), interval("PRICE", 2, duration="PT12H")
    found = times(openadr_event(*day, duration="P9999Y"))
    assert (found[0][0], found[-1][1]) == (utc("00:00"), utc("2024-05-14T00:00"))


def test_a_short_interval_that_repeats_for_years_is_refused() -> None:
    with pytest.raises(Malformed, match="at most"):
        times(openadr_event(interval("PRICE", 1, duration="PT1S"), duration="P50Y"))


STARTS = [interval("PRICE", hour, start=f"2024-05-12T{hour}:00:00Z") for hour in (12, 13, 15)]
ALL = [(utc("12:00"), utc("13:00")), (utc("13:00"), utc("15:00")), (utc("15:00"), None)]


@pytest.mark.parametrize("nothing", [{}, {"duration": None}, {"duration": "PT0S"}, {"duration": "P0D"}])
def test_without_a_duration_an_interval_lasts_until_the_next_one_and_the_last_one_until_cancelled(
    nothing: dict[str, Any],
) -> None:
    event = openadr_event(*STARTS, intervalPeriod={"start": "2024-05-12T12:00:00Z", **nothing})
    assert times(event) == ALL
    assert times(event | {"duration": "PT4H"}) == [*ALL[:2], (utc("15:00"), utc("16:00"))]
    assert times(event | {"duration": "PT2H"}) == [ALL[0], (utc("13:00"), utc("14:00"))]


BAD: list[Any] = [
    5,
    interval("PRICE", 1, start="2024-05-12 13:00"),
    interval("PRICE", 1, start="noon"),
    interval("PRICE", 1, duration="1h"),
]


@pytest.mark.parametrize("bad", BAD)
def test_an_interval_that_can_t_be_read_costs_itself_and_those_that_only_follow_it(bad: Any) -> None:
    ask = Ask(zone="DE-LU", signal=None, now=NOW)
    event = openadr_event(interval("PRICE", 1), bad, interval("PRICE", 3), STARTS[2])
    found = [(span.index, span.starts_at) for span in spans(event, None, ask)]
    assert found == [(0, utc("12:00")), (3, utc("15:00"))]
    assert [text.split(":")[0] for text in ask.left_out] == [f"event event-1, interval {n}" for n in (2, 3)]


def test_what_lasts_until_one_that_can_t_be_read_has_no_end_that_is_known() -> None:
    event = openadr_event(STARTS[0], BAD[1], STARTS[2], intervalPeriod={"start": "2024-05-12T12:00:00Z"})
    assert times(event) == [(utc("12:00"), None), (utc("15:00"), None)]


@pytest.mark.parametrize("bad", [{"id": 1}, {"id": 1, "payloads": None}, {"id": 1, "payloads": {}}])
def test_an_interval_without_readable_payloads_still_takes_its_time(bad: dict[str, Any]) -> None:
    ask = Ask(zone="DE-LU", signal=None, now=NOW)
    event = openadr_event(interval("PRICE", 1), bad, interval("PRICE", 3))
    found = [(span.index, span.starts_at) for span in spans(event, None, ask)]
    assert found == [(0, utc("12:00")), (2, utc("14:00"))]
    assert len(ask.left_out) == 1
