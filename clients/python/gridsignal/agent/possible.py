"""What a site could offer beside its plan: how much less it would draw in a period, and what that would cost it. Pure.

For each job that runs in the period: the cheapest schedule that keeps its deadline and rests then, in the room that the
plan leaves. The difference is the price: what moves, what its pause costs, and the rebound at later prices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gridsignal.agent.cheapest import REST, Levels, cheapest
from gridsignal.agent.curves import SLOT
from gridsignal.agent.jobs import ConnectionWatts, ItWatts
from gridsignal.agent.planning import HOURS, Planned
from gridsignal.agent.schedules import costs_of, load_w
from gridsignal_schemas.values import rfc3339

MAX_STEPS = 64
"""Steps of a ladder; the dearest beyond are left out."""


@dataclass(frozen=True, slots=True)
class Step:
    """One rung: together with those before it."""

    starts: str
    ends: str
    power_w: ConnectionWatts
    """Less than the plan, in every quarter hour of the period. The cooling that goes with it is not counted on."""
    price_per_mwh: float
    """The least that the whole of it may be paid, the margin included."""
    jobs: Mapping[str, tuple[int, ...]]
    """Who would rest, and its levels in the plan's quarter hours if it does."""


def possible(planned: Planned, first: int, last: int, margin_per_mwh: float) -> list[Step]:
    """The ladder of a period, quarter hours `first` to `last` of the plan: each step more power, at its price."""
    work, schedule, terms = planned.work, planned.schedule, planned.terms
    rows = np.flatnonzero((schedule[:, first:last] != REST).any(axis=1) & ~work.rigid)
    if not len(rows) or last <= first:
        return []
    own_w = load_w(work, schedule)
    free_w = terms.room_w - own_w.sum(axis=0)
    moves = list[tuple[float, int, Levels]]()
    before = costs_of(work, schedule, terms.marginal)
    for row in rows:
        room_w = free_w + own_w[row]
        room_w[first:last] = 0.0
        levels, cost = cheapest(work, np.array([row]), terms.marginal, room_w)
        if np.isfinite(cost[0]):
            saved_mwh = own_w[row, first:last].sum() * HOURS / 1e6
            moves.append((float((cost[0] - before[row]) / saved_mwh), int(row), levels[0]))
    return _ladder(planned, sorted(moves, key=lambda each: each[:2]), (first, last), margin_per_mwh)


def raisable_w(planned: Planned, first: int, last: int) -> ItWatts:
    """What more servers could draw in a period: work that the plan has for later, done from its start on.

    Whole jobs that rest until then, could have begun, and have enough to do for all of the period; the biggest first.
    """
    work, schedule = planned.work, planned.schedule
    slots = (schedule != REST).sum(axis=1)
    rests = (schedule[:, :last] == REST).all(axis=1) & (work.first <= first) & ~work.rigid & (slots >= last - first)
    free_w = planned.terms.room_w - load_w(work, schedule).sum(axis=0)
    total_w = 0.0
    for row in sorted(np.flatnonzero(rests), key=lambda row: -work.watts[row, 0]):
        end = first + int(slots[row])
        if end <= len(free_w) and (free_w[first:end] >= work.watts[row, 0]).all():
            free_w[first:end] -= work.watts[row, 0]
            total_w += float(work.watts[row, 0])
    return ItWatts(int(total_w))


def _ladder(
    planned: Planned, moves: list[tuple[float, int, Levels]], period: tuple[int, int], margin_per_mwh: float
) -> list[Step]:
    work, terms, (first, last) = planned.work, planned.terms, period
    own_w = load_w(work, planned.schedule)
    free_w, shed_w = terms.room_w - own_w.sum(axis=0), np.zeros(last - first)
    cost, steps, taken = 0.0, list[Step](), dict[str, tuple[int, ...]]()
    lowest_w = np.array(planned.plan.connection_w[first:last]) - planned.site.minimum_w
    for price, row, levels in moves:
        moved_w = np.where(levels == REST, 0.0, work.watts[row, np.maximum(levels, 0).astype(np.int64)])
        after_w = free_w + own_w[row] - moved_w
        if (after_w < -1e-6).any():
            continue  # its new place is taken by one that moved before it
        free_w = after_w
        shed_w = shed_w + own_w[row, first:last]
        cost += price * own_w[row, first:last].sum() * HOURS / 1e6
        taken[work.jobs[row].job_id] = tuple(levels.tolist())
        power_w = int(min(shed_w.min(), lowest_w.min()))
        if power_w > (steps[-1].power_w if steps else 0) and len(steps) < MAX_STEPS:
            energy_mwh = power_w * (last - first) * HOURS / 1e6
            starts_at = planned.outlook.starts_at
            starts, ends = (rfc3339(starts_at + each * SLOT) for each in period)
            steps.append(Step(starts, ends, ConnectionWatts(power_w), cost / energy_mwh + margin_per_mwh, dict(taken)))
    return steps
