"""What operators ask for and data centers offer: requests, offers, decisions."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gridsignal_schemas.messages.certificates import Certificates
from gridsignal_schemas.messages.standing import StandingTerms
from gridsignal_schemas.messages.terms import (
    ClearingMode,
    Decision,
    Direction,
    Firmness,
    FlexibilityKind,
    Pricing,
    Purpose,
    RunMode,
    Visibility,
    Workload,
)
from gridsignal_schemas.values import (
    MAX_POWER_W,
    ActivationFee,
    Code,
    Currency,
    Energy,
    Identifier,
    Money,
    Name,
    OfferPrice,
    Power,
    Record,
    Revision,
    Seconds,
    Sha256,
    Shape,
    ShortText,
    Timestamp,
    Zone,
)

PositivePower = Annotated[int, Field(ge=1, le=MAX_POWER_W)]
Ramp = Annotated[int, Field(ge=1, le=MAX_POWER_W)]


class PinnedRule(Shape):
    """A rule with its text, so that nobody changes it afterwards and nobody has to look it up."""

    name: Identifier
    """The rule's name."""
    version: Revision
    """The rule's version."""
    sha256: Sha256
    """Of the parameters as UTF-8 text, in hex."""
    parameters: Annotated[str, Field(min_length=2, max_length=2048)]
    """Canonical JSON (RFC 8785): an object."""


class DispatchRequest(Record):
    """An operator asks for power up or down in one zone over one period; net AC power at connection points."""

    zone: Zone
    """The bidding zone; the record's key."""
    request_id: Identifier
    """Minted by the operator's door."""
    revision: Revision
    """+1 for each amendment; offers name the revision they answer."""
    operator: Identifier
    """The organisation that asks: grid operator, aggregator or supplier."""
    product: Name
    """The operator's own name of the product."""
    purpose: Purpose
    """What the power is for."""
    text: ShortText
    """For people."""
    direction: Direction
    """LOAD_DECREASE or LOAD_INCREASE at the connection point."""
    control_area: Name | None = None
    """The control area concerned, if narrower than the zone."""
    congestion_point: Name | None = None
    """The congested element, if the place matters."""
    visibility: Visibility
    """PUBLIC to all who are entitled to the zone, or LISTED to the audience alone."""
    audience: Annotated[list[Identifier], Field(max_length=1000)]
    """Participants who may see a LISTED request; empty means nobody."""
    starts_at: Timestamp
    """Full power from here."""
    ends_at: Timestamp
    """To here."""
    power_w: PositivePower
    """How much is asked for, in watts."""
    min_quantity_w: Power
    """The smallest award the operator will make."""
    step_w: PositivePower | None = None
    """Awards are multiples of this."""
    price_cap_per_mwh: Money | None = None
    """Offers above it are rejected."""
    currency: Currency
    """Of all prices in this request and the offers on it."""
    pricing: Pricing
    """PAY_AS_BID pays each its price, PAY_AS_CLEARED pays all the dearest award's."""
    deficiency_price_per_mwh: Money | None = None
    """What an order costs the site for each MWh it does not deliver."""
    firmness: Firmness
    """Whether silence voids an order (VOLUNTARY) or leaves the obligation standing."""
    max_notice_s: Seconds
    """Offers that need more notice are rejected."""
    full_activation_s: Seconds
    """From an order's issue to full power: includes notice and ramp."""
    max_ramp_w_per_min: Ramp | None = None
    """Faster ramps would hurt the grid."""
    rebound_cap_w: Power | None = None
    """How much above baseline a site may draw afterwards."""
    gate_closure_at: Timestamp
    """Offers logged at or after it are late."""
    decision_deadline: Timestamp
    """Cleared by then or unmet."""
    respond_within_s: Seconds
    """How long a site may take to answer an order."""
    clearing_mode: ClearingMode
    """AUTOMATIC at gate closure, or BY_HAND."""
    run_mode: RunMode
    """LIVE and TEST_ACTIVATION move megawatts and are settled, DRY_RUN reaches no actuator and no settlement."""
    settlement: PinnedRule | None = None
    """The rule by which its orders are settled; null: no settlement is recorded."""
    baseline_method: PinnedRule | None = None
    """How the baseline comes about that delivery is measured against; null: as declared."""
    product_terms: PinnedRule | None = None
    """What its product lays down, inside which it stays; null: its product lays down nothing."""


class RequestCancellation(Record):
    """The operator takes a request back: open offers are released, orders cancelled."""

    zone: Zone
    """The request's zone; the record's key."""
    request_id: Identifier
    """The request that is taken back."""
    actor: Name
    """Who did it."""
    reason_code: Code
    """For machines."""
    reason: ShortText
    """For people."""


class Rebound(Shape):
    """The load that comes back after a shift: shifted work is done later, or was done earlier."""

    energy_wh: Energy
    """How much comes back."""
    peak_w: Power
    """The most it adds to the baseline."""
    earliest: Timestamp
    """When it begins at the earliest."""
    latest: Timestamp
    """When it is over."""


class Flexibility(Shape):
    """Why the site can do it, and what it costs the work."""

    kind: FlexibilityKind
    """How the site does it."""
    workload: Workload
    """What waits, moves or goes without."""
    complete_by: Timestamp | None = None
    """When the shifted work must be done; required for SHIFT_TIME."""
    shift_to_zone: Zone | None = None
    """Where the work goes; required for SHIFT_SITE."""
    counterpart_power_w: Power | None = None
    """What the other site draws more or less; required for SHIFT_SITE; for the largest option, the less for less."""
    shift_to_site: Identifier | None = None
    """Your site there: it is reserved and ordered with this one, both or neither; null: nothing is ordered there."""
    rebound: Rebound | None = None
    """Required for SHIFT_TIME."""


class OfferOption(Shape):
    """One way to serve the request; the options of an offer exclude each other."""

    option: Identifier
    """The option's name within the offer."""
    power_w: PositivePower
    """The most it gives, in watts."""
    starts_at: Timestamp
    """Full power from here."""
    ends_at: Timestamp
    """To here."""
    price_per_mwh: OfferPrice
    """What the operator pays the participant, in both directions; may be negative."""
    activation_fee: ActivationFee | None = None
    """Once for each activation, on top."""
    notice_s: Seconds
    """From the order's issue to the first change of power (EBGL: preparation period)."""
    full_activation_s: Seconds
    """From the order's issue to full power, notice and ramp included."""
    ramp_down_w_per_min: Ramp
    """How fast the load can fall."""
    ramp_up_w_per_min: Ramp
    """How fast the load can rise."""
    min_duration_s: Seconds
    """Shorter activations are not possible."""
    max_duration_s: Seconds
    """Longer activations are not possible."""
    rest_s: Seconds | None = None
    """Pause between two activations."""
    max_activations_per_day: Annotated[int, Field(ge=1, le=1440)] | None = None
    """Activations in one day of the zone at most."""
    divisible: bool
    """Whether less than power_w can be awarded."""
    min_power_w: Power
    """The floor of a divisible option."""
    levels_w: Annotated[list[PositivePower], Field(max_length=64)] | None = None
    """The only powers possible, where a fleet moves in blocks (S2: a fleet that sheds 9.2 or 11.0 MW says so)."""


class FlexOffer(Record):
    """A data center's offer of flexible load; identity is (participant, offer_id, revision)."""

    zone: Zone
    """The site's zone; the record's key."""
    offer_id: Identifier
    """Minted by the client."""
    revision: Revision
    """+1 for each amendment, which takes a new place in time."""
    request_id: Identifier | None = None
    """The request it answers; null for a standing offer."""
    request_revision: Revision | None = None
    """The revision of the request that was read."""
    participant: Identifier
    """The organisation that offers."""
    site: Identifier
    """The connection point."""
    options: Annotated[list[OfferOption], Field(min_length=1, max_length=8)]
    """Mutually exclusive; a stepped price is a list of cumulative options."""
    flexibility: Flexibility
    """How and at what cost to the work."""
    expires_at: Timestamp
    """Not to be called after this."""
    certificates: Certificates | None = None
    """Of the energy that the offer moves; for people, no rule reads them."""
    standing: StandingTerms | None = None
    """For what it may be called; needed without a request_id, and there alone."""
    called_from: Identifier | None = None
    """The standing offer that a request has made it of. Nobody sends it."""


class OfferWithdrawal(Record):
    """A data center takes an offer back."""

    zone: Zone
    """The site's zone; the record's key."""
    request_id: Identifier | None = None
    """The request the offer answered."""
    participant: Identifier
    """Whose offer it is."""
    site: Identifier
    """The connection point."""
    offer_id: Identifier
    """The offer taken back, whatever its revision."""
    reason: ShortText
    """For people."""


class OfferDecision(Record):
    """What became of an offer: announced by the ledger, addressed to one site."""

    zone: Zone
    """The site's zone; the record's key."""
    request_id: Identifier | None = None
    """The request the offer answers."""
    participant: Identifier
    """Whose offer it is."""
    site: Identifier
    """The connection point."""
    offer_id: Identifier
    """The offer decided on."""
    revision: Revision
    """The offer's revision decided on."""
    decision: Decision
    """What became of it."""
    codes: Annotated[list[Code], Field(max_length=32)]
    """Why, one code for each rule."""
    option: Identifier | None = None
    """The option chosen."""
    power_w: Power | None = None
    """The power awarded."""
    rank: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Place in the merit order."""
    reason: ShortText
    """For people."""
