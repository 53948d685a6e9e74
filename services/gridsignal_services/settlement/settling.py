"""What an order is paid: energies by the settlement period, and money whose flows add up to nothing.

Within a period energies are netted, whatever the resolution of the readings; a part of a period that lies under orders
which share the site's deviation is a period of its own, cut where the periods of any of them are, whatever rules they
have: so all of them see the same parts, and the deviation is never paid twice.

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
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from gridsignal_schemas.messages import Direction, Quality, QuantityKind
from gridsignal_services.settlement.carry import carried
from gridsignal_services.settlement.claims import Site, Terms
from gridsignal_services.settlement.delivery import deviation, share_of
from gridsignal_services.settlement.energy import WATT_US_PER_WH, Energy, Gap
from gridsignal_services.settlement.paying import Figures, worths
from gridsignal_services.settlement.periods import Netting
from gridsignal_services.settlement.rules import Missing, SettlementRule

_NOTHING = Fraction(0)


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
    ramp_ok: bool | None = None
    """Whether power changed no faster than was ordered; None where no ramp was, or readings do not tell."""


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

    Of several each counts by itself: one that moved the wrong way takes nothing from what the others delivered. A limit
    is one of all together.
    A period of which any meter of any of them has no good figure counts as the rule says, and as nothing while it
    `is_awaited`. A dry run has no settlement: nobody asks for one.
    """
    time = Netting.of(rule, terms.claim.starts_at, terms.ends_at)
    periods = time.grid.periods(time.starts_at, time.ends_at)
    missing = Missing.NOTHING if is_awaited else rule.missing
    measured = [_measure(terms, sites, missing, since, until) for since, until in periods]
    known = [(each.ends_at - each.starts_at, each.figures) for each in measured if each.figures is not None]
    fee, worth = worths(terms, rule, known)
    places = rule.places_of(currency)
    fee_units, *units = carried([fee * 10**places, *(each * 10**places for each in worth)], rule.rounding)
    ramps = [_is_ramp_kept(terms, sites, each) for each in measured]
    lines = tuple(_lines(measured, [_money(unit, places) for unit in units], ramps))
    return Settled(lines, _money(fee_units, places), _money(fee_units + sum(units), places))


def flows(settled: Iterable[tuple[str, str, Decimal]]) -> dict[str, Decimal]:
    """What each party gets in all, or pays below zero, from (participant, operator, total): they add up to nothing."""
    sums: dict[str, Decimal] = {}
    for participant, operator, total in settled:
        sums[participant] = sums.get(participant, Decimal(0)) + total
        sums[operator] = sums.get(operator, Decimal(0)) - total
    return dict(sorted(sums.items()))


class _Measured(NamedTuple):
    starts_at: datetime
    ends_at: datetime
    baseline: Fraction | None
    actual: Fraction | None
    ordered: Fraction
    figures: Figures | None
    qualities: frozenset[Quality]
    gap: Gap | None


def _measure(
    terms: Terms, sites: Sequence[Site], missing: Missing, starts_at: datetime, ends_at: datetime
) -> _Measured:
    others = [claim for claim in (*terms.ahead, *terms.behind) if claim.holds(starts_at, ends_at)]
    edges = {edge for claim in (terms.claim, *others) for edge in claim.edges()}
    edges.update(_netted(terms, starts_at, ends_at))
    cuts = [starts_at, *sorted(edge for edge in edges if starts_at < edge < ends_at), ends_at]
    parts = [_measure_part(terms, sites, missing, since, until) for since, until in pairwise(cuts)]
    figures = [part.figures for part in parts if part.figures is not None]
    baseline = _sum([part.baseline for part in parts])
    ordered = sum((part.ordered for part in parts), _NOTHING)
    whole: Figures | None = None
    if len(figures) == len(parts):
        whole = Figures(*(sum(column, _NOTHING) for column in zip(*figures, strict=True)))
    elif baseline is not None and missing is Missing.ZERO:
        whole = Figures(ordered, _NOTHING, ordered)  # of all of it: what the other parts say counts no more than it
    return _Measured(
        starts_at,
        ends_at,
        baseline,
        _sum([part.actual for part in parts]),
        ordered,
        whole,
        frozenset().union(*(part.qualities for part in parts)),
        next((part.gap for part in parts if part.gap is not None), None),
    )


def _netted(terms: Terms, starts_at: datetime, ends_at: datetime) -> Iterator[datetime]:
    """Where those who share a period's deviation have it netted; nowhere where nobody shares it."""
    shared = [each for each in terms.nettings if each.holds(starts_at, ends_at)]
    for each in (*shared, terms.netting) if shared else ():
        if each is not None:
            yield from each.edges(starts_at, ends_at)


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
    is_delta = terms.claim.meaning is not QuantityKind.IMPORT_LIMIT
    if baseline is None:
        ordered = terms.claim.asked(starts_at, ends_at) if is_delta else _NOTHING
        actual = _sum([energy.watt_us for energy in metered])
        return _Measured(starts_at, ends_at, None, actual, ordered, None, qualities, gap or Gap.NO_BASELINE)
    ordered = terms.claim.ordered(starts_at, ends_at, baseline)
    if gap is not None and missing is Missing.ESTIMATE:
        metered = [_or_estimated(site, energy, starts_at, ends_at) for site, energy in zip(sites, metered, strict=True)]
        qualities = qualities.union(*(energy.qualities for energy in metered), {Quality.MISSING})
    actuals = [energy.watt_us for energy in metered]
    actual = _sum(actuals)
    figures: Figures | None = None
    if actual is not None:
        moved = deviation(terms.direction, baseline, actual)
        if is_delta and len(sites) > 1:
            moved = _moved(terms.direction, [each for each in baselines if each is not None], actuals)
        figures = _figures(terms, ordered, baseline, actual, moved, starts_at, ends_at)
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
    return sum((max(_NOTHING, move) for move in moves), _NOTHING)


def _figures(
    terms: Terms,
    ordered: Fraction,
    baseline: Fraction,
    actual: Fraction,
    moved: Fraction,
    starts_at: datetime,
    ends_at: datetime,
) -> Figures:
    if starts_at >= terms.claim.ends_at:
        return Figures(ordered, _NOTHING, ordered)
    ahead = sum(
        (claim.takes(starts_at, ends_at, baseline) for claim in terms.ahead if claim.holds(starts_at, ends_at)),
        _NOTHING,
    )
    delivered, deficiency = share_of(moved, ahead, ordered)
    if terms.claim.meaning is QuantityKind.IMPORT_LIMIT:
        deficiency = max(_NOTHING, actual - terms.claim.asked(starts_at, ends_at))
    return Figures(ordered, delivered, deficiency)


def _is_ramp_kept(terms: Terms, sites: Sequence[Site], measured: _Measured) -> bool | None:
    ramp, ramps = terms.max_ramp_w_per_min, [site.ramps for site in sites]
    if ramp is None or len(ramps) != 1 or ramps[0] is None:
        return None
    return ramps[0].are_kept(ramp, measured.starts_at, measured.ends_at)


def _lines(measured: Sequence[_Measured], amounts: Sequence[Decimal], ramps: Sequence[bool | None]) -> Iterator[Line]:
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
            ramp_ok=ramps[index],
        )


def _column(energies: Sequence[Fraction | None]) -> list[int | None]:
    whole = iter(carried([each / WATT_US_PER_WH for each in energies if each is not None]))
    return [None if each is None else next(whole) for each in energies]


def _money(units: int, places: int) -> Decimal:
    return Decimal(units).scaleb(-places)
