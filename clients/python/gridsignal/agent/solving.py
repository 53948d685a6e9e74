"""All jobs together: what room is worth, the schedules that pay at these prices, and by HiGHS the choice among them.

    minimise  sum of cost x chosen     with  one chosen for each job,  watts of the chosen <= room, each quarter hour

Relaxed after Lagrange: room has a price in each quarter hour, each job takes its cheapest schedule at these prices, and
where that is too much the price rises (subgradient steps after Polyak). The jobs' cheapest costs, less what the room is
worth, are a bound that no plan falls below. The schedules that were met are the columns of a program in whole numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import highspy
import numpy as np

from gridsignal.agent.cheapest import Levels, cheapest
from gridsignal.agent.highs import Silent, quiet
from gridsignal.agent.schedules import Left, costs_of, greedily, late_fees, load_w
from gridsignal.agent.workload import Floats, Ints, Workload

CLOSE = 1e-4
"""A gap that is none."""
_PRICED_BY, _PLACED_BY = 0.45, 0.25
"""Shares of the time that are left when room has its prices, and when everybody has been placed at them."""
_REACH = 0.1
"""How far above a bound the best plan is thought to be, where none is known that is nearer."""
_KEPT = 24
"""Schedules of each job among which is chosen: the newest."""
_DAMPED = 0.85
"""What is left of a stride after one that found no better bound."""
_INERTIA = 0.3
"""What is left of the direction of the step before."""
_KW = 1e3


@dataclass(slots=True)
class Columns:
    """Schedules that are known: of which job, at which levels, at what cost."""

    rows: list[Ints] = field(default_factory=list)
    levels: list[Levels] = field(default_factory=list)
    costs: list[Floats] = field(default_factory=list)
    watts: list[Floats] = field(default_factory=list)

    def add(self, work: Workload, levels: Levels, costs: Floats, rows: Ints) -> None:
        """More of them; those without a finite cost are none."""
        self.rows.append(rows)
        self.levels.append(levels[rows])
        self.costs.append(costs[rows])
        self.watts.append(load_w(work, levels)[rows] / _KW)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The best choice that was found, and below what none is."""

    levels: Levels
    cost: float
    bound: float


def choose(work: Workload, room_w: Floats, cost: Floats, known: Levels, fee: float, left_s: Left) -> Chosen:
    """The cheapest choice in the time left, at worst `known`, which fits; `fee` is what a job costs more that is late.

    Jobs without a choice keep their schedule in it.
    """
    penalty = late_fees(work, known, fee)
    prices = _Prices(work, room_w, cost, known, penalty)
    given_s, best = left_s(), Chosen(known, float((costs_of(work, known, cost) + penalty).sum()), -math.inf)
    columns = Columns()
    columns.add(work, known, costs_of(work, known, cost) + penalty, np.arange(work.count))
    for _ in range(_KEPT):
        if left_s() <= 0:
            break
        levels, fits = prices.step(best.cost)
        columns.add(work, levels, costs_of(work, levels, cost) + prices.penalty_of(levels), np.arange(work.count))
        if fits:
            best = min(best, Chosen(levels, float(columns.costs[-1].sum()), -math.inf), key=lambda each: each.cost)
        if best.cost - prices.bound <= CLOSE * abs(best.cost) or left_s() <= _PRICED_BY * given_s:
            break
    if best.cost - prices.bound > CLOSE * abs(best.cost) and left_s() > 0:
        placed = greedily(work, room_w, prices.at, lambda: left_s() - _PLACED_BY * given_s)
        columns.add(work, placed, costs_of(work, placed, cost) + late_fees(work, placed, fee), np.arange(work.count))
        best = min(best, Chosen(placed, float(columns.costs[-1].sum()), -math.inf), key=lambda each: each.cost)
        found = _solve(columns, work.count, room_w, limit_s=max(0.05, left_s()))
        if found is not None and found.cost < best.cost:
            chosen = np.zeros_like(known)
            chosen[np.concatenate(columns.rows)[found.taken]] = np.concatenate(columns.levels)[found.taken]
            best = Chosen(chosen, found.cost, -math.inf)
    return Chosen(best.levels, best.cost, prices.bound)


class _Prices:
    """What room is worth, step by step, and the best bound so far."""

    def __init__(self, work: Workload, room_w: Floats, cost: Floats, known: Levels, penalty: Floats) -> None:
        self.work, self.room_w, self.cost, self.known, self.penalty = work, room_w, cost, known, penalty
        self.free = np.flatnonzero(~work.rigid)
        self.worth, self.way, self.bound, self.stride = np.zeros(len(cost)), np.zeros(len(cost)), -math.inf, 1.0

    @property
    def at(self) -> Floats:
        """Cost of a watt, its room included."""
        return self.cost + self.worth

    def penalty_of(self, levels: Levels) -> Floats:
        """What is added where a job still has the schedule that was known, and that is late."""
        return np.where((levels == self.known).all(axis=1), self.penalty, 0.0)

    def step(self, best: float) -> tuple[Levels, bool]:
        """Each job's cheapest at these prices, and whether they fit together; then the prices move."""
        levels, reduced = self.known.copy(), costs_of(self.work, self.known, self.at) + self.penalty
        cheap, needed = cheapest(self.work, self.free, self.at)
        better = needed < reduced[self.free]
        levels[self.free[better]], reduced[self.free[better]] = cheap[better], needed[better]
        bound = float(reduced.sum() - self.worth @ self.room_w)
        self.stride *= 1.0 if bound > self.bound else _DAMPED
        self.bound = max(self.bound, bound)
        excess = load_w(self.work, levels).sum(axis=0) - self.room_w
        fits = bool((excess <= 1e-6).all())
        self.way = excess + _INERTIA * self.way
        moves = np.where((self.way > 0) | (self.worth > 0), self.way, 0.0)
        if (length := float(moves @ moves)) > 0:
            self.worth = np.maximum(
                0.0, self.worth + self.stride * min(best - bound, _REACH * abs(bound)) / length * moves
            )
        return levels, fits


@dataclass(frozen=True, slots=True)
class _Found:
    cost: float
    taken: Ints


def _solve(columns: Columns, jobs: int, room_w: Floats, *, limit_s: float) -> _Found | None:
    solver = Silent()  # type: ignore[no-untyped-call]  # its constructor has no types
    quiet(solver, limit_s)
    solver.setOptionValue("mip_rel_gap", CLOSE)
    rows, costs, watts = (np.concatenate(each) for each in (columns.rows, columns.costs, columns.watts))
    lp, count = highspy.HighsLp(), len(rows)
    lp.num_col_, lp.num_row_ = count, jobs + len(room_w)
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = costs.tolist(), [0.0] * count, [1.0] * count
    lp.row_lower_ = np.concatenate([np.ones(jobs), np.full(len(room_w), -highspy.kHighsInf)])
    lp.row_upper_ = np.concatenate([np.ones(jobs), room_w / _KW])
    at, slots = np.nonzero(watts)
    entries = np.concatenate([at, np.arange(count)])
    order = np.argsort(entries, kind="stable")
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_ = np.concatenate([[0], np.cumsum(np.bincount(entries, minlength=count))])
    lp.a_matrix_.index_ = np.concatenate([jobs + slots, rows])[order]
    lp.a_matrix_.value_ = np.concatenate([watts[at, slots], np.ones(count)])[order]
    lp.integrality_ = [highspy.HighsVarType.kInteger] * count
    solver.passModel(lp)
    solver.run()
    info, solution = solver.getInfo(), solver.getSolution()
    if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
        return None
    return _Found(float(info.objective_function_value), np.flatnonzero(np.array(solution.col_value) > 0.5))
