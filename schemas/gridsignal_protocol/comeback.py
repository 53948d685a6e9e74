"""When to come back after a connection ended, and whether: the close codes' table, made into a plan.

The waiting times are exponential with full jitter (Brooker, "Exponential Backoff And Jitter"): any moment between now
and a bound that doubles. A random number in [0, 1) is an argument, so that the same draw gives the same plan.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from gridsignal_schemas.frames import CloseCode, comeback

_FRONT_S = 5.0  # what answers in the gateway's place is there itself, and the gateway soon will be
_NO_TOKEN, TOO_LARGE = 401, 431
_LONGEST_RETRY_AFTER_S = 3600.0  # a server that asks for more is answered within the hour anyway
_GROWN_UP_S = 10.0  # a connection that lived this long was good: the next failure is a first one again


class Fault(enum.Enum):
    """Whose fault an end is that waiting does not mend."""

    ENDED = "the gateway ended the session"
    UNAUTHORIZED = "the token's"
    FORBIDDEN = "the registry's: the token is good and may not do this"
    REPLACED = "another program of the same participant and instance took over"
    PROTOCOL = "one side's software"
    ELSEWHERE = "the url's: there is no gateway"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a connection ended or never came to be, where the reason is more than nobody answering."""

    fault: Fault
    text: str
    """For people."""


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
class Plan:
    """What comes next after a connection ended, or never came to be."""

    delay_s: float = 0.0
    resume: bool = True
    """Whether subscriptions go on from their cursors; else they begin afresh."""
    needs_token: bool = False
    """Get another token first."""
    verdict: Verdict | None = None
    """What the user is told, if this is the last word."""
    final: bool = False
    """Stay away: this is the last word."""


def after_close(code: int, reason: str, attempt: int, draw: float, backoff: Backoff) -> Plan:
    """What the close code asks for. `attempt` counts the connections that ended young, one after the other."""
    row = comeback(code)
    if not row.reconnect:
        return Plan(verdict=_last_word(code, reason or row.meaning), final=True)
    delay_s = backoff.delay_s(attempt, draw)
    if row.delay_s is not None:
        shortest_s, longest_s = row.delay_s
        table_s = shortest_s + (longest_s - shortest_s) * draw
        delay_s = max(table_s, delay_s if attempt else 0.0)
    return Plan(delay_s, resume=row.resume, needs_token=row.needs_token)


def after_status(
    status: int, retry_after: str | None, attempt: int, draw: float, backoff: Backoff, *, marked: bool, welcomed: bool
) -> Plan:
    """What an HTTP answer other than 101 asks for; `retry_after` is the header's text.

    It is the last word only where it surely is the gateway's (`marked`) and nobody was ever `welcomed` there: anything
    in front of a gateway answers what it likes while the gateway is rolled out.
    """
    delay_s = backoff.delay_s(attempt, draw)
    if not marked:
        delay_s = min(delay_s, _FRONT_S * draw)
    if retry_after is not None and retry_after.isascii() and retry_after.isdigit():
        delay_s += min(float(retry_after), _LONGEST_RETRY_AFTER_S)
    verdict = _meaning(status, marked=marked)
    final = verdict is not None and not welcomed and (marked or status == TOO_LARGE)
    if status == _NO_TOKEN:
        return Plan(delay_s, needs_token=True, verdict=verdict, final=marked)
    return Plan(delay_s, needs_token=status == TOO_LARGE, verdict=verdict, final=final)


class Returning:
    """All attempts of one client to have a connection: how often it failed, and what follows from each end.

    `has_tokens`: whether there can be another token than the first.
    """

    def __init__(self, backoff: Backoff, *, has_tokens: bool) -> None:
        self.welcomed = False
        """Whether a gateway has ever welcomed it: from then on almost nothing is the last word."""
        self._backoff, self._has_tokens = backoff, has_tokens
        self._attempt = 0
        self._open_since_s: float | None = None
        self._before = Plan()

    def opened(self, now_s: float) -> None:
        """A connection was welcomed, perhaps while the one before still counts; `now_s` is of a steady clock."""
        self._grow(now_s)
        self.welcomed, self._open_since_s, self._before = True, now_s, Plan()

    def closed(self, code: int, reason: str, now_s: float, draw: float) -> Plan:
        """The connection that counted ended, with a close code."""
        self._grow(now_s)
        self._open_since_s = None
        return self.turned_away(code, reason, draw)

    def turned_away(self, code: int, reason: str, draw: float) -> Plan:
        """A connection was closed before its welcome."""
        return self._next(after_close(code, reason, self._attempt, draw, self._backoff))

    def answered(self, status: int, retry_after: str | None, draw: float, *, marked: bool) -> Plan:
        """The upgrade was answered with another status than 101."""
        plan = after_status(
            status, retry_after, self._attempt, draw, self._backoff, marked=marked, welcomed=self.welcomed
        )
        return self._next(plan if self._has_tokens else replace(plan, needs_token=False))

    def failed(self, draw: float) -> Plan:
        """No time heals it, unless it is the fault of something in front of a gateway that once was there."""
        return self._next(Plan(self._backoff.delay_s(self._attempt, draw), final=not self.welcomed))

    def tokenless(self, draw: float) -> Plan:
        """There was no token to come with: it is asked for again."""
        return self._next(Plan(self._backoff.delay_s(self._attempt, draw), needs_token=True))

    def _grow(self, now_s: float) -> None:
        if self._open_since_s is not None and now_s - self._open_since_s >= _GROWN_UP_S:
            self._attempt = 0

    def _next(self, plan: Plan) -> Plan:
        # a token that was refused is the last word once another one was tried; after a first welcome, never
        if plan.final and plan.needs_token and (self.welcomed or not self._before.needs_token):
            plan = replace(plan, final=False)
        self._attempt += 1
        self._before = plan
        return plan


def _meaning(status: int, *, marked: bool) -> Verdict | None:
    match status:
        case 401:
            return Verdict(Fault.UNAUTHORIZED, "the gateway does not take the token (HTTP 401)")
        case 403:
            return Verdict(Fault.FORBIDDEN, "the gateway forbids this token or origin (HTTP 403)")
        case 400 | 426 if marked:
            return Verdict(Fault.PROTOCOL, f"the gateway speaks no gridsignal.v1 (HTTP {status})")
        case 400 | 404 | 405 | 410 | 426:
            return Verdict(Fault.ELSEWHERE, f"no gateway at this url (HTTP {status})")
        case 431:
            message = "the token is too large for the gateway, or for something in front of it (HTTP 431)"
            return Verdict(Fault.UNAUTHORIZED, message)
        case 301 | 302 | 303 | 307 | 308:
            message = f"the url leads elsewhere (HTTP {status}), and the token is not sent there"
            return Verdict(Fault.ELSEWHERE, message)
    return None


def _last_word(code: int, meaning: str) -> Verdict:
    match code:
        case CloseCode.NORMAL:
            return Verdict(Fault.ENDED, "the gateway ended the session")
        case CloseCode.UNAUTHORIZED:
            return Verdict(Fault.UNAUTHORIZED, f"the gateway does not take the token ({code}: {meaning})")
        case CloseCode.FORBIDDEN:
            return Verdict(Fault.FORBIDDEN, f"the gateway forbids this ({code}: {meaning})")
        case CloseCode.REPLACED:
            message = f"a newer session of this participant and instance took over ({code}: {meaning})"
            return Verdict(Fault.REPLACED, message)
    return Verdict(Fault.PROTOCOL, f"the connection was closed for good ({code}: {meaning})")
