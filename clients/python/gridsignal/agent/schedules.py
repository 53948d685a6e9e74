"""Schedules of all jobs together that fit into the room there is: at once, and greedily. Pure."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gridsignal.agent.cheapest import REST, Levels, cheapest
from gridsignal.agent.workload import Floats, Ints, Workload

MAX_ROUNDS = 40
MAX_TRIES = 3
_MORE = 1_000
"""Ranks between two priorities."""
_TINY_W = 1e-6
_SOON = 1.5
"""By how much a quarter hour weighs more than the one before, for who wants to be done early."""
Left = Callable[[], float]
"""Seconds that are left to plan in."""


def load_w(work: Workload, levels: Levels) -> Floats:
    """(jobs, quarter hours): IT watts of a schedule."""
    taken: Floats = np.asarray(
        np.take_along_axis(work.watts, np.maximum(levels, 0).astype(np.int64), axis=1), dtype=np.float64
    )
    taken[levels == REST] = 0.0
    return taken


def resumes(work: Workload, levels: Levels) -> Floats:
    """(jobs, quarter hours): 1 where a job goes on after a pause."""
    runs = levels != REST
    before = np.concatenate([work.running[:, None], runs[:, :-1]], axis=1)
    ran = np.cumsum(runs, axis=1) - runs + (work.begun | work.running)[:, None] > 0
    found: Floats = np.asarray(runs & ~before & ran, dtype=np.float64)
    return found


def done_units(work: Workload, levels: Levels) -> Ints:
    """(jobs, quarter hours): units of work done until the end of each, what pauses lost taken off."""
    gained = np.take_along_axis(work.units, np.maximum(levels, 0).astype(np.int64), axis=1)
    gained = np.where(levels == REST, 0, gained) - resumes(work, levels).astype(np.int64) * work.lost[:, None]
    return np.cumsum(gained, axis=1)


def late(work: Workload, levels: Levels) -> Ints:
    """The rows that are not done by the end of their window; those without a choice by the end of all."""
    done = done_units(work, levels)
    at = np.maximum(work.last - 1, 0)
    return np.flatnonzero(done[np.arange(work.count), at] < work.need)


def costs_of(work: Workload, levels: Levels, cost: Floats) -> Floats:
    """What each job's schedule costs, its pauses' joules included."""
    watts = load_w(work, levels) + resumes(work, levels) * work.pause_w[:, None]
    return np.asarray(watts @ cost)


def late_fees(work: Workload, levels: Levels, fee: float) -> Floats:
    """The fee of each job that is late, 0 of the others."""
    fees = np.zeros(work.count)
    fees[late(work, levels)] = fee
    return fees


def at_once(work: Workload, room_w: Floats, rows: Ints | None = None) -> Levels:
    """Everybody, or these rows, as soon as there is room, by priority and then by the least time left.

    Who runs and may not be paused runs on. It is what a site does without a plan, and what is left if none is found.
    """
    slots = len(room_w)
    levels = np.full((work.count, slots), REST, dtype=np.int8)
    asked = range(work.count) if rows is None else rows.tolist()
    left = [int(need) for need in work.need]
    runs = [bool(each) for each in work.running]
    ran = [bool(each) for each in work.running | work.begun]
    for slot in range(slots):
        free = float(room_w[slot])
        waiting = [row for row in asked if left[row] > 0 and slot >= work.first[row]]
        for row in sorted(waiting, key=lambda row: _urgency(work, row, left[row], slot, runs[row])):
            fits = [n for n in range(work.watts.shape[1]) if work.units[row, n] and work.watts[row, n] <= free]
            if fits:
                levels[row, slot] = fits[0]
                free -= float(work.watts[row, fits[0]])
                lost = int(work.lost[row]) if ran[row] and not runs[row] else 0
                left[row] += lost - int(work.units[row, fits[0]])
            runs[row] = bool(fits)
            ran[row] |= bool(fits)
    return levels


def _urgency(work: Workload, row: int, left: int, slot: int, runs: bool) -> tuple[bool, int, bool, float]:
    job = work.jobs[row]
    slack = (int(work.last[row]) - slot) * int(work.units[row, 0]) - left
    return not (runs and not job.pausable), -job.priority, not runs, slack


def greedily(work: Workload, room_w: Floats, cost: Floats, left_s: Left) -> Levels:
    """Each job where it is cheapest in the room that those before it left; who finds none there runs at once.

    Who was late is placed first the next time. Bounded by the time left and MAX_TRIES; the best of them counts.
    """
    slack = (work.last - work.first) * work.units[:, 0] - work.need
    rank = np.array([job.priority for job in work.jobs], dtype=np.int64) * _MORE
    tried = list[tuple[int, Levels]]()
    for _ in range(MAX_TRIES):
        levels, without = _in_order(work, room_w, cost, np.lexsort((slack, -rank, ~work.rigid)), left_s)
        if len(without):
            levels = np.maximum(levels, at_once(work, room_w - load_w(work, levels).sum(axis=0), without))
        missed = late(work, levels)
        tried.append((len(missed), levels))
        if not len(missed) or left_s() <= 0:
            break
        rank[missed] += 1
    return min(tried, key=lambda each: each[0])[1]


def _in_order(work: Workload, room_w: Floats, cost: Floats, waiting: Ints, left_s: Left) -> tuple[Levels, Ints]:
    """The schedule of this order, and who is without one.

    Round by round: all that wait are placed as if alone, and those are kept that fit, in their order.
    """
    levels = np.full((work.count, len(cost)), REST, dtype=np.int8)
    soon = np.power(_SOON, np.arange(len(cost), dtype=np.float64))
    without = list[int]()
    for _ in range(MAX_ROUNDS):
        if not len(waiting) or left_s() <= 0:
            break
        placed, needed = np.full((len(waiting), len(cost)), REST, dtype=np.int8), np.zeros(len(waiting))
        for chosen, by in ((work.rigid[waiting], soon), (~work.rigid[waiting], cost)):
            if chosen.any():
                placed[chosen], needed[chosen] = cheapest(work, waiting[chosen], by, room_w)
        stay, nowhere = list[int](), np.isinf(needed)
        without += waiting[nowhere].tolist()
        for row, own in zip(waiting[~nowhere], placed[~nowhere], strict=True):
            watts = np.where(own == REST, 0.0, work.watts[row, np.maximum(own, 0).astype(np.int64)])
            if (watts <= room_w + _TINY_W).all():
                room_w = room_w - watts
                levels[row] = own
            else:
                stay.append(int(row))
        waiting = np.array(stay, dtype=np.int64)
    return levels, np.array([*without, *waiting], dtype=np.int64)
