"""What people send to the REST door, and its defaults.

Power is in watts, times are RFC 3339 with an offset, money is a decimal as text. Unknown fields are refused.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gridsignal_schemas.messages import (
    ClearingMode,
    Direction,
    Firmness,
    PinnedRule,
    Pricing,
    Purpose,
    RunMode,
    Visibility,
)
from gridsignal_schemas.messages.flexibility import PositivePower, Ramp
from gridsignal_schemas.messages.settlements import Reason
from gridsignal_schemas.values import (
    Code,
    Currency,
    Identifier,
    Money,
    Name,
    Power,
    Revision,
    Seconds,
    Shape,
    ShortText,
    Timestamp,
    Zone,
)


class RequestBody(Shape):
    """A dispatch request as an operator writes it: seven fields are needed, the rest has defaults.

    min_quantity_w, max_notice_s, full_activation_s and respond_within_s that are left out are what its product has as
    usual, where it lays them down.
    """

    zone: Zone
    """One of the operator's zones; fixed for the request's life."""
    direction: Direction
    """LOAD_DECREASE or LOAD_INCREASE at the connection points."""
    power_w: PositivePower
    """How much is asked for, in watts."""
    starts_at: Timestamp
    """Full power from here."""
    ends_at: Timestamp
    """To here."""
    gate_closure_at: Timestamp
    """Offers logged at or after it are late."""
    decision_deadline: Timestamp
    """Cleared by then or unmet; plus respond_within_s and full_activation_s it lies at or before starts_at."""
    product: Name = "flexibility"
    """One of GET /v1/products, which lays down what a request may be; or a name of the operator's own."""
    purpose: Purpose = Purpose.BALANCING
    """What the power is for."""
    text: ShortText = ""
    """For people."""
    control_area: Name | None = None
    """The control area concerned, if narrower than the zone."""
    congestion_point: Name | None = None
    """The congested element, if the place matters."""
    visibility: Visibility = Visibility.PUBLIC
    """PUBLIC to all who are entitled to the zone, or LISTED to the audience alone."""
    audience: Annotated[list[Identifier], Field(max_length=1000)] = Field(default_factory=list)
    """Participants who may see a LISTED request; empty means nobody."""
    min_quantity_w: Power = 0
    """The smallest award; 0: any."""
    step_w: PositivePower | None = None
    """Awards are multiples of this; null: any."""
    price_cap_per_mwh: Money | None = None
    """Offers above it are rejected; null: no cap."""
    currency: Currency | None = None
    """Null: the zone's."""
    pricing: Pricing = Pricing.PAY_AS_BID
    """PAY_AS_BID pays each its price, PAY_AS_CLEARED pays all the dearest award's."""
    deficiency_price_per_mwh: Money | None = None
    """What an order costs the site for each MWh it does not deliver; null: nothing."""
    firmness: Firmness = Firmness.VOLUNTARY
    """Whether silence voids an order (VOLUNTARY) or leaves the obligation standing."""
    max_notice_s: Seconds = 900
    """Offers that need more notice are rejected."""
    full_activation_s: Seconds = 900
    """From an order's issue to full power: includes notice and ramp."""
    max_ramp_w_per_min: Ramp | None = None
    """Faster ramps would hurt the grid; null: any."""
    rebound_cap_w: Power | None = None
    """How much above baseline a site may draw afterwards; null: any."""
    respond_within_s: Seconds = 300
    """How long a site may take to answer an order."""
    clearing_mode: ClearingMode = ClearingMode.AUTOMATIC
    """AUTOMATIC at gate closure, or BY_HAND."""
    run_mode: RunMode = RunMode.LIVE
    """DRY_RUN reaches no actuator and no settlement."""
    settlement: PinnedRule | None = None
    """The product's settlement rule, for who wants to be sure of it; null: whatever the product has."""
    baseline_method: PinnedRule | None = None
    """The product's baseline method; null: whatever the product has."""
    product_terms: PinnedRule | None = None
    """What the product lays down; null: whatever it lays down."""


class Reasoned(Shape):
    """A command with its reason, for the record."""

    reason_code: Code = "operator"
    """For machines."""
    reason: ShortText = ""
    """For people."""


class CancelBody(Reasoned):
    """Takes a request back."""


class ClearBody(Shape):
    """Clears a request now, in merit order."""

    reason: ShortText = ""
    """For people."""


class PickBody(Shape):
    """One offer chosen by hand."""

    participant: Identifier
    """Whose offer it is."""
    offer_id: Identifier
    """The offer, as the book shows it."""
    option: Identifier
    """The option chosen."""
    power_w: PositivePower
    """The power awarded, in watts."""


class AwardBody(Shape):
    """Awards by hand what a person picked, with the reason why not by merit order."""

    picks: Annotated[list[PickBody], Field(min_length=1, max_length=1000)]
    """At most one for each offer."""
    reason: Annotated[ShortText, Field(min_length=1)]
    """For people, and for the auditor."""


class RejectBody(Shape):
    """Rejects a dispute of an order's settlement."""

    reason_code: Reason
    """Of the dispute."""
    reason: Annotated[ShortText, Field(min_length=1)]
    """For people: why it stays as it is."""
    version: Revision | None = None
    """The version that is disputed; null: the newest."""


class CancelOrderBody(Reasoned):
    """Takes one order back before it begins."""

    revision: Revision | None = None
    """The order's revision this was decided on; null: whatever is current."""


class ExtendBody(Reasoned):
    """Lets an order end later."""

    ends_at: Timestamp
    """The new end; asking again for the same end changes nothing."""
    revision: Revision | None = None
    """The order's revision this was decided on; null: whatever is current."""


class ReleaseBody(Reasoned):
    """Lets an order end earlier."""

    ends_at: Timestamp | None = None
    """The new end; null: now."""
    revision: Revision | None = None
    """The order's revision this was decided on; null: whatever is current."""
