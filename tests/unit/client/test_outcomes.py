"""What the protocol's half says of an end is raised as the error that names whose fault it is."""

from __future__ import annotations

import pytest

from gridsignal import errors
from gridsignal.outcomes import error_of, failure_of
from gridsignal_protocol.client.entry import DeadlineOver, Refusal
from gridsignal_protocol.comeback import Backoff, Fault, Verdict, after_close, after_status


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


@pytest.mark.parametrize("was_sent", [False, True])
def test_a_deadline_that_passed_says_whether_it_was_sent(was_sent: bool) -> None:
    late = error_of(DeadlineOver("offer a", was_sent=was_sent))
    assert isinstance(late, errors.DeadlinePassed)
    assert late.sent is was_sent
    assert "offer a: its deadline has passed" in str(late)
