"""The frames that clients send."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from gridsignal_schemas.frames.frame import Cursor, Filter, Frame, Mode, RequestId, Signature
from gridsignal_schemas.values import Identifier


class Hello(Frame):
    t: Literal["hello"] = "hello"
    id: RequestId
    client: Annotated[str, Field(min_length=1, max_length=128)]
    """Name and version of the client's software."""
    instance: Identifier | None = None
    """Names this program among those of the participant; a newer session of the same name replaces the older."""
    site: Identifier | None = None
    """The site this connection speaks for; needed to offer, respond and report."""
    token: Annotated[Annotated[str, Field(max_length=16_384)] | None, Field(repr=False)] = None
    """The bearer token, where the upgrade could not carry it (browsers)."""


class Subscribe(Frame):
    t: Literal["subscribe"] = "subscribe"
    id: RequestId
    stream: Annotated[str, Field(max_length=64)]
    filter: Filter = Filter()
    mode: Mode = "every"
    snapshot: bool = False
    """Send the current state first."""
    cursor: Cursor | None = None
    """Resume after this position."""


class Unsubscribe(Frame):
    t: Literal["unsubscribe"] = "unsubscribe"
    id: RequestId
    sub: Annotated[str, Field(max_length=64)]


class Offer(Frame):
    t: Literal["offer"] = "offer"
    id: RequestId
    offer_id: Identifier
    body: dict[str, JsonValue]
    """A FlexOffer; zone, participant, site and offer_id may be left out and are then the session's."""
    signature: Signature | None = None


class Withdraw(Frame):
    t: Literal["withdraw"] = "withdraw"
    id: RequestId
    offer_id: Identifier
    body: dict[str, JsonValue] = {}
    """An OfferWithdrawal; as with offers, what the session knows may be left out."""
    signature: Signature | None = None


class Respond(Frame):
    t: Literal["respond"] = "respond"
    id: RequestId
    response_id: Identifier
    body: dict[str, JsonValue]
    """An OrderResponse."""
    signature: Signature | None = None


class Baseline(Frame):
    t: Literal["baseline"] = "baseline"
    id: RequestId
    body: dict[str, JsonValue]
    """A BaselineDeclaration."""
    signature: Signature | None = None


class Reading(Frame):
    t: Literal["reading"] = "reading"
    id: RequestId
    body: dict[str, JsonValue]
    """A MeterReading."""
    signature: Signature | None = None


class Dispute(Frame):
    t: Literal["dispute"] = "dispute"
    id: RequestId
    body: dict[str, JsonValue]
    """A SettlementDispute."""
    signature: Signature | None = None


class Acknowledge(Frame):
    t: Literal["acknowledge"] = "acknowledge"
    id: RequestId
    body: dict[str, JsonValue]
    """An AlertAck."""
    signature: Signature | None = None


class Query(Frame):
    t: Literal["query"] = "query"
    id: RequestId
    offer_ids: Annotated[list[Identifier], Field(max_length=256)] = []
    order_ids: Annotated[list[Identifier], Field(max_length=256)] = []
    response_ids: Annotated[list[Identifier], Field(max_length=256)] = []
    live: bool = False
    """Also every offer and order of the session's site, or without one of all your sites, that is not over."""


class Token(Frame):
    t: Literal["token"] = "token"
    id: RequestId
    token: Annotated[str, Field(min_length=1, max_length=16_384, repr=False)]


Write = Offer | Withdraw | Respond | Baseline | Reading | Dispute | Acknowledge
"""What carries a record in its body, as records.toml says which."""
ClientFrame = Hello | Subscribe | Unsubscribe | Write | Query | Token
"""Whatever a client sends."""
