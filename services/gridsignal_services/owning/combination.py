"""Which of a request's options are best together, as a mixed-integer program: where some can only be taken whole, or
exclude each other, the cheapest first may leave a gap that others fill for less.

    minimise   sum of price x energy + fees + W x energy that stays lacking

    each moment   what stays lacking >= what is lacking - the awards then
                  the awards then <= what is lacking + a step
    each option   0, or from its floor to what fits; or whole; or one of its levels
    each offer    one of its options at most

W is ten times the dearest option's price, so that what is lacking is served first. A moment is a stretch in which
neither what is lacking nor who could serve it changes. Sites' headroom, rests and areas are no part of it: what it
proposes is fitted by the rules of every clearing, and counts only if it is then better than the merit order.

Unit commitment with block orders, as in Madani and Van Vyve, "Computationally efficient MIP formulation and algorithms
for European day-ahead electricity market auctions", EJOR 242 (2015).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gridsignal_schemas.messages import DispatchRequest, OfferOption
from gridsignal_schemas.values import MW
from gridsignal_services.joint.program import Program
from gridsignal_services.ledger.announcements import OfferKey
from gridsignal_services.ledger.merit_order import Fit, Round
from gridsignal_services.ledger.tracked import TrackedOffer

MOST_ENTRIES = 500_000
"""Coefficients of a program; a request whose options have ever other periods is left to the merit order before it is
larger."""
_TAKEN = 0.5


class Proposed(NamedTuple):
    """An option that is to be called, with so much at most."""

    fit: Fit
    most_w: int


class Combination:
    """The program of a clearing, and which of its columns stand for what."""

    def __init__(self, lot: Round, fits: Sequence[Fit], most: int) -> None:
        """`fits`: what each option could be awarded by itself; `most`: so many awards."""
        self.program = Program()
        self._fits, self._lot = fits, lot
        self._step = lot.request.step_w or 1
        self.penalty = 10.0 * max((abs(float(fit.effective_price)) for fit in fits), default=0.0) + 1.0
        """What a MWh that stays lacking costs here, in the request's currency."""
        self._powers = [self._option(fit) for fit in fits]
        """By option, what its columns add to its award, in MW."""
        groups: dict[OfferKey, dict[int, float]] = defaultdict(dict)
        for fit, (_, taken) in zip(fits, self._powers, strict=True):
            groups[fit.key] |= dict.fromkeys(taken, 1.0)
        for group in groups.values():
            if len(group) > 1:
                self.program.row(group, -math.inf, 1.0)
        if len(groups) > most:
            counted = dict.fromkeys((at for group in groups.values() for at in group), 1.0)
            self.program.row(counted, -math.inf, float(most))
        self._moments()

    def _option(self, fit: Fit) -> tuple[dict[int, float], list[int]]:
        hours = (fit.block.ends_at - fit.block.starts_at).total_seconds() / 3600
        price, fee = float(fit.option.price_per_mwh) * hours, float(fit.option.activation_fee or 0)
        most_mw, floor = fit.block.power_w / MW, self._floor(fit.option)
        if not fit.option.divisible or fit.option.levels_w is not None:
            levels = [level / MW for level in self._levels(fit)]
            columns = [self.program.column(-fee - price * level, 1.0, whole=True) for level in levels]
            return dict(zip(columns, levels, strict=True)), columns
        power = self.program.column(-price, most_mw)
        if floor <= self._step and not fee and len(self._lot.book.offers[fit.key].offer.options) == 1:
            return {power: 1.0}, []
        taken = self.program.column(-fee, 1.0, whole=True)
        self.program.row({power: 1.0, taken: -most_mw}, -math.inf, 0.0)
        self.program.row({power: 1.0, taken: -floor / MW}, 0.0, math.inf)
        return {power: 1.0}, [taken]

    def _levels(self, fit: Fit) -> list[int]:
        if not fit.option.divisible:
            return [fit.block.power_w]
        floor = self._floor(fit.option)
        levels = {level for level in fit.option.levels_w or () if level % self._step == 0}
        return sorted(level for level in levels if floor <= level <= fit.block.power_w)

    def _floor(self, option: OfferOption) -> int:
        least = max(option.min_power_w, min(self._lot.request.min_quantity_w, self._lot.lacking_at_first), 1)
        return -(-least // self._step) * self._step

    def _moments(self) -> None:
        request, spoken_for = self._lot.request, self._lot.spoken_for
        edges = {request.starts_at, request.ends_at, *spoken_for.edges(request.starts_at, request.ends_at)}
        edges |= {edge for fit in self._fits for edge in fit.block[:2] if request.starts_at < edge < request.ends_at}
        moments = sorted(edges)
        starts = {moment: number for number, moment in enumerate(moments)}
        served: list[dict[int, float]] = [{} for _ in moments[1:]]
        for fit, (powers, _) in zip(self._fits, self._powers, strict=True):
            first = starts[max(fit.block.starts_at, request.starts_at)]
            for number in range(first, starts[min(fit.block.ends_at, request.ends_at)]):
                served[number] |= powers
            if sum(map(len, served)) > MOST_ENTRIES:
                raise TooLarge
        for number, powers in enumerate(served):
            since, until = moments[number], moments[number + 1]
            lacking_w = max(0, request.power_w - spoken_for.at(since))
            hours = (until - since).total_seconds() / 3600
            self.program.row(powers, -math.inf, (lacking_w + (request.step_w or 0)) / MW)
            if lacking_w:
                stays = self.program.column(-self.penalty * hours, lacking_w / MW)
                self.program.row({stays: 1.0} | powers, lacking_w / MW, math.inf)

    def proposed(self, columns: Sequence[float]) -> list[Proposed]:
        """What a solution takes, in the order in which it is to be fitted: what has to be exact before what gives."""
        exact, rest = list[Proposed](), list[Proposed]()
        for fit, (powers, taken) in zip(self._fits, self._powers, strict=True):
            if taken and all(columns[at] < _TAKEN for at in taken):
                continue
            power_w = round(MW * sum(columns[at] * power for at, power in powers.items()))
            if not fit.option.divisible or fit.option.levels_w is not None:
                power_w = round(MW * sum(power for at, power in powers.items() if columns[at] > _TAKEN))
            if not power_w:
                continue
            most_w = min(fit.block.power_w, -(-power_w // self._step) * self._step)
            is_exact = most_w in (fit.block.power_w, self._floor(fit.option)) or fit.option.levels_w is not None
            (exact if is_exact else rest).append(Proposed(fit, most_w))
        return [*sorted(exact), *sorted(rest)]


class TooLarge(Exception):
    """A program with more than MOST_ENTRIES."""


def may_gain(request: DispatchRequest, candidates: Iterable[tuple[OfferKey, TrackedOffer]]) -> bool:
    """Whether any of these is more than a price for each MW, so that the merit order may not be the best."""
    options = (offer.offer.options for _, offer in candidates)
    return any(len(each) > 1 or _is_lumpy(each[0], request.min_quantity_w) for each in options)


def _is_lumpy(option: OfferOption, least_w: int) -> bool:
    floor = max(option.min_power_w, least_w)
    return not option.divisible or option.levels_w is not None or bool(option.activation_fee) or floor > 1
