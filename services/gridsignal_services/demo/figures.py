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
    Settlement,
    SpotPrice,
)
from gridsignal_schemas.values import WATT_SECONDS_PER_MWH


@dataclass(frozen=True, slots=True)
class Interval:
    """A quarter hour of an order."""

    starts_at: datetime
    delivered_w: int
    deficiency_w: int
    paid: Decimal
    penalty: Decimal


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
    intervals: list[Interval] = field(default_factory=list)

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
    handed_w: dict[datetime, int] = field(default_factory=lambda: defaultdict(int))
    """What orders delivered, signed like `ordered_w`: whoever asked settles that energy, the site does not."""

    def billed_w(self, start: datetime) -> int:
        """What the site pays the day-ahead price for."""
        return self.metered_w[start] - self.handed_w.get(start, 0)


@dataclass(slots=True)
class Day:
    """Everything the log says about one market day."""

    prices: dict[str, SpotPrice] = field(default_factory=dict)
    carbon: dict[str, dict[datetime, Decimal]] = field(default_factory=lambda: defaultdict(dict))
    requests: dict[str, DispatchRequest] = field(default_factory=dict)
    offers: dict[tuple[str, str], FlexOffer] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    clearings: list[Clearing] = field(default_factory=list)
    settlements: dict[str, Settlement] = field(default_factory=dict)
    """The newest version of each, by its order."""
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
        case Settlement():
            day.settlements[record.order_id] = record
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
            site.handed_w[start] += -delivered if down else delivered
            _settle(day, order, start, delivered, max(0, order.accepted_w - deviation))
            if moves_away(day, order):
                day.moved_away_w[start] += delivered if down else -delivered


def _settle(day: Day, order: Order, start: datetime, delivered_w: int, deficiency_w: int) -> None:
    request = day.requests[order.issued.request_id]
    order.delivered_wh += delivered_w * day.interval_s // 3600
    order.deficiency_wh += deficiency_w * day.interval_s // 3600
    paid = amount(delivered_w, day.interval_s, order.issued.price_per_mwh or Decimal(0))
    penalty = amount(deficiency_w, day.interval_s, request.deficiency_price_per_mwh or Decimal(0))
    order.paid += paid
    order.penalty += penalty
    order.intervals.append(Interval(start, delivered_w, deficiency_w, paid, penalty))


def amount(power_w: int, seconds: int, price: Decimal) -> Decimal:
    """What a mean power over a time is worth, to four places."""
    return (Decimal(power_w) * seconds / WATT_SECONDS_PER_MWH * price).quantize(Decimal("0.0001"))


def offer_of(day: Day, order: Order) -> FlexOffer:
    """The offer that was ordered."""
    return day.offers[order.issued.participant, order.issued.offer_id or ""]


def moves_away(day: Day, order: Order) -> bool:
    """Whether its load went to another zone."""
    return offer_of(day, order).flexibility.kind is FlexibilityKind.SHIFT_SITE
