"""Days of a simulated site, played: planned every six hours, and on weekdays a request that its offer answers. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from gridsignal.agent.cheapest import Levels
from gridsignal.agent.cluster import Cluster
from gridsignal.agent.curves import SLOT, SLOT_S
from gridsignal.agent.foresight import outlook_at
from gridsignal.agent.jobs import ItWatts, Job, Progress
from gridsignal.agent.mixes import BATCH, drawn
from gridsignal.agent.planning import HOURS, Planned, plan
from gridsignal.agent.possible import possible
from gridsignal.agent.schedules import at_once, load_w, resumes
from gridsignal.agent.series import HOUR, Series
from gridsignal.agent.study import STEP, carry_out
from gridsignal.agent.workload import Floats, Terms, Workload

SLOTS = 36 * 4
REQUEST_SLOTS = (4, 12)
"""From and to when a request of the simulated grid lasts, in the six hours that it falls into."""
PAID_PER_MWH = 250.0
"""The most that it pays."""
MARGIN_PER_MWH = 20.0
_USED = 0.5
_DRAINED = 6
DRAINED_H = _DRAINED * BATCH // timedelta(hours=1)
"""How long it is played on after the last job has come."""


@dataclass(frozen=True, slots=True)
class Order:
    """A request that an offer won."""

    starts_at: datetime
    power_w: int
    price_per_mwh: float
    delivered_w: float
    """The least of its quarter hours, against the baseline that was declared."""


@dataclass(slots=True)
class Played:
    """What happened, quarter hour by quarter hour from the first day's noon on."""

    starts_at: datetime
    load_w: list[float] = field(default_factory=list)
    """At the connection, cooling on its way."""
    planned_w: list[float] = field(default_factory=list)
    """The baseline: what was planned before an order."""
    at_once_w: list[float] = field(default_factory=list)
    prices: list[float] = field(default_factory=list)
    carbon: list[float] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    jobs: int = 0
    late: int = 0
    late_at_once: int = 0

    def money(self, watts: list[float]) -> float:
        """What a load costs."""
        return float(np.array(watts) @ np.array(self.prices)) * HOURS / 1e6

    def carbon_kg(self, watts: list[float]) -> float:
        """What it emits."""
        return float(np.array(watts) @ np.array(self.carbon)) * HOURS / 1e6

    @property
    def earned(self) -> float:
        """What the orders pay."""
        hours = (REQUEST_SLOTS[1] - REQUEST_SLOTS[0]) * HOURS
        return sum(each.price_per_mwh * min(each.power_w, each.delivered_w) * hours / 1e6 for each in self.orders)


def synthetic(zone: str, starts_at: datetime, days: int, seed: int) -> Series:
    """A made-up curve, no market's: two peaks a day, a dip at noon, weekends below, noise; carbon follows the price."""
    chance = drawn(f"{zone} {seed}")
    prices, carbon, weather = list[float](), list[float](), 0.0
    for hour in range((days + 6) * 24):
        at = starts_at + hour * HOUR
        weather = 0.97 * weather + chance.normal(0, 5)
        day = sum(high * math.exp(-(((at.hour - top) / wide) ** 2)) for high, top, wide in _SHAPE)
        price = 75 + day + weather - (15 if at.weekday() >= 5 else 0)
        prices.append(round(price, 2))
        carbon.append(round(max(40.0, 320 + 1.8 * (price - 75) + chance.normal(0, 10)), 1))
    return Series(zone, starts_at, "EUR", tuple(prices), tuple(carbon), 0)


_SHAPE = ((45.0, 7.0, 2.0), (-50.0, 12.5, 3.0), (70.0, 18.0, 2.2), (-15.0, 3.0, 3.0))
"""(height, hour UTC, width in hours) of each bump of a day."""


def arrivals(cluster: Cluster, at: datetime, seed: int) -> list[Job]:
    """Jobs of four kinds that arrive at a moment: half of the cluster's time in all."""
    chance = drawn(f"{at.timestamp():.0f} {seed}")
    jobs, left = list[Job](), _USED * cluster.count * BATCH / timedelta(hours=1)
    while left > 0:
        name, sizes, hours, slack, pausable, speeds = _KINDS[chance.integers(len(_KINDS))]
        gpus = min(sizes[chance.integers(len(sizes))], max(1, cluster.count // 4))
        lasts = int(chance.integers(*hours, endpoint=True))
        left -= gpus * lasts
        idle = cluster.watts(0)
        power_w = ItWatts(round(gpus * (cluster.watts(1) - idle)))
        waits = timedelta(minutes=15 * round(4 * chance.uniform(*slack)))
        jobs.append(
            Job(
                job_id=f"{name}-{at:%m%d%H}-{len(jobs)}",
                job_class=name,
                power_w=power_w,
                duration_s=lasts * 3_600,
                earliest=at,
                deadline=at + timedelta(hours=lasts) + waits,
                levels=cluster.levels(gpus, speeds),
                pausable=pausable,
                checkpoint_s=60 if pausable else 0,
                restart_s=240 if pausable else 0,
            )
        )
    return jobs


_KINDS: tuple[tuple[str, tuple[int, ...], tuple[int, int], tuple[float, float], bool, tuple[float, ...]], ...] = (
    ("training", (16, 32, 64), (4, 12), (6, 18), True, (0.9, 0.7)),
    ("tuning", (8, 16), (2, 6), (3, 12), True, (0.8,)),
    ("batch", (1, 2, 4, 8), (1, 4), (4, 18), False, ()),
    ("serving", (8, 16, 32), (6, 6), (0.5, 1.5), False, (0.9,)),
)
"""Name, GPUs, hours, hours of slack, pausable, speeds it may be capped to."""


def simulate(
    cluster: Cluster,
    series: Series,
    days: int,
    seed: int,
    carbon_price: float,
    clock: Callable[[], Callable[[], float]],
) -> Played:
    """Plays the days: the site as planned with its orders, and the same jobs at once beside it."""
    site, played = cluster.site(series.zone), Played(series.starts_at + timedelta(hours=36))
    ours, theirs = _Queue(), _Queue()
    overhead_w = site.overhead_w(site.base_it_w)
    steps = days * round(timedelta(days=1) / BATCH)
    for step in range(steps + _DRAINED):
        now = played.starts_at + step * BATCH
        new = arrivals(cluster, now, seed) if step < steps else []
        played.jobs += len(new)
        ours.waiting += new
        theirs.waiting += new
        outlook = outlook_at(series, now, SLOTS, seed)
        found = plan(ours.waiting, site, outlook, progress=ours.progress, carbon_price=carbon_price, left_s=clock())
        played.planned_w += found.plan.connection_w[:STEP]
        schedule, won = _answered(found, now)
        watts = site.base_it_w + _drawn(found.work, schedule)[:STEP]
        for each in watts:
            overhead_w = site.cooled(overhead_w, site.overhead_w(float(each)), SLOT_S)
            played.load_w.append(float(each) + overhead_w)
        played.orders += [_delivered(won, played)] if won is not None else []
        played.late += ours.carry_on(found.work, schedule, now)
        plain = Workload.of(theirs.waiting, outlook, theirs.progress)
        levels = at_once(plain, Terms.of(site, outlook, carbon_price).room_w)
        plain_w = site.base_it_w + _drawn(plain, levels)[:STEP]
        played.at_once_w += [float(each + site.overhead_w(float(each))) for each in plain_w]
        played.late_at_once += theirs.carry_on(plain, levels, now)
        played.prices += series.slots(series.prices, now, STEP)
        played.carbon += series.slots(series.carbon, now, STEP)
    return played


@dataclass(slots=True)
class _Queue:
    waiting: list[Job] = field(default_factory=list)
    progress: dict[str, Progress] = field(default_factory=dict)

    def carry_on(self, work: Workload, levels: Levels, now: datetime) -> int:
        """Six hours on; how many of the jobs that were done in them were late."""
        late, done = 0, set[str]()
        for row, job in enumerate(work.jobs):
            ended = carry_out(work, levels, row, self.progress)
            if ended is not None:
                done.add(job.job_id)
                late += now + ended * SLOT > job.deadline
        self.waiting = [job for job in self.waiting if job.job_id not in done]
        return late


def _drawn(work: Workload, levels: Levels) -> Floats:
    return np.asarray((load_w(work, levels) + resumes(work, levels) * work.pause_w[:, None]).sum(axis=0))


def _answered(found: Planned, now: datetime) -> tuple[Levels, tuple[datetime, int, float] | None]:
    """The schedule after the day's request, where it falls into these six hours, and what was won of it."""
    asked = int(drawn(f"request {now:%Y-%m-%d}").integers(4))
    if now.weekday() >= 5 or now.hour // 6 != asked:
        return found.schedule, None
    first, last = REQUEST_SLOTS
    steps = [each for each in possible(found, first, last, MARGIN_PER_MWH) if each.price_per_mwh <= PAID_PER_MWH]
    if not steps:
        return found.schedule, None
    best, schedule = steps[-1], found.schedule.copy()
    rows = {job.job_id: row for row, job in enumerate(found.work.jobs)}
    for job_id, levels in best.jobs.items():
        schedule[rows[job_id]] = levels
    return schedule, (now + first * SLOT, int(best.power_w), best.price_per_mwh)


def _delivered(won: tuple[datetime, int, float], played: Played) -> Order:
    starts_at, power_w, price = won
    began = len(played.load_w) - STEP
    first, last = (began + each for each in REQUEST_SLOTS)
    shed = min(b - a for b, a in zip(played.planned_w[first:last], played.load_w[first:last], strict=True))
    return Order(starts_at, power_w, price, shed)
