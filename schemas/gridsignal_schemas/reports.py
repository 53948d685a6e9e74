"""What reports say: shapes of answers that are no records, and that the SDK reads as the door writes them."""

from __future__ import annotations

from gridsignal_schemas.messages import Accounting, CarbonStatus, Mix, Quality, Scope, Symbol
from gridsignal_schemas.messages.certificates import CertificateId
from gridsignal_schemas.values import Code, Identifier, Money, Name, Revision, Shape, Timestamp, Zone


class Basis(Shape):
    """Of what the figures are: only those of one basis say the same."""

    accounting: Accounting
    scope: Scope
    mix: Mix
    dataset: Name
    provider: Identifier


class Vintage(Shape):
    """The record of the carbon stream that a figure came from."""

    starts_at: Timestamp
    """Of its first interval."""
    revision: Revision
    status: CarbonStatus
    issued_at: Timestamp | None
    logged_at: Timestamp


class WhyUncounted(Symbol):
    """Why a certificate that a reading names counts for nothing there."""

    UNKNOWN = "UNKNOWN"
    NO_ENERGY = "NO_ENERGY"
    """It does not say its face value."""
    SEVERAL_HOURS = "SEVERAL_HOURS"
    """The reading is of more than one hour: which of them it was produced in is not said."""
    NAMED_BEFORE = "NAMED_BEFORE"
    """An earlier hour of the month has it, or another site of this report."""
    UNREAD_BEFORE = "UNREAD_BEFORE"
    """An hour before, or of another site, had too many readings to be read: it may have it."""


class Uncounted(Shape):
    """A certificate that counts for nothing where a reading names it."""

    certificate_id: CertificateId
    starts_at: Timestamp
    """Of the reading."""
    ends_at: Timestamp
    why: WhyUncounted


class HourCarbon(Shape):
    """An hour's carbon by one accounting."""

    grams_per_kwh: Money
    """The mean over the hour, to four places."""
    grams: int | None
    """Of what was consumed; null: that is not known."""
    uncovered_grams: int | None
    """Of what no certificate covers."""
    vintages: list[Vintage]
    """The records that say so."""


class MatchedHour(Shape):
    """An hour of a site, by the clock of its zone."""

    starts_at: Timestamp
    ends_at: Timestamp
    consumed_wh: int | None
    """Taken from the grid, less what was given to it; 0 where more was given. Null: not known, `missing` says why."""
    missing: Code | None
    qualities: list[Quality]
    certificates: list[CertificateId]
    """Those that count in this hour."""
    certified_wh: int
    """Their energy; what is more than was consumed matches nothing."""
    matched_wh: int | None
    uncovered_wh: int | None
    average: HourCarbon | None
    """Null: no basis, or what there is does not say all of the hour."""
    marginal: HourCarbon | None


class CarbonTotal(Shape):
    """The grams of all hours by one accounting, kept apart by zone and basis."""

    accounting: Accounting
    basis: Basis | None
    """By which figures; null: none were known."""
    zone: Zone
    known_at: Timestamp
    """As it was known then: a week after the month, or now."""
    grams: int
    """Of the hours whose consumption and carbon are known."""
    uncovered_grams: int
    """Of what no certificate covers in them."""
    known_wh: int
    """What was consumed in them."""
    unknown_wh: int
    """What was consumed in hours whose carbon is not known: no grams have it."""
    hours_unknown: int
    """Of the hours whose consumption is known."""


class MatchingTotal(Shape):
    """The sums over the hours that have figures."""

    hours: int
    hours_missing: int
    """Without a figure of what was consumed: no sum has them."""
    hours_uncovered: int
    """Those of which certificates cover less than all."""
    consumed_wh: int
    certified_wh: int
    """Of all hours, those without figures, too."""
    matched_wh: int
    uncovered_wh: int
    matched_share: Money | None
    """Matched of consumed, to four places; null: nothing was consumed."""


class SiteMatching(Shape):
    """A site's month."""

    site: Identifier
    zone: Zone
    timezone: str
    totals: MatchingTotal
    carbon: list[CarbonTotal]
    """Average, then marginal."""
    uncounted: list[Uncounted]
    """Certificates that count for nothing, and why."""
    hours: list[MatchedHour]


class MatchingReport(Shape):
    """A month of a participant's sites."""

    month: str
    of: str
    """Whose it is: role and organisation."""
    as_of: Timestamp
    """Hours that are not over by then are not here."""
    site: str | None
    """The site that was asked for; null: all."""
    zone: str | None
    """The zone that was asked for; null: all."""
    totals: MatchingTotal
    carbon: list[CarbonTotal]
    """By accounting, zone and basis: what differs in one of them is never added."""
    sites: list[SiteMatching]


class MatchingRow(Shape):
    """A row of the report's CSV."""

    month: str
    site: str
    zone: str
    starts_at: Timestamp
    ends_at: Timestamp
    consumed_wh: int | None
    missing: Code | None
    qualities: list[Quality]
    certificates: list[CertificateId]
    certified_wh: int
    matched_wh: int | None
    uncovered_wh: int | None
    average_grams_per_kwh: Money | None
    average_grams: int | None
    average_uncovered_grams: int | None
    marginal_grams_per_kwh: Money | None
    marginal_grams: int | None
    marginal_uncovered_grams: int | None


class OrderCarbon(Shape):
    """What an order's energy was in CO2 by one accounting; a report, and no part of its settlement."""

    accounting: Accounting
    basis: Basis | None
    """By which figures; null: none were known."""
    known_at: Timestamp
    """As it was known then: when the order ended."""
    emitted_grams: int | None
    """Of what the site drew; null: nothing of it is known."""
    avoided_grams: int | None
    """Of what it delivered; below zero where it drew more. Null: nothing of it is known."""
    known_wh: int
    """Delivered, and what `avoided_grams` are of."""
    unknown_wh: int
    """Delivered while the carbon is not known: no grams have it."""
    intervals_unknown: int
    """Without a figure of the meters, or without carbon."""
    vintages: list[Vintage]
    """The records that say so."""


class StatementCarbon(Shape):
    """The CO2 of all settled orders of a statement by one accounting, kept apart by zone and basis."""

    accounting: Accounting
    zone: Zone
    basis: Basis | None
    """By which figures; null: none were known when these orders ended."""
    orders: int
    emitted_grams: int | None
    avoided_grams: int | None
    known_wh: int
    unknown_wh: int
    intervals_unknown: int
