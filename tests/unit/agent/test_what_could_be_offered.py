"""What could be offered beside a plan is there in every quarter hour, and its price is what it costs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal.agent.jobs import Job, Progress
from gridsignal.agent.planning import plan
from gridsignal.agent.possible import possible
from gridsignal.agent.schedules import costs_of, late, load_w
from tests.unit.agent.planned_cases import a_job, a_site, an_outlook, prices, some_jobs

SLOTS = 12


@given(
    some_jobs(SLOTS, 5),
    st.lists(prices, min_size=SLOTS, max_size=SLOTS),
    st.integers(0, 8),
    st.integers(1, 4),
    st.sampled_from([200_000, 1_000_000]),
)
def test_every_step_sheds_its_power_keeps_deadlines_and_costs_what_it_says(
    given_: tuple[list[Job], dict[str, Progress]], cost: list[float], first: int, length: int, capacity_w: int
) -> None:
    jobs, progress = given_
    looks = iter(range(30, -1, -1))
    site = a_site(capacity_w, minimum_w=50_000)
    found = plan(jobs, site, an_outlook(cost), progress=progress, left_s=lambda: float(next(looks, 0)))
    last = first + length
    powers = [0]
    for step in possible(found, first, last, 20.0):
        schedule = found.schedule.copy()
        for job_id, levels in step.jobs.items():
            schedule[[job.job_id for job in found.work.jobs].index(job_id)] = levels
        before, after = (load_w(found.work, each).sum(axis=0) for each in (found.schedule, schedule))
        assert (before - after)[first:last].min() >= step.power_w - 1e-6
        assert (after <= found.terms.room_w + 1e-6).all()
        assert set(late(found.work, schedule)) <= set(late(found.work, found.schedule))
        assert min(found.plan.connection_w[first:last]) - step.power_w >= site.minimum_w
        more = (
            costs_of(found.work, schedule, found.terms.marginal)
            - costs_of(found.work, found.schedule, found.terms.marginal)
        ).sum()
        assert (step.price_per_mwh - 20.0) * step.power_w * length / 4e6 == pytest.approx(more, rel=1e-3, abs=1e-2)
        powers.append(step.power_w)
    assert powers == sorted(set(powers))


def test_who_can_not_wait_is_offered_to_nobody() -> None:
    tight, loose = a_job("tight", slots=4, closes=4), a_job("loose", slots=4, closes=12)
    found = plan([tight, loose], a_site(), an_outlook([float(each) for each in range(12)]), left_s=lambda: 1.0)
    (step,) = possible(found, 0, 4, 0.0)
    assert set(step.jobs) == {"loose"}
    assert (step.power_w, step.starts, step.ends) == (100_000, "2030-05-12T00:00:00Z", "2030-05-12T01:00:00Z")
    assert np.array(step.jobs["loose"])[:4].max() == -1
