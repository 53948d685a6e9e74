"""A training cluster that sells its patience: jobs with deadlines, some of which can wait.

It offers no more than the jobs that can wait long enough, asks for what waiting costs, pauses only after the acceptance
is on the log, and catches up afterwards. After a restart it goes on with what an earlier run has promised and accepted.

    GRIDSIGNAL_URL=ws://127.0.0.1:8081 GRIDSIGNAL_TOKEN=... python training_cluster.py
"""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from collections.abc import Callable, Coroutine
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
    Receipt,
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
        """Pauses jobs until the order's power is reached, those with most time left first; the others go on."""
        assert order.ends_at is not None
        needed_w = order.power_w
        for job in sorted(self.jobs, key=lambda job: job.done_by, reverse=True):
            if job.paused_by == order.order_id:
                if needed_w <= 0:
                    self._resume(job)
                needed_w -= job.power_w
            elif needed_w > 0 and job.can_wait(order.starts_at, order.ends_at):
                job.paused_by, needed_w = order.order_id, needed_w - job.power_w
                self.say(f"pausing {job.name} until {order.ends_at:%H:%MZ}")

    def resume(self, order: DispatchOrder) -> None:
        """Lets the jobs of this order go on."""
        self.promised.pop(order.request_id, None)
        for job in self.jobs:
            if job.paused_by == order.order_id:
                self._resume(job)

    def _resume(self, job: Job) -> None:
        job.paused_by = None
        self.say(f"resuming {job.name}")


Following = dict[str, asyncio.Task[None]]
"""What is being done about each order."""


async def respond(
    url: str, token: str, cluster: Cluster, *, site: str, outbox: str | None = None, instance: str | None = None
) -> None:
    """Runs until it is cancelled; `instance` tells two programs of one site apart."""
    connection = gridsignal.connect(url, token=token, site=site, outbox=outbox, instance=instance)
    async with connection as grid, asyncio.TaskGroup() as tasks:
        for standing in await grid.offers():  # what an earlier run has promised
            if standing.offer.request_id is not None:
                cluster.promised[standing.offer.request_id] = standing.awarded_w or standing.offer.options[0].power_w
        following: Following = {}
        async for signal in grid.subscribe("dispatch"):
            match signal:
                case DispatchRequest(direction="LOAD_DECREASE") as request:
                    await offer(grid, cluster, request, site)
                case DispatchOrder(state=OrderState.ISSUED | OrderState.RECEIVED) as order:
                    go_after(tasks, following, order, follow(grid, cluster, order))
                case DispatchOrder(state=OrderState.ACCEPTED | OrderState.ACTIVE | OrderState.SUSTAINING) as order:
                    # its end or its power has changed, or this program was restarted and the order binds it
                    go_after(tasks, following, order, follow(grid, cluster, order))
                case DispatchOrder() as order:
                    let_go(cluster, order, following)
                case OrderOver(order=order):
                    let_go(cluster, order, following)
                case OfferDecision(decision=decision, request_id=str(request_id)) if decision in LOST:
                    cluster.promised.pop(request_id, None)
                case RequestCancellation(request_id=request_id):
                    cluster.promised.pop(request_id, None)


def go_after(
    tasks: asyncio.TaskGroup, following: Following, order: DispatchOrder, work: Coroutine[None, None, None]
) -> None:
    """From now on this is done about the order, instead of what followed from an earlier revision."""
    if (task := following.get(order.order_id)) is not None:
        task.cancel()
    following[order.order_id] = tasks.create_task(work)


def let_go(cluster: Cluster, order: DispatchOrder, following: Following) -> None:
    """The order is over before its time: whatever waits for it goes on."""
    if (task := following.pop(order.order_id, None)) is not None:
        task.cancel()
    cluster.say(f"order over: {order.state}")
    cluster.resume(order)


async def offer(grid: Grid, cluster: Cluster, request: DispatchRequest, site: str) -> None:
    """Offers what can wait, at the price of waiting; nothing where nothing can, or where the gate closed meanwhile."""
    if grid.now() >= request.gate_closure_at:
        return
    power_w = min(request.power_w, cluster.flexible_w(request.starts_at, request.ends_at))
    if power_w < max(1, request.min_quantity_w) or request.request_id in cluster.promised:
        return
    hours = (request.ends_at - request.starts_at) / timedelta(hours=1)
    deadline = max(job.done_by for job in cluster.jobs)
    waiting = Flexibility(
        kind=FlexibilityKind.SHIFT_TIME,
        workload=Workload.TRAINING,
        complete_by=deadline,
        rebound=Rebound(energy_wh=int(power_w * hours), peak_w=power_w, earliest=request.ends_at, latest=deadline),
    )
    # the id follows from the request: two programs of the site, or two runs of one, make one offer of it
    offer_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{site}/{request.request_id}/{request.revision}"))
    try:
        await grid.offer(request, power_w=power_w, price_per_mwh="90", flexibility=waiting, offer_id=offer_id)
    except (gridsignal.Refused, gridsignal.DeadlinePassed) as error:
        cluster.say(f"no offer: {error}")
        return
    cluster.promised[request.request_id] = power_w
    cluster.say(f"offered {power_w / MW:g} MW")


async def follow(grid: Grid, cluster: Cluster, order: DispatchOrder) -> None:
    """Accepts (once more, after a restart), pauses in time, reports, and lets the work go on."""
    if order.ends_at is None:
        await tell(cluster, grid.refuse(order, "OPEN_ENDED", "training can't wait for ever"))
        return
    try:
        await grid.accept(order)
    except gridsignal.Refused as error:
        cluster.say(f"not ours any more: {error.code}")  # so nothing is paused
        cluster.resume(order)
        return
    if not order.moves_power:
        cluster.say("a dry run: answered, and nothing is paused")
        cluster.promised.pop(order.request_id, None)
        return
    await grid.clock.sleep_until(order.starts_at)
    cluster.pause(order)
    await tell(cluster, grid.report(order, "STARTED"))
    await grid.clock.sleep_until(order.ends_at)
    cluster.resume(order)
    await tell(cluster, grid.report(order, "COMPLETED"))


async def tell(cluster: Cluster, report: Coroutine[None, None, Receipt]) -> None:
    """Reports; what is done at the site does not hang on it."""
    try:
        await report
    except gridsignal.Refused as error:
        cluster.say(f"not taken: {error}")


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
    instance = os.environ.get("GRIDSIGNAL_INSTANCE")
    site = os.environ.get("GRIDSIGNAL_SITE", "fra-1")
    try:
        asyncio.run(respond(url, os.environ["GRIDSIGNAL_TOKEN"], Cluster(jobs), site=site, instance=instance))
    except gridsignal.Unreachable as error:  # at the start; later on it comes back by itself
        sys.exit(str(error))
