"""The clearing of a request by a solver, where its offers are such that the merit order may not be the best."""

from __future__ import annotations

import math
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from gridsignal_schemas.messages import Clearing
from gridsignal_schemas.rules.limits import LIMITS
from gridsignal_schemas.rules.profile import Block
from gridsignal_services.joint.program import NoAnswer, Solution, Solve
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.clearing import decide
from gridsignal_services.ledger.merit_order import Fit, Round, fill, first_fits, order_window
from gridsignal_services.ledger.overtaken import LeftOut
from gridsignal_services.ledger.picks import Pick, Solved, picks_of
from gridsignal_services.ledger.tracked import TrackedOffer
from gridsignal_services.ledger.worth import worth
from gridsignal_services.owning.combination import Combination, TooLarge, may_gain
from gridsignal_services.telemetry import logger

_OF_THE_TIME_LEFT = 4
"""A solver takes this part at most of what is left until the decision is due: it has to be logged, and may be
overtaken."""
_KEPT = 0.5
"""This part of the time from gate to deadline is for the merit order alone: where many requests have one gate, those
that had to wait for the solver's turns are decided without it, and in time."""
_PLACES = 4
_LEAST_COST = 0.01
"""Of less than a cent nothing is a share: fees and negative prices may come to nothing where the bound doesn't."""
_MOST_GAP = 10_000
"""A larger share says nothing, and might not fit the record."""
_log = logger("solver")


class Solver(NamedTuple):
    """Who looks for the best, and how long at most, in seconds."""

    solve: Solve
    limit_s: float
    pace: float = 1.0
    """Seconds of grid time that pass in one of this machine."""


def decide_best(
    book: Book, request_id: str, solver: Solver, *, now: datetime, left_out: LeftOut, **more: Any
) -> Clearing:
    """The better of the merit order and of what a solver finds; how far from the best it may be says its `gap`.

    What else is given goes to `decide`. The merit order it is where the solver finds nothing better, has no answer in
    its time, or fails.
    """
    candidates = [each for each in book.callable_offers(request_id, now) if not left_out.has(each[0])]
    in_order = decide(book, request_id, now=now, left_out=left_out, **more)
    lot = Round(book, request_id, now, spares=True)
    limit_s = _limit_s(lot, solver)
    if limit_s <= 0 or len(in_order.awards) == LIMITS.awards_of_clearing or not may_gain(lot.request, candidates):
        return in_order
    try:
        fits, _ = first_fits(lot, candidates)
        combination = Combination(lot, fits, LIMITS.awards_of_clearing)
        found = solver.solve(combination.program, limit_s)
        awards = _fitted(lot, dict(candidates), fits, combination, found)
        picks = [Pick(*fit.key, fit.option.option, fit.block.power_w) for fit in awards]
        best = in_order
        if picks != picks_of(in_order):
            with suppress(ValueError):  # no better, or not by the rules
                best = decide(book, request_id, now=now, left_out=left_out, solved=Solved(picks, None), **more)
        return best.model_copy(update={"gap": _gap(best, combination, found, lot)})
    except (NoAnswer, TooLarge):
        return in_order
    except Exception as broken:  # whatever it is, nobody's offers keep another's request from being decided
        _log.error("not taken: the merit order decides", request_id=request_id, reason=type(broken).__name__)
        return in_order


def _limit_s(lot: Round, solver: Solver) -> float:
    """Nothing where it is not to be asked."""
    if lot.tracked.clearings:
        return solver.limit_s
    request = lot.request
    left = request.decision_deadline - lot.now
    if left < (request.decision_deadline - request.gate_closure_at) * _KEPT:
        return 0.0
    return min(solver.limit_s, left.total_seconds() / solver.pace / _OF_THE_TIME_LEFT)


def _fitted(
    lot: Round, offers: dict[tuple[str, str], TrackedOffer], fits: list[Fit], combination: Combination, found: Solution
) -> list[Fit]:
    """What was proposed by the rules of every clearing, and what still fits beside it, in merit order."""
    awards: list[Fit] = []
    for fit, most_w in combination.proposed(found.columns):
        again = lot.fit(fit.key, offers[fit.key], fit.option, most_w)
        if isinstance(again, Fit) and len(awards) < LIMITS.awards_of_clearing:
            awards.append(again)
            lot.award(again, offers[fit.key])
    return sorted(fill(lot, offers, fits, LIMITS.awards_of_clearing, {}, awards))


def _gap(clearing: Clearing, combination: Combination, found: Solution, lot: Round) -> Decimal | None:
    """Rounded up; never below nothing. None where it says nothing."""
    awards = []
    for award in clearing.awards:
        option = lot.book.offers[award.participant, award.offer_id].option_named(award.option)
        assert option is not None, "an award names an option of its offer"
        window = order_window(lot.request, option, lot.now, award.starts_at)
        awards.append((option, Block(*window, award.power_w)))
    cost = worth(lot, awards).cost(combination.penalty)
    return gap_of(cost, least=-found.bound)


def gap_of(cost: float, least: float) -> Decimal | None:
    """How much less than its cost the best may cost at most, as a share of it, rounded up and never below nothing.

    None where that says nothing: no bound is known, or the cost is about nothing.
    """
    if not math.isfinite(least) or not math.isfinite(cost) or abs(cost) < _LEAST_COST:
        return None
    gap = max(0.0, cost - least) / abs(cost)
    return Decimal(math.ceil(round(gap * 10**_PLACES, 2))).scaleb(-_PLACES) if gap < _MOST_GAP else None
