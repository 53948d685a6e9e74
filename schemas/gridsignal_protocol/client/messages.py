"""What a subscription yields to a program: the grid's records, and what happened to their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from gridsignal_schemas.messages import (
    BaselineFixed,
    CarbonIntensity,
    DispatchOrder,
    DispatchRequest,
    DisputeRejected,
    GridAlert,
    OfferDecision,
    RegulationSetpoint,
    RequestCancellation,
    Settlement,
    SettlementDispute,
    SpotPrice,
)


@dataclass(frozen=True, slots=True)
class Gap:
    """Messages of this stream may be missing before this point; the gateway or the SDK noticed, and says why.

    Unless the reason is `unreadable`, the current state follows where the subscription asked for snapshots.
    """

    stream: str
    reason: str
    """The gateway's (cursor_expired, cursor_unknown, epoch_changed, retention, too_far, ...) or the SDK's:
    entitlements_changed, no_position, snapshot_restarted, unreadable."""


@dataclass(frozen=True, slots=True)
class OrderOver:
    """An order is over that was held before a gap: the snapshot after the gap does not name it. Stop following it."""

    order: DispatchOrder
    """As it was last seen."""


Delivered: TypeAlias = (
    SpotPrice
    | CarbonIntensity
    | GridAlert
    | RegulationSetpoint
    | DispatchRequest
    | RequestCancellation
    | OfferDecision
    | DispatchOrder
    | BaselineFixed
    | Settlement
    | SettlementDispute
    | DisputeRejected
)
"""The records that a signal carries; a test holds it to records.toml, which a type checker can't read."""
Message: TypeAlias = Delivered | Gap | OrderOver
"""What a subscription yields."""
