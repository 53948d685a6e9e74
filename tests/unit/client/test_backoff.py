"""When to come back, and whether."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal import errors
from gridsignal.backoff import Backoff, Comeback, after_close, after_status
from gridsignal_schemas.frames import CLOSE_CODES

BACKOFF = Backoff()


@given(attempt=st.integers(0, 10_000), draw=st.floats(0, 1, exclude_max=True))
def test_the_wait_is_anywhere_below_a_bound_that_doubles_up_to_thirty_seconds(attempt: int, draw: float) -> None:
    delay_s = BACKOFF.delay_s(attempt, draw)
    assert 0 <= delay_s < 30.0
    assert delay_s <= 0.5 * 2.0 ** min(attempt, 10)


@pytest.mark.parametrize(("attempt", "bound_s"), [(0, 0.5), (1, 1.0), (5, 16.0), (6, 30.0), (7, 30.0)])
def test_the_bound_doubles(attempt: int, bound_s: float) -> None:
    assert BACKOFF.delay_s(attempt, 0.5) == bound_s / 2


@pytest.mark.parametrize("code", sorted(CLOSE_CODES))
def test_the_table_of_close_codes_is_obeyed(code: int) -> None:
    row, plan = CLOSE_CODES[code], after_close(code, "", 0, 0.5, BACKOFF)
    assert (plan.failure is None) == row.reconnect
    assert plan.needs_token == row.needs_token
    if row.reconnect:
        assert plan.resume == row.resume
    if row.reconnect and row.delay_s is not None:
        assert row.delay_s[0] <= plan.delay_s <= row.delay_s[1]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (1000, errors.ConnectionFailed),
        (4501, errors.Unauthorized),
        (4503, errors.NotEntitled),
        (4509, errors.Replaced),
        (4500, errors.ProtocolViolation),
        (1009, errors.ProtocolViolation),
        (4777, errors.ProtocolViolation),
    ],
)
def test_what_stays_away_says_whose_fault_it_is(code: int, error: type[Exception]) -> None:
    assert type(after_close(code, "why", 0, 0.5, BACKOFF).failure) is error


@pytest.mark.parametrize("code", [1006, 1011, 1012, 4123, 4499, 3000])
def test_unknown_ends_come_back_and_resume(code: int) -> None:
    plan = after_close(code, "", 3, 0.5, BACKOFF)
    assert plan.failure is None
    assert plan.resume
    assert plan.delay_s == 2.0


def test_a_drain_comes_back_at_once_unless_it_repeats_itself() -> None:
    assert after_close(4001, "", 0, 0.5, BACKOFF).delay_s == 0.0
    assert after_close(4001, "", 4, 0.5, BACKOFF).delay_s == 4.0


def test_an_overloaded_gateway_is_given_the_time_it_asks_for() -> None:
    assert after_close(4030, "retry_after_ms=1500", 0, 0.5, BACKOFF).delay_s == 1.75
    assert after_close(4029, "retry_after_ms=99999999", 0, 0.0, BACKOFF).delay_s == 3600.0


def answered(status: int, retry_after: str | None = None, *, marked: bool = False, welcomed: bool = False) -> Comeback:
    return after_status(status, retry_after, 0, 0.5, BACKOFF, marked=marked, welcomed=welcomed)


def test_retry_after_is_honoured_before_an_upgrade() -> None:
    assert answered(503, "7").delay_s == 7.25
    assert answered(503, "soon").delay_s == 0.25
    assert answered(503).failure is None


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, errors.Unauthorized),
        (403, errors.NotEntitled),
        (400, errors.ProtocolViolation),
        (404, errors.UsageError),
        (308, errors.UsageError),
    ],
)
def test_a_refused_upgrade_says_whose_fault_it_is(status: int, error: type[Exception]) -> None:
    plan = answered(status, marked=True)
    assert (type(plan.failure), plan.final) == (error, True)


@given(status=st.integers(200, 599).filter(lambda status: status != 431), marked=st.booleans())
def test_what_may_be_said_by_something_in_front_of_the_gateway_is_never_the_last_word(
    status: int, marked: bool
) -> None:
    assert not answered(status).final
    welcomed = answered(status, marked=marked, welcomed=True)
    assert not welcomed.final or (status == 401 and marked)  # the gateway's own no to a token; `lines` asks for another


def test_a_token_that_is_too_large_is_the_last_word_whoever_says_so_first() -> None:
    assert answered(431).final
    assert not answered(431, welcomed=True).final
