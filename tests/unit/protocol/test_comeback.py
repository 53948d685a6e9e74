"""When to come back, and whether."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_protocol.comeback import Backoff, Fault, Plan, Returning, after_close, after_status
from gridsignal_schemas.frames import CLOSE_CODES, CloseCode

BACKOFF = Backoff()


@given(attempt=st.integers(0, 10_000), draw=st.floats(0, 1, exclude_max=True))
def test_the_wait_is_anywhere_below_a_bound_that_doubles_up_to_thirty_seconds(attempt: int, draw: float) -> None:
    delay_s = BACKOFF.delay_s(attempt, draw)
    assert 0 <= delay_s < 30.0
    assert delay_s <= 0.5 * 2.0 ** min(attempt, 10)


@pytest.mark.parametrize(("attempt", "bound_s"), [(0, 0.5), (1, 1.0), (5, 16.0), (6, 30.0), (7, 30.0)])
def test_the_bound_doubles(attempt: int, bound_s: float) -> None:
    assert BACKOFF.delay_s(attempt, 0.5) == bound_s / 2


@pytest.mark.parametrize("code", CloseCode)
def test_the_table_of_close_codes_is_obeyed(code: CloseCode) -> None:
    row, plan = CLOSE_CODES[code], after_close(code, "", 0, 0.5, BACKOFF)
    assert (plan.verdict is None) == row.reconnect
    assert plan.needs_token == row.needs_token
    if row.reconnect:
        assert plan.resume == row.resume
    if row.reconnect and row.delay_s is not None:
        assert row.delay_s[0] <= plan.delay_s <= row.delay_s[1]


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (1000, Fault.ENDED),
        (4501, Fault.UNAUTHORIZED),
        (4503, Fault.FORBIDDEN),
        (4509, Fault.REPLACED),
        (4500, Fault.PROTOCOL),
        (1009, Fault.PROTOCOL),
        (4777, Fault.PROTOCOL),
    ],
)
def test_what_stays_away_says_whose_fault_it_is(code: int, fault: Fault) -> None:
    verdict = after_close(code, "why", 0, 0.5, BACKOFF).verdict
    assert verdict is not None
    assert verdict.fault is fault


@pytest.mark.parametrize("code", [1006, 1011, 1012, 4123, 4499, 3000])
def test_unknown_ends_come_back_and_resume(code: int) -> None:
    plan = after_close(code, "", 3, 0.5, BACKOFF)
    assert plan.verdict is None
    assert plan.resume
    assert plan.delay_s == 2.0


def test_a_drain_comes_back_at_once_unless_it_repeats_itself() -> None:
    assert after_close(4001, "", 0, 0.5, BACKOFF).delay_s == 0.0
    assert after_close(4001, "", 4, 0.5, BACKOFF).delay_s == 4.0


def answered(status: int, retry_after: str | None = None, *, marked: bool = False, welcomed: bool = False) -> Plan:
    return after_status(status, retry_after, 0, 0.5, BACKOFF, marked=marked, welcomed=welcomed)


def test_retry_after_is_honoured_before_an_upgrade() -> None:
    assert answered(503, "7").delay_s == 7.25
    assert answered(503, "soon").delay_s == 0.25
    assert answered(503).verdict is None


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (401, Fault.UNAUTHORIZED),
        (403, Fault.FORBIDDEN),
        (400, Fault.PROTOCOL),
        (404, Fault.ELSEWHERE),
        (308, Fault.ELSEWHERE),
    ],
)
def test_a_refused_upgrade_says_whose_fault_it_is(status: int, fault: Fault) -> None:
    plan = answered(status, marked=True)
    assert plan.verdict is not None
    assert (plan.verdict.fault, plan.final) == (fault, True)


@pytest.mark.parametrize("status", [400, 426, 404, 405, 410])
def test_who_answers_without_the_gateways_mark_is_no_gateway(status: int) -> None:
    plan = answered(status)
    assert plan.verdict is not None
    assert plan.verdict.fault is Fault.ELSEWHERE


@given(status=st.integers(200, 599).filter(lambda status: status != 431), marked=st.booleans())
def test_what_may_be_said_by_something_in_front_of_the_gateway_is_never_the_last_word(
    status: int, marked: bool
) -> None:
    assert not answered(status).final
    welcomed = answered(status, marked=marked, welcomed=True)
    assert not welcomed.final or (status == 401 and marked)  # its own no to a token: `Returning` gets another


def test_a_token_that_is_too_large_is_the_last_word_whoever_says_so_first() -> None:
    assert answered(431).final
    assert not answered(431, welcomed=True).final


def a_client(*, has_tokens: bool = True) -> Returning:
    return Returning(BACKOFF, has_tokens=has_tokens)


def test_a_refused_token_is_the_last_word_once_another_was_tried() -> None:
    client = a_client()
    first = client.answered(401, None, 0.5, marked=True)
    assert (first.needs_token, first.final) == (True, False)
    assert client.answered(401, None, 0.5, marked=True).final
    assert a_client(has_tokens=False).answered(401, None, 0.5, marked=True).final


def test_after_a_first_welcome_there_is_always_another_token() -> None:
    client = a_client()
    client.opened(0.0)
    assert not any(client.answered(401, None, 0.5, marked=True).final for _ in range(3))


@pytest.mark.parametrize(("lived_s", "delay_s"), [(9.9, 1.0), (10.0, 0.25)])
def test_a_connection_that_lived_begins_the_waiting_anew(lived_s: float, delay_s: float) -> None:
    client = a_client()
    client.turned_away(1006, "", 0.5)
    client.turned_away(1006, "", 0.5)
    client.opened(100.0)
    assert client.closed(1006, "", 100.0 + lived_s, 0.5).delay_s == delay_s


def test_a_move_to_another_connection_counts_as_a_life_too() -> None:
    client = a_client()
    client.turned_away(1006, "", 0.5)
    client.opened(0.0)
    client.opened(60.0)
    assert client.closed(1006, "", 61.0, 0.5).delay_s == 0.25


def test_what_no_time_heals_is_the_last_word_until_a_first_welcome() -> None:
    client = a_client()
    assert client.failed(0.5).final
    client.opened(0.0)
    assert not client.failed(0.5).final


def test_without_a_token_it_is_asked_for_again() -> None:
    plan = a_client().tokenless(0.5)
    assert (plan.needs_token, plan.final, plan.delay_s) == (True, False, 0.25)
