"""A year of planning, played: each policy plans what arrives with what was known, and is billed with what came. Pure.

Every six hours the queue is read and everything that isn't done is planned for 36 hours; six of them are carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from gridsignal.agent.cheapest import Levels, cheapest
from gridsignal.agent.curves import SLOT, Outlook
from gridsignal.agent.foresight import outlook_at
from gridsignal.agent.jobs import Job, Progress
from gridsignal.agent.mixes import BATCH, SITE, batch
from gridsignal.agent.planning import HOURS, scheduled
from gridsignal.agent.schedules import at_once, greedily, load_w, resumes
from gridsignal.agent.series import Series
from gridsignal.agent.workload import UNIT_S, Terms, Workload

SLOTS = 36 * 4
STEP = round(BATCH / SLOT)
_DRAINED = 6
"""Steps after the last arrival in which everything has to be done."""
_RECENT = timedelta(days=7)
Clock = Callable[[], Callable[[], float]]
"""Starts a clock that says how many seconds are left for a plan."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What is played."""

    series: Series
    mix: str
    seed: int
    carbon_price: float
    starts: tuple[datetime, ...]
    """First moments of the spans that are played, each by itself."""
    span: timedelta

    @property
    def name(self) -> str:
        """How it is called in a table."""
        return f"{self.series.zone} {self.mix} {self.seed}"


@dataclass(slots=True)
class Outcome:
    """What a policy came to."""

    cost: float = 0.0
    """Of all energy at the connection, at the prices that came."""
    carbon_kg: float = 0.0
    objective: float = 0.0
    """Cost and carbon price x CO2."""
    jobs: int = 0
    misses: int = 0
    gaps: list[float] = field(default_factory=list)
    """Of each plan."""


Policy = Callable[[Setting, datetime, Outlook, Workload, Terms, Clock], tuple[Levels, float]]


def _at_once(_: Setting, __: datetime, ___: Outlook, work: Workload, terms: Terms, ____: Clock) -> tuple[Levels, float]:
    return at_once(work, terms.room_w), 0.0


def _threshold(
    setting: Setting, now: datetime, outlook: Outlook, work: Workload, terms: Terms, clock: Clock
) -> tuple[Levels, float]:
    """As early as possible in hours below the median of the last seven days, otherwise as late as the deadline lets."""
    series = setting.series
    recent = series.slots(series.prices, now - _RECENT, int(_RECENT / SLOT))
    dear = np.array(outlook.prices.values) > float(np.median(recent))
    cost = np.where(dear, 1.0, 0.01) + np.arange(len(dear)) * 1e-5
    return greedily(work, terms.room_w, cost, clock()), 0.0


def _cheapest_hours(
    _: Setting, __: datetime, outlook: Outlook, work: Workload, terms: Terms, clock: Clock
) -> tuple[Levels, float]:
    return greedily(work, terms.room_w, np.array(outlook.prices.values), clock()), 0.0


def _planned(
    _: Setting, __: datetime, ___: Outlook, work: Workload, terms: Terms, clock: Clock
) -> tuple[Levels, float]:
    levels, gap, _method = scheduled(work, terms, clock())
    return levels, gap


POLICIES: dict[str, Policy] = {
    "at once": _at_once,
    "threshold": _threshold,
    "cheapest hours": _cheapest_hours,
    "plan": _planned,
    "foresight": _planned,
}
"""`foresight` is the plan with all prices and carbon known 36 hours ahead."""


def play(setting: Setting, name: str, clock: Clock, played: Callable[[int], None] = lambda spans: None) -> Outcome:
    """What a policy comes to in a setting. `played` is told after each span how many are."""
    outcome = Outcome()
    for number, start in enumerate(setting.starts, 1):
        _play_span(setting, name, start, clock, outcome)
        played(number)
    outcome.objective = outcome.cost + setting.carbon_price * outcome.carbon_kg / 1_000
    return outcome


def _play_span(setting: Setting, name: str, start: datetime, clock: Clock, outcome: Outcome) -> None:
    steps = round(setting.span / BATCH)
    waiting, progress = list[Job](), dict[str, Progress]()
    for step in range(steps + _DRAINED):
        now = start + step * BATCH
        waiting += batch(setting.mix, now, setting.seed) if step < steps else []
        outlook = outlook_at(setting.series, now, SLOTS, setting.seed, perfect=name == "foresight")
        terms, work = Terms.of(SITE, outlook, setting.carbon_price), Workload.of(waiting, outlook, progress)
        levels, gap = POLICIES[name](setting, now, outlook, work, terms, clock)
        outcome.gaps.append(gap)
        _bill(setting, now, work, levels, outcome)
        done = set[str]()
        for row, job in enumerate(work.jobs):
            ended = carry_out(work, levels, row, progress)
            if ended is not None:
                done.add(job.job_id)
                outcome.jobs += 1
                outcome.misses += now + ended * SLOT > job.deadline
        waiting = [job for job in waiting if job.job_id not in done]
    outcome.jobs += len(waiting)
    outcome.misses += len(waiting)


def _bill(setting: Setting, now: datetime, work: Workload, levels: Levels, outcome: Outcome) -> None:
    watts = (load_w(work, levels) + resumes(work, levels) * work.pause_w[:, None]).sum(axis=0)[:STEP]
    it_w = SITE.base_it_w + watts
    drawn = np.array([each + SITE.overhead_w(each) for each in it_w])
    energy_mwh = drawn * HOURS / 1e6
    series = setting.series
    outcome.cost += float(energy_mwh @ np.array(series.slots(series.prices, now, STEP)))
    outcome.carbon_kg += float(energy_mwh @ np.array(series.slots(series.carbon, now, STEP)))


def carry_out(work: Workload, levels: Levels, row: int, progress: dict[str, Progress]) -> int | None:
    """Moves a job on by one step; how many quarter hours in it ended, None if it didn't."""
    job, own = work.jobs[row], levels[row, :STEP]
    before = progress.get(job.job_id, Progress())
    done_s, runs, begun = before.done_s, before.is_running, before.done_s > 0
    for slot, level in enumerate(own.tolist()):
        if level >= 0:
            lost = int(work.lost[row]) if begun and not runs else 0
            done_s = max(0.0, done_s + (int(work.units[row, level]) - lost) * UNIT_S)
            begun = True
        runs = level >= 0
        if done_s >= job.duration_s - 1e-6:
            return slot + 1
    progress[job.job_id] = Progress(done_s=done_s, is_running=runs)
    return None


def bound(setting: Setting) -> Outcome:
    """Below what nobody can stay who runs these jobs: each by itself at the prices that came, its pauses for nothing.

    It is that of the linear program without room; the overhead of this site is a straight line, so that it holds.
    """
    outcome = Outcome()
    for start in setting.starts:
        steps = round(setting.span / BATCH)
        for step in range(steps):
            now = start + step * BATCH
            outlook = outlook_at(setting.series, now, SLOTS, setting.seed, perfect=True)
            free = [_freely(job) for job in batch(setting.mix, now, setting.seed)]
            work, terms = Workload.of(free, outlook, {}), Terms.of(SITE, outlook, setting.carbon_price)
            if work.count:
                outcome.objective += float(cheapest(work, np.arange(work.count), terms.marginal)[1].sum())
                outcome.jobs += work.count
        fixed_slots = (steps + _DRAINED) * STEP
        outcome.objective += _fixed(setting, start, fixed_slots)
    return outcome


def _freely(job: Job) -> Job:
    return job.model_copy(
        update={"pausable": True, "checkpoint_s": 0, "restart_s": 0, "checkpoint_j": 0, "restart_j": 0}
    )


def _fixed(setting: Setting, start: datetime, slots: int) -> float:
    """What the site costs without a job."""
    series = setting.series
    prices, carbon = (np.array(series.slots(each, start, slots)) for each in (series.prices, series.carbon))
    empty_mwh = (SITE.base_it_w + SITE.overhead_w(SITE.base_it_w)) * HOURS / 1e6
    return float((empty_mwh * (prices + setting.carbon_price * carbon / 1_000)).sum())


def spans(series: Series, days: int, months: Sequence[int]) -> Iterator[datetime]:
    """The first `days` days from the second of each of these months on, at noon UTC."""
    for month in months:
        start = series.starts_at.replace(month=month, day=2, hour=12)
        ends = series.starts_at + len(series.prices) * timedelta(hours=1)
        if series.starts_at <= start <= ends - timedelta(days=days):
            yield start
