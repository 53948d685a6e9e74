"""What is due when: publication windows, back-off, what a feed asked for, whole market days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_services.ingest.schedule import (
    DAY_AHEAD,
    LONGEST_BACK_OFF_S,
    Cadence,
    PastRuns,
    back_off_s,
    cut,
    day_starts_at,
    is_deep,
    is_stale,
    next_due,
    window,
)

HALF_HOURLY = Cadence(period_s=1800, after_s=120)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_feed_never_asked_is_due_within_two_seconds() -> None:
    now = at("2024-05-11T09:00")
    assert next_due(DAY_AHEAD, PastRuns(), now, 0.0) == now
    assert next_due(DAY_AHEAD, PastRuns(), now, 0.99) < now + timedelta(seconds=2)


def test_a_half_hourly_feed_is_read_two_minutes_after_each_half_hour() -> None:
    past = PastRuns(last_attempt_at=at("2024-05-11T09:02:30"))
    assert next_due(HALF_HOURLY, past, at("2024-05-11T09:03"), 0.0) == at("2024-05-11T09:32")


def test_around_publication_a_day_ahead_feed_is_read_every_few_minutes_until_tomorrow_is_here() -> None:
    asked = at("2024-05-11T10:45")  # 12:45 market time
    waiting = next_due(DAY_AHEAD, PastRuns(last_attempt_at=asked), asked, 0.5)
    assert waiting - asked == timedelta(seconds=180)
    complete = next_due(DAY_AHEAD, PastRuns(last_attempt_at=asked, complete=True), asked, 0.0)
    assert complete == at("2024-05-11T11:00")


def test_the_window_opens_in_market_time_in_summer_and_in_winter() -> None:
    summer, winter = at("2024-07-01T10:05"), at("2024-12-12T11:05")
    assert next_due(DAY_AHEAD, PastRuns(last_attempt_at=summer), summer, 0.0) == at("2024-07-01T10:40")
    assert next_due(DAY_AHEAD, PastRuns(last_attempt_at=winter), winter, 0.0) == at("2024-12-12T11:40")


def test_readers_are_spread_by_their_jitter() -> None:
    asked = at("2024-05-11T10:05")
    dues = {next_due(DAY_AHEAD, PastRuns(last_attempt_at=asked), asked, j / 10) for j in range(10)}
    assert len(dues) == 10
    assert max(dues) - min(dues) > timedelta(minutes=2)


def test_an_outage_backs_off_and_not_yet_does_not() -> None:
    asked = at("2024-05-11T10:45")
    assert next_due(DAY_AHEAD, PastRuns(asked, failures=1), asked, 1.0) == asked + timedelta(seconds=15)
    assert next_due(DAY_AHEAD, PastRuns(asked, failures=5), asked, 1.0) == asked + timedelta(seconds=240)
    assert back_off_s(1000, 1.0) == LONGEST_BACK_OFF_S


def test_what_the_feed_asked_for_is_respected_even_where_we_would_be_due() -> None:
    asked = at("2024-05-11T10:45")
    banned = PastRuns(asked, failures=1, not_before=at("2024-05-11T10:55"))
    assert next_due(DAY_AHEAD, banned, asked, 0.0) == at("2024-05-11T10:55")


@given(
    st.integers(0, 20),
    st.floats(0, 1, exclude_max=True),
    st.integers(0, 86_400),
    st.sampled_from([DAY_AHEAD, HALF_HOURLY]),
    st.booleans(),
)
def test_due_is_never_in_the_past_and_never_more_than_a_period_away(
    failures: int, jitter: float, after_s: int, cadence: Cadence, complete: bool
) -> None:
    asked = at("2024-03-31T00:00") + timedelta(seconds=after_s)
    due = next_due(cadence, PastRuns(asked, failures=failures, complete=complete), asked, jitter)
    assert asked <= due <= asked + timedelta(seconds=max(cadence.period_s * 1.1, LONGEST_BACK_OFF_S))


@pytest.mark.parametrize(("day", "hours"), [("2024-03-31", 23), ("2024-10-27", 25), ("2024-05-12", 24)])
def test_a_market_day_has_its_own_length(day: str, hours: int) -> None:
    first = date.fromisoformat(day)
    assert day_starts_at(first + timedelta(days=1)) - day_starts_at(first) == timedelta(hours=hours)


def test_the_window_is_whole_market_days_and_reaches_back_three_once_a_day() -> None:
    now = at("2024-05-12T09:00")
    assert window(DAY_AHEAD, now, deep=False) == (at("2024-05-10T22:00"), at("2024-05-13T22:00"))
    assert window(DAY_AHEAD, now, deep=True)[0] == at("2024-05-08T22:00")
    assert is_deep(None, now)
    assert is_deep(date(2024, 5, 11), now)
    assert not is_deep(date(2024, 5, 12), now)


def test_a_long_window_is_cut_and_new_year_too_where_the_feed_loses_it() -> None:
    start, end = at("2024-12-30T00:00"), at("2025-01-02T00:00")
    assert cut(start, end, 13) == [(start, end)]
    assert cut(start, end, 13, at_new_year=True) == [(start, at("2025-01-01T00:00")), (at("2025-01-01T00:00"), end)]
    assert len(cut(start, start + timedelta(days=30), 13)) == 3


def test_a_feed_is_stale_when_it_was_silent_for_longer_than_its_cadence_allows() -> None:
    started = at("2024-05-12T00:00")
    assert not is_stale(HALF_HOURLY, None, started, at("2024-05-12T01:59"))
    assert is_stale(HALF_HOURLY, None, started, at("2024-05-12T02:01"))
    assert not is_stale(HALF_HOURLY, at("2024-05-12T01:30"), started, at("2024-05-12T02:01"))
