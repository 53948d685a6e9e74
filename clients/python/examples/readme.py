"""The program of the README: follow prices and requests, offer, and follow the orders that come of it.

GRIDSIGNAL_URL=ws://127.0.0.1:8081 GRIDSIGNAL_TOKEN=... python readme.py
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Protocol

import gridsignal
from gridsignal import MW, DispatchOrder, DispatchRequest, OrderOver, SpotPrice


class Scheduler(Protocol):
    """What your own job scheduler can do."""

    def start_deferred_jobs(self) -> None: ...

    def follow(self, order: DispatchOrder) -> None: ...

    def stop(self, order_id: str) -> None: ...


async def follow_the_grid(url: str, token: str, scheduler: Scheduler, instance: str | None = None) -> None:
    """Runs until it is cancelled; `instance` tells two programs of one site apart."""
    async with gridsignal.connect(url, token=token, site="fra-1", instance=instance) as grid:
        async for signal in grid.subscribe("prices", "dispatch", zones=["DE-LU"]):
            try:
                match signal:
                    case SpotPrice() as prices if (prices.at(grid.now()) or 0) < 0:
                        scheduler.start_deferred_jobs()
                    case DispatchRequest(direction="LOAD_DECREASE") as asked if grid.now() < asked.gate_closure_at:
                        # one offer, however often this program is restarted; returns once the log has it
                        await grid.offer(asked, 12 * MW, price_per_mwh="90", offer_id=f"fra-1-{asked.request_id}")
                    case DispatchOrder(state="ISSUED" | "RECEIVED") as order:
                        await grid.accept(order)  # a site starts only after this returns
                        scheduler.follow(order)  # until order.ends_at
                    case DispatchOrder(state="ACCEPTED" | "ACTIVE" | "SUSTAINING") as order:
                        scheduler.follow(order)  # its end or its power has changed, or this program was restarted
                    case DispatchOrder(order_id=over) | OrderOver(order=DispatchOrder(order_id=over)):
                        scheduler.stop(over)  # cancelled, or void
            except (gridsignal.DeadlinePassed, gridsignal.Refused) as error:
                print(error)  # too late, or not possible any more: nothing starts


class PrintingScheduler:
    """Says what a real one would do."""

    def start_deferred_jobs(self) -> None:
        print("the price is negative: starting deferred jobs")

    def follow(self, order: DispatchOrder) -> None:
        print(f"following order {order.order_id}: {order.power_w / MW:g} MW from {order.starts_at} to {order.ends_at}")

    def stop(self, order_id: str) -> None:
        print(f"order {order_id} is over")


if __name__ == "__main__":
    url = os.environ.get("GRIDSIGNAL_URL", "ws://127.0.0.1:8081")
    instance = os.environ.get("GRIDSIGNAL_INSTANCE")
    try:
        asyncio.run(follow_the_grid(url, os.environ["GRIDSIGNAL_TOKEN"], PrintingScheduler(), instance))
    except gridsignal.Unreachable as error:  # at the start; later on it comes back by itself
        sys.exit(str(error))
