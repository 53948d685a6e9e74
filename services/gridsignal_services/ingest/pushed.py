"""What operators push: a feed's figures without the feed. The door adds who told it and when it was read.

Nothing is trusted more than a public feed: the same quarantine, the same revisions.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import (
    Accounting,
    AlertAction,
    AlertKind,
    CarbonIntensity,
    CarbonStatus,
    GridAlert,
    Mix,
    PriceProduct,
    PriceStatus,
    Record,
    Scope,
    SpotPrice,
)
from gridsignal_schemas.messages.signals import MAX_POINTS, Flags, Within
from gridsignal_schemas.values import (
    Currency,
    Identifier,
    Money,
    Name,
    Resolution,
    Shape,
    ShortText,
    Timestamp,
    Zone,
)

Values = Annotated[list[Money | None], Field(min_length=1, max_length=MAX_POINTS)]


class PricesBody(Shape):
    """A price curve of one zone: a market day, or a part of one."""

    zone: Zone
    """One of your zones."""
    product: PriceProduct
    dataset: Name
    """Your own name of the series, such as SHANDONG-DAY-AHEAD."""
    currency: Currency
    starts_at: Timestamp
    """Start of the first interval; interval 24:00 of a day is 00:00 of the next."""
    resolution_s: Resolution
    prices_per_mwh: Values
    """Decimals as text; null is a gap."""
    status: PriceStatus = PriceStatus.FINAL
    flags: Flags = Field(default_factory=list)
    licence: ShortText | None = None
    issued_at: Timestamp | None = None

    def record(self, provider: str, now: datetime) -> Record:
        """The record of this body; `provider` is who pushed it."""
        return SpotPrice(**dict(self), provider=provider, observed_at=now, revision=1)


class CarbonBody(Shape):
    """A curve of carbon intensity of one zone."""

    zone: Zone
    accounting: Accounting
    scope: Scope
    mix: Mix
    dataset: Name
    starts_at: Timestamp
    resolution_s: Resolution
    grams_per_kwh: Values
    """Grams of CO2 equivalent per kWh, decimals as text; null is a gap."""
    status: CarbonStatus
    flags: Flags = Field(default_factory=list)
    licence: ShortText | None = None
    factors_version: Name | None = None
    issued_at: Timestamp | None = None
    """A forecast's vintage."""

    def record(self, provider: str, now: datetime) -> Record:
        """The record of this body; `provider` is who pushed it."""
        return CarbonIntensity(**dict(self), provider=provider, observed_at=now, revision=1)


class AlertBody(Shape):
    """A notice; push it again with `ends_at` to clear it."""

    alert_id: Identifier
    """Yours; the same id again is a revision."""
    zone: Zone
    area: Name | None = None
    kind: AlertKind
    level: Annotated[int, Field(ge=0, le=3)]
    action: AlertAction
    issued_at: Timestamp
    starts_at: Timestamp
    ends_at: Timestamp | None = None
    is_drill: bool
    text: ShortText
    supersedes: Identifier | None = None
    """An alert of yours in the zone that this one takes the place of: it ends. Without it none does; a drill ends
    drills alone."""
    acknowledge_within_s: Within | None = None
    """From when it is logged: who has not acknowledged it by then is late."""
    apply_within_s: Within | None = None
    """From starts_at, or from when it is logged if that is later: who has not said by then that it is done is late."""

    def record(self, provider: str, now: datetime) -> Record:
        """The record of this body; `provider` is who pushed it."""
        return GridAlert(**dict(self), provider=provider, revision=1)


class Pushed(Shape):
    """What became of it."""

    news: str
    """new, corrected or known."""
    revision: int
    """The revision that is on the log now."""
    left_out: list[Detail] = Field(default_factory=list)
    """Values out of their market's bounds: gaps instead of them are published, the others as they are."""
