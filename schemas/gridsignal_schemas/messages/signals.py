"""What the grid tells everyone: prices, carbon intensity, alerts.

Prices and carbon are *series*: one record carries a whole curve, so that a market day is published at once or not
at all and 96 prices cost one message.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from gridsignal_schemas.values import (
    Code,
    Currency,
    Identifier,
    Money,
    Name,
    Record,
    Resolution,
    Revision,
    ShortText,
    Symbol,
    Timestamp,
    Zone,
)

MAX_POINTS = 10_000
"""Points in one series: a month of five-minute prices fits, a runaway document does not."""

Within = Annotated[int, Field(ge=1, le=86_400)]
"""Seconds to answer an alert in: a day at most."""

Flags = Annotated[list[Annotated[str, Field(pattern=r"^[a-z0-9_]{1,32}$")]], Field(max_length=32)]


class PriceProduct(Symbol):
    UNKNOWN = "UNKNOWN"
    DAY_AHEAD = "DAY_AHEAD"
    INTRADAY = "INTRADAY"
    REAL_TIME = "REAL_TIME"
    IMBALANCE = "IMBALANCE"


class PriceStatus(Symbol):
    UNKNOWN = "UNKNOWN"
    FORECAST = "FORECAST"
    PRELIMINARY = "PRELIMINARY"
    FINAL = "FINAL"
    CORRECTED = "CORRECTED"


class Accounting(Symbol):
    UNKNOWN = "UNKNOWN"
    AVERAGE = "AVERAGE"
    MARGINAL = "MARGINAL"


class Scope(Symbol):
    UNKNOWN = "UNKNOWN"
    LIFECYCLE = "LIFECYCLE"
    DIRECT = "DIRECT"


class Mix(Symbol):
    UNKNOWN = "UNKNOWN"
    CONSUMPTION = "CONSUMPTION"
    PRODUCTION = "PRODUCTION"


class CarbonStatus(Symbol):
    UNKNOWN = "UNKNOWN"
    FORECAST = "FORECAST"
    ESTIMATED = "ESTIMATED"
    MEASURED = "MEASURED"


class AlertKind(Symbol):
    UNKNOWN = "UNKNOWN"
    GRID_EMERGENCY = "GRID_EMERGENCY"
    FLEX_ALERT = "FLEX_ALERT"
    RESERVE_SHORTFALL = "RESERVE_SHORTFALL"
    MINIMUM_LOAD = "MINIMUM_LOAD"
    SURPLUS = "SURPLUS"
    WEATHER = "WEATHER"
    OTHER = "OTHER"
    DISTURBANCE = "DISTURBANCE"


class AlertAction(Symbol):
    UNKNOWN = "UNKNOWN"
    INFORM = "INFORM"
    PREPARE = "PREPARE"
    SHED = "SHED"
    RAISE = "RAISE"
    RESTORE_FORBIDDEN = "RESTORE_FORBIDDEN"
    HOLD = "HOLD"
    """No pause, no resume, no change to battery: what runs goes on, so that a fault is not made worse."""


class AckState(Symbol):
    UNKNOWN = "UNKNOWN"
    RECEIVED = "RECEIVED"
    UNDERSTOOD = "UNDERSTOOD"
    WILL_ACT = "WILL_ACT"
    APPLIED = "APPLIED"
    CANNOT_ACT = "CANNOT_ACT"


class _Series(Record):
    """A curve of equal steps: point i covers [starts_at + i x resolution_s, + resolution_s)."""

    def _points(self) -> list[Decimal | None]:
        raise NotImplementedError

    def _origin(self) -> tuple[datetime, int]:
        raise NotImplementedError

    @property
    def ends_at(self) -> datetime:
        """The end of the last interval (not part of the series)."""
        starts_at, resolution_s = self._origin()
        return starts_at + timedelta(seconds=resolution_s * len(self._points()))

    def at(self, when: datetime) -> Decimal | None:
        """The value of the interval that holds `when`; None in a gap and outside the series."""
        starts_at, resolution_s = self._origin()
        index = (when - starts_at) // timedelta(seconds=resolution_s)
        points = self._points()
        return points[index] if 0 <= index < len(points) else None

    def intervals(self) -> list[tuple[datetime, datetime, Decimal | None]]:
        """All intervals as (start, end, value), in order; a gap's value is None."""
        starts_at, resolution_s = self._origin()
        step = timedelta(seconds=resolution_s)
        return [(starts_at + i * step, starts_at + (i + 1) * step, v) for i, v in enumerate(self._points())]


class SpotPrice(_Series):
    """A curve of electricity prices for one zone and product, in the market's own currency per MWh."""

    zone: Zone
    """The bidding zone, such as DE-LU; the record's key."""
    product: PriceProduct
    """Which market: the day-ahead auction, intraday, real time or imbalance."""
    dataset: Name
    """The auction or run within the product: SDAC, EXAA, DAM, RTM."""
    currency: Currency
    """ISO 4217."""
    starts_at: Timestamp
    """Start of the first interval (UTC)."""
    resolution_s: Resolution
    """The market time unit in seconds: 900 or 3600 in Europe, 300 in Australia."""
    prices_per_mwh: Annotated[list[Money | None], Field(min_length=1, max_length=MAX_POINTS)]
    """One price an interval; null is a gap, 0 and negative prices are prices."""
    status: PriceStatus
    """How settled the figures are; a lower status never overwrites a higher one."""
    flags: Flags
    """What was done to or noticed about the figures."""
    provider: Identifier
    """Who delivered the figures."""
    licence: ShortText | None = None
    """Terms under which the figures may be used, as the provider states them."""
    issued_at: Timestamp | None = None
    """When the publisher issued this version, if it says so."""
    observed_at: Timestamp
    """When we read it."""
    revision: Revision
    """1 for the first version of this series, +1 for each change of a value."""

    def _points(self) -> list[Decimal | None]:
        return self.prices_per_mwh

    def _origin(self) -> tuple[datetime, int]:
        return self.starts_at, self.resolution_s

    @property
    def series_id(self) -> str:
        """What a revision is a revision of: zone|product|dataset|provider|start of the window."""
        return f"{self.zone}|{self.product}|{self.dataset}|{self.provider}|{self.starts_at.isoformat()}"


class CarbonIntensity(_Series):
    """A curve of grams of CO2 equivalent per kWh for one zone, of one accounting, scope and mix."""

    zone: Zone
    """The zone the electricity is taken from; the record's key."""
    accounting: Accounting
    """AVERAGE for reports, MARGINAL for the effect of one more kWh; never mixed."""
    scope: Scope
    """LIFECYCLE includes building plants and fuel supply, DIRECT only the stack."""
    mix: Mix
    """CONSUMPTION counts imports, PRODUCTION only plants in the zone."""
    starts_at: Timestamp
    """Start of the first interval (UTC)."""
    resolution_s: Resolution
    """Length of one interval in seconds."""
    grams_per_kwh: Annotated[list[Money | None], Field(min_length=1, max_length=MAX_POINTS)]
    """One value an interval; null is a gap, 0 is a value."""
    status: CarbonStatus
    """FORECAST before, ESTIMATED soon after, MEASURED in the end."""
    flags: Flags
    """What was done to or noticed about the figures."""
    provider: Identifier
    """Who delivered the figures."""
    dataset: Name
    """The provider's own name of the series."""
    licence: ShortText | None = None
    """Terms under which the figures may be used, as the provider states them."""
    factors_version: Name | None = None
    """Version of the emission factors, where the figures were computed from generation."""
    issued_at: Timestamp | None = None
    """A forecast's vintage: part of its series id."""
    observed_at: Timestamp
    """When we read it."""
    revision: Revision
    """1 for the first version of this series, +1 for each change of a value."""

    def _points(self) -> list[Decimal | None]:
        return self.grams_per_kwh

    def _origin(self) -> tuple[datetime, int]:
        return self.starts_at, self.resolution_s

    @property
    def series_id(self) -> str:
        """What a revision is a revision of; a forecast's vintage is part of it."""
        vintage = self.issued_at.isoformat() if self.status is CarbonStatus.FORECAST and self.issued_at else ""
        basis = f"{self.accounting}|{self.scope}|{self.mix}"
        return f"{self.zone}|{basis}|{self.dataset}|{self.provider}|{self.starts_at.isoformat()}|{vintage}"


class GridAlert(Record):
    """A grid operator's notice: in force from starts_at until it is cleared or ends_at has passed."""

    alert_id: Identifier
    """Names the alert across its revisions."""
    revision: Revision
    """+1 for each change; clearing an alert is a revision with an end."""
    zone: Zone
    """The zone it concerns; the record's key."""
    area: Name | None = None
    """A part of the zone, in the operator's own words."""
    kind: AlertKind
    """What is the matter."""
    level: Annotated[int, Field(ge=0, le=3)]
    """0 information, 1 alert, 2 warning, 3 action."""
    action: AlertAction
    """What a site is asked to do."""
    issued_at: Timestamp
    """When the operator issued it."""
    starts_at: Timestamp
    """When it takes effect."""
    ends_at: Timestamp | None = None
    """When it ends; null while it is open."""
    is_drill: bool
    """True for an exercise: operators send drills at the highest level, and they must not be acted on as real."""
    text: ShortText
    """The operator's words."""
    provider: Identifier
    """Who delivered the notice."""
    supersedes: Identifier | None = None
    """The alert that this one replaces."""
    acknowledge_within_s: Within | None = None
    """From when it is logged: by when each site has to have it; null: no time is named."""
    apply_within_s: Within | None = None
    """From starts_at, or from when it is logged if that is later: by when each site has to have done it."""


class AlertAck(Record):
    """What a site says of one revision of an alert: that it was received, understood, and what follows."""

    zone: Zone
    """The site's zone, and the alert's; the record's key."""
    participant: Identifier
    """Whose site it is."""
    site: Identifier
    """The connection point."""
    provider: Identifier
    """Who delivered the alert."""
    alert_id: Identifier
    """The alert."""
    revision: Revision
    """The revision that is spoken of."""
    state: AckState
    """What is said: RECEIVED by the software itself, the others by who decides at the site."""
    actor: Name
    """Who or what said it."""
    reason_code: Code
    """For machines; may be empty."""
    reason: ShortText
    """For people; may be empty."""
    at: Timestamp
    """When it was so, by the site's clock."""
