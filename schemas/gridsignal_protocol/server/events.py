"""What a session asks of its shell: values, each once, in the order in which they came about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from gridsignal_protocol.server.closing import Close
from gridsignal_protocol.server.subscription import Subscription
from gridsignal_schemas.frames import Hello, Query, Token
from gridsignal_schemas.values import Record


@dataclass(frozen=True, slots=True)
class Introduce:
    """Find out whose token it is and what is theirs: then `welcome` or `turn_away`."""

    hello: Hello


@dataclass(frozen=True, slots=True)
class Renew:
    """Find out whose token it is: then `renewed` or `not_renewed`."""

    frame: Token


@dataclass(frozen=True, slots=True)
class Welcomed:
    """The hello was answered: it speaks for this instance, if any, of which an older session is replaced."""

    instance: str | None


@dataclass(frozen=True, slots=True)
class Renewed:
    """Another token counts, and another time at which it ends."""


@dataclass(frozen=True, slots=True)
class Ping:
    """Ask for a sign of life."""


@dataclass(frozen=True, slots=True)
class Join:
    """A subscription that may be had: it is `named`, then `begun` or `refused`, and `live` once it lacks nothing."""

    subscription: Subscription


@dataclass(frozen=True, slots=True)
class Leave:
    """A subscription that is over."""

    subscription: Subscription


@dataclass(frozen=True, slots=True)
class Publish:
    """A record for the log; then `answer`."""

    id: int
    record: Record
    offer_id: str | None = None
    response_id: str | None = None
    signature: str | None = None
    """Of the record, as the frame has it: nobody has looked at it."""


@dataclass(frozen=True, slots=True)
class Look:
    """A question about what the log holds; then `answer`."""

    query: Query
    site: str | None
    """For which the connection speaks; None: for all of its organisation."""


Event: TypeAlias = Introduce | Renew | Welcomed | Renewed | Ping | Join | Leave | Publish | Look | Close
