"""What the protocol's half says of an end, as the errors that a program catches.

A decision: values of `gridsignal_protocol` in, errors out.
"""

from __future__ import annotations

from gridsignal.errors import (
    ConnectionFailed,
    DeadlinePassed,
    GridsignalError,
    NotEntitled,
    NotPermitted,
    ProtocolViolation,
    Replaced,
    SubscriptionRefused,
    Unauthorized,
    UsageError,
    refusal,
)
from gridsignal_protocol.client.entry import DeadlineOver, Refusal
from gridsignal_protocol.comeback import Fault, Verdict

_RAISED: dict[Fault, type[GridsignalError]] = {
    Fault.ENDED: ConnectionFailed,
    Fault.UNAUTHORIZED: Unauthorized,
    Fault.FORBIDDEN: NotEntitled,
    Fault.REPLACED: Replaced,
    Fault.PROTOCOL: ProtocolViolation,
    Fault.ELSEWHERE: UsageError,
}


def error_of(outcome: Refusal | DeadlineOver) -> GridsignalError:
    """What is raised where something was refused for good, or came too late."""
    if isinstance(outcome, DeadlineOver):
        fate = "sent, and the log does not hold it" if outcome.was_sent else "not sent"
        return DeadlinePassed(f"{outcome.what}: its deadline has passed, {fate}", sent=outcome.was_sent)
    if outcome.is_subscription:
        kind = NotPermitted if outcome.code == "forbidden" else SubscriptionRefused
        return kind(outcome.code, outcome.details, what=outcome.what)
    return refusal(outcome.code, outcome.details, outcome.what, is_retriable=outcome.is_retriable)


def failure_of(verdict: Verdict | None) -> GridsignalError | None:
    """What is raised where a connection ended for good; None where nobody is to blame."""
    return None if verdict is None else _RAISED[verdict.fault](verdict.text)
