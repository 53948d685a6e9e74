"""One stream as one subscription on the wire: where it stands, what is a repeat, what a gap leaves behind.

Frames in, what to hand on out. The position moves before a message is handed on, so that whatever happens to the
message, it is never asked for again.

    GONE -> ASKED -> REPLAYING -> LIVE        subscribe, subscribed, position
    REPLAYING, LIVE -> LEAVING -> GONE        unsubscribe, unsubscribed
    LIVE -> REPLAYING                         gap: the state follows
    any -> GONE                               the connection ended, or an error

Bounded: the cursors remembered against repeats (the last 1024), the orders held (those of one site that are not over).
When full: the oldest cursor is forgotten, which could only matter to a repeat from 1024 signals ago.
Conflates: nothing; in mode "latest" the gateway does.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass

from pydantic import ValidationError

from gridsignal_protocol.client.messages import Delivered, Gap, Message, OrderOver
from gridsignal_schemas.frames import Filter, Mode, Signal, Subscribe, Subscribed, Unsubscribe
from gridsignal_schemas.messages import (
    RECORDS,
    TOLERANT,
    Direction,
    DispatchOrder,
    DispatchRequest,
    QuantityKind,
    Record,
)
from gridsignal_schemas.rules.lifecycle import ORDER_OVER

_REMEMBERED = 1024
_RESTARTED = "snapshot_restarted"


@dataclass(frozen=True, slots=True)
class Handed:
    """A message for the user and the stream's position after it; None where it has none (inside a snapshot)."""

    message: Message | None
    cursor: str | None


class Standing(enum.Enum):
    """Where a subscription stands with the gateway."""

    GONE = "nothing is subscribed"
    ASKED = "subscribe was sent"
    REPLAYING = "what was missed, or the state, is on its way"
    LIVE = "everything as it happens"
    LEAVING = "unsubscribe was sent"


_ON = (Standing.REPLAYING, Standing.LIVE)


class Subscription:
    """One wire subscription over all the connections of its life."""

    def __init__(
        self, stream: str, want: Filter, *, mode: Mode = "every", snapshot: bool = True, cursor: str | None = None
    ) -> None:
        self.stream, self.want, self.mode, self.snapshot = stream, want, mode, snapshot
        self.standing = Standing.GONE
        self.parked = False
        """Its reader is full: the log keeps what comes until there is room."""
        self.sub: str | None = None
        self.position = cursor
        self.held: dict[str, DispatchOrder] = {}
        self._seen: deque[str] = deque(maxlen=_REMEMBERED)
        self._began = False  # something of this stream has been handed on
        self._in_snapshot = False
        self._named: set[str] = set()
        self._gap: str | None = None  # to be told with the next subscription

    @property
    def group(self) -> tuple[str, str, str]:
        """What the gateway allows once per connection."""
        return self.stream, self.want.model_dump_json(exclude_none=True), self.mode

    @property
    def is_on(self) -> bool:
        """The gateway has answered and sends."""
        return self.standing in _ON

    @property
    def can_park(self) -> bool:
        """A snapshot has no cursor to come back to, so it is taken to its end."""
        return self.is_on and not self.parked and not self._in_snapshot and self.position is not None

    # --- what is sent ---

    def ask(self, request_id: int) -> Subscribe:
        """The subscribe frame from where it stands."""
        self.standing = Standing.ASKED
        return Subscribe(
            id=request_id,
            stream=self.stream,
            filter=self.want,
            mode=self.mode,
            snapshot=(self.snapshot or self._gap == _RESTARTED) and self.position is None,
            cursor=self.position,
        )

    def leave(self, request_id: int) -> Unsubscribe:
        """The unsubscribe frame; nothing more of it is handed on."""
        assert self.sub is not None, "expected a subscription that is on"
        self.standing = Standing.LEAVING
        return Unsubscribe(id=request_id, sub=self.sub)

    # --- what comes ---

    def subscribed(self, frame: Subscribed) -> list[Handed]:
        """The gateway's answer; a recovery that is not what was asked for is told as a gap."""
        self.standing, self.sub = Standing.REPLAYING, frame.sub
        asked_from, gap = self.position, self._gap
        self._gap = None
        self._in_snapshot = frame.recovery == "snapshot"
        self._named = set()
        if asked_from is not None and frame.recovery != "full":
            gap = frame.reason or f"recovery_{frame.recovery}"
        self._began = True
        return [Handed(Gap(self.stream, gap), None)] if gap else []

    def signal(self, frame: Signal) -> list[Handed]:
        """A signal: new ones are handed on, after the position has moved."""
        if frame.cursor is not None:
            if frame.cursor in self._seen:
                return []
            self._seen.append(frame.cursor)
            self.position = frame.cursor
        if frame.type not in RECORDS:
            return [Handed(None, frame.cursor)]  # a newer contract's record: not ours to read
        try:
            record = RECORDS[frame.type].model_validate(frame.body, extra="ignore", context=TOLERANT)
        except ValidationError:
            return [Handed(Gap(self.stream, "unreadable"), frame.cursor)]
        if not isinstance(record, Delivered) or _names_no_act(record):
            return [Handed(Gap(self.stream, "unreadable"), frame.cursor)]
        self._hold(record)
        return [Handed(record, frame.cursor)]

    def positioned(self, cursor: str) -> list[Handed]:
        """The stream moved on in silence, or a replay is complete: what a snapshot did not name is over."""
        self.position, self.standing = cursor, Standing.LIVE
        handed = []
        if self._in_snapshot:
            self._in_snapshot = False
            gone = [order for order_id, order in self.held.items() if order_id not in self._named]
            for order in gone:
                del self.held[order.order_id]
                handed.append(Handed(OrderOver(order), None))
        return [*handed, Handed(None, cursor)]

    def gap(self, reason: str) -> list[Handed]:
        """Something is missing here, says the gateway, and the state follows."""
        self.standing, self._in_snapshot, self._named = Standing.REPLAYING, True, set()
        return [Handed(Gap(self.stream, reason), None)]

    def end(self) -> None:
        """The gateway does not have it any more: nothing of it comes."""
        self.standing, self.sub = Standing.GONE, None

    def lost(self, *, resume: bool) -> None:
        """The connection is gone. Without a position to come back to, what follows is a fresh subscription."""
        was_on = self.is_on
        self.standing, self.sub = Standing.GONE, None
        if not resume and self._began:
            self.position, self._gap = None, "entitlements_changed"
        elif was_on and self._in_snapshot:
            self.position, self._gap = None, _RESTARTED
        elif was_on and self.position is None:
            self._gap = "no_position"
        self._in_snapshot = False

    def _hold(self, record: Record) -> None:
        if not isinstance(record, DispatchOrder):
            return
        self._named.add(record.order_id)
        if record.state in ORDER_OVER:
            self.held.pop(record.order_id, None)
        else:
            self.held[record.order_id] = record


def _names_no_act(record: Record) -> bool:
    # a direction or kind from a newer contract decodes to UNKNOWN: it must never be acted on
    match record:
        case DispatchRequest():
            return record.direction is Direction.UNKNOWN
        case DispatchOrder():
            return record.direction is Direction.UNKNOWN or record.quantity_kind is QuantityKind.UNKNOWN
    return False
