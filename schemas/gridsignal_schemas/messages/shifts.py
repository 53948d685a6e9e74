"""Work that moves between two zones: what their partitions say to each other. Delivered to nobody."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gridsignal_schemas.messages.flexibility import PinnedRule, PositivePower, Ramp
from gridsignal_schemas.messages.terms import Direction, Firmness, Purpose, RunMode
from gridsignal_schemas.values import (
    EXACT_MAX,
    Code,
    Currency,
    Identifier,
    Name,
    Record,
    ShortText,
    Timestamp,
    Zone,
)

Offset = Annotated[int, Field(ge=0, le=EXACT_MAX)]


class ShiftReserve(Record):
    """Work is to move here from another zone: what was awarded there, and what is to be held for it here."""

    zone: Zone
    """The zone that the work moves to; the record's key."""
    shift_id: Identifier
    """The order of the zone that it moves from."""
    source_zone: Zone
    """The zone that it moves from."""
    source_position: Offset
    """The offset of the award in that zone's partition."""
    request_id: Identifier
    """The request of that zone which the shift answers."""
    operator: Identifier
    """Who asked there."""
    product: Name
    """The operator's own name of the product."""
    purpose: Purpose
    """What the power is for."""
    participant: Identifier
    """Whose work it is, in both zones."""
    site: Identifier
    """Its site in this zone."""
    direction: Direction
    """What the site does: the opposite of the request's."""
    power_w: PositivePower
    """How much, in watts."""
    starts_at: Timestamp
    """Start of the period, as in the other zone."""
    ends_at: Timestamp
    """Its end."""
    deadline: Timestamp
    """Without an answer by then, by its own log's clock, the other zone lets the shift go."""
    respond_by: Timestamp
    """When both sites have to have answered."""
    firmness: Firmness
    """Of the request."""
    currency: Currency
    """Of the request."""
    max_ramp_w_per_min: Ramp | None = None
    """Of the request."""
    run_mode: RunMode
    """Of the request."""
    settlement: PinnedRule | None = None
    """The rule by which the order of this zone is settled, too; null: no settlement is recorded."""


class ShiftReserved(Record):
    """What the zone that the work moves to says to a ShiftReserve: the power is held for it, or why not."""

    zone: Zone
    """The zone that the work moves from; the record's key."""
    shift_id: Identifier
    """The shift."""
    position: Offset
    """The offset of its ShiftReserve in the other zone's partition."""
    codes: Annotated[list[Code], Field(max_length=32)]
    """Why not; empty: the power is held until ShiftConfirm or ShiftRelease."""


class ShiftConfirm(Record):
    """The shift stands: what was held for it is ordered, as it is in the zone that the work moves from."""

    zone: Zone
    """The zone that the work moves to; the record's key."""
    shift_id: Identifier
    """The shift."""


class ShiftRelease(Record):
    """The other part of a shift is over, or never came to be: what is held or ordered here ends with it."""

    zone: Zone
    """The zone whose part is let go, either of the two; the record's key."""
    shift_id: Identifier
    """The shift."""
    ends_at: Timestamp | None = None
    """When the other part ends; null: it is over."""
    reason_code: Code
    """For machines."""
    reason: ShortText
    """For people."""
