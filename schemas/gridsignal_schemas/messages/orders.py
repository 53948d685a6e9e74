"""What is done: orders, the sites' answers, baselines, meter readings, and the sites themselves."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gridsignal_schemas.messages.certificates import Certificates
from gridsignal_schemas.messages.flexibility import Ramp
from gridsignal_schemas.messages.terms import Direction, RunMode
from gridsignal_schemas.values import (
    EXACT_MAX,
    MAX_POWER_W,
    Code,
    Energy,
    Identifier,
    Money,
    Name,
    Power,
    Record,
    Resolution,
    Revision,
    Shape,
    ShortText,
    Symbol,
    Timestamp,
    Zone,
)


class QuantityKind(Symbol):
    UNKNOWN = "UNKNOWN"
    DELTA = "DELTA"
    IMPORT_LIMIT = "IMPORT_LIMIT"


class OnCommsLoss(Symbol):
    UNKNOWN = "UNKNOWN"
    HOLD = "HOLD"
    COMPLETE = "COMPLETE"
    RESTORE = "RESTORE"


class OrderState(Symbol):
    UNKNOWN = "UNKNOWN"
    ISSUED = "ISSUED"
    RECEIVED = "RECEIVED"
    ACCEPTED = "ACCEPTED"
    REFUSED = "REFUSED"
    VOIDED = "VOIDED"
    ACTIVE = "ACTIVE"
    SUSTAINING = "SUSTAINING"
    RECOVERING = "RECOVERING"
    COMPLETED = "COMPLETED"
    ABORTED = "ABORTED"
    DEFAULTED = "DEFAULTED"
    CANCELLED = "CANCELLED"


class ResponseKind(Symbol):
    UNKNOWN = "UNKNOWN"
    RECEIVED = "RECEIVED"
    ACCEPTED = "ACCEPTED"
    REFUSED = "REFUSED"
    STARTED = "STARTED"
    SUSTAINING = "SUSTAINING"
    UNAVAILABLE = "UNAVAILABLE"
    COMPLETED = "COMPLETED"


class MeterPoint(Symbol):
    UNKNOWN = "UNKNOWN"
    CONNECTION = "CONNECTION"
    IT = "IT"
    BATTERY = "BATTERY"
    GENERATION = "GENERATION"


class Quality(Symbol):
    UNKNOWN = "UNKNOWN"
    OK = "OK"
    ESTIMATED = "ESTIMATED"
    MISSING = "MISSING"
    BAD = "BAD"


class DispatchOrder(Record):
    """An order to one site to change or limit its power over one period."""

    zone: Zone
    """The site's zone; the record's key."""
    request_id: Identifier
    """The request it serves."""
    participant: Identifier
    """The organisation ordered."""
    site: Identifier
    """The connection point ordered."""
    order_id: Identifier
    """Minted by the ledger."""
    revision: Revision
    """+1 for each change: an extension, a release, a cancellation."""
    offer_id: Identifier | None = None
    """The offer it calls; null where a contract suffices."""
    option: Identifier | None = None
    """The offer's option."""
    contract_id: Identifier | None = None
    """The contract it rests on, where there is no offer."""
    quantity_kind: QuantityKind
    """DELTA against the baseline, or an IMPORT_LIMIT."""
    power_w: Power
    """How much, in watts."""
    direction: Direction
    """Of a DELTA."""
    starts_at: Timestamp
    """Full power from here."""
    ends_at: Timestamp | None = None
    """To here; null until it is released."""
    price_per_mwh: Money | None = None
    """The price of the offer."""
    clearing_price_per_mwh: Money | None = None
    """The price all are paid, under PAY_AS_CLEARED."""
    respond_by: Timestamp
    """Silence beyond it voids a voluntary order."""
    restore_not_before: Timestamp | None = None
    """The load may not come back before."""
    rebound_cap_w: Power | None = None
    """How much above baseline the site may draw afterwards."""
    max_ramp_w_per_min: Ramp | None = None
    """The operator's limit on how fast power may change."""
    on_comms_loss: OnCommsLoss
    """What the site does when it no longer hears us."""
    state: OrderState
    """Where the order stands."""
    actor: Name
    """Who caused this revision."""
    reason_code: Code
    """For machines."""
    reason: ShortText
    """For people."""
    run_mode: RunMode
    """Propagated from the request."""
    import_limit_w: Power | None = None
    """Of an IMPORT_LIMIT: the net import to stay at or below, in watts: what was ordered below the highest baseline of
    its period."""
    shift_id: Identifier | None = None
    """Of work that moves between two zones: the same in both orders, which stand and end together; null: this order
    stands alone."""

    def limit_at(self, power_w: int) -> int | None:
        """The limit where so much of it holds, in watts; None where it is none."""
        return None if self.import_limit_w is None else self.import_limit_w + self.power_w - power_w

    @property
    def moves_power(self) -> bool:
        """Whether the site acts on it. A dry run is answered like any other order, and reaches no actuator."""
        return self.run_mode in (RunMode.LIVE, RunMode.TEST_ACTIVATION)


class OrderResponse(Record):
    """A site's answer to an order, or its report on the way."""

    zone: Zone
    """The site's zone; the record's key."""
    request_id: Identifier
    """The request the order serves."""
    participant: Identifier
    """Who answers."""
    site: Identifier
    """The connection point."""
    response_id: Identifier
    """The response's identity, minted by the client."""
    order_id: Identifier
    """The order answered."""
    revision: Revision
    """The order's revision answered."""
    response: ResponseKind
    """RECEIVED silences an alarm and decides nothing; ACCEPTED and REFUSED decide."""
    accepted_w: Power | None = None
    """Below the order's power: a partial acceptance."""
    available_w: Power | None = None
    """What is still possible, with UNAVAILABLE."""
    actor: Name
    """Who or what answered."""
    reason_code: Code
    """For machines."""
    reason: ShortText
    """For people."""
    at: Timestamp
    """When, by the site's clock; nothing is decided by it."""


class BaselineDeclaration(Record):
    """What a site will draw if nobody asks for anything; the last one logged before a request counts."""

    zone: Zone
    """The site's zone; the record's key."""
    participant: Identifier
    """Whose site it is."""
    site: Identifier
    """The connection point."""
    starts_at: Timestamp
    """Start of the first interval."""
    resolution_s: Resolution
    """Length of one interval in seconds."""
    power_w: Annotated[list[Power], Field(min_length=1, max_length=3000)]
    """Mean power of each interval, in watts."""
    method: Name
    """How the figures came about, for people and auditors."""


class MeterReading(Record):
    """What flowed through one metering point over one interval."""

    zone: Zone
    """The site's zone; the record's key."""
    participant: Identifier
    """Whose site it is."""
    site: Identifier
    """The connection point's site."""
    meter: Identifier
    """The meter's name."""
    point: MeterPoint
    """Where it sits; settlement reads CONNECTION."""
    starts_at: Timestamp
    """Start of the interval."""
    ends_at: Timestamp
    """End of the interval."""
    import_w: Power
    """Mean power taken from the grid, in watts."""
    export_w: Power
    """Mean power given to the grid, in watts."""
    register_wh: Energy | None = None
    """The import register at the end of the interval."""
    quality: Quality
    """How good the figure is."""
    seq: Annotated[int, Field(ge=0, le=EXACT_MAX)]
    """Counts the meter's readings."""
    certificates: Certificates | None = None
    """Cancelled for what was taken from the grid in this interval."""


class SiteMeter(Shape):
    """A meter of the connection, and when it measures it."""

    meter: Identifier
    """Its name in readings."""
    since: Timestamp | None = None
    """From when on; null: from ever."""
    until: Timestamp | None = None
    """When it was taken out; null: not so far."""
    digits: Annotated[int, Field(ge=1, le=15)] | None = None
    """Of its register in watt-hours; null: as its readings tell."""


class SiteRegistration(Record):
    """A connection point as the ledger knows it; appended when the registry differs from the log."""

    zone: Zone
    """The zone the site lies in, for ever; the record's key."""
    site: Identifier
    """The connection point."""
    participant: Identifier
    """Who runs it."""
    capacity_w: Annotated[int, Field(ge=1, le=MAX_POWER_W)]
    """What the connection carries."""
    minimum_load_w: Power
    """What can't be shed: the idle power of machines and cooling."""
    external_ids: Annotated[dict[Name, Name], Field(max_length=16)]
    """Names elsewhere, by scheme: EIC, mRID, EAN."""
    revision: Revision
    """+1 for each change."""
    meters: Annotated[list[SiteMeter], Field(max_length=64)] | None = None
    """All meters of the connection; null: those that speak."""


class AreaRegistration(Record):
    """What a part of the grid allows within one zone; appended when the registry differs from the log."""

    zone: Zone
    """The zone whose sites these are; the record's key."""
    area: Identifier
    """A control area, a substation, a congestion point."""
    revision: Revision
    """+1 for each change."""
    sites: Annotated[list[Identifier], Field(max_length=10_000)]
    """Its connection points in the zone, however they came into it; none: the area is no more here."""
    share_ppm: Annotated[int, Field(ge=0, le=1_000_000)]
    """The zone's part of the area's limits in millionths; the limits below are that part already."""
    max_ramp_down_w_per_min: Power | None = None
    """How fast its load may fall, in watts per minute."""
    max_ramp_up_w_per_min: Power | None = None
    """How fast its load may rise, in watts per minute."""
    max_change_w: Power | None = None
    """How much its load may fall, and how much it may rise, within window_s."""
    window_s: Annotated[int, Field(ge=1, le=3600)] | None = None
    """Of max_change_w, in seconds."""
    max_import_w: Power | None = None
    """How much its sites may draw together where more load is ordered or comes back."""
