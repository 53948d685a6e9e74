"""What an order delivered, interval by interval: readings against the baseline, shared among overlapping orders.

    delivered = clamp(s x (baseline - actual), 0, ordered); overlapping orders share one deviation in order of
    acceptance and are never paid twice.

An interval without a good reading or without a baseline is a gap: null, never 0.
What it is worth is delivered x price - deficiency x deficiency price; a dry run is worth nothing to anybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

from gridsignal_schemas.messages import (
    DispatchOrder,
    DispatchRequest,
    MeterPoint,
    MeterReading,
    OrderState,
    Quality,
    QuantityKind,
    RunMode,
)
from gridsignal_schemas.values import Money, Shape, Timestamp
from gridsignal_services.ledger.book import Book, TrackedOrder
from gridsignal_services.ledger.delivery import amount, deficiency_w, deviation_w, energy_wh, shared_delivery_w

_NEVER_ORDERED = frozenset({OrderState.REFUSED, OrderState.VOIDED, OrderState.CANCELLED})
_GOOD = frozenset({Quality.OK, Quality.ESTIMATED})


class DeliveryInterval(Shape):
    """One stretch of an order's period over which baseline, reading and orders are constant."""

    starts_at: Timestamp
    ends_at: Timestamp
    baseline_w: int | None
    actual_w: int | None
    """Net power taken from the grid at the connection point; negative when it feeds in."""
    ordered_w: int
    delivered_w: int | None
    deficiency_w: int | None
    delivered_wh: int | None
    amount: Money | None
    """What the site gets for it, in the request's currency, or owes below zero; null in a gap and in a dry run."""


class Mean(NamedTuple):
    """Net power at a connection point over one interval, in watts; None where a meter has no good figure."""

    starts_at: datetime
    ends_at: datetime
    net_w: int | None


def net_means(readings: Iterable[MeterReading]) -> list[Mean]:
    """The connection point's means, all its meters added; of two readings of one interval the later `seq` counts."""
    newest: dict[tuple[datetime, datetime], dict[str, MeterReading]] = {}
    for reading in readings:
        if reading.point is MeterPoint.CONNECTION:
            meters = newest.setdefault((reading.starts_at, reading.ends_at), {})
            known = meters.get(reading.meter)
            if known is None or known.seq < reading.seq:
                meters[reading.meter] = reading
    return [Mean(*period, _net(meters.values())) for period, meters in sorted(newest.items())]


def _net(readings: Iterable[MeterReading]) -> int | None:
    total = 0
    for reading in readings:
        if reading.quality not in _GOOD:
            return None
        total += reading.import_w - reading.export_w
    return total


def delivery(book: Book, tracked: TrackedOrder, readings: Iterable[MeterReading]) -> list[DeliveryInterval]:
    """What the order delivered as far as it has been metered; nothing for limits and for orders that never held."""
    if tracked.order.quantity_kind is not QuantityKind.DELTA or tracked.state in _NEVER_ORDERED:
        return []
    order, asked = tracked.order, book.requests[tracked.order.request_id]
    rivals = _in_order_of_acceptance(book, order)
    intervals = []
    for mean in net_means(readings):
        for starts_at, ends_at in _stretches(book, order, rivals, mean):
            baseline = book.baseline_w(order.site, starts_at, asked.place)
            sharing = [rival for rival in rivals if _holds(rival.order, starts_at)]
            stretch = Mean(starts_at, ends_at, mean.net_w)
            intervals.append(_interval(tracked, asked.request, sharing, stretch, baseline))
    return intervals


def _in_order_of_acceptance(book: Book, order: DispatchOrder) -> list[TrackedOrder]:
    rivals = [
        other
        for other in book.orders.values()
        if other.order.site == order.site
        and other.order.direction is order.direction
        and other.state not in _NEVER_ORDERED
    ]
    last = 2**63
    return sorted(rivals, key=lambda r: (last if r.accepted_place is None else r.accepted_place, r.order.order_id))


def _holds(order: DispatchOrder, when: datetime) -> bool:
    return order.starts_at <= when and (order.ends_at is None or when < order.ends_at)


def _stretches(
    book: Book, order: DispatchOrder, rivals: Sequence[TrackedOrder], mean: Mean
) -> Iterator[tuple[datetime, datetime]]:
    starts_at = max(order.starts_at, mean.starts_at)
    ends_at = mean.ends_at if order.ends_at is None else min(order.ends_at, mean.ends_at)
    if starts_at >= ends_at:
        return
    edges = {starts_at, ends_at, *_baseline_edges(book, order.site, starts_at, ends_at)}
    for rival in rivals:
        edges.update(e for e in (rival.order.starts_at, rival.order.ends_at) if e and starts_at < e < ends_at)
    moments = sorted(edges)
    yield from pairwise(moments)


def _baseline_edges(book: Book, site: str, starts_at: datetime, ends_at: datetime) -> Iterator[datetime]:
    for declared in book.declared.get(site, ()):
        if declared.ends_at <= starts_at or ends_at <= declared.starts_at:
            continue
        step = timedelta(seconds=declared.baseline.resolution_s)
        edge = starts_at + (declared.baseline.starts_at - starts_at) % step
        while edge < ends_at:
            if edge > starts_at:
                yield edge
            edge += step


def _interval(
    tracked: TrackedOrder,
    request: DispatchRequest,
    sharing: Sequence[TrackedOrder],
    stretch: Mean,
    baseline_w: int | None,
) -> DeliveryInterval:
    starts_at, ends_at, actual_w = stretch
    ordered_w, seconds = tracked.power_w, int((ends_at - starts_at).total_seconds())
    delivered = missing = energy = worth = None
    if baseline_w is not None and actual_w is not None:
        deviation = deviation_w(tracked.order.direction, baseline_w, actual_w)
        shares = shared_delivery_w(deviation, [order.power_w for order in sharing])
        at = next(index for index, order in enumerate(sharing) if order is tracked)
        delivered = shares[at]
        # a move the wrong way is missing once: from the order accepted first
        first = deficiency_w(tracked.order.direction, baseline_w, actual_w, ordered_w)
        missing = ordered_w - delivered if at else first
        energy = energy_wh(delivered, seconds)
        worth = _worth(tracked.order, request, delivered, missing, seconds)
    return DeliveryInterval(
        starts_at=starts_at,
        ends_at=ends_at,
        baseline_w=baseline_w,
        actual_w=actual_w,
        ordered_w=ordered_w,
        delivered_w=delivered,
        deficiency_w=missing,
        delivered_wh=energy,
        amount=worth,
    )


def _worth(
    order: DispatchOrder, request: DispatchRequest, delivered: int, missing: int, seconds: int
) -> Decimal | None:
    if order.run_mode is RunMode.DRY_RUN:
        return None
    own, uniform = order.price_per_mwh, order.clearing_price_per_mwh
    paid = amount(delivered, seconds, (own if uniform is None else uniform) or Decimal(0))
    return paid - amount(missing, seconds, request.deficiency_price_per_mwh or Decimal(0))
