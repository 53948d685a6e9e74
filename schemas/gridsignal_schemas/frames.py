"""The frames of the WebSocket protocol `gridsignal.v1`, and its close codes; PROTOCOL.md tells how they are used.

Every frame is one JSON object with its type in `t`. Both sides ignore fields they do not know; clients ignore
frames whose type they do not know.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from gridsignal_schemas.messages import GridClock
from gridsignal_schemas.values import Identifier, Timestamp

SUBPROTOCOL_JSON = "gridsignal.v1.json"
SUBPROTOCOL_AVRO = "gridsignal.v1.avro"
MAX_CLIENT_FRAME = 64 * 1024
"""Bytes a client may send in one frame."""

RequestId = Annotated[int, Field(ge=0, le=2**53 - 1)]
"""Chosen by the client, echoed in the reply; small enough for every JSON reader."""
Cursor = Annotated[str, Field(min_length=1, max_length=1024)]


class Frame(BaseModel):
    """A frame: unknown fields are ignored, known ones are exact."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, use_attribute_docstrings=True, serialize_by_alias=True)

    def encode(self) -> str:
        """The frame as it is sent: null fields left out."""
        return self.model_dump_json(exclude_none=True, by_alias=True)


class Filter(BaseModel):
    """What a subscription wants; an absent field wants everything the principal may see."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    zones: Annotated[list[Identifier], Field(min_length=1, max_length=256)] | None = None
    products: Annotated[list[Identifier], Field(min_length=1, max_length=16)] | None = None
    """SpotPrice.product, on prices."""
    accounting: Annotated[list[Identifier], Field(min_length=1, max_length=16)] | None = None
    """CarbonIntensity.accounting, on carbon."""


# --- what clients send ------------------------------------------------------------------------------------------


class Hello(Frame):
    t: Literal["hello"] = "hello"
    id: RequestId
    client: Annotated[str, Field(min_length=1, max_length=128)]
    """Name and version of the client's software."""
    instance: Identifier | None = None
    """Names this program among those of the participant; a newer session of the same name replaces the older."""
    site: Identifier | None = None
    """The site this connection speaks for; needed to offer, respond and report."""
    token: Annotated[str, Field(max_length=16_384)] | None = None
    """The bearer token, where the upgrade could not carry it (browsers)."""


class Subscribe(Frame):
    t: Literal["subscribe"] = "subscribe"
    id: RequestId
    stream: Annotated[str, Field(max_length=64)]
    filter: Filter = Filter()
    mode: Literal["every", "latest"] = "every"
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


class Withdraw(Frame):
    t: Literal["withdraw"] = "withdraw"
    id: RequestId
    offer_id: Identifier
    body: dict[str, JsonValue] = {}
    """An OfferWithdrawal; as with offers, what the session knows may be left out."""


class Respond(Frame):
    t: Literal["respond"] = "respond"
    id: RequestId
    response_id: Identifier
    body: dict[str, JsonValue]
    """An OrderResponse."""


class Baseline(Frame):
    t: Literal["baseline"] = "baseline"
    id: RequestId
    body: dict[str, JsonValue]
    """A BaselineDeclaration."""


class Reading(Frame):
    t: Literal["reading"] = "reading"
    id: RequestId
    body: dict[str, JsonValue]
    """A MeterReading."""


class Query(Frame):
    t: Literal["query"] = "query"
    id: RequestId
    offer_ids: Annotated[list[Identifier], Field(max_length=256)] = []
    order_ids: Annotated[list[Identifier], Field(max_length=256)] = []
    response_ids: Annotated[list[Identifier], Field(max_length=256)] = []


class Token(Frame):
    t: Literal["token"] = "token"
    id: RequestId
    token: Annotated[str, Field(min_length=1, max_length=16_384)]


# --- what the gateway sends -------------------------------------------------------------------------------------


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


class Subscribed(Frame):
    t: Literal["subscribed"] = "subscribed"
    id: RequestId
    sub: str
    recovery: Literal["none", "full", "snapshot"]
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
    """Where an offer, order or response stands; `receipt` where the log holds it."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    state: str
    revision: int
    receipt: Receipt | None = None


class States(Frame):
    t: Literal["states"] = "states"
    id: RequestId
    offers: dict[str, State | None] = {}
    """null: the log does not hold it, or it is not yours. It is sent as null: only null *fields* are left out."""
    orders: dict[str, State | None] = {}
    responses: dict[str, State | None] = {}


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
    retriable: bool = False


class SchemaFrame(Frame):
    t: Literal["schema"] = "schema"
    schema_id: int
    schema_: Annotated[str, Field(alias="schema")]


CLIENT_FRAMES: dict[str, type[Frame]] = {
    frame.model_fields["t"].default: frame
    for frame in (Hello, Subscribe, Unsubscribe, Offer, Withdraw, Respond, Baseline, Reading, Query, Token)
}
SERVER_FRAMES: dict[str, type[Frame]] = {
    frame.model_fields["t"].default: frame
    for frame in (
        Welcome,
        Subscribed,
        Unsubscribed,
        Signal,
        Conflated,
        PositionFrame,
        Received,
        Refused,
        States,
        TokenAccepted,
        TokenExpiring,
        Lag,
        Drain,
        Gap,
        Error,
        SchemaFrame,
    )
}


# --- refusals ---------------------------------------------------------------------------------------------------

REFUSALS: dict[str, str] = {
    "bad_frame": "the message is not a JSON object in a text frame",
    "unknown_frame": "no frame of this protocol has this `t`",
    "schema": "a field is missing, unknown in a body, or not what the contract says; `details` has each",
    "hello_first": "something came before the hello",
    "hello_twice": "a second hello",
    "unauthorized": "the token of a `token` frame lets nobody in; the old one still counts",
    "forbidden": "not yours, or not within the token's scopes; what does not exist is answered likewise",
    "unknown_stream": "no stream of this name can be subscribed to",
    "unsupported_mode": "`latest` on a stream that never conflates",
    "already_subscribed": "this connection has exactly this subscription",
    "too_many_subscriptions": "more than `max_subscriptions`",
    "unknown_subscription": "this connection has no such `sub`",
    "rate": "too fast, or more unanswered writes than `offer_window`; retriable after `retry_after_ms`",
    "unavailable": "the log is away or slow: the outcome is unknown; send the same again, or query; retriable",
    "conflict": "this id (and revision) already has another content",
    "revision": "not the next revision of the offer, or not the current one of the order",
    "order_unknown": "no order of this id to this site",
    "offer_unknown": "no offer of this id by this participant",
    "site_unknown": "the ledger does not know this site as yours in this zone",
    "too_late": "an ACCEPTED after `respond_by` of a voluntary order, or after it was voided: do not start",
    "illegal_state": "the order or offer is in a state in which this is not possible",
    "accepted_w": "accepted power outside 1 to the ordered power",
    "available_w": "UNAVAILABLE that does not reduce the power",
    "unknown_symbol": "an enum's UNKNOWN, on which nobody acts",
    "over_capacity": "a baseline above what the connection carries",
}
"""Codes of `refused` and `error`; PROTOCOL.md shows them. Clients treat others as final unless `retriable` is true."""


# --- close codes ------------------------------------------------------------------------------------------------


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
