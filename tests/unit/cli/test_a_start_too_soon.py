"""`request create` names a start that is in time: also for somebody who needs a while to type it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_services.cli.api import Failed, rfc
from gridsignal_services.cli.create import add_arguments, body_of

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
SPANS = st.integers(1, 7_200).map("{}s".format)


def words(*more: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(["--zone", "DE-LU", "--down", "12MW", "--for", "45m", *more])


@given(
    now=st.integers(0, 3_600_000_000).map(lambda past: NOON + timedelta(microseconds=past)),
    typing=st.floats(0, 60).map(lambda seconds: timedelta(seconds=seconds)),
    times=st.tuples(SPANS, SPANS).map(lambda spans: ("--respond", spans[0], "--activation", spans[1])),
    gate_in=st.none() | st.integers(1, 7_200),
)
def test_the_start_that_is_named_is_taken_a_minute_later(
    now: datetime, typing: timedelta, times: Sequence[str], gate_in: int | None
) -> None:
    gate = () if gate_in is None else ("--gate", rfc(now + timedelta(seconds=gate_in)))
    with pytest.raises(Failed) as refused:
        body_of(words("--start", rfc(now), *times, *gate), now)
    named = str(refused.value).partition("start at ")[2].split()[0]
    body = body_of(words("--start", named, *times, *gate), now + typing)
    assert (body["starts_at"], named[-4:]) == (named, ":00Z")


@pytest.mark.parametrize(
    ("start", "more", "named"),
    [
        (timedelta(hours=-2), (), "--start 2026-11-28T10:00:00Z is in the past, it is 2026-11-28T12:00:00Z: "),
        (timedelta(minutes=5), (), "--start 2026-11-28T12:05:00Z is too soon: "),
        (timedelta(hours=2), ("--gate", "2026-11-28T15:00:00Z"), "--gate 2026-11-28T15:00:00Z is too late: "),
        (timedelta(hours=2), ("--decide", "2026-11-28T14:00:00Z"), "--decide 2026-11-28T14:00:00Z is too late: "),
    ],
)
def test_what_is_wrong_is_what_is_named(start: timedelta, more: Sequence[str], named: str) -> None:
    with pytest.raises(Failed) as refused:
        body_of(words("--start", rfc(NOON + start), *more), NOON)
    assert str(refused.value).startswith(named)
