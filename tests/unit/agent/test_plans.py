"""A plan keeps every deadline that can be kept, fits, costs no more than running at once, and says how good it is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridsignal.agent.cheapest import REST
from gridsignal.agent.jobs import Job, Progress
from gridsignal.agent.planning import Method, Planned, plan
from gridsignal.agent.schedules import at_once, costs_of, late, load_w
from gridsignal.agent.site import Battery, Generation
from tests.unit.agent.planned_cases import a_job, a_site, an_outlook, prices, some_jobs

SLOTS = 12


def steps(count: int) -> Callable[[], float]:
    """Time that is up after so many looks at it: a clock without a clock."""
    left = iter(range(count, -1, -1))
    return lambda: float(next(left, 0))


def planned(
    jobs: list[Job], cost: list[float], progress: dict[str, Progress], *, looks: int = 40, **site: object
) -> Planned:
    return plan(jobs, a_site(**site), an_outlook(cost), progress=progress, left_s=steps(looks))


some_prices = st.lists(prices, min_size=SLOTS, max_size=SLOTS)


@given(some_jobs(SLOTS, 5), some_prices, st.integers(0, 60), st.sampled_from([150_000, 250_000, 1_000_000]))
def test_whatever_the_time_a_plan_fits_and_is_no_later_than_running_at_once(
    given_: tuple[list[Job], dict[str, Progress]], cost: list[float], looks: int, capacity_w: int
) -> None:
    jobs, progress = given_
    found = planned(jobs, cost, progress, looks=looks, capacity_w=capacity_w)
    work, room_w = found.work, found.terms.room_w
    assert (load_w(work, found.schedule).sum(axis=0) <= room_w + 1e-6).all()
    assert len(found.plan.late) <= len(late(work, at_once(work, room_w)))
    if capacity_w == 1_000_000:  # room for all
        assert not found.plan.late
    assert found.plan.gap >= 0


@given(some_jobs(SLOTS, 4), some_prices)
def test_with_room_for_all_a_plan_is_the_cheapest_and_says_so(
    given_: tuple[list[Job], dict[str, Progress]], cost: list[float]
) -> None:
    jobs, progress = given_
    found = planned(jobs, cost, progress)
    at_most = costs_of(found.work, at_once(found.work, found.terms.room_w), found.terms.marginal).sum()
    assert costs_of(found.work, found.schedule, found.terms.marginal).sum() <= at_most + 1e-6
    assert found.plan.gap == pytest.approx(0.0, abs=1e-3)
    assert found.plan.method is Method.SOLVED


@settings(max_examples=30)  # each solves two programs
@given(some_jobs(SLOTS, 4), some_prices, st.integers(0, 400_000))
def test_a_battery_keeps_its_limits_and_never_makes_a_plan_dearer(
    given_: tuple[list[Job], dict[str, Progress]], cost: list[float], level_wh: int
) -> None:
    jobs, progress = given_
    battery = Battery(power_w=200_000, energy_wh=400_000, cycle_cost=5.0, cycles_per_day=4.0, level_wh=level_wh)
    generation = Generation(power_w=50_000, fuel_cost=120.0, carbon_g_per_kwh=700.0, hours_left=1.0)
    bare = planned(jobs, cost, progress).plan
    found = planned(jobs, cost, progress, battery=battery, generation=generation).plan
    one_way = battery.efficiency**0.5
    moved = np.array(found.battery_w) / 4
    level = level_wh + np.cumsum(np.where(moved > 0, moved * one_way, moved / one_way))
    assert ((level >= -2) & (level <= 400_000 * (1 + 1e-6) + 40_000)).all()
    assert sum(found.generation_w) / 4 <= 50_000 + 1
    assert min(found.connection_w) >= -1
    objective = found.cost + 80 * found.carbon_kg / 1_000
    assert objective <= bare.cost + 80 * bare.carbon_kg / 1_000 + 1e-3


def test_work_waits_for_the_cheap_hours_and_not_beyond_its_deadline() -> None:
    found = planned([a_job(slots=2, closes=6)], [50.0] * 4 + [10.0] * 8, {}).plan
    assert found.levels["a"][:6] == (REST, REST, REST, REST, 0, 0)
    assert found.late == ()


def test_a_pause_that_costs_more_than_it_saves_is_not_made() -> None:
    cost = [10.0, 60.0, 10.0, *[200.0] * 9]
    cheap = planned([a_job(slots=2, closes=3, pausable=True)], cost, {}).plan
    dear = planned([a_job(slots=2, closes=3, pausable=True, restart_j=10**9)], cost, {}).plan
    assert cheap.levels["a"][:3] == (0, REST, 0)
    assert dear.levels["a"][1] == 0


def test_a_job_that_runs_and_may_not_pause_runs_on() -> None:
    progress = {"a": Progress(done_s=900, is_running=True)}
    assert planned([a_job(slots=3)], [90.0, 90.0, *[1.0] * 10], progress).plan.levels["a"][:3] == (0, 0, REST)


def test_a_job_without_a_choice_runs_from_its_first_moment() -> None:
    job = a_job(slots=1.5, opens=0.4, closes=1.9)
    found = planned([job], [90.0, 90.0, *[1.0] * 10], {}).plan
    assert found.levels["a"][:3] == (0, 0, REST)
