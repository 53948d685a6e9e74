"""When the intervals of an OpenADR 3.1 event are."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from gridsignal_services.ingest.feed import Malformed
from gridsignal_services.ingest.providers.openadr3_timeline import after, spans
from tests.builders import utc
from tests.feed_documents import interval, openadr_event

NOW = utc("10:00")


def times(event: dict[str, Any], issued_at: datetime | None = None) -> list[tuple[datetime, datetime | None]]:
    return [(span.starts_at, span.ends_at) for span in spans(event, issued_at, NOW)]


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
    with pytest.raises(Malformed, match="after one without end"):
        times(openadr_event(interval("SIMPLE", 1, duration="P9999Y"), interval("SIMPLE", 2)))


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
