"""What the protocol's half says of an end is raised as the error that names whose fault it is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridsignal import errors
from gridsignal.cli.connection import code_of
from gridsignal.outcomes import error_of, failure_of
from gridsignal_protocol.client.entry import DeadlineOver, Refusal
from gridsignal_protocol.comeback import Backoff, Fault, Verdict, after_close, after_status
from gridsignal_schemas.codes import CODES
from gridsignal_schemas.frames import Detail, Error


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
    assert type(failure_of(after_close(code, "why", 0, 0.5, Backoff()).verdict)) is error


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
    plan = after_status(status, None, 0, 0.5, Backoff(), marked=True, welcomed=False)
    assert type(failure_of(plan.verdict)) is error


def test_every_fault_has_its_error() -> None:
    assert all(isinstance(failure_of(Verdict(fault, "why")), errors.GridsignalError) for fault in Fault)
    assert failure_of(None) is None


def test_a_refusal_is_raised_by_its_code() -> None:
    conflict = error_of(Refusal("conflict", (), "offer a"))
    assert type(conflict) is errors.Conflict
    assert str(conflict) == "offer a was refused: conflict"


@pytest.mark.parametrize(
    ("code", "error"), [("forbidden", errors.NotPermitted), ("unknown_stream", errors.SubscriptionRefused)]
)
def test_a_refused_subscription_says_so(code: str, error: type[Exception]) -> None:
    assert type(error_of(Refusal(code, (), "the subscription to 'x'", is_subscription=True))) is error


WORDS = st.text(max_size=80)


@given(WORDS, WORDS, st.sampled_from(sorted(CODES)), st.booleans())
@settings(max_examples=60)
def test_a_command_ends_as_the_codes_of_an_error_say_whatever_its_words(
    message: str, told: str, name: str, is_subscription: bool
) -> None:
    faults = [Detail(code=name, pointer="/filter/zones/0", message=told)]
    frame = Error(id=1, code="forbidden", message=message, details=faults)
    error = error_of(Refusal.of(frame, "the question", is_subscription=is_subscription))
    assert isinstance(error, errors.NotPermitted)
    assert error.details == tuple(faults)
    assert code_of(error) == (2 if name == "ZONE_UNKNOWN" else 1)


@given(WORDS, st.sampled_from(sorted(CODES)), st.booleans())
@settings(max_examples=60)
def test_what_can_succeed_later_is_told_by_the_table_and_of_a_newer_code_by_the_frame(
    message: str, name: str, is_retriable: bool
) -> None:
    frame = Error(id=1, code=name.lower(), message=message, retriable=is_retriable)
    known = error_of(Refusal.of(frame, "the query"))
    assert (known.retriable, code_of(known)) == ((True, 3) if CODES[name].retriable else (False, 1))
    newer = error_of(Refusal.of(frame.model_copy(update={"code": "of_tomorrow"}), "the query"))
    assert (newer.retriable, code_of(newer)) == ((True, 3) if is_retriable else (False, 1))


@pytest.mark.parametrize("was_sent", [False, True])
def test_a_deadline_that_passed_says_whether_it_was_sent(was_sent: bool) -> None:
    late = error_of(DeadlineOver("offer a", was_sent=was_sent))
    assert isinstance(late, errors.DeadlinePassed)
    assert late.sent is was_sent
    assert "offer a: its deadline has passed" in str(late)
