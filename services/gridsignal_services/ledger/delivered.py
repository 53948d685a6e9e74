"""What an order delivered, interval by interval: readings against the baseline, shared among overlapping orders.

    delivered = clamp(s x (baseline - actual), 0, ordered); overlapping orders share one deviation in order of
    acceptance and are never paid twice.

An interval without a good reading or without a baseline is a gap: null, never 0.
What it is worth is delivered x price - deficiency x deficiency price; a dry run is worth nothing to anybody.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import chain, pairwise
from typing import NamedTuple

from gridsignal_schemas.messages import Direction, MeterReading, OrderState, Pricing, QuantityKind, RunMode
from gridsignal_schemas.rules.baselines import Declared, counting
from gridsignal_schemas.rules.lifecycle import ORDER_NEVER_HELD
from gridsignal_schemas.rules.profile import Block, Profile
from gridsignal_schemas.values import Shape, Timestamp
from gridsignal_services.ledger.amounts import Amount, exactly
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.tracked import Ahead, TrackedOrder
from gridsignal_services.settlement.delivery import amount, deviation, share_of, wh_of
from gridsignal_services.settlement.energy import Gap, Installed, Mean, net_means, of_these
from gridsignal_services.settlement.periods import Netting
from gridsignal_services.settlement.pinned import rule_of

_BROKEN_OFF = frozenset({OrderState.COMPLETED, OrderState.ABORTED, OrderState.DEFAULTED})
_NEVER = datetime.max.replace(tzinfo=UTC)
_SECOND = timedelta(seconds=1)


class DeliveryInterval(Shape):
    """One stretch of an order's period over which baseline, reading and orders are constant."""

    starts_at: Timestamp
    ends_at: Timestamp
    baseline_w: int | None
    actual_w: int | None
    """Net power taken from the grid at the connection point; negative when it feeds in."""
    ordered_w: int
    delivered_w: int | None
    """0: metered, and nothing was delivered; null: not known, and `gap` says why."""
    deficiency_w: int | None
    delivered_wh: int | None
    amount: Amount | None
    """What the site gets for it, in the request's currency, or owes below zero; null in a gap and in a dry run."""
    gap: Gap | None = None
    """Why there is no figure; null where there is one."""


class OrderTotals(NamedTuple):
    """What the intervals of an order add up to; None where none of them has a figure."""

    delivered_ws: int | None
    """In watt-seconds, so that sums of several orders are rounded once, too."""
    amount: Decimal | None
    metered_s: int
    """How much of the period has a figure."""

    @property
    def delivered_wh(self) -> int | None:
        """In whole watt-hours, as one order is shown."""
        return None if self.delivered_ws is None else wh_of(self.delivered_ws)


@dataclass(frozen=True, slots=True)
class Terms:
    """All that an order's delivery depends on beside its readings: a copy, for the book goes on."""

    starts_at: datetime
    ends_at: datetime
    over_at: datetime
    """From here on it delivers nothing, for its site has ended it; what it owes stays."""
    direction: Direction
    meaning: QuantityKind
    ordered: Profile
    """By how much it is to differ from the baseline, or the limit: in watts, at each moment."""
    ahead: Profile
    """What orders that were accepted before it take of the same deviation, but for limits."""
    limits_ahead: tuple[Block, ...]
    """The limits among those."""
    limits_behind: tuple[Block, ...]
    behind: Profile
    """What those that come after it would."""
    netting: Netting | None
    """Where the rule of its request has its energies netted."""
    nettings: tuple[Netting, ...]
    """Where the rules of those before and after it have theirs."""
    baselines: tuple[Declared, ...]
    """Those it counts on, oldest first."""
    capacity_w: int | None
    meters: Mapping[str, Installed]
    """All meters of the connection; empty: those that speak."""
    pricing: Pricing
    bid_per_mwh: Decimal
    clearing_price_per_mwh: Decimal | None
    """The uniform price where there is one."""
    deficiency_price_per_mwh: Decimal
    max_ramp_w_per_min: int | None
    """How fast its site's power may change; None: as it likes."""
    is_paid: bool

    @property
    def price_per_mwh(self) -> Decimal:
        """What is paid for a MWh."""
        return self.bid_per_mwh if self.clearing_price_per_mwh is None else self.clearing_price_per_mwh


def meters_of(book: Book, site: str) -> dict[str, Installed]:
    """What the log knows of the meters of a connection, by their names."""
    registered = book.sites.get(site)
    known = () if registered is None else registered.meters or ()
    return {each.meter: Installed(each.digits, each.since, each.until) for each in known}


def terms_of(book: Book, tracked: TrackedOrder) -> Terms | None:
    """What the order's delivery is measured by; None for orders that never held."""
    order = tracked.order
    if order.quantity_kind is QuantityKind.UNKNOWN or tracked.state in ORDER_NEVER_HELD:
        return None
    asked = book.requests[order.request_id]
    starts_at, ends_at = order.starts_at, order.ends_at or _NEVER
    sharing = _sharing(book, tracked)
    amounts = [each for each in sharing if each.meaning is not QuantityKind.IMPORT_LIMIT]
    limits = [each for each in sharing if each.meaning is QuantityKind.IMPORT_LIMIT]
    return Terms(
        starts_at=starts_at,
        ends_at=ends_at,
        over_at=_over_at(tracked),
        direction=order.direction,
        meaning=order.quantity_kind,
        ordered=Profile(tracked.asked()),
        ahead=Profile(each.block for each in amounts if each.turn < tracked.turn),
        limits_ahead=tuple(each.block for each in limits if each.turn < tracked.turn),
        behind=Profile(each.block for each in amounts if each.turn > tracked.turn),
        limits_behind=tuple(each.block for each in limits if each.turn > tracked.turn),
        netting=_netting(book, tracked),
        nettings=tuple(dict.fromkeys(each.netting for each in sharing if each.netting is not None)),
        baselines=tuple(_counting(book, tracked, starts_at, ends_at)),
        capacity_w=tracked.capacity_w,
        meters=meters_of(book, order.site),
        pricing=asked.request.pricing,
        bid_per_mwh=order.price_per_mwh or Decimal(0),
        clearing_price_per_mwh=order.clearing_price_per_mwh,
        deficiency_price_per_mwh=asked.request.deficiency_price_per_mwh or Decimal(0),
        max_ramp_w_per_min=order.max_ramp_w_per_min,
        is_paid=order.run_mode is not RunMode.DRY_RUN,
    )


def _counting(book: Book, tracked: TrackedOrder, starts_at: datetime, ends_at: datetime) -> Iterator[Declared]:
    """What was declared before the request; what its method has made of history holds over it."""
    order = tracked.order
    place = book.requests[order.request_id].place
    for declared in book.declared.get(order.site, ()):
        if declared.place < place and declared.starts_at < ends_at and starts_at < declared.ends_at:
            yield declared
    fixed = book.fixed.get((order.request_id, order.site))
    if fixed is not None and fixed.declared is not None and fixed.record.participant == order.participant:
        yield fixed.declared


def _over_at(tracked: TrackedOrder) -> datetime:
    """When an order stopped holding its site: at its end, or when the site broke it off before."""
    ends_at = tracked.order.ends_at or _NEVER
    if tracked.state not in _BROKEN_OFF:
        return ends_at
    return min(ends_at, next((step.at for step in tracked.history if step.state in _BROKEN_OFF), ends_at))


def _netting(book: Book, tracked: TrackedOrder) -> Netting | None:
    """Where an order's energies are netted; None where its request brought no rule."""
    pinned = book.requests[tracked.order.request_id].request.settlement
    if pinned is None:
        return None
    return Netting.of(rule_of(pinned.parameters), tracked.order.starts_at, tracked.order.ends_at or _over_at(tracked))


def _sharing(book: Book, tracked: TrackedOrder) -> list[Ahead]:
    """What others take of the site's deviation before and after it; nobody's real order waits behind a dry run."""
    order = tracked.order
    beside = book.beside(order.site, order.starts_at, order.ends_at)
    others = chain.from_iterable(block_ahead(book, other, tracked) for other in beside)
    return [*others, *tracked.ahead]


def block_ahead(book: Book, other: TrackedOrder, tracked: TrackedOrder) -> list[Ahead]:
    """What another order of the site takes of the order's deviation if its turn comes first; nothing for most.

    Each participant is measured by its own readings: who has the site next delivers nothing of what the last one owes.
    """
    order, asked = other.order, tracked.order
    shares = (
        order.participant == asked.participant
        and order.direction is asked.direction
        and order.quantity_kind is not QuantityKind.UNKNOWN
        and other.state not in ORDER_NEVER_HELD
        and (asked.run_mode is RunMode.DRY_RUN or order.run_mode is not RunMode.DRY_RUN)
        and order.starts_at < (asked.ends_at or _NEVER)
        and asked.starts_at < _over_at(other)
    )
    if not shares:
        return []
    over_at, netting = _over_at(other), _netting(book, other)
    cut = (block._replace(ends_at=min(block.ends_at, over_at)) for block in other.asked())
    return [Ahead(other.turn, block, other.order.quantity_kind, netting) for block in cut]


def ordered_ws(tracked: TrackedOrder, until: datetime) -> int:
    """The energy ordered until a moment, in watt-seconds."""
    blocks = (block._replace(ends_at=min(block.ends_at, until)) for block in tracked.blocks())
    spans = ((block.power_w, max(block.ends_at - block.starts_at, timedelta(0))) for block in blocks)
    return sum(power_w * (span // _MICROSECOND) for power_w, span in spans) // _MICRO


def means_of(terms: Terms, readings: Iterable[MeterReading]) -> list[Mean]:
    """What the connection drew, by the meters it is known to have, or those that speak of the order's time."""
    said = of_these(readings, terms.meters)
    return net_means(said, terms.capacity_w, terms.meters, [(terms.starts_at, terms.ends_at)])


def measured(terms: Terms, readings: Iterable[MeterReading]) -> list[DeliveryInterval]:
    """The order's intervals in order of time, from readings in the order of the log."""
    means = means_of(terms, readings)
    if not means:
        return []
    baseline = _Curve(terms.baselines, max(terms.starts_at, means[0].starts_at), min(terms.ends_at, means[-1].ends_at))
    return [
        _interval(terms, stretch, baseline.at(stretch.starts_at))
        for mean in means
        for stretch in _stretches(terms, baseline, mean)
    ]


def unmeasured(terms: Terms, gap: Gap) -> list[DeliveryInterval]:
    """The order's whole period as a gap; nothing for an order without an end."""
    if terms.ends_at >= _NEVER:
        return []
    edges = [terms.starts_at, *terms.ordered.edges(terms.starts_at, terms.ends_at), terms.ends_at]
    return [_interval(terms, Mean(since, until, None, gap), None) for since, until in pairwise(edges)]


def totals(terms: Terms, intervals: Iterable[DeliveryInterval]) -> OrderTotals:
    """The sums, rounded once: a thousand short intervals are worth no more than the long one they make up."""
    delivered = missing = 0
    metered = timedelta(0)
    for interval in intervals:
        if interval.delivered_w is not None and interval.deficiency_w is not None:
            span = interval.ends_at - interval.starts_at
            metered += span
            delivered += interval.delivered_w * (span // _MICROSECOND)
            missing += interval.deficiency_w * (span // _MICROSECOND)
    if not metered:
        return OrderTotals(None, None, 0)
    worth = _worth(terms, delivered // _MICRO, missing // _MICRO)
    return OrderTotals(delivered // _MICRO, worth, metered // _SECOND)


_MICROSECOND, _MICRO = timedelta(microseconds=1), 1_000_000


class _Curve:
    """The baseline of a period: of overlapping declarations the later holds, and it is cut at its own steps alone."""

    def __init__(self, declared: tuple[Declared, ...], starts_at: datetime, ends_at: datetime) -> None:
        self._starts: list[datetime] = []
        self._ends: list[datetime] = []
        self._powers: list[int] = []
        for stretch in counting(declared, starts_at, ends_at):
            self._take(stretch.declared, stretch.starts_at, stretch.ends_at)

    def _take(self, declared: Declared, starts_at: datetime, ends_at: datetime) -> None:
        baseline, step = declared.baseline, timedelta(seconds=declared.baseline.resolution_s)
        while starts_at < ends_at:
            index = (starts_at - declared.starts_at) // step
            until = min(ends_at, declared.starts_at + (index + 1) * step)
            self._starts.append(starts_at)
            self._ends.append(until)
            self._powers.append(baseline.power_w[index])
            starts_at = until

    def at(self, when: datetime) -> int | None:
        """The baseline at a moment, in watts; None where nothing was declared."""
        index = bisect_right(self._starts, when) - 1
        return self._powers[index] if index >= 0 and when < self._ends[index] else None

    def edges(self, starts_at: datetime, ends_at: datetime) -> Iterator[datetime]:
        """The moments inside a period at which it may change."""
        for edges in (self._starts, self._ends):
            yield from edges[bisect_right(edges, starts_at) : bisect_left(edges, ends_at)]


def _stretches(terms: Terms, baseline: _Curve, mean: Mean) -> Iterator[Mean]:
    starts_at, ends_at = max(terms.starts_at, mean.starts_at), min(terms.ends_at, mean.ends_at)
    if starts_at >= ends_at:
        return
    edges = {starts_at, ends_at, *baseline.edges(starts_at, ends_at)}
    edges.update(terms.ordered.edges(starts_at, ends_at), terms.ahead.edges(starts_at, ends_at))
    edges.update(
        edge for limit in terms.limits_ahead for edge in (limit.starts_at, limit.ends_at) if starts_at < edge < ends_at
    )
    if starts_at < terms.over_at < ends_at:
        edges.add(terms.over_at)
    for since, until in pairwise(sorted(edges)):
        yield mean._replace(starts_at=since, ends_at=until)


def _interval(terms: Terms, stretch: Mean, baseline_w: int | None) -> DeliveryInterval:
    starts_at, ends_at, gap = stretch.starts_at, stretch.ends_at, stretch.gap
    actual_w = None if stretch.net_w is None else round(stretch.net_w)
    asked_w = terms.ordered.at(starts_at)
    is_limit = terms.meaning is QuantityKind.IMPORT_LIMIT
    ordered_w = max(0, (baseline_w or 0) - asked_w) if is_limit else asked_w
    delivered = missing = energy = worth = None
    if baseline_w is not None and actual_w is not None:
        ahead_w = terms.ahead.at(starts_at) + sum(
            max(0, baseline_w - limit.power_w)
            for limit in terms.limits_ahead
            if limit.starts_at <= starts_at < limit.ends_at
        )
        if starts_at >= terms.over_at:
            delivered, missing = 0, ordered_w
        else:
            delivered, missing = share_of(deviation(terms.direction, baseline_w, actual_w), ahead_w, ordered_w)
            missing = max(0, actual_w - asked_w) if is_limit else missing
        span = ends_at - starts_at
        energy = wh_of(_watt_seconds(delivered, span))
        worth = _worth(terms, _watt_seconds(delivered, span), _watt_seconds(missing, span))
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
        gap=gap or (Gap.NO_BASELINE if baseline_w is None else None),
    )


def _watt_seconds(power_w: int, span: timedelta) -> int:
    return power_w * (span // _MICROSECOND) // _MICRO


def _worth(terms: Terms, delivered_ws: int, missing_ws: int) -> Decimal | None:
    if not terms.is_paid:
        return None
    with exactly():
        owed = amount(missing_ws, terms.deficiency_price_per_mwh)
        return amount(delivered_ws, terms.price_per_mwh) - owed
