"""Bounds, each with its reason: what is out of them is set aside and told, never dropped in silence.

The last good figures stay; a batch is judged record by record, so one bad day does not hold back a good one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from statistics import median, quantiles

from gridsignal_schemas.messages import (
    Accounting,
    CarbonIntensity,
    CarbonStatus,
    GridAlert,
    PriceProduct,
    PriceStatus,
    Record,
    Scope,
    SpotPrice,
    Symbol,
)
from gridsignal_schemas.values import rfc3339
from gridsignal_services.ingest.markets import DEFAULTS, Bounds, Markets
from gridsignal_services.ingest.schedule import market_day


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a record was set aside: a code for counting and a sentence for a person."""

    code: str
    text: str
    points: tuple[tuple[int, str], ...] = ()
    """Which values of a curve it is about, by index, with a sentence for each."""


@dataclass(frozen=True, slots=True)
class QuarantinedRecord:
    """A record in quarantine, and why."""

    record: Record
    reasons: list[Reason]
    at: datetime


_CARBON, _CLEAN = Bounds(Decimal(0), Decimal(2500)), Bounds(Decimal(10), Decimal(50))


@dataclass(frozen=True, slots=True)
class FeedLimits:
    """Settings of the quarantine. Price bounds per (zone, product) where the market's own do not fit."""

    markets: Markets = DEFAULTS
    price_bounds: Mapping[tuple[str, str], Bounds] = field(default_factory=dict)
    carbon_bounds: Bounds = _CARBON
    furthest_ahead: timedelta = timedelta(days=8)
    """Forecasts reach a week."""
    settled_ahead: timedelta = timedelta(days=3)
    """Prices that are called final reach the end of the next market day."""
    clock_slack: timedelta = timedelta(minutes=10)
    """How far a measured interval may end after our own clock."""
    stuck_for: timedelta = timedelta(hours=10)
    """Carbon that does not move for so long is a stuck sensor, not a grid."""
    stuck_points: int = 24
    clean: Bounds = _CLEAN
    """Over a life cycle, what water, nuclear, wind and sun alone come to: it may stand still for days."""
    fewest_good: Decimal = Decimal("0.75")
    """The share of a curve's values that has to be within bounds for the others to be gaps: below it all of it is set
    aside."""
    unit_flips: tuple[int, ...] = (100, 1000)
    """Factors between units that feeds confuse: p and GBP, kWh and MWh. Ten (ct/kWh) is also what a windy day does."""


def without_outliers(record: Record, limits: FeedLimits) -> tuple[Record, Reason | None]:
    """A curve whose few values out of bounds are gaps, and the reason; any other record as it is.

    A forecast is judged as a whole: a model that is wrong for one hour is no good for the next.
    """
    if isinstance(record, SpotPrice) and record.status is not PriceStatus.FORECAST:
        name, values, bounds, unit = "prices_per_mwh", record.prices_per_mwh, _price_bounds(record, limits), PRICE_UNIT
    elif isinstance(record, CarbonIntensity) and record.status is not CarbonStatus.FORECAST:
        name, values, bounds, unit = "grams_per_kwh", record.grams_per_kwh, limits.carbon_bounds, CARBON_UNIT
    else:
        return record, None
    reasons = _bound_faults(record, values, bounds, unit)
    kept = [value if value is not None and bounds.lowest <= value <= bounds.highest else None for value in values]
    good, given = (sum(value is not None for value in some) for some in (kept, values))
    if not reasons or good < limits.fewest_good * given:
        return record, None
    flags = list(dict.fromkeys([*record.flags, "gap", "out_of_bounds"]))
    return record.model_copy(update={name: kept, "flags": flags}), reasons[0]


PRICE_UNIT, CARBON_UNIT = "price per MWh", "g/kWh"


def faults(
    record: Record, asked_zone: str | None, now: datetime, limits: FeedLimits, good: Record | None
) -> list[Reason]:
    """Every reason to set a record aside; empty for a good one. `good` is a recent good record of the same series."""
    found = _zone_faults(record, asked_zone) + _symbol_faults(record)
    if isinstance(record, SpotPrice):
        found += _price_faults(record, now, limits)
        if isinstance(good, SpotPrice) and good.currency == record.currency:
            found += _flip_faults(record.prices_per_mwh, good.prices_per_mwh, limits)
        elif isinstance(good, SpotPrice) and not _changes_currency(record, limits):
            text = (
                f"expected {good.currency} as before, got {record.currency}: published once a later answer repeats it"
            )
            found.append(Reason("currency_changed", text))
    elif isinstance(record, CarbonIntensity):
        found += _carbon_faults(record, now, limits)
        if isinstance(good, CarbonIntensity):
            found += _flip_faults(record.grams_per_kwh, good.grams_per_kwh, limits)
    elif isinstance(record, GridAlert):
        found += _alert_faults(record, now, limits)
    return found


def _zone_faults(record: Record, asked_zone: str | None) -> list[Reason]:
    zone = getattr(record, "zone", None)
    if asked_zone is None or zone == asked_zone:
        return []
    return [Reason("wrong_zone", f"asked for {asked_zone}, got {zone}")]


def _symbol_faults(record: Record) -> list[Reason]:
    unknown = [name for name, value in record if isinstance(value, Symbol) and value == "UNKNOWN"]
    return [Reason("unknown_symbol", f"expected a symbol this version knows for {name}") for name in unknown]


def confirms(record: Record, doubted: Record, limits: FeedLimits) -> bool:
    """Whether a record says again what another was set aside for: a currency in a later answer, a level of other hours.

    A slip of units stands in an answer however often it is read; another day at the same level is how things are now.
    """
    if isinstance(record, SpotPrice) and isinstance(doubted, SpotPrice):
        if record.currency != doubted.currency:
            return False
        levels = record.prices_per_mwh, doubted.prices_per_mwh
    elif isinstance(record, CarbonIntensity) and isinstance(doubted, CarbonIntensity):
        levels = record.grams_per_kwh, doubted.grams_per_kwh
    else:
        return False
    return not _flip_faults(*levels, limits)


def _market_day(record: SpotPrice, limits: FeedLimits) -> date:
    return market_day(record.starts_at, limits.markets.of(record.zone).timezone)


def _price_bounds(record: SpotPrice, limits: FeedLimits) -> Bounds:
    product = str(record.product)
    chosen = limits.price_bounds.get((record.zone, product))
    return chosen or limits.markets.of(record.zone).bounds(product, record.currency, _market_day(record, limits))


def _changes_currency(record: SpotPrice, limits: FeedLimits) -> bool:
    return limits.markets.changes_to(record.currency, record.zone, _market_day(record, limits))


def _price_faults(record: SpotPrice, now: datetime, limits: FeedLimits) -> list[Reason]:
    ends_at = rfc3339(record.ends_at)
    settled = record.status in (PriceStatus.FINAL, PriceStatus.CORRECTED)
    ahead = limits.settled_ahead if settled else limits.furthest_ahead
    if record.product is PriceProduct.REAL_TIME and record.status is not PriceStatus.FORECAST:
        ahead = limits.clock_slack + timedelta(seconds=record.resolution_s)  # told when its interval begins
    found = _bound_faults(record, record.prices_per_mwh, _price_bounds(record, limits), PRICE_UNIT)
    if record.ends_at > now + ahead:
        found.append(Reason("future", f"expected an end by {rfc3339(now + ahead)}, got {ends_at}"))
    return found + _empty_faults(record.prices_per_mwh)


def _carbon_faults(record: CarbonIntensity, now: datetime, limits: FeedLimits) -> list[Reason]:
    ends_at = rfc3339(record.ends_at)
    found = _bound_faults(record, record.grams_per_kwh, limits.carbon_bounds, CARBON_UNIT)
    ahead = limits.furthest_ahead if record.status is CarbonStatus.FORECAST else limits.clock_slack
    if record.status is CarbonStatus.ESTIMATED:
        ahead += timedelta(seconds=record.resolution_s)  # an estimate is made while its interval runs
    if record.ends_at > now + ahead:
        found.append(Reason("future", f"{record.status} ends {ends_at}, now is {rfc3339(now)}"))
    return found + _empty_faults(record.grams_per_kwh) + _stuck_faults(record, limits)


def _alert_faults(record: GridAlert, now: datetime, limits: FeedLimits) -> list[Reason]:
    found = []
    if record.ends_at is not None and record.ends_at < record.starts_at:
        found.append(Reason("ends_first", f"ends {rfc3339(record.ends_at)} before it starts"))
    if record.issued_at > now + limits.clock_slack:
        found.append(Reason("future", f"issued {rfc3339(record.issued_at)}, now is {rfc3339(now)}"))
    return found


def _bound_faults(
    record: SpotPrice | CarbonIntensity, values: Sequence[Decimal | None], bounds: Bounds, unit: str
) -> list[Reason]:
    outside = [(i, v) for i, v in enumerate(values) if v is not None and not bounds.lowest <= v <= bounds.highest]
    if not outside:
        return []
    expected = f"expected {bounds.lowest}..{bounds.highest} {unit}"
    points = tuple((i, f"{expected}, got {v}") for i, v in outside)
    first = record.starts_at + outside[0][0] * timedelta(seconds=record.resolution_s)
    text = f"{points[0][1]} at {rfc3339(first)} ({len(outside)} of {len(values)})"
    return [Reason("out_of_bounds", text, points)]


def _empty_faults(values: Sequence[Decimal | None]) -> list[Reason]:
    if any(value is not None for value in values):
        return []
    return [Reason("empty", f"all {len(values)} values are missing")]


def _stuck_faults(record: CarbonIntensity, limits: FeedLimits) -> list[Reason]:
    values = [v for v in record.grams_per_kwh if v is not None]
    covers = timedelta(seconds=record.resolution_s * len(values))
    if len(values) < limits.stuck_points or covers < limits.stuck_for or len(set(values)) > 1:
        return []
    if not values[0] and record.accounting is Accounting.AVERAGE and record.scope is Scope.DIRECT:
        return []  # a windy region burns nothing for days; at the margin or over a life cycle nobody does
    if record.scope is Scope.LIFECYCLE and limits.clean.lowest <= values[0] <= limits.clean.highest:
        return []
    return [Reason("stuck", f"{len(values)} times {values[0]} g/kWh in a row")]


def _flip_faults(values: Sequence[Decimal | None], good: Sequence[Decimal | None], limits: FeedLimits) -> list[Reason]:
    """A whole curve, from its low values to its largest, a hundred times larger or smaller than the last good one.

    All of them, because prices near zero after a dear day have a small median too, but not a small maximum; and no
    unit changes a sign: a windy day below zero is one.
    """
    before, now = _sizes(good), _sizes(values)
    if before is None or now is None or _lowest(values) < 0 <= _lowest(good):
        return []
    for factor in limits.unit_flips:
        for one, other in ((now, before), (before, now)):
            if all(b and Decimal("0.5") < a / b / factor < 2 for a, b in zip(one, other, strict=True)):
                middle = len(now) // 2
                text = f"typically {now[middle]:.4f}, {before[middle]:.4f} before: {factor} times as much or as little"
                return [Reason("unit_flip", text)]
    return []


def _lowest(values: Sequence[Decimal | None]) -> Decimal:
    return min(value for value in values if value is not None)


def _sizes(values: Sequence[Decimal | None]) -> list[Decimal] | None:
    """The lower quartile, the median, the upper quartile and the maximum of the absolute values; None where there are
    too few, or they are mostly zero."""
    sizes = sorted(abs(value) for value in values if value is not None)
    if len(sizes) < 12 or not median(sizes):
        return None
    return [*quantiles(sizes, n=4), sizes[-1]]
