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
_FIRST, _PRICED, _PLACED = 0.6, 0.45, 0.2
"""Shares of the time left once all were placed by cost alone, room has its prices, all were placed at them."""
_CROWDED = 0.75
"""By how much of the room the cheapest schedules may be too many, for placing them by cost alone to be worth a try."""
_REACH = 0.1
"""How far above a bound the best plan is thought to be, where none is known that is nearer."""
_KEPT = 24
"""Schedules of each job among which is chosen: the newest."""
_DAMPED = 0.85
"""What is left of a stride after one that found no better bound."""
_INERTIA = 0.3
"""What is left of the direction of the step before."""
_TINY_W = 1e-6
_KW = 1e3


@dataclass(slots=True)
class Columns:
    """Schedules that are known: of which job, at which levels, at what cost."""

    rows: list[Ints] = field(default_factory=list)
    levels: list[Levels] = field(default_factory=list)
    costs: list[Floats] = field(default_factory=list)
    watts: list[Floats] = field(default_factory=list)

    def add(self, work: Workload, levels: Levels, costs: Floats) -> None:
        """One more for each job."""
        self.rows.append(np.arange(work.count))
        self.levels.append(levels)
        self.costs.append(costs)
        self.watts.append(load_w(work, levels) / _KW)


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
    prices, found = _Prices(work, room_w, cost, known, late_fees(work, known, fee)), _Met(work, cost, fee)
    given_s = left_s()
    found.add(known)
    for number in range(_KEPT):
        if left_s() <= 0:
            break
        levels, excess_w = prices.step(found.cost)
        found.add(levels, fits=bool((excess_w <= _TINY_W).all()))
        if number == 0 and (excess_w > _TINY_W).any() and (excess_w <= _CROWDED * room_w).all():
            found.add(greedily(work, room_w, cost, lambda: left_s() - _FIRST * given_s))
        if found.is_close(prices.bound) or left_s() <= _PRICED * given_s:
            break
    if not found.is_close(prices.bound) and left_s() > 0:
        found.add(greedily(work, room_w, cost + prices.best, lambda: left_s() - _PLACED * given_s))
        taken = _solve(found.columns, work.count, room_w, limit_s=max(0.05, left_s()))
        if taken is not None:
            chosen = np.zeros_like(known)
            chosen[np.concatenate(found.columns.rows)[taken]] = np.concatenate(found.columns.levels)[taken]
            found.add(chosen)
    return Chosen(found.levels, found.cost, prices.bound)


class _Met:
    """The schedules that were met: all as columns, and the cheapest that fits."""

    def __init__(self, work: Workload, cost: Floats, fee: float) -> None:
        self.work, self.by, self.fee = work, cost, fee
        self.columns = Columns()
        self.cost = math.inf

    def add(self, levels: Levels, *, fits: bool = True) -> None:
        """One more schedule of all jobs."""
        costs = costs_of(self.work, levels, self.by) + late_fees(self.work, levels, self.fee)
        self.columns.add(self.work, levels, costs)
        if fits and costs.sum() < self.cost:
            self.levels, self.cost = levels, float(costs.sum())

    def is_close(self, bound: float) -> bool:
        """Whether nothing better is worth looking for."""
        return self.cost - bound <= CLOSE * abs(self.cost)


class _Prices:
    """What room is worth, step by step, and the best bound so far."""

    def __init__(self, work: Workload, room_w: Floats, cost: Floats, known: Levels, penalty: Floats) -> None:
        self.work, self.room_w, self.cost, self.known, self.penalty = work, room_w, cost, known, penalty
        self.free = np.flatnonzero(~work.rigid)
        self.best = np.zeros(len(cost))
        """What room was worth at the best bound."""
        self.worth, self.way, self.bound, self.stride = np.zeros(len(cost)), np.zeros(len(cost)), -math.inf, 1.0

    def step(self, best: float) -> tuple[Levels, Floats]:
        """Each job's cheapest at these prices, and by how much they are too many; then the prices move."""
        at = self.cost + self.worth
        levels, reduced = self.known.copy(), costs_of(self.work, self.known, at) + self.penalty
        cheap, needed = cheapest(self.work, self.free, at)
        better = needed < reduced[self.free]
        levels[self.free[better]], reduced[self.free[better]] = cheap[better], needed[better]
        bound = float(reduced.sum() - self.worth @ self.room_w)
        self.stride *= 1.0 if bound > self.bound else _DAMPED
        if bound > self.bound:
            self.bound, self.best = bound, self.worth
        excess = load_w(self.work, levels).sum(axis=0) - self.room_w
        self.way = excess + _INERTIA * self.way
        moves = np.where((self.way > 0) | (self.worth > 0), self.way, 0.0)
        if (length := float(moves @ moves)) > 0:
            self.worth = np.maximum(
                0.0, self.worth + self.stride * min(best - bound, _REACH * abs(bound)) / length * moves
            )
        return levels, excess


def _solve(columns: Columns, jobs: int, room_w: Floats, *, limit_s: float) -> Ints | None:
    """The columns that are taken; None where none were found in time."""
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
    return np.flatnonzero(np.array(solution.col_value) > 0.5)
