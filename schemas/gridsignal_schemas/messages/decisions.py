"""The ledger's own records: clearings, timers, the grid's clock, tree heads. They are delivered to nobody."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from gridsignal_schemas.values import (
    EXACT_MAX,
    INT32_MAX,
    Code,
    Hex32,
    Identifier,
    Money,
    Name,
    Power,
    Record,
    Revision,
    Sha256,
    Shape,
    ShortText,
    Symbol,
    Timestamp,
    Zone,
)


class ClearingTrigger(Symbol):
    UNKNOWN = "UNKNOWN"
    GATE_CLOSURE = "GATE_CLOSURE"
    SHORTFALL = "SHORTFALL"
    BY_HAND = "BY_HAND"


class Timer(Symbol):
    UNKNOWN = "UNKNOWN"
    GATE_CLOSURE = "GATE_CLOSURE"
    DECISION_DEADLINE = "DECISION_DEADLINE"
    RESPOND_BY = "RESPOND_BY"
    START = "START"
    END = "END"
    EXPIRY = "EXPIRY"
    SETTLE = "SETTLE"
    SETTLE_FINALLY = "SETTLE_FINALLY"
    DISPUTE_END = "DISPUTE_END"
    SHIFT_DEADLINE = "SHIFT_DEADLINE"


class Award(Shape):
    """One offer's share."""

    offer_id: Identifier
    """The offer chosen."""
    participant: Identifier
    """Whose offer it is: offer ids are unique within a participant only."""
    revision: Revision
    """The offer's revision."""
    option: Identifier
    """The option chosen."""
    power_w: Power
    """The power awarded, in watts."""
    price_per_mwh: Money
    """What the power is paid with."""
    starts_at: Timestamp | None = None
    """When its order starts; null: as early as the request and the option let it. Of a site in an area alone."""
    restore_not_before: Timestamp | None = None
    """When the load may come back; null: at the order's end."""
    max_ramp_w_per_min: Power | None = None
    """How fast it may change; null: as the request says."""


class Standby(Shape):
    """An offer that was not needed and stays callable."""

    offer_id: Identifier
    """The offer."""
    participant: Identifier
    """Whose offer it is."""
    revision: Revision
    """The offer's revision."""


class Rejection(Shape):
    """Why an offer got nothing, or less than it offered, in this clearing."""

    offer_id: Identifier
    """The offer."""
    participant: Identifier
    """Whose offer it is."""
    code: Code
    """The rule that stopped it."""
    area: Identifier | None = None
    """The area whose limit it was, where it was one's."""
    limit: Name | None = None
    """Which of the area's limits, by its field in AreaRegistration."""


class Clearing(Record):
    """One decision on one request: valid if, at its own offset, everything it says still holds."""

    zone: Zone
    """The request's zone; the record's key."""
    clearing_id: Identifier
    """Derived from the request and how many clearings it had before."""
    request_id: Identifier
    """The request cleared."""
    request_revision: Revision
    """The request's revision cleared."""
    position: Annotated[int, Field(ge=0, le=EXACT_MAX)]
    """The next offset of the partition when the decision was made: what it was made from."""
    awards: Annotated[list[Award], Field(max_length=10_000)]
    """In merit order."""
    standby: Annotated[list[Standby], Field(max_length=10_000)]
    """In merit order."""
    rejected: Annotated[list[Rejection], Field(max_length=10_000)]
    """The losers, each with the reason; the best thousand of them."""
    trigger: ClearingTrigger
    """What made it happen."""
    actor: Name
    """Who decided: the ledger, or a person."""
    reason: ShortText
    """For people."""
    algorithm: Name
    """merit-order, or mixed-integer where a solver found a better combination."""
    version: Revision
    """The version of the clearing's rules."""
    gap: Money | None = None
    """What the solver says of how much cheaper the best may be at most, as a share of the cost: 0.02 is 2 %. Null where
    none was asked, or it had no answer."""


class TimerFired(Record):
    """A moment has come: valid only if the log's clock agrees; too early is repeated."""

    zone: Zone
    """The subject's zone; the record's key."""
    timer: Timer
    """Which moment."""
    subject_id: Identifier
    """The request, offer or order it concerns."""
    revision: Revision
    """The subject's revision the timer was set for."""
    due_at: Timestamp
    """When it was due."""


class GridClock(Record):
    """Grid time of everything under one topic prefix: origin + rate x (append time - epoch)."""

    origin: Timestamp
    """Grid time at the epoch."""
    rate: Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False, strict=False)]
    """Grid seconds per second of append time."""
    epoch: Timestamp
    """Append time at which the grid shows its origin."""

    def at(self, appended_at: datetime) -> datetime:
        """Grid time of an append time."""
        return self.origin + (appended_at - self.epoch) * self.rate


class TreeHead(Record):
    """A signed head of a partition's Merkle tree (RFC 9162): its records up to there were these and no others."""

    partition: Annotated[int, Field(ge=0, le=INT32_MAX)]
    """The partition it is of, and lies on."""
    size: Annotated[int, Field(ge=1, le=EXACT_MAX)]
    """Leaves of the tree: the head covers the offsets below."""
    root: Sha256
    """The tree's root, 32 bytes in hexadecimal."""
    log: Name
    """Names the log, so that heads of two logs are never taken for two histories of one."""
    signed_at: Timestamp
    """When it was signed, by the signer's clock; also in a simulation that of the machine."""
    signed_by: Hex32
    """The signer's Ed25519 public key, 32 bytes in hexadecimal."""
    signature: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]
    """Ed25519 over the head's text, as docs/settlement.md has it; 64 bytes in hexadecimal."""
