"""A training cluster that shifts in time: jobs with deadlines, moved as wholes in steps of four megawatts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from gridsignal_schemas.messages import (
    Direction,
    DispatchOrder,
    DispatchRequest,
    Rebound,
    SpotPrice,
    Workload,
)
from gridsignal_schemas.values import MW
from gridsignal_services.demo.load import SLOT_MIN, SLOTS, Load, refill, trapezoid
from gridsignal_services.demo.planners import Answer, Bid, Desk, cheapest_slots, mean_price, sign, time_shift, within
from gridsignal_services.demo.story import ZONE

SITE = "fra-1"
IDLE_W, FIRM_W, JOB_W = 12 * MW, 16 * MW, 4 * MW
RAMP_W_PER_MIN = 2 * MW
RESTART_OVERHEAD = 1.02
"""A moved job loads its checkpoint again."""
DAY_MIN = 24 * 60


@dataclass(slots=True)
class Job:
    """Work whose users agreed to be moved for the grid, and only for the grid."""

    name: str
    from_min: int
    to_min: int
    ready_min: int
    """Not before."""
    deadline_min: int
    taken_back_min: int | None = None
    """When its user takes the agreement back."""
    moved: bool = False

    def movable(self, at_min: int) -> bool:
        """Whether it can still be moved at this minute."""
        return not self.moved and (self.taken_back_min is None or at_min < self.taken_back_min)


class Training:
    """fra-1. Its freely deferrable jobs run in the cheapest hours anyway; the others move when an order pays."""

    def __init__(self, desk: Desk) -> None:
        story = desk.story
        self.sites, self.zones = (SITE,), (ZONE,)
        self.loads = {SITE: Load(SITE, [IDLE_W + FIRM_W] * SLOTS)}
        self._desk, self._story = desk, story
        start, gone = story.work_from_min, story.mishaps.job_gone_min
        length = 180 if start >= 20 * 60 else 270
        self.jobs = [
            Job(f"sweep-{n}", start, start + length, 8 * 60, DAY_MIN, gone if n == 3 else None) for n in (1, 2, 3)
        ]
        if start >= 20 * 60:
            self.jobs += [Job(f"tune-{n}", 17 * 60, 20 * 60, 17 * 60, DAY_MIN) for n in (1, 2)]
        self._plans: dict[str, list[Job]] = {}
        self._curve: SpotPrice | None = None
        self._rebound_window = (0, DAY_MIN)

    def plan(self, curves: Mapping[str, SpotPrice]) -> None:
        self._curve = curves[ZONE]
        baseline = self.loads[SITE].baseline_w
        for from_min, to_min in ((0, 12 * 60), (6 * 60, 18 * 60), (10 * 60, DAY_MIN)):
            for slot in cheapest_slots(curves[ZONE], from_min, to_min, 16):
                baseline[slot] += JOB_W
        for job in self.jobs:
            for slot in range(job.from_min // SLOT_MIN, job.to_min // SLOT_MIN):
                baseline[slot] += JOB_W

    def bids(self, request: DispatchRequest) -> list[Bid]:
        jobs = self._candidates(request, self._desk.minute(request.gate_closure_at) - 90)
        if not jobs:
            return []
        self._plans[request.request_id] = jobs
        power = JOB_W * len(jobs)
        deadline = self._desk.moment(DAY_MIN)
        terms = {
            "option": "jobs",
            "levels_w": [JOB_W * n for n in range(1, len(jobs) + 1)],
            "min_power_w": JOB_W,
            "notice_s": 120,
            "ramp_down_w_per_min": RAMP_W_PER_MIN,
            "ramp_up_w_per_min": RAMP_W_PER_MIN,
            "min_duration_s": 1800,
        }
        assert self._curve is not None, "prices are out before anybody asks"
        _, ends = self._desk.window(request)
        up = request.direction is Direction.LOAD_INCREASE
        later = mean_price(self._curve, *self._elsewhere(request.direction, ends, jobs)) * Decimal(
            str(RESTART_OVERHEAD)
        )
        price = self._desk.price(request, self._curve, effort="18" if up else "14", later=later)
        flexibility = time_shift(Workload.TRAINING, self._rebound(request, jobs), deadline)
        return [Bid("jobs", power, price, flexibility, terms | {"expires_at": deadline})]

    def answer(self, order: DispatchOrder) -> Answer | None:
        mishaps, issued = self._story.mishaps, self._desk.minute(order.respond_by)
        starts, _ = self._desk.window(order)
        if mishaps.urgent[0] <= issued and within(starts, mishaps.urgent):
            return Answer(0, "URGENT_RUN", "an urgent run has taken the machines")
        possible = JOB_W * sum(job.movable(issued) for job in self._plans[order.request_id])
        return Answer(min(order.power_w, possible), reason="" if possible >= order.power_w else "a job was taken back")

    def follow(self, order: DispatchOrder, accepted_w: int) -> None:
        issued = self._desk.minute(order.respond_by)
        jobs = [job for job in self._plans[order.request_id] if job.movable(issued)][: accepted_w // JOB_W]
        starts, ends = self._desk.window(order)
        load, way = self.loads[SITE], sign(order.direction)
        energy = load.move(trapezoid(starts, ends, way * accepted_w, RAMP_W_PER_MIN))
        overhead = 1 / RESTART_OVERHEAD if way > 0 else RESTART_OVERHEAD
        for job in jobs:
            job.moved = True
        self._rebound_window = self._elsewhere(order.direction, ends, jobs)
        load.move(refill(*self._rebound_window, -energy * overhead, RAMP_W_PER_MIN))

    def tick(self, minute: int) -> None:
        if minute == self._story.mishaps.job_back[0] > 0:
            # what it does now need not be made up for; the meter shows it, nobody reports it
            load = self.loads[SITE]
            energy = load.move(trapezoid(*self._story.mishaps.job_back, JOB_W, RAMP_W_PER_MIN))
            load.move(refill(*self._rebound_window, -energy * RESTART_OVERHEAD, RAMP_W_PER_MIN))

    def _candidates(self, request: DispatchRequest, at_min: int) -> list[Job]:
        """Jobs that run throughout the window and can wait, or that come later and are ready before it."""
        starts, ends = self._desk.window(request)
        free = [job for job in self.jobs if job.movable(at_min)]
        if request.direction is Direction.LOAD_INCREASE:
            return [
                j
                for j in free
                if j.ready_min <= starts and j.from_min >= ends and j.to_min - j.from_min == ends - starts
            ]
        return [
            j for j in free if j.from_min <= starts and j.to_min >= ends and j.deadline_min - j.to_min >= ends - starts
        ]

    def _elsewhere(self, direction: Direction, ends_min: int, jobs: list[Job]) -> tuple[int, int]:
        """Where the moved work is missing, or is done instead."""
        if direction is Direction.LOAD_INCREASE:
            return min(job.from_min for job in jobs), max(job.to_min for job in jobs)
        return max(ends_min + 60, max(job.to_min for job in jobs) + 30), DAY_MIN

    def _rebound(self, request: DispatchRequest, jobs: list[Job]) -> Rebound:
        starts, ends = self._desk.window(request)
        earliest, latest = self._elsewhere(request.direction, ends, jobs)
        energy = JOB_W * len(jobs) * (ends - starts) // 60
        return Rebound(
            energy_wh=int(energy * RESTART_OVERHEAD),
            peak_w=JOB_W * len(jobs),
            earliest=self._at(earliest),
            latest=self._at(latest),
        )

    def _at(self, minute: int) -> datetime:
        return self._desk.moment(minute)
