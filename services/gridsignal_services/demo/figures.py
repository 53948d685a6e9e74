"""The day's figures, counted from the log's records alone. Imports nothing but the contract and the standard library.

Whoever has the log gets the same figures; latencies are not in it. Amounts are exact decimals, energy is watt-hours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from gridsignal_schemas.messages import (
    BaselineDeclaration,
    CarbonIntensity,
    Clearing,
    ClearingTrigger,
    Direction,
    DispatchOrder,
    DispatchRequest,
    FlexibilityKind,
    FlexOffer,
    MeterReading,
    OrderResponse,
    OrderState,
    Record,
    ResponseKind,
    Scope,
    SpotPrice,
)

_WATT_SECONDS_PER_MWH = Decimal(3_600_000_000)


@dataclass(slots=True)
class Order:
    """An order's fate, as its records tell it."""

    issued: DispatchOrder
    accepted_w: int | None = None
    accepted_rank: int = 0
    """Place among the acceptances: overlapping orders share one deviation in this order."""
    refused: str = ""
    voided: bool = False
    delivered_wh: int = 0
    deficiency_wh: int = 0
    paid: Decimal = Decimal(0)
    penalty: Decimal = Decimal(0)

    @property
    def seconds(self) -> int:
        """Length of the ordered period."""
        return int(((self.issued.ends_at or self.issued.starts_at) - self.issued.starts_at).total_seconds())

    @property
    def awarded_wh(self) -> int:
        """What was accepted, over the period."""
        return (self.accepted_w or 0) * self.seconds // 3600


@dataclass(slots=True)
class SiteDay:
    """One connection point, interval by interval, keyed by the interval's start."""

    site: str
    zone: str
    baseline_w: dict[datetime, int] = field(default_factory=dict)
    metered_w: dict[datetime, int] = field(default_factory=dict)
    ordered_w: dict[datetime, int] = field(default_factory=lambda: defaultdict(int))
    """Signed: above zero asks for more load."""


@dataclass(slots=True)
class Day:
    """Everything the log says about one market day."""

    prices: dict[str, SpotPrice] = field(default_factory=dict)
    carbon: dict[str, dict[datetime, Decimal]] = field(default_factory=lambda: defaultdict(dict))
    requests: dict[str, DispatchRequest] = field(default_factory=dict)
    offers: dict[tuple[str, str], FlexOffer] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    clearings: list[Clearing] = field(default_factory=list)
    sites: dict[str, SiteDay] = field(default_factory=dict)
    moved_away_w: dict[datetime, int] = field(default_factory=lambda: defaultdict(int))
    """Load that orders moved to another zone, by interval; below zero: taken over from there."""
    interval_s: int = 900


def count(records: Iterable[Record]) -> Day:
    """Reads the records of all streams, each stream in its own order."""
    day = Day()
    for record in records:
        _read(day, record)
    for order in sorted(day.orders.values(), key=lambda order: order.accepted_rank):
        if order.accepted_w:
            _mark_ordered(day, order)
    _deliver(day)
    return day


def _read(day: Day, record: Record) -> None:
    match record:
        case SpotPrice():
            day.prices[record.zone] = record
        case CarbonIntensity() if record.scope is Scope.LIFECYCLE:
            day.carbon[record.zone].update((start, v) for start, _, v in record.intervals() if v is not None)
        case DispatchRequest():
            day.requests[record.request_id] = record
        case FlexOffer():
            day.offers[record.participant, record.offer_id] = record
        case Clearing():
            day.clearings.append(record)
        case DispatchOrder():
            _read_order(day, record)
        case OrderResponse():
            _read_response(day, record)
        case BaselineDeclaration():
            site = day.sites.setdefault(record.site, SiteDay(record.site, record.zone))
            step = timedelta(seconds=record.resolution_s)
            site.baseline_w = {record.starts_at + i * step: power for i, power in enumerate(record.power_w)}
        case MeterReading():
            site = day.sites.setdefault(record.site, SiteDay(record.site, record.zone))
            site.metered_w[record.starts_at] = record.import_w - record.export_w


def _read_order(day: Day, order: DispatchOrder) -> None:
    known = day.orders.setdefault(order.order_id, Order(order))
    known.voided = known.voided or order.state is OrderState.VOIDED


def _read_response(day: Day, response: OrderResponse) -> None:
    order = day.orders[response.order_id]
    if response.response is ResponseKind.REFUSED:
        order.refused = response.reason_code or "REFUSED"
    if response.response is ResponseKind.ACCEPTED and not order.voided and order.accepted_w is None:
        order.accepted_w = response.accepted_w or order.issued.power_w
        order.accepted_rank = 1 + sum(other.accepted_w is not None for other in day.orders.values())


def _covered(day: Day, order: Order) -> list[datetime]:
    """The intervals of the ordered period."""
    step, ends_at = timedelta(seconds=day.interval_s), order.issued.ends_at or order.issued.starts_at
    return [order.issued.starts_at + i * step for i in range((ends_at - order.issued.starts_at) // step)]


def _mark_ordered(day: Day, order: Order) -> None:
    way = 1 if order.issued.direction is Direction.LOAD_INCREASE else -1
    for start in _covered(day, order):
        day.sites[order.issued.site].ordered_w[start] += way * (order.accepted_w or 0)


def _deliver(day: Day) -> None:
    """delivered = clamp(s x (baseline - actual), 0, ordered); overlapping orders share one deviation."""
    used: dict[tuple[str, datetime], int] = defaultdict(int)
    for order in sorted(day.orders.values(), key=lambda order: order.accepted_rank):
        if not order.accepted_w:
            continue
        site, down = day.sites[order.issued.site], order.issued.direction is Direction.LOAD_DECREASE
        for start in _covered(day, order):
            deviation = site.baseline_w[start] - site.metered_w[start]
            deviation = (deviation if down else -deviation) - used[site.site, start]
            delivered = min(max(deviation, 0), order.accepted_w)
            used[site.site, start] += delivered
            _settle(day, order, delivered, max(0, order.accepted_w - deviation))
            if _moves_away(day, order):
                day.moved_away_w[start] += delivered if down else -delivered


def _settle(day: Day, order: Order, delivered_w: int, deficiency_w: int) -> None:
    request = day.requests[order.issued.request_id]
    order.delivered_wh += delivered_w * day.interval_s // 3600
    order.deficiency_wh += deficiency_w * day.interval_s // 3600
    order.paid += _amount(delivered_w, day.interval_s, order.issued.price_per_mwh or Decimal(0))
    order.penalty += _amount(deficiency_w, day.interval_s, request.deficiency_price_per_mwh or Decimal(0))


def _amount(power_w: int, seconds: int, price: Decimal) -> Decimal:
    return (Decimal(power_w) * seconds / _WATT_SECONDS_PER_MWH * price).quantize(Decimal("0.0001"))


def _moves_away(day: Day, order: Order) -> bool:
    offer = day.offers[order.issued.participant, order.issued.offer_id or ""]
    return offer.flexibility.kind is FlexibilityKind.SHIFT_SITE


# --- sums -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class With:
    """A figure with the orders, and as it would have been without."""

    with_: Decimal
    without: Decimal


def energy_wh(day: Day) -> With:
    """All sites' energy."""
    sums = [sum(sum(curve.values()) for curve in curves) for curves in _curves(day)]
    return With(*(Decimal(total * day.interval_s // 3600) for total in sums))


def _curves(day: Day) -> tuple[list[dict[datetime, int]], list[dict[datetime, int]]]:
    return [site.metered_w for site in day.sites.values()], [site.baseline_w for site in day.sites.values()]


def energy_cost(day: Day) -> With:
    """All sites' energy at their zones' day-ahead prices."""
    totals = [Decimal(0), Decimal(0)]
    for site in day.sites.values():
        for index, curve in enumerate((site.metered_w, site.baseline_w)):
            for start, power in curve.items():
                totals[index] += _amount(power, day.interval_s, day.prices[site.zone].at(start) or Decimal(0))
    return With(*totals)


def co2_kg(day: Day) -> With:
    """Average life-cycle CO2 of the zones whose figures are known.

    Like with like: load that orders moved to a zone without figures stays out of both sums.
    """
    totals = [Decimal(0), Decimal(0)]
    for site in day.sites.values():
        grams = day.carbon.get(site.zone)
        if not grams:
            continue
        for index, curve in enumerate((site.metered_w, site.baseline_w)):
            totals[index] += sum((_kg(day, power, grams[_hour(start)]) for start, power in curve.items()), Decimal(0))
    for start, power in day.moved_away_w.items():
        totals[0] += _kg(day, power, day.carbon[_home(day)][_hour(start)])
    return With(*totals)


def _kg(day: Day, power_w: int, grams_per_kwh: Decimal) -> Decimal:
    return Decimal(power_w) * day.interval_s / 3600 / 1000 * grams_per_kwh / 1000


def _hour(start: datetime) -> datetime:
    return start.replace(minute=0)


def _home(day: Day) -> str:
    """The zone the requests are in."""
    return next(iter(day.requests.values())).zone


def moved_away_wh(day: Day) -> int:
    """Energy that orders moved between zones, whose CO2 is unknown."""
    return sum(abs(power) for power in day.moved_away_w.values()) * day.interval_s // 3600


def reawards(day: Day) -> int:
    """Orders that went to the next in merit order because an earlier one fell short."""
    return sum(len(clearing.awards) for clearing in day.clearings if clearing.trigger is ClearingTrigger.SHORTFALL)


def offered_wh(day: Day) -> int:
    """What was offered, each offer's largest option over its window."""
    return sum(
        max(o.power_w * int((o.ends_at - o.starts_at).total_seconds()) // 3600 for o in offer.options)
        for offer in day.offers.values()
    )


def asked_wh(day: Day) -> int:
    """What was asked for."""
    return sum(r.power_w * int((r.ends_at - r.starts_at).total_seconds()) // 3600 for r in day.requests.values())
