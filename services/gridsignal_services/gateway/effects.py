"""What a session decides; the shell does it."""

from __future__ import annotations

from dataclasses import dataclass

from gridsignal_protocol.server.subscription import Subscription
from gridsignal_schemas.frames import CloseCode, Frame, Query
from gridsignal_schemas.messages import Record


@dataclass(frozen=True, slots=True)
class Send:
    """A frame to the client, in the control lane."""

    frame: Frame


@dataclass(frozen=True, slots=True)
class Close:
    """The end, with a code of the protocol."""

    code: CloseCode
    reason: str


@dataclass(frozen=True, slots=True)
class Announce:
    """This session now speaks for (organisation, instance): an older one is replaced."""

    organisation: str
    instance: str


@dataclass(frozen=True, slots=True)
class Join:
    """A subscription that may be had."""

    subscription: Subscription


@dataclass(frozen=True, slots=True)
class Leave:
    """A subscription that is over."""

    subscription: Subscription


@dataclass(frozen=True, slots=True)
class Publish:
    """A record for the log; the answer goes to frame `id`."""

    id: int
    record: Record
    offer_id: str | None
    response_id: str | None


@dataclass(frozen=True, slots=True)
class Look:
    """A question about what the log holds."""

    query: Query
    site: str | None
    """For which the connection speaks; None: for all of its organisation."""


Effect = Send | Close | Announce | Join | Leave | Publish | Look
