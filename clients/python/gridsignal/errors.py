"""What can go wrong between a data center and the grid, whose fault it is, and what to do now.

GridsignalError
├── UsageError                 the calling program's: the call can't mean anything; fix it (also a ValueError)
│   ├── TooLarge               more than one frame holds; send less
│   └── GridClosed             it left `async with connect(...)`; what was entrusted is in the outbox
├── ConnectionFailed           the way to the gateway
│   ├── Unreachable            nobody's or the network's; retriable, the SDK has been trying
│   ├── Untrusted              TLS's: the gateway's certificate, or ours, was not accepted; no time heals it
│   ├── Unauthorized           the token's: missing, expired or not for this gateway; get another
│   ├── NotEntitled            the registry's: the token is good and may not do this; ask the operator of the gateway
│   ├── Replaced               another program of the same participant and instance took over; name this one differently
│   └── ProtocolViolation      one side's software: report it, with both versions
├── OutboxFailed               this machine's: the outbox can't be written or is another program's; nothing was sent
├── DeadlinePassed             too late: the offer was not sent (`sent` False), or sent and never logged (`sent` True)
└── Refused                    the gateway's answer is no: `code`, `details`, and nothing was done
    ├── Invalid                the body breaks the contract; `details` says where
    ├── Conflict               the id or revision names another content; mint a new id or the next revision
    ├── TooEarly               a report on an order before its period; report again when it has begun
    ├── TooLate                a deadline of the grid has passed; a site must not start
    ├── NotPermitted           not this participant's to do, or it does not exist: the two look the same
    └── SubscriptionRefused    the gateway does not serve this stream, filter or mode

`retriable` says whether the same call can succeed later. The SDK retries by itself what is retriable on the way to the
log, and subscriptions: of a Refused that reaches the caller, TooEarly and what `grid.query`, `grid.orders` and
`grid.offers` asked too fast or while the log was away (`rate`, `unavailable`) can succeed later.
"""

from __future__ import annotations

from collections.abc import Sequence

from gridsignal_schemas.codes import CODES
from gridsignal_schemas.frames import Detail


class GridsignalError(Exception):
    """Everything the SDK raises on purpose."""

    retriable = False


class UsageError(GridsignalError, ValueError):
    """The call can't mean anything."""


class TooLarge(UsageError):
    """The frame would be larger than a client may send."""


class ConnectionFailed(GridsignalError):
    """The way to the gateway is closed; the subclass says by whom."""


class Unreachable(ConnectionFailed):
    """No gateway answered in time."""

    retriable = True


class Untrusted(ConnectionFailed):
    """TLS failed: one side does not accept the other's certificate, or the gateway speaks no TLS."""


class Unauthorized(ConnectionFailed):
    """The gateway does not take the token."""


class NotEntitled(ConnectionFailed):
    """The gateway takes the token, and the registry gives it nothing of what was asked."""


class Replaced(ConnectionFailed):
    """A newer session of the same participant and instance took over."""


class ProtocolViolation(ConnectionFailed):
    """One side broke the protocol; trying again would break it again."""


class GridClosed(UsageError):
    """The grid was closed before the call, or while it waited; entrusted messages stay in the outbox."""


class OutboxFailed(GridsignalError):
    """The outbox could not be opened or written; nothing was sent."""


class DeadlinePassed(GridsignalError):
    """The offer's deadline passed before the log had it."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class Refused(GridsignalError):
    """The gateway said no: nothing was done, and unless it is `retriable` asking again would get the same answer."""

    def __init__(
        self, code: str, details: Sequence[Detail] = (), *, what: str = "the message", is_retriable: bool = False
    ) -> None:
        """`is_retriable`: what the gateway said of a code; of those that this version knows the table says it."""
        known = CODES.get(code.upper())
        self.code = code
        self.details = tuple(details)
        self.retriable = is_retriable if known is None else known.retriable
        faults = "; ".join(f"{d.code} at {d.pointer or '/'}: {d.message}" for d in self.details)
        super().__init__(f"{what} was refused: {code}" + (f" ({faults})" if faults else ""))


class Invalid(Refused):
    """The body breaks the contract."""


class Conflict(Refused):
    """The id was used before with another content, or the revision is not the next one."""


class TooEarly(Refused):
    """STARTED, SUSTAINING or COMPLETED before the order's period; the same report is taken once it has begun."""


class TooLate(Refused):
    """A deadline of the grid has passed."""


class NotPermitted(Refused):
    """Not this participant's to do, or it does not exist."""


class SubscriptionRefused(Refused):
    """The gateway does not serve this stream, filter or mode."""


_BY_NAME = {error.__name__: error for error in (Refused, Invalid, Conflict, TooEarly, TooLate, NotPermitted)}
_BY_CODE = {code.wire: _BY_NAME[code.error] for code in CODES.values()}


def refusal(code: str, details: Sequence[Detail], what: str, *, is_retriable: bool = False) -> Refused:
    """The typed error of a refusal's code; codes this version does not know are a plain Refused."""
    return _BY_CODE.get(code, Refused)(code, details, what=what, is_retriable=is_retriable)
