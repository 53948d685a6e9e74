"""The frames that the gateway sends."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gridsignal_schemas.frames.frame import Frame, Recovery, RequestId
from gridsignal_schemas.messages import GridClock
from gridsignal_schemas.values import Identifier, Timestamp


class Welcome(Frame):
    t: Literal["welcome"] = "welcome"
    id: RequestId
    session: str
    time: Timestamp
    """The gateway's wall clock."""
    ping_s: int
    grid_clock: GridClock | None = None
    """Present where grid time is not wall time: a simulation."""
    max_subscriptions: int
    offer_window: int
    """Unanswered offers, responses and readings a client may have under way."""
    token_expires_at: Timestamp
    participant: str | None = None
    """For whom this connection writes, where the hello named a site: what is signed says so in full."""
    zone: str | None = None
    """Where that site lies."""


class Subscribed(Frame):
    t: Literal["subscribed"] = "subscribed"
    id: RequestId
    sub: str
    recovery: Recovery
    """none: from now on; full: everything since the cursor follows; snapshot: the current state follows."""
    reason: str | None = None
    """Why not full, where a cursor was given: cursor_expired, cursor_unknown, epoch_changed, retention, too_far."""


class Unsubscribed(Frame):
    t: Literal["unsubscribed"] = "unsubscribed"
    id: RequestId
    sub: str


class Signal(Frame):
    t: Literal["signal"] = "signal"
    sub: str
    cursor: str | None = None
    """The position after this signal; absent inside a snapshot."""
    type: str
    body: dict[str, Any]


class Conflated(Frame):
    t: Literal["conflated"] = "conflated"
    sub: str
    skipped: int


class PositionFrame(Frame):
    t: Literal["position"] = "position"
    sub: str
    cursor: str


class Receipt(BaseModel):
    """Proof that the log holds a record: the same for ever, whoever asks."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    offer_id: Identifier | None = None
    revision: int | None = None
    response_id: Identifier | None = None
    sha256: str
    """Of the record's Avro value without framing, in hex."""
    received_at: Timestamp
    """Append time of the first record of this identity (grid time)."""


class Received(Frame):
    t: Literal["received"] = "received"
    id: RequestId
    offer_id: Identifier | None = None
    response_id: Identifier | None = None
    receipt: Receipt
    duplicate: bool = False


class Detail(BaseModel):
    """One thing that is wrong: a code, where, and what was expected and got."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    code: str
    pointer: str = ""
    """A JSON pointer into the body."""
    message: str


class Refused(Frame):
    t: Literal["refused"] = "refused"
    id: RequestId
    offer_id: Identifier | None = None
    response_id: Identifier | None = None
    code: str
    retriable: bool = False
    retry_after_ms: int = 0
    details: list[Detail] = []


class State(BaseModel):
    """Where an offer, order or response stands; `receipt` where the log holds it.

    What `live` asked for comes with more: the record itself, and what was answered.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    state: str
    revision: int
    receipt: Receipt | None = None
    power_w: int | None = None
    """Of an order that was accepted, and of an offer that was awarded: how much."""
    answered: list[str] | None = None
    """Of an order: what its site has answered, each kind once, the first first."""
    body: dict[str, Any] | None = None
    """The FlexOffer, or the DispatchOrder as a snapshot holds it."""
    codes: list[str] | None = None
    """Why the grid decided on an offer as it did, for machines; absent where there is nothing to tell."""
    reason: str | None = None
    """The same for people."""


class States(Frame):
    t: Literal["states"] = "states"
    id: RequestId
    offers: dict[str, State | None] = {}
    """null: the log does not hold it, or it is not yours. It is sent as null: only null *fields* are left out."""
    orders: dict[str, State | None] = {}
    responses: dict[str, State | None] = {}
    more: bool | None = None
    """True: more is not over than one answer to `live` holds."""


class TokenAccepted(Frame):
    t: Literal["token_accepted"] = "token_accepted"
    id: RequestId
    token_expires_at: Timestamp


class TokenExpiring(Frame):
    t: Literal["token_expiring"] = "token_expiring"
    expires_at: Timestamp


class Lag(Frame):
    t: Literal["lag"] = "lag"
    sub: str
    behind: int


class Drain(Frame):
    t: Literal["drain"] = "drain"
    reconnect_after_ms: int


class Gap(Frame):
    t: Literal["gap"] = "gap"
    sub: str
    reason: str


class Error(Frame):
    t: Literal["error"] = "error"
    id: RequestId | None = None
    code: str
    message: str
    """For people."""
    retriable: bool = False
    details: list[Detail] | None = None
    """What is wrong with the frame that it answers, each with a pointer into it; absent where the code says it all."""


class SchemaFrame(Frame):
    t: Literal["schema"] = "schema"
    schema_id: int
    schema_: Annotated[str, Field(alias="schema")]
