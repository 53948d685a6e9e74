"""What an order is paid: energies by the settlement period, and money whose flows add up to nothing.

Within a period energies are netted, whatever the resolution of the readings; a part of a period that lies under orders
which share the site's deviation is a period of its own, so that the deviation is never paid twice.

    ordered    DELTA: the power ordered x time; IMPORT_LIMIT: max(0, baseline - limit x time)
    deviation  s x (baseline - actual), s = +1 for LOAD_DECREASE and -1 for LOAD_INCREASE
    delivered  clamp(deviation - what orders accepted before it take, 0, ordered)
    deficiency DELTA: max(0, ordered - deviation), or ordered - delivered where others come first;
               IMPORT_LIMIT: max(0, actual - limit x time)
    amount     paid x price - max(0, deficiency - tolerance) x deficiency price
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from gridsignal_schemas.messages import Direction, Pricing, Quality, QuantityKind
from gridsignal_schemas.rules.profile import Profile
from gridsignal_services.settlement.carry import carried
from gridsignal_services.settlement.delivery import deviation, share_of
from gridsignal_services.settlement.energy import WATT_US_PER_WH, Energies, Energy, Gap
from gridsignal_services.settlement.rules import Missing, SettlementRule

_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1)
_NOTHING = Fraction(0)
_WATT_US_PER_MWH = WATT_US_PER_WH * 10**6


@dataclass(frozen=True, slots=True)
class Claim:
    """What an order claims of its site's deviation, and when."""

    starts_at: datetime
    ends_at: datetime
    """From here on it delivers nothing: it is over, or its site has ended it."""
    meaning: QuantityKind
    power: Profile
    """By which it is to differ from the baseline, or the limit, in watts."""

    def asked(self, starts_at: datetime, ends_at: datetime) -> Fraction:
        """Its power over a period, in watt-microseconds."""
        edges = [starts_at, *self.power.edges(starts_at, ends_at), ends_at]
        spans = ((since, (until - since) // _MICROSECOND) for since, until in pairwise(edges))
        return Fraction(sum(self.power.at(since) * span for since, span in spans))

    def ordered(self, starts_at: datetime, ends_at: datetime, baseline: Fraction) -> Fraction:
        """By how much energy the site is to differ from its baseline over a period."""
        asked = self.asked(starts_at, ends_at)
        return max(_NOTHING, baseline - asked) if self.meaning is QuantityKind.IMPORT_LIMIT else asked

    def edges(self) -> Iterator[datetime]:
        """Where it begins, changes and ends."""
        yield self.starts_at
        yield from self.power.edges(self.starts_at, self.ends_at)
        yield self.ends_at

    def holds(self, starts_at: datetime, ends_at: datetime) -> bool:
        """Whether it takes anything of a period."""
        return self.starts_at < ends_at and starts_at < self.ends_at


@dataclass(frozen=True, slots=True)
class Terms:
    """All that an order is paid by beside its rule, its baseline and its readings."""

    claim: Claim
    ends_at: datetime
    """Until when it owes what was ordered."""
    direction: Direction
    ahead: Sequence[Claim] = ()
    """Orders that were accepted before it and share the deviation of its site."""
    behind: Sequence[Claim] = ()
    """Those that were accepted later: they change nothing but where a period is cut."""
    pricing: Pricing = Pricing.PAY_AS_BID
    price_per_mwh: Decimal = Decimal(0)
    clearing_price_per_mwh: Decimal | None = None
    """The uniform price where there is one."""
    deficiency_price_per_mwh: Decimal = Decimal(0)
    activation_fee: Decimal = Decimal(0)


class Site(NamedTuple):
    """What is known of a connection point."""

    baseline: Energies
    metered: Energies
    estimated: Energies | None = None
    """The operator's estimate of what no meter said."""


@dataclass(frozen=True, slots=True)
class Line:
    """One settlement period of an order, or the part of it that the order covers; None where it is not known."""

    starts_at: datetime
    ends_at: datetime
    baseline_wh: int | None
    actual_wh: int | None
    """Net of what the site gave; negative where it gave more than it took."""
    ordered_wh: int
    delivered_wh: int | None
    deficiency_wh: int | None
    amount: Decimal | None
    """What the participant gets for it, or owes below zero."""
    qualities: tuple[Quality, ...]
    """Of the readings it was computed from, each once."""
    gap: Gap | None = None
    """Why readings or a baseline are missing, whatever stands in for them."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What an order came to."""

    lines: tuple[Line, ...]
    activation_fee: Decimal
    """In the total already."""
    total: Decimal
    """The fee and the amounts of all lines, to the last unit."""

    @property
    def missing(self) -> list[Line]:
        """The periods that lack readings or a baseline; the others are settled meanwhile."""
        return [line for line in self.lines if line.gap is not None]


def settle(
    terms: Terms, sites: Sequence[Site], rule: SettlementRule, currency: str, *, is_awaited: bool = False
) -> Settled:
    """What an order came to, from its one connection point; or from several of one portfolio.

    Of several each counts by itself: one that moved the wrong way takes nothing from what the others delivered.
    A period of which any meter of any of them has no good figure counts as the rule says, and as nothing while it
    `is_awaited`. A dry run has no settlement: nobody asks for one.
    """
    starts_at = terms.claim.starts_at + timedelta(seconds=rule.ramp_in_s)
    ends_at = terms.ends_at - timedelta(seconds=rule.ramp_out_s)
    missing = Missing.NOTHING if is_awaited else rule.missing
    measured = [_measure(terms, sites, missing, since, until) for since, until in periods(rule, starts_at, ends_at)]
    fee, worths = _worths(terms, rule, [each for each in measured if each.figures is not None])
    places = rule.places_of(currency)
    fee_units, *units = carried([fee * 10**places, *(worth * 10**places for worth in worths)], rule.rounding)
    lines = tuple(_lines(measured, [_money(unit, places) for unit in units]))
    return Settled(lines, _money(fee_units, places), _money(fee_units + sum(units), places))


def periods(rule: SettlementRule, starts_at: datetime, ends_at: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The settlement periods of a stretch of time, cut at its ends: counted from midnight in the rule's time zone.

    A day on which the clocks change has fewer or more of them.
    """
    zone, step = ZoneInfo(rule.time_zone), timedelta(seconds=rule.interval_s)
    at = starts_at
    while at < ends_at:
        day = at.astimezone(zone).date()
        midnight = datetime.combine(day, time(), zone).astimezone(UTC)
        tomorrow = datetime.combine(day + _DAY, time(), zone).astimezone(UTC)
        until = min(midnight + ((at - midnight) // step + 1) * step, tomorrow, ends_at)
        yield at, until
        at = until


def flows(settled: Iterable[tuple[str, str, Decimal]]) -> dict[str, Decimal]:
    """What each party gets in all, or pays below zero, from (participant, operator, total): they add up to nothing."""
    sums: dict[str, Decimal] = {}
    for participant, operator, total in settled:
        sums[participant] = sums.get(participant, Decimal(0)) + total
        sums[operator] = sums.get(operator, Decimal(0)) - total
    return dict(sorted(sums.items()))


class _Figures(NamedTuple):
    """Watt-microseconds of a period."""

    ordered: Fraction
    delivered: Fraction
    deficiency: Fraction


class _Measured(NamedTuple):
    starts_at: datetime
    ends_at: datetime
    baseline: Fraction | None
    actual: Fraction | None
    ordered: Fraction
    figures: _Figures | None
    qualities: frozenset[Quality]
    gap: Gap | None


def _measure(
    terms: Terms, sites: Sequence[Site], missing: Missing, starts_at: datetime, ends_at: datetime
) -> _Measured:
    others = [claim for claim in (*terms.ahead, *terms.behind) if claim.holds(starts_at, ends_at)]
    edges = {edge for claim in (terms.claim, *others) for edge in claim.edges()}
    cuts = [starts_at, *sorted(edge for edge in edges if starts_at < edge < ends_at), ends_at]
    parts = [_measure_part(terms, sites, missing, since, until) for since, until in pairwise(cuts)]
    figures = [part.figures for part in parts if part.figures is not None]
    is_whole = len(figures) == len(parts)
    return _Measured(
        starts_at,
        ends_at,
        _sum([part.baseline for part in parts]),
        _sum([part.actual for part in parts]),
        sum((part.ordered for part in parts), _NOTHING),
        _Figures(*(sum(column, _NOTHING) for column in zip(*figures, strict=True))) if is_whole else None,
        frozenset().union(*(part.qualities for part in parts)),
        next((part.gap for part in parts if part.gap is not None), None),
    )


def _sum(parts: Sequence[Fraction | None]) -> Fraction | None:
    known = [part for part in parts if part is not None]
    return sum(known, _NOTHING) if len(known) == len(parts) else None


def _measure_part(
    terms: Terms, sites: Sequence[Site], missing: Missing, starts_at: datetime, ends_at: datetime
) -> _Measured:
    """A part of a period in which the same orders hold."""
    baselines = [site.baseline.over(starts_at, ends_at).watt_us for site in sites]
    metered = [site.metered.over(starts_at, ends_at) for site in sites]
    qualities = frozenset[Quality]().union(*(energy.qualities for energy in metered))
    baseline, gap = _sum(baselines), next((energy.gap for energy in metered if energy.gap is not None), None)
    if baseline is None:
        is_delta = terms.claim.meaning is not QuantityKind.IMPORT_LIMIT
        ordered = terms.claim.asked(starts_at, ends_at) if is_delta else _NOTHING
        actual = _sum([energy.watt_us for energy in metered])
        return _Measured(starts_at, ends_at, None, actual, ordered, None, qualities, gap or Gap.NO_BASELINE)
    ordered = terms.claim.ordered(starts_at, ends_at, baseline)
    if gap is not None and missing is Missing.ESTIMATE:
        metered = [_or_estimated(site, energy, starts_at, ends_at) for site, energy in zip(sites, metered, strict=True)]
        qualities = qualities.union(*(energy.qualities for energy in metered), {Quality.MISSING})
    actuals = [energy.watt_us for energy in metered]
    actual = _sum(actuals)
    figures: _Figures | None = None
    if actual is not None:
        moved = _moved(terms.direction, [each for each in baselines if each is not None], actuals)
        figures = _figures(terms, ordered, baseline, actual, moved, starts_at, ends_at)
    elif missing is Missing.ZERO:
        figures = _Figures(ordered, _NOTHING, ordered)
    return _Measured(starts_at, ends_at, baseline, actual, ordered, figures, qualities, gap)


def _or_estimated(site: Site, energy: Energy, starts_at: datetime, ends_at: datetime) -> Energy:
    if energy.watt_us is not None or site.estimated is None:
        return energy
    estimate = site.estimated.over(starts_at, ends_at)
    return energy if estimate.watt_us is None else estimate


def _moved(direction: Direction, baselines: Sequence[Fraction], actuals: Sequence[Fraction | None]) -> Fraction:
    moves = [
        deviation(direction, baseline, actual)
        for baseline, actual in zip(baselines, actuals, strict=True)
        if actual is not None
    ]
    return moves[0] if len(moves) == 1 else sum((max(_NOTHING, move) for move in moves), _NOTHING)


def _figures(
    terms: Terms,
    ordered: Fraction,
    baseline: Fraction,
    actual: Fraction,
    moved: Fraction,
    starts_at: datetime,
    ends_at: datetime,
) -> _Figures:
    if starts_at >= terms.claim.ends_at:
        return _Figures(ordered, _NOTHING, ordered)
    ahead = sum(
        (claim.ordered(starts_at, ends_at, baseline) for claim in terms.ahead if claim.holds(starts_at, ends_at)),
        _NOTHING,
    )
    delivered, deficiency = share_of(moved, ahead, ordered)
    if terms.claim.meaning is QuantityKind.IMPORT_LIMIT:
        deficiency = max(_NOTHING, actual - terms.claim.asked(starts_at, ends_at))
    return _Figures(ordered, delivered, deficiency)


def _worths(terms: Terms, rule: SettlementRule, measured: Sequence[_Measured]) -> tuple[Fraction, list[Fraction]]:
    """The activation fee and what each period with figures is worth, exact, in the currency's main unit."""
    price, deficiency_price = _prices(terms, rule)
    figures = [each.figures for each in measured if each.figures is not None]
    ordered = sum((each.ordered for each in figures), _NOTHING)
    delivered = sum((each.delivered for each in figures), _NOTHING)
    is_enough = delivered >= Fraction(rule.minimum_order_share) * ordered
    worths = []
    for each, period in zip(figures, measured, strict=True):
        is_paid = is_enough and each.delivered >= Fraction(rule.minimum_interval_share) * each.ordered
        band = max(
            Fraction(rule.tolerance_share) * each.ordered,
            Fraction(rule.tolerance_w * ((period.ends_at - period.starts_at) // _MICROSECOND)),
        )
        paid = each.delivered if is_paid else _NOTHING
        charged = max(_NOTHING, each.deficiency - band)
        worths.append((paid * price - charged * deficiency_price) / _WATT_US_PER_MWH)
    pays_fee = rule.pays_activation_fee and is_enough and delivered > 0 and _pricing(terms, rule) is not Pricing.UNPAID
    return Fraction(terms.activation_fee) if pays_fee else _NOTHING, worths


def _pricing(terms: Terms, rule: SettlementRule) -> Pricing:
    return rule.pricing or terms.pricing


def _prices(terms: Terms, rule: SettlementRule) -> tuple[Fraction, Fraction]:
    """What a MWh delivered is paid, and what one that lacks costs."""
    price = terms.price_per_mwh
    match _pricing(terms, rule):
        case Pricing.UNPAID:
            price = Decimal(0)
        case Pricing.PAY_AS_CLEARED if terms.clearing_price_per_mwh is not None:
            price = terms.clearing_price_per_mwh
        case Pricing.REGULATED if rule.regulated_price_per_mwh is not None:
            price = rule.regulated_price_per_mwh
        case _:
            pass
    if rule.deficiency_price_per_mwh is not None:
        return Fraction(price), Fraction(rule.deficiency_price_per_mwh)
    if rule.deficiency_multiplier is not None:
        return Fraction(price), Fraction(rule.deficiency_multiplier) * abs(Fraction(price))
    return Fraction(price), Fraction(terms.deficiency_price_per_mwh)


def _lines(measured: Sequence[_Measured], amounts: Sequence[Decimal]) -> Iterator[Line]:
    """The lines in whole watt-hours: each column carries what rounding took, so that it adds up."""
    baseline = _column([each.baseline for each in measured])
    actual = _column([each.actual for each in measured])
    ordered = _column([each.ordered for each in measured])
    delivered = _column([None if each.figures is None else each.figures.delivered for each in measured])
    deficiency = _column([None if each.figures is None else each.figures.deficiency for each in measured])
    following = iter(amounts)
    for index, each in enumerate(measured):
        yield Line(
            starts_at=each.starts_at,
            ends_at=each.ends_at,
            baseline_wh=baseline[index],
            actual_wh=actual[index],
            ordered_wh=ordered[index] or 0,
            delivered_wh=delivered[index],
            deficiency_wh=deficiency[index],
            amount=None if each.figures is None else next(following),
            qualities=tuple(sorted(each.qualities)),
            gap=each.gap,
        )


def _column(energies: Sequence[Fraction | None]) -> list[int | None]:
    whole = iter(carried([each / WATT_US_PER_WH for each in energies if each is not None]))
    return [None if each is None else next(whole) for each in energies]


def _money(units: int, places: int) -> Decimal:
    return Decimal(units).scaleb(-places)
