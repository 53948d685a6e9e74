"""The plan of a site: which job runs at which level in each quarter hour, battery, generators, and the baseline. Pure.

Objective: cost of energy at the connection, plus carbon price x CO2; no job late where there is a way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np

from gridsignal.agent.cheapest import Levels
from gridsignal.agent.curves import DEFAULT_CARBON_PRICE, SLOT_S, Outlook
from gridsignal.agent.jobs import ConnectionWatts, ItWatts, Job, Progress
from gridsignal.agent.schedules import Left, at_once, costs_of, late, late_fees, load_w, resumes
from gridsignal.agent.site import Site
from gridsignal.agent.solving import choose
from gridsignal.agent.storage import Stored, stored
from gridsignal.agent.workload import Floats, Terms, Workload

HOURS = SLOT_S / 3_600
_FEE = 100.0
"""How many times the cost of everything a late job counts."""


class Method(StrEnum):
    """Where a plan comes from."""

    SOLVED = "SOLVED"
    """The best that was found in the time; `gap` says how far from the best there may be."""
    AT_ONCE = "AT_ONCE"
    """Everybody as soon as there is room: nothing better was found."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do; lists have a value for each quarter hour from `starts_at` on."""

    starts_at: datetime
    known_at: datetime
    """The older of the two vintages, of prices and of carbon."""
    levels: Mapping[str, tuple[int, ...]]
    """Of each job: 0 is full speed, 1 and more its levels, -1 rest. Who isn't named has nothing to do here."""
    it_w: tuple[ItWatts, ...]
    battery_w: tuple[ConnectionWatts, ...]
    """Charging is positive."""
    generation_w: tuple[ConnectionWatts, ...]
    connection_w: tuple[ConnectionWatts, ...]
    """What the meter will show: the baseline to declare. Cooling settled."""
    cost: float
    """Of the energy of `connection_w`, the wear of the battery and the fuel."""
    carbon_kg: float
    """Of the same energy and fuel."""
    late: tuple[str, ...]
    """Jobs that won't be done in time; empty wherever a way was found."""
    gap: float
    """The most that the jobs' cost in this plan is above the least there can be, as a share."""
    method: Method


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan with the figures that it was made of."""

    plan: Plan
    site: Site
    outlook: Outlook
    terms: Terms
    work: Workload
    schedule: Levels


def plan(
    jobs: Sequence[Job],
    site: Site,
    outlook: Outlook,
    *,
    progress: Mapping[str, Progress] | None = None,
    carbon_price: float = DEFAULT_CARBON_PRICE,
    left_s: Callable[[], float],
) -> Planned:
    """A plan for these quarter hours. `left_s` says how many seconds are left to think; there is always an answer."""
    terms = Terms.of(site, outlook, carbon_price)
    work = Workload.of(jobs, outlook, progress or {})
    schedule, gap, method = scheduled(work, terms, left_s)
    it_w = site.base_it_w + load_w(work, schedule).sum(axis=0)
    energy_w = it_w + (resumes(work, schedule) * work.pause_w[:, None]).sum(axis=0)
    drawn = np.array([w + site.overhead_w(w, at) for w, at in zip(energy_w, outlook.temperature, strict=True)])
    drawn = np.maximum(drawn, site.minimum_w)
    prices, carbon = np.array(outlook.prices.values), np.array(outlook.carbon.values)
    moved = stored(site, drawn, prices + carbon_price * carbon / 1_000, carbon_price)
    late_jobs = tuple(work.jobs[row].job_id for row in late(work, schedule))
    cost, carbon_kg = worth(site, drawn, moved, prices, carbon)
    found = Plan(
        starts_at=outlook.starts_at,
        known_at=min(outlook.prices.known_at, outlook.carbon.known_at),
        levels={job.job_id: tuple(schedule[row].tolist()) for row, job in enumerate(work.jobs)},
        it_w=tuple(ItWatts(round(each)) for each in it_w),
        battery_w=tuple(ConnectionWatts(round(each)) for each in moved.charge_w - moved.discharge_w),
        generation_w=tuple(ConnectionWatts(round(each)) for each in moved.generated_w),
        connection_w=tuple(ConnectionWatts(round(each)) for each in drawn + moved.net_w),
        cost=cost,
        carbon_kg=carbon_kg,
        late=late_jobs,
        gap=gap,
        method=method,
    )
    return Planned(found, site, outlook, terms, work, schedule)


def scheduled(work: Workload, terms: Terms, left_s: Left) -> tuple[Levels, float, Method]:
    """The jobs' levels, the gap to the least cost there can be, and where they come from."""
    known = at_once(work, terms.room_w)
    if not work.count:
        return known, 0.0, Method.SOLVED
    fee = _FEE * float(np.abs(costs_of(work, known, np.abs(terms.marginal))).sum() + 1.0)
    chosen = choose(work, terms.room_w, terms.marginal, known, fee, left_s)
    own = float(costs_of(work, chosen.levels, terms.marginal).sum()) + float(late_fees(work, chosen.levels, fee).sum())
    scale = max(abs(own), 1e-9)
    method = Method.AT_ONCE if (chosen.levels == known).all() and own - chosen.bound > 1e-3 * scale else Method.SOLVED
    return chosen.levels, max(0.0, own - chosen.bound) / scale, method


def worth(site: Site, drawn: Floats, moved: Stored, prices: Floats, carbon: Floats) -> tuple[float, float]:
    """(money, kg of CO2) of what a site draws: watts at the connection in each quarter hour, before its battery."""
    energy_mwh = (drawn + moved.net_w) * HOURS / 1e6
    fuel_mwh = float(moved.generated_w.sum()) * HOURS / 1e6
    cost, kg = float(energy_mwh @ prices) + moved.wear, float(energy_mwh @ carbon)
    if site.generation is not None:
        cost, kg = cost + fuel_mwh * site.generation.fuel_cost, kg + fuel_mwh * site.generation.carbon_g_per_kwh
    return cost, kg
