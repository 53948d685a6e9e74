"""The frames of the WebSocket protocol `gridsignal.v1`, and its close codes; PROTOCOL.md tells how they are used.

Both sides ignore fields they do not know; clients ignore frames whose type they do not know.
"""

from __future__ import annotations

from typing import get_args

from gridsignal_schemas.frames.client import (
    Baseline,
    ClientFrame,
    Dispute,
    Hello,
    Offer,
    Query,
    Reading,
    Respond,
    Subscribe,
    Token,
    Unsubscribe,
    Withdraw,
    Write,
)
from gridsignal_schemas.frames.closing import CLOSE_CODES, CloseCode, Comeback, comeback
from gridsignal_schemas.frames.frame import (
    ANSWER_HEADER,
    MAX_CLIENT_FRAME,
    MAX_SIGNATURE,
    SUBPROTOCOL_AVRO,
    SUBPROTOCOL_JSON,
    Cursor,
    Filter,
    Frame,
    Mode,
    Recovery,
    RequestId,
)
from gridsignal_schemas.frames.server import (
    Conflated,
    Detail,
    Drain,
    Error,
    Gap,
    Lag,
    PositionFrame,
    Receipt,
    Received,
    Refused,
    SchemaFrame,
    Signal,
    State,
    States,
    Subscribed,
    TokenAccepted,
    TokenExpiring,
    Unsubscribed,
    Welcome,
)

CLIENT_FRAMES: dict[str, type[Frame]] = {frame.model_fields["t"].default: frame for frame in get_args(ClientFrame)}
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

__all__ = [
    "ANSWER_HEADER",
    "CLIENT_FRAMES",
    "CLOSE_CODES",
    "MAX_CLIENT_FRAME",
    "MAX_SIGNATURE",
    "SERVER_FRAMES",
    "SUBPROTOCOL_AVRO",
    "SUBPROTOCOL_JSON",
    "Baseline",
    "ClientFrame",
    "CloseCode",
    "Comeback",
    "Conflated",
    "Cursor",
    "Detail",
    "Dispute",
    "Drain",
    "Error",
    "Filter",
    "Frame",
    "Gap",
    "Hello",
    "Lag",
    "Mode",
    "Offer",
    "PositionFrame",
    "Query",
    "Reading",
    "Receipt",
    "Received",
    "Recovery",
    "Refused",
    "RequestId",
    "Respond",
    "SchemaFrame",
    "Signal",
    "State",
    "States",
    "Subscribe",
    "Subscribed",
    "Token",
    "TokenAccepted",
    "TokenExpiring",
    "Unsubscribe",
    "Unsubscribed",
    "Welcome",
    "Withdraw",
    "Write",
    "comeback",
]
