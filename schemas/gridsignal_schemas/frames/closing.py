"""Why connections end, and what a client then does."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class CloseCode(IntEnum):
    """Why a connection ended; 4000-4499 come back, 4500-4999 stay away."""

    NORMAL = 1000
    GOING_AWAY = 1001
    DRAIN = 4001
    SLOW_CONSUMER = 4002
    NO_PONG = 4003
    TOKEN_EXPIRED = 4005
    ENTITLEMENTS_CHANGED = 4006
    HELLO_TIMEOUT = 4008
    RATE_LIMITED = 4029
    OVERLOADED = 4030
    PROTOCOL_ERROR = 4500
    UNAUTHORIZED = 4501
    FORBIDDEN = 4503
    REPLACED = 4509


@dataclass(frozen=True, slots=True)
class Comeback:
    """What a client does after a close."""

    reconnect: bool
    resume: bool
    delay_s: tuple[float, float] | None = None
    """Bounds of the random delay; None: exponential with full jitter."""
    needs_token: bool = False
    meaning: str = ""


CLOSE_CODES: dict[int, Comeback] = {
    1000: Comeback(False, True, meaning="normal end"),
    1001: Comeback(True, True, meaning="the server goes away"),
    4001: Comeback(True, True, delay_s=(0.0, 0.0), meaning="drain: reconnect elsewhere"),
    4002: Comeback(True, True, delay_s=(1.0, 5.0), meaning="slow consumer"),
    4003: Comeback(True, True, meaning="no pong"),
    4005: Comeback(True, True, delay_s=(0.0, 0.0), needs_token=True, meaning="token expired: refresh first"),
    4006: Comeback(True, False, meaning="entitlements changed: subscribe afresh"),
    4008: Comeback(True, False, meaning="no hello in time"),
    4029: Comeback(True, True, meaning="rate limited: after retry_after"),
    4030: Comeback(True, True, meaning="overloaded: after retry_after"),
    4500: Comeback(False, False, meaning="protocol error"),
    4501: Comeback(False, False, meaning="unauthorized"),
    4503: Comeback(False, False, meaning="forbidden"),
    4509: Comeback(False, False, meaning="replaced by a newer session of the same participant and instance"),
    1002: Comeback(False, False, meaning="the peer's library: protocol error"),
    1003: Comeback(False, False, meaning="the peer's library: unsupported data"),
    1007: Comeback(False, False, meaning="the peer's library: not UTF-8"),
    1008: Comeback(False, False, meaning="the peer's library: policy"),
    1009: Comeback(False, False, meaning="the peer's library: message too big"),
    1010: Comeback(False, False, meaning="the peer's library: extension needed"),
}
"""The table clients obey; PROTOCOL.md shows it."""


def comeback(code: int) -> Comeback:
    """What to do after this close code; unknown codes come back up to 4499 and stay away from 4500."""
    known = CLOSE_CODES.get(code)
    if known is not None:
        return known
    if 4500 <= code <= 4999:
        return Comeback(False, False, meaning="a newer protocol's final refusal")
    return Comeback(True, True, meaning="abnormal end")
