"""When to come back after a connection ended, and whether: the close codes' table, made into a plan.

The waiting times are exponential with full jitter (Brooker, "Exponential Backoff And Jitter"): any moment between now
and a bound that doubles. A random number in [0, 1) is an argument, so that the same draw gives the same plan.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gridsignal.errors import (
    ConnectionFailed,
    GridsignalError,
    NotEntitled,
    ProtocolViolation,
    Replaced,
    Unauthorized,
    UsageError,
)
from gridsignal_schemas.frames import CloseCode, comeback

_RETRY_AFTER = re.compile(r"retry_after_ms=(\d{1,9})")
_FRONT_S = 5.0  # what answers in the gateway's place is there itself, and the gateway soon will be
_NO_TOKEN, TOO_LARGE = 401, 431
_LONGEST_RETRY_AFTER_S = 3600.0  # a server that asks for more is answered within the hour anyway


@dataclass(frozen=True, slots=True)
class Backoff:
    """The bounds of the wait: attempt 0 waits up to `first_s`, each further one twice that, up to `longest_s`."""

    first_s: float = 0.5
    longest_s: float = 30.0

    def delay_s(self, attempt: int, draw: float) -> float:
        """Full jitter: `draw` in [0, 1) picks a moment below the attempt's bound."""
        bound_s = min(self.longest_s, self.first_s * 2.0 ** min(attempt, 32))
        return bound_s * draw


@dataclass(frozen=True, slots=True)
class Comeback:
    """The plan after a connection ended, or never came to be."""

    delay_s: float
    resume: bool = True
    needs_token: bool = False
    failure: GridsignalError | None = None
    """What the user is told, if this is the last word."""
    final: bool = False
    """Stay away: this is the last word."""


def after_close(code: int, reason: str, attempt: int, draw: float, backoff: Backoff) -> Comeback:
    """What the close code asks for. `attempt` counts the connections that ended young, one after the other."""
    row = comeback(code)
    if not row.reconnect:
        return Comeback(0.0, failure=_final(code, reason or row.meaning), final=True)
    delay_s = backoff.delay_s(attempt, draw)
    if row.delay_s is not None:
        shortest_s, longest_s = row.delay_s
        table_s = shortest_s + (longest_s - shortest_s) * draw
        delay_s = max(table_s, delay_s if attempt else 0.0)
    if asked := _RETRY_AFTER.search(reason):
        delay_s += min(int(asked[1]) / 1000, _LONGEST_RETRY_AFTER_S)
    return Comeback(delay_s, resume=row.resume, needs_token=row.needs_token)


def after_status(
    status: int, retry_after: str | None, attempt: int, draw: float, backoff: Backoff, *, marked: bool, welcomed: bool
) -> Comeback:
    """What an HTTP answer other than 101 asks for; `retry_after` is the header's text.

    It is the last word only where it surely is the gateway's (`marked`) and nobody was ever `welcomed` there: anything
    in front of a gateway answers what it likes while the gateway is rolled out.
    """
    delay_s = backoff.delay_s(attempt, draw)
    if not marked:
        delay_s = min(delay_s, _FRONT_S * draw)
    if retry_after is not None and retry_after.isascii() and retry_after.isdigit():
        delay_s += min(float(retry_after), _LONGEST_RETRY_AFTER_S)
    failure = _meaning(status)
    final = failure is not None and not welcomed and (marked or status == TOO_LARGE)
    if status == _NO_TOKEN:
        return Comeback(delay_s, needs_token=True, failure=failure, final=marked)
    return Comeback(delay_s, needs_token=status == TOO_LARGE, failure=failure, final=final)


def _meaning(status: int) -> GridsignalError | None:
    match status:
        case 401:
            return Unauthorized("the gateway does not take the token (HTTP 401)")
        case 403:
            return NotEntitled("the gateway forbids this token or origin (HTTP 403)")
        case 400 | 426:
            return ProtocolViolation(f"the gateway speaks no gridsignal.v1 (HTTP {status})")
        case 404 | 405 | 410:
            return UsageError(f"no gateway at this url (HTTP {status})")
        case 431:
            return Unauthorized("the token is too large for the gateway, or for something in front of it (HTTP 431)")
        case 301 | 302 | 303 | 307 | 308:
            return UsageError(f"the url leads elsewhere (HTTP {status}), and the token is not sent there")
    return None


def _final(code: int, meaning: str) -> ConnectionFailed:
    match code:
        case CloseCode.NORMAL:
            return ConnectionFailed("the gateway ended the session")
        case CloseCode.UNAUTHORIZED:
            return Unauthorized(f"the gateway does not take the token ({code}: {meaning})")
        case CloseCode.FORBIDDEN:
            return NotEntitled(f"the gateway forbids this ({code}: {meaning})")
        case CloseCode.REPLACED:
            return Replaced(f"a newer session of this participant and instance took over ({code}: {meaning})")
    return ProtocolViolation(f"the connection was closed for good ({code}: {meaning})")
