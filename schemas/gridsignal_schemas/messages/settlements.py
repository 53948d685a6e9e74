"""What an order came to: settlements, the disputes about them, the rules that requests bring with them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gridsignal_schemas.messages.orders import Quality
from gridsignal_schemas.values import (
    EXACT_MAX,
    INT32_MAX,
    MAX_POWER_W,
    Code,
    Currency,
    Energy,
    Identifier,
    Money,
    Name,
    Power,
    Record,
    Resolution,
    Revision,
    Sha256,
    Shape,
    ShortText,
    Symbol,
    Timestamp,
    Zone,
)

MAX_INTERVALS = 3000
"""Of one settlement: 31 days of quarter hours, the longest that may be asked for. A longer one has wider intervals."""

Offset = Annotated[int, Field(ge=0, le=EXACT_MAX)]
NetPower = Annotated[int, Field(ge=-MAX_POWER_W, le=MAX_POWER_W)]
Day = Annotated[str, Field(pattern=r"^[12][0-9]{3}-[01][0-9]-[0-3][0-9]$")]
NetEnergy = Annotated[int, Field(ge=-EXACT_MAX, le=EXACT_MAX)]
Reason = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]


class SettlementStatus(Symbol):
    UNKNOWN = "UNKNOWN"
    PROVISIONAL = "PROVISIONAL"
    FINAL = "FINAL"
    CORRECTED = "CORRECTED"


class RuleName(Shape):
    """A rule by its name, and its text by its hash."""

    name: Identifier
    """The rule's name."""
    version: Revision
    """The rule's version."""
    sha256: Sha256
    """Of the rule's parameters as UTF-8 text, in hex."""


class DayLeftOut(Shape):
    """A day of the right type that the method did not go by."""

    day: Day
    """The day."""
    why: ShortText
    """Why not: the site was asked on it, or its readings are missing or bad."""


class BaselineFixed(Record):
    """What a site that offered would draw by its request's baseline method, from its history: fixed at gate closure."""

    zone: Zone
    """The request's zone; the record's key."""
    request_id: Identifier
    """The request whose gate has closed."""
    participant: Identifier
    """Who offered."""
    site: Identifier
    """The connection point."""
    method: RuleName
    """The baseline method of the request."""
    starts_at: Timestamp
    """Start of the first interval."""
    resolution_s: Resolution
    """Length of one interval in seconds."""
    power_w: Annotated[list[Power], Field(max_length=MAX_INTERVALS)]
    """The history of each interval, in watts, before its adjustment; empty where the method gives none: then what was
    declared holds."""
    days: Annotated[list[Day], Field(max_length=366)]
    """The days that it is the mean of, newest first, such as 2024-05-13."""
    window_starts_at: Timestamp | None = None
    """Where the adjustment's window begins; null: it is not adjusted."""
    window_ends_at: Timestamp | None = None
    """Where the window ends."""
    window_w: NetPower | None = None
    """Mean net power of the same hours on those days, in watts."""
    readings_position: Offset
    """Kept for older logs; 0, for an offset counts what others wrote."""
    readings: Annotated[int, Field(ge=0, le=INT32_MAX)]
    """How many readings were looked at."""
    readings_sha256: Sha256
    """Of the sha256 of each of their values, in the order of the log, in hex."""
    reason: ShortText
    """For people: what the method needs and did not find, or empty."""
    left_out: Annotated[list[DayLeftOut], Field(max_length=366)] | None = None
    """The days that were looked at and left out, newest first; null where an older version has written it."""
    root: Sha256 | None = None
    """Root of the tree over the dispatch partition's records when it was computed, in hex: orders among these say on
    which days the site was asked."""
    time_zone: Name | None = None
    """By whose clock days and hours are counted, an IANA name."""
    holidays: Annotated[list[Day], Field(max_length=367)] | None = None
    """The public holidays among the days that the method may look at, and the request's own."""


class SettledInterval(Shape):
    """One stretch of an order's period, in energy; null where it is not known."""

    starts_at: Timestamp
    """Start of the stretch."""
    ends_at: Timestamp
    """End of the stretch."""
    baseline_wh: Energy | None = None
    """What the site would have taken; null where it has no baseline."""
    actual_wh: NetEnergy | None = None
    """What it took net of what it gave; negative where it gave more."""
    ordered_wh: Energy
    """What was ordered."""
    delivered_wh: Energy | None = None
    """What of it was delivered; null where it is not known, and missing says why."""
    deficiency_wh: Energy | None = None
    """What of it was not delivered."""
    ramp_ok: bool | None = None
    """Whether power changed no faster than was ordered; null where no ramp was ordered, or readings do not tell."""
    qualities: Annotated[list[Quality], Field(max_length=8)]
    """Each quality of the readings that were used, once."""
    amount: Money | None = None
    """What the participant gets for it, or owes below zero."""


class MissingPeriod(Shape):
    """A stretch of an order's period that has no figures."""

    starts_at: Timestamp
    """Start of the stretch."""
    ends_at: Timestamp
    """End of the stretch."""
    code: Code
    """Why it has none."""


class SettlementInputs(Shape):
    """What a settlement was computed from: whoever has the log finds the same."""

    position: Offset
    """Kept for older logs; 0, for an offset counts what others wrote."""
    readings_position: Offset
    """Kept for older logs; 0, for an offset counts what others wrote."""
    readings: Offset
    """How many readings count for the order's period."""
    readings_sha256: Sha256
    """Of the sha256 of each one's Avro value, 32 bytes each, one after the other in the order of the log."""
    baseline_sha256: Sha256
    """Of the sha256 of each declaration that the baseline is from, likewise."""
    root: Sha256 | None = None
    """Root of the tree over the partition's records when it was computed, in hex; null on older logs."""


class Settlement(Record):
    """What an order came to, by the rule of its request: valid where the order is over and this version is owed."""

    zone: Zone
    """The order's zone; the record's key."""
    request_id: Identifier
    """The request that the order serves."""
    participant: Identifier
    """Whom the order is to."""
    site: Identifier
    """The connection point."""
    order_id: Identifier
    """The order that is settled."""
    settlement_id: Identifier
    """Derived from the order; all versions have the same."""
    version: Revision
    """+1 for each: nothing is overwritten."""
    rule: RuleName
    """The rule of the request."""
    status: SettlementStatus
    """PROVISIONAL and FINAL come at the rule's times; CORRECTED where a later reading changes an interval."""
    intervals: Annotated[list[SettledInterval], Field(max_length=MAX_INTERVALS)]
    """In order of time."""
    activation_fee: Money | None = None
    """What is paid for the activation alone, in the total already."""
    total: Money
    """What the participant gets in all, or owes below zero; the operator's flow is its negative."""
    currency: Currency
    """Of all amounts."""
    inputs: SettlementInputs
    """What it was computed from."""
    missing: Annotated[list[MissingPeriod], Field(max_length=MAX_INTERVALS)]
    """What has no figures, and why; the rest is settled meanwhile."""
    reason: ShortText
    """For people: why there is this version."""
    supersedes: Revision | None = None
    """The version that it takes the place of."""


class SettlementDispute(Record):
    """A participant holds a settlement to be wrong; within the rule's window, once for each version and reason."""

    zone: Zone
    """The order's zone; the record's key."""
    request_id: Identifier
    """The request that the order serves."""
    participant: Identifier
    """Who disputes it."""
    site: Identifier
    """The connection point."""
    order_id: Identifier
    """The order that is settled."""
    settlement_id: Identifier
    """The settlement."""
    version: Revision
    """The version that is disputed: the newest."""
    reason_code: Reason
    """For machines; one version is disputed once for each."""
    text: ShortText
    """For people."""
    claimed: Money | None = None
    """The total that would be right."""
    actor: Name
    """Who wrote it."""


class DisputeRejected(Record):
    """The operator's answer to a dispute that changes nothing; a new version is the other answer."""

    zone: Zone
    """The order's zone; the record's key."""
    request_id: Identifier
    """The request that the order serves."""
    participant: Identifier
    """Who disputed it."""
    site: Identifier
    """The connection point."""
    order_id: Identifier
    """The order that is settled."""
    settlement_id: Identifier
    """The settlement."""
    version: Revision
    """The version that is disputed."""
    reason_code: Reason
    """Of the dispute that is answered."""
    actor: Name
    """Who answered it."""
    reason: Annotated[ShortText, Field(min_length=1)]
    """For people: why it stays as it is."""
