"""A site with an agent that runs in the test: a grid in memory, a simulated cluster, and one clock for all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import gridsignal
from gridsignal.agent.actuators.simulated import Cluster, SimulatedJob
from gridsignal.agent.assembling import agent_of, connection_of
from gridsignal.agent.config import Config, config_of
from gridsignal.testing import FakeGrid, ManualClock
from gridsignal_schemas.messages import DispatchOrder, FlexOffer, OrderResponse
from gridsignal_schemas.values import MW
from tests.builders import utc
from tests.patience import SOON_S

NOON = utc("12:00")
BASELINE_W, CAN_W = 40 * MW, 8 * MW
CONFIG = """
site = "fra-1"
url = "{url}"
state = "{home}/state"
mode = "{mode}"
[baseline]
power_w = 40_000_000
[offers]
price_per_mwh = "90"
most_w = 20_000_000
[orders]
restore_s = 0
verify_s = 120
[actuator]
kind = "simulated"
file = "{home}/cluster.json"
[metrics]
port = 0
[meter.source]
kind = "csv"
file = "{home}/power.csv"
"""


class Site:
    """An agent in this process, a grid in memory, and one clock for both."""

    def __init__(self, fake: FakeGrid, clock: ManualClock, home: Path, mode: str, config: str = CONFIG) -> None:
        self.fake, self.clock, self.home = fake, clock, home
        self.said: list[str] = []
        self._news = asyncio.Event()
        self.config: Config = config_of(config.format(url=fake.url, home=home, mode=mode).encode(), "site.toml")
        self.trouble: gridsignal.GridsignalError | None = None
        """What the next connection fails with."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        """An agent, for as long as the block runs."""
        with agent_of(self.config, self._connect, self.say, self.clock) as agent:
            running = asyncio.create_task(agent.run())
            try:
                yield running
            finally:
                running.cancel()
                await asyncio.wait([running])

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[gridsignal.Grid]:
        async with connection_of(self.config, self.fake.token, clock=self.clock)() as grid:
            if self.trouble is not None:
                raise self.trouble
            yield grid

    def say(self, line: str) -> None:
        self.said.append(line)
        self._news.set()

    async def says(self, text: str) -> None:
        async with asyncio.timeout(SOON_S):
            while not any(text in line for line in self.said):
                self._news.clear()
                await self._news.wait()

    async def ordered(self, power_w: int, in_s: int = 3600, **fields: Any) -> DispatchOrder:
        """A request that starts in so many seconds, the agent's offer on it, and an order of all of that or more."""
        request = self.fake.ask(power_w, in_s=in_s)
        async with asyncio.timeout(SOON_S):
            offer = await self.fake.next(FlexOffer, request_id=request.request_id)
            await self.says(f"request {request.request_id}: offered")
        return self.fake.award(offer, **fields)

    async def answers(self, order: DispatchOrder, response: str) -> OrderResponse:
        async with asyncio.timeout(SOON_S):
            return await self.fake.next(OrderResponse, order_id=order.order_id, response=response)

    def cluster_w(self) -> int:
        return Cluster.model_validate_json((self.home / "cluster.json").read_bytes()).power_w(self.clock.now())


@asynccontextmanager
async def stood(home: Path, mode: str = "automatic", config: str = CONFIG) -> AsyncIterator[Site]:
    """Everything but the agent."""
    jobs = [SimulatedJob(name="train", power_w=CAN_W), SimulatedJob(name="serve", power_w=32 * MW, least_w=32 * MW)]
    (home / "cluster.json").write_text(Cluster(jobs=jobs).model_dump_json(), "utf-8")
    (home / "power.csv").write_text("time,watts\n", "utf-8")
    clock = ManualClock(NOON)
    async with FakeGrid(now=clock.now) as fake:
        yield Site(fake, clock, home, mode, config)


@asynccontextmanager
async def site(home: Path, mode: str = "automatic") -> AsyncIterator[Site]:
    """With an agent that has reached the grid."""
    async with stood(home, mode) as here, here.running():
        await here.says("the grid is reached")
        yield here
