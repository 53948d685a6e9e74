"""The cheapest schedule of a job is the cheapest of all that there are."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal.agent.cheapest import REST, cheapest
from gridsignal.agent.jobs import Job, Progress
from gridsignal.agent.schedules import costs_of, done_units, late, resumes
from gridsignal.agent.workload import Workload
from tests.unit.agent.planned_cases import a_job, an_outlook, prices, some_jobs

SLOTS = 5


def may_run(work: Workload, row: int, levels: np.ndarray) -> bool:
    """Whether a schedule is one the job allows: within its window, paused only if it may be."""
    runs = np.flatnonzero(levels != REST)
    if len(runs) and (runs[0] < work.first[row] or runs[-1] >= work.last[row]):
        return False
    stands = bool(work.running[row]) and (levels[0] == REST)
    one = np.full((work.count, SLOTS), REST, dtype=np.int8)
    one[row] = levels
    if len(runs) > 1 and done_units(work, one)[row, : runs[-1]].max() >= work.need[row]:
        return False  # it went on when it was done
    return work.jobs[row].pausable or not (stands or resumes(work, one)[row].any())


@given(some_jobs(SLOTS, 1), st.lists(prices, min_size=SLOTS, max_size=SLOTS))
def test_no_schedule_that_is_in_time_is_cheaper(
    given_: tuple[list[Job], dict[str, Progress]], cost: list[float]
) -> None:
    jobs, progress = given_
    work = Workload.of(jobs, an_outlook(cost), progress)
    terms = np.array(cost)
    levels, found = cheapest(work, np.arange(1), terms)
    best = np.inf
    for each in product(range(REST, work.watts.shape[1]), repeat=SLOTS):
        tried = np.array([each], dtype=np.int8)
        if may_run(work, 0, tried[0]) and not len(late(work, tried)):
            best = min(best, costs_of(work, tried, terms)[0])
    assert found[0] <= best + 1e-3 * abs(best) + 1e-3
    if np.isfinite(found[0]):
        assert may_run(work, 0, levels[0])
        assert not len(late(work, levels))
        assert costs_of(work, levels, terms)[0] == pytest.approx(found[0], rel=1e-4, abs=1.0)


def test_where_there_is_no_room_a_job_costs_infinity() -> None:
    work = Workload.of([a_job(closes=SLOTS)], an_outlook([1.0] * SLOTS), {})
    assert np.isinf(cheapest(work, np.arange(1), np.ones(SLOTS), np.full(SLOTS, 99_999.0))[1][0])
    assert cheapest(work, np.arange(1), np.ones(SLOTS), np.full(SLOTS, 100_000.0))[1][0] == pytest.approx(200_000.0)
