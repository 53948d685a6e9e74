"""Why connections end, and what a client then does."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class CloseCode(IntEnum):
    """Why a connection ended; 4000-4499 come back, 4500-4999 stay away. Those below 4000 are WebSocket's own."""

    NORMAL = 1000
    GOING_AWAY = 1001
    BAD_FRAME = 1002
    UNSUPPORTED = 1003
    NOT_UTF8 = 1007
    POLICY = 1008
    TOO_BIG = 1009
    EXTENSION = 1010
    INTERNAL_ERROR = 1011
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


CLOSE_CODES = {
    CloseCode.NORMAL: Comeback(False, True, meaning="normal end"),
    CloseCode.GOING_AWAY: Comeback(True, True, meaning="the server goes away"),
    CloseCode.BAD_FRAME: Comeback(False, False, meaning="the peer's library: protocol error"),
    CloseCode.UNSUPPORTED: Comeback(False, False, meaning="the peer's library: unsupported data"),
    CloseCode.NOT_UTF8: Comeback(False, False, meaning="a text that is not UTF-8"),
    CloseCode.POLICY: Comeback(False, False, meaning="the peer's library: policy"),
    CloseCode.TOO_BIG: Comeback(False, False, meaning="a message that is too large, or in too many parts"),
    CloseCode.EXTENSION: Comeback(False, False, meaning="the peer's library: extension needed"),
    CloseCode.INTERNAL_ERROR: Comeback(True, True, meaning="a fault of the server's own"),
    CloseCode.DRAIN: Comeback(True, True, delay_s=(0.0, 0.0), meaning="drain: reconnect elsewhere"),
    CloseCode.SLOW_CONSUMER: Comeback(True, True, delay_s=(1.0, 5.0), meaning="slow consumer"),
    CloseCode.NO_PONG: Comeback(True, True, meaning="no pong"),
    CloseCode.TOKEN_EXPIRED: Comeback(
        True, True, delay_s=(0.0, 0.0), needs_token=True, meaning="token expired: refresh first"
    ),
    CloseCode.ENTITLEMENTS_CHANGED: Comeback(True, False, meaning="entitlements changed: subscribe afresh"),
    CloseCode.HELLO_TIMEOUT: Comeback(True, False, meaning="no hello in time"),
    CloseCode.RATE_LIMITED: Comeback(True, True, meaning="rate limited"),
    CloseCode.OVERLOADED: Comeback(True, True, meaning="overloaded"),
    CloseCode.PROTOCOL_ERROR: Comeback(False, False, meaning="protocol error"),
    CloseCode.UNAUTHORIZED: Comeback(False, False, meaning="unauthorized"),
    CloseCode.FORBIDDEN: Comeback(False, False, meaning="forbidden"),
    CloseCode.REPLACED: Comeback(
        False, False, meaning="replaced by a newer session of the same participant and instance"
    ),
}
"""The table clients obey; PROTOCOL.md shows it."""


def comeback(code: int) -> Comeback:
    """What to do after this close code; unknown codes come back up to 4499 and stay away from 4500."""
    if code in CLOSE_CODES:
        return CLOSE_CODES[CloseCode(code)]
    if 4500 <= code <= 4999:
        return Comeback(False, False, meaning="a newer protocol's final refusal")
    return Comeback(True, True, meaning="abnormal end")
