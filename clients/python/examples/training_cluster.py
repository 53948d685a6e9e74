"""A training cluster that sells its patience: jobs with deadlines, some of which can wait.

It offers no more than the jobs that can wait long enough, asks for what waiting costs, accepts an order only while it
can still keep every deadline, pauses only after the acceptance is on the log, and catches up afterwards.

    GRIDSIGNAL_URL=ws://127.0.0.1:8081 GRIDSIGNAL_TOKEN=... python training_cluster.py
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import gridsignal
from gridsignal import (
    MW,
    Decision,
    DispatchOrder,
    DispatchRequest,
    Flexibility,
    FlexibilityKind,
    Grid,
    OfferDecision,
    OrderOver,
    OrderState,
    Rebound,
    RequestCancellation,
    Workload,
)

LOST = (Decision.REJECTED, Decision.NOT_SELECTED, Decision.RELEASED, Decision.EXPIRED, Decision.FAILED_AWARD)


@dataclass
class Job:
    """A training run at constant power."""

    name: str
    power_w: int
    work: timedelta
    """How long it still has to run at full power."""
    done_by: datetime
    paused_by: str | None = None
    """The order it waits for."""

    def can_wait(self, start: datetime, end: datetime) -> bool:
        """Whether a pause leaves enough time before the deadline."""
        return self.paused_by is None and self.done_by - end >= self.work and self.done_by > start


@dataclass
class Cluster:
    """The jobs, and which of them wait for which order."""

    jobs: list[Job]
    say: Callable[[str], None] = print
    promised: dict[str, int] = field(default_factory=dict)
    """Watts by request, offered or ordered."""

    def flexible_w(self, start: datetime, end: datetime) -> int:
        """What can be shed in this window, beyond what is promised already."""
        return sum(job.power_w for job in self.jobs if job.can_wait(start, end)) - sum(self.promised.values())

    def pause(self, order: DispatchOrder) -> None:
        """Pauses jobs until the order's power is reached, those with most time left first."""
        assert order.ends_at is not None
        needed_w = order.power_w
        for job in sorted(self.jobs, key=lambda job: job.done_by, reverse=True):
            if needed_w > 0 and job.can_wait(order.starts_at, order.ends_at):
                job.paused_by, needed_w = order.order_id, needed_w - job.power_w
                self.say(f"pausing {job.name} until {order.ends_at:%H:%MZ}")

    def resume(self, order: DispatchOrder) -> None:
        """Lets the jobs of this order go on."""
        self.promised.pop(order.request_id, None)
        for job in self.jobs:
            if job.paused_by == order.order_id:
                job.paused_by = None
                self.say(f"resuming {job.name}")


async def respond(url: str, token: str, cluster: Cluster, *, site: str, outbox: str | None = None) -> None:
    """Runs until it is cancelled."""
    async with gridsignal.connect(url, token=token, site=site, outbox=outbox) as grid, asyncio.TaskGroup() as tasks:
        following: dict[str, asyncio.Task[None]] = {}
        async for signal in grid.subscribe("dispatch"):
            match signal:
                case DispatchRequest(direction="LOAD_DECREASE") as request:
                    await offer(grid, cluster, request)
                case DispatchOrder(state=OrderState.ISSUED) as order if order.order_id not in following:
                    following[order.order_id] = tasks.create_task(follow(grid, cluster, order))
                case DispatchOrder(state=OrderState.CANCELLED | OrderState.VOIDED) as order:
                    let_go(cluster, order, following)
                case OrderOver(order=order):
                    let_go(cluster, order, following)
                case OfferDecision(decision=decision, request_id=str(request_id)) if decision in LOST:
                    cluster.promised.pop(request_id, None)
                case RequestCancellation(request_id=request_id):
                    cluster.promised.pop(request_id, None)


def let_go(cluster: Cluster, order: DispatchOrder, following: dict[str, asyncio.Task[None]]) -> None:
    """The order is over before its time: whatever waits for it goes on."""
    if (task := following.pop(order.order_id, None)) is not None:
        task.cancel()
    cluster.resume(order)


async def offer(grid: Grid, cluster: Cluster, request: DispatchRequest) -> None:
    """Offers what can wait, at the price of waiting."""
    power_w = min(request.power_w, cluster.flexible_w(request.starts_at, request.ends_at))
    if power_w < request.min_quantity_w or request.request_id in cluster.promised:
        return
    hours = (request.ends_at - request.starts_at) / timedelta(hours=1)
    deadline = max(job.done_by for job in cluster.jobs)
    waiting = Flexibility(
        kind=FlexibilityKind.SHIFT_TIME,
        workload=Workload.TRAINING,
        complete_by=deadline,
        rebound=Rebound(energy_wh=int(power_w * hours), peak_w=power_w, earliest=request.ends_at, latest=deadline),
    )
    try:
        await grid.offer(request, power_w=power_w, price_per_mwh="90", flexibility=waiting)
    except (gridsignal.Refused, gridsignal.DeadlinePassed) as error:
        cluster.say(f"no offer: {error}")
        return
    cluster.promised[request.request_id] = power_w
    cluster.say(f"offered {power_w / MW:g} MW")


async def follow(grid: Grid, cluster: Cluster, order: DispatchOrder) -> None:
    """Accepts, pauses in time, reports, and lets the work go on."""
    if order.ends_at is None:
        await grid.refuse(order, "OPEN_ENDED", "training can't wait for ever")
        return
    try:
        await grid.accept(order)
    except gridsignal.Refused as error:
        cluster.say(f"not ours any more: {error.code}")  # so nothing is paused
        cluster.promised.pop(order.request_id, None)
        return
    if not order.moves_power:
        cluster.say("a dry run: answered, and nothing is paused")
        cluster.promised.pop(order.request_id, None)
        return
    await grid.clock.sleep_until(order.starts_at)
    cluster.pause(order)
    await grid.report(order, "STARTED")
    await grid.clock.sleep_until(order.ends_at)
    cluster.resume(order)
    await grid.report(order, "COMPLETED")


def some_jobs(now: datetime) -> list[Job]:
    """Three runs, of which two can wait until tomorrow."""
    return [
        Job("llm-70b", 8 * MW, timedelta(hours=4), now + timedelta(hours=20)),
        Job("vision-3", 4 * MW, timedelta(hours=2), now + timedelta(hours=20)),
        Job("demo-tonight", 6 * MW, timedelta(hours=3), now + timedelta(hours=3)),
    ]


if __name__ == "__main__":
    jobs = some_jobs(datetime.now().astimezone())
    url = os.environ.get("GRIDSIGNAL_URL", "ws://127.0.0.1:8081")
    asyncio.run(respond(url, os.environ["GRIDSIGNAL_TOKEN"], Cluster(jobs), site="fra-1"))
