"""The program of the README: follow prices and requests, offer, and follow the orders that come of it.

GRIDSIGNAL_URL=ws://127.0.0.1:8081 GRIDSIGNAL_TOKEN=... python readme.py
"""

from __future__ import annotations

import asyncio
import os
from typing import Protocol

import gridsignal
from gridsignal import MW, DispatchOrder, DispatchRequest, SpotPrice


class Scheduler(Protocol):
    """What your own job scheduler can do."""

    def start_deferred_jobs(self) -> None: ...

    def follow(self, order: DispatchOrder) -> None: ...


async def follow_the_grid(url: str, token: str, scheduler: Scheduler) -> None:
    """Runs until it is cancelled."""
    async with gridsignal.connect(url, token=token, site="fra-1") as grid:
        async for signal in grid.subscribe("prices", "dispatch", zones=["DE-LU"]):
            match signal:
                case SpotPrice() as prices if (prices.at(grid.now()) or 0) < 0:
                    scheduler.start_deferred_jobs()
                case DispatchRequest(direction="LOAD_DECREASE") as request:
                    await grid.offer(request, power_w=12 * MW, price_per_mwh="90")  # returns once the log has it
                case DispatchOrder() as order:
                    await grid.accept(order)  # a site starts only after this returns
                    scheduler.follow(order)


class PrintingScheduler:
    """Says what a real one would do."""

    def start_deferred_jobs(self) -> None:
        print("the price is negative: starting deferred jobs")

    def follow(self, order: DispatchOrder) -> None:
        print(f"following order {order.order_id}: {order.power_w / MW:g} MW from {order.starts_at}")


if __name__ == "__main__":
    url = os.environ.get("GRIDSIGNAL_URL", "ws://127.0.0.1:8081")
    asyncio.run(follow_the_grid(url, os.environ["GRIDSIGNAL_TOKEN"], PrintingScheduler()))
