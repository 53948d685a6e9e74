"""Why the gateway ends a connection: the one table in which each close code is chosen.

What a client then does is in `gridsignal_schemas.frames.closing`.
"""

from __future__ import annotations

from dataclasses import dataclass

from gridsignal_schemas.frames import CloseCode, Error

_REASON = 120
"""Characters of a reason that is not ours to choose: a close frame has room for few."""


@dataclass(frozen=True, slots=True)
class Close:
    """The end, with a code of the protocol."""

    code: CloseCode
    reason: str


LISTENS_NO_MORE = Close(CloseCode.NORMAL, "the client sends nothing more")
GOING_AWAY = Close(CloseCode.GOING_AWAY, "the server goes away")
DRAIN = Close(CloseCode.DRAIN, "drain")

SLOW_CONSUMER = Close(CloseCode.SLOW_CONSUMER, "slow consumer")
STALLED = Close(CloseCode.SLOW_CONSUMER, "nothing was taken for too long")
TOO_MUCH_UNSENT = Close(CloseCode.SLOW_CONSUMER, "too much is unsent to this organisation")
NO_PONG = Close(CloseCode.NO_PONG, "no sign of life")

TOKEN_EXPIRED = Close(CloseCode.TOKEN_EXPIRED, "token expired")
ENTITLEMENTS_CHANGED = Close(CloseCode.ENTITLEMENTS_CHANGED, "entitlements changed")
SCOPES_CHANGED = Close(CloseCode.ENTITLEMENTS_CHANGED, "scopes changed")
TOKEN_REVOKED = Close(CloseCode.UNAUTHORIZED, "token revoked")

NOT_UTF8 = Close(CloseCode.NOT_UTF8, "expected UTF-8")
TOO_MANY_PARTS = Close(CloseCode.TOO_BIG, "too many fragments")
FAULT_OF_OURS = Close(CloseCode.INTERNAL_ERROR, "internal error")

NO_HELLO = Close(CloseCode.HELLO_TIMEOUT, "no hello in time")
TOO_EARLY = Close(CloseCode.RATE_LIMITED, "too many frames before the hello")
FLOOD = Close(CloseCode.RATE_LIMITED, "too many frames")
TOO_MANY_CONNECTIONS = Close(CloseCode.RATE_LIMITED, "too many connections of this organisation")
FULL = Close(CloseCode.OVERLOADED, "full")
REPLACED = Close(CloseCode.REPLACED, "a newer session of the same instance")


def malformed(strikes: int) -> Close:
    """So many frames were none."""
    return Close(CloseCode.PROTOCOL_ERROR, f"{strikes} malformed frames")


def unauthorized(detail: str) -> Close:
    """The hello's token lets nobody in, or there is none."""
    return Close(CloseCode.UNAUTHORIZED, detail)


def no_site_of_yours(site: str) -> Close:
    """The hello names a site for which this token can't speak."""
    return Close(CloseCode.FORBIDDEN, f"{site} is no site of yours")


def not_subscribed(error: Error) -> Close:
    """The one subscription of a wire on which no other can be asked for was refused."""
    return Close(CloseCode.OVERLOADED, error.message[:_REASON])
