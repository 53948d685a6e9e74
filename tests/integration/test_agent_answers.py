"""The agent answers as its mode says, accepts what is possible, and reports what its meter shows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gridsignal.agent.actuators.simulated import Cluster, SimulatedJob
from gridsignal.agent.assembling import agent_of, connection_of
from gridsignal.agent.config import Config, config_of
from gridsignal.agent.kept import Kept
from gridsignal.testing import FakeGrid, ManualClock
from gridsignal_schemas.messages import DispatchOrder, FlexOffer, OrderResponse
from gridsignal_schemas.values import MW, rfc3339
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
[meter.source]
kind = "csv"
file = "{home}/power.csv"
"""


class Site:
    """An agent in this process, a grid in memory, and one clock for both."""

    def __init__(self, fake: FakeGrid, clock: ManualClock, home: Path, mode: str) -> None:
        self.fake, self.clock, self.home = fake, clock, home
        self.said: list[str] = []
        self._news = asyncio.Event()
        self.config: Config = config_of(CONFIG.format(url=fake.url, home=home, mode=mode).encode(), "site.toml")

    def say(self, line: str) -> None:
        self.said.append(line)
        self._news.set()

    async def says(self, text: str) -> None:
        async with asyncio.timeout(SOON_S):
            while not any(text in line for line in self.said):
                self._news.clear()
                await self._news.wait()

    async def ordered(self, power_w: int, **fields: Any) -> DispatchOrder:
        """A request, the agent's offer on it, and an order of all of that or more."""
        request = self.fake.ask(power_w)
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
async def site(home: Path, mode: str = "automatic") -> AsyncIterator[Site]:
    jobs = [SimulatedJob(name="train", power_w=CAN_W), SimulatedJob(name="serve", power_w=32 * MW, least_w=32 * MW)]
    (home / "cluster.json").write_text(Cluster(jobs=jobs).model_dump_json(), "utf-8")
    (home / "power.csv").write_text("time,watts\n", "utf-8")
    clock = ManualClock(NOON)
    async with FakeGrid(now=clock.now) as fake:
        here = Site(fake, clock, home, mode)
        connect = connection_of(here.config, fake.token, clock=clock)
        with agent_of(here.config, connect, here.say, clock) as agent:
            running = asyncio.create_task(agent.run())
            try:
                await here.says("the grid is reached")
                yield here
            finally:
                running.cancel()
                await asyncio.wait([running])


async def test_no_more_is_offered_and_accepted_than_the_actuator_can_hold(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        order = await here.ordered(20 * MW)
        assert order.power_w == CAN_W
        await here.answers(order, "ACCEPTED")
        here.clock.move_to(order.starts_at)
        await here.answers(order, "STARTED")
        assert here.cluster_w() == BASELINE_W - CAN_W


@pytest.mark.parametrize(("answer", "becomes"), [("accept", "ACCEPTED"), ("refuse", "REFUSED"), (None, "REFUSED")])
async def test_a_person_confirms_an_order_and_silence_refuses(tmp_path: Path, answer: Any, becomes: str) -> None:
    async with site(tmp_path, "confirm") as here:
        order = await here.ordered(4 * MW)
        await here.says("Answer by")
        if answer is not None:
            by_hand = Kept(tmp_path / "state" / "agent.db")
            assert [order_id for order_id, _, _ in by_hand.questions()] == [order.order_id]
            assert by_hand.answer(order.order_id, answer, "person:eve")
            assert not by_hand.answer(order.order_id, answer, "person:eve"), "it was answered before"
            by_hand.close()
        here.clock.move_to(order.respond_by - timedelta(seconds=4))
        response = await here.answers(order, becomes)
        assert (response.actor == "person:eve") == (answer is not None)
        assert response.reason_code == {"accept": "", "refuse": "REFUSED_BY_PERSON", None: "NO_CONFIRMATION"}[answer]


async def test_what_the_meter_does_not_show_is_reported_with_the_watts_that_remain(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        order = await here.ordered(8 * MW)
        await here.answers(order, "ACCEPTED")
        here.clock.move_to(order.starts_at)
        await here.answers(order, "STARTED")
        with (tmp_path / "power.csv").open("a", encoding="utf-8") as meter:
            for second in range(0, 180, 30):
                meter.write(f"{rfc3339(order.starts_at + timedelta(seconds=second))},{37 * MW}\n")
        here.clock.move_to(order.starts_at + timedelta(seconds=150))
        response = await here.answers(order, "UNAVAILABLE")
        assert (response.available_w, response.reason_code) == (3 * MW, "METER_SHOWS_LESS")


async def test_what_the_meter_shows_is_verified_and_a_cancelled_request_gives_all_back(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        order = await here.ordered(8 * MW)
        await here.answers(order, "ACCEPTED")
        here.clock.move_to(order.starts_at)
        await here.answers(order, "STARTED")
        with (tmp_path / "power.csv").open("a", encoding="utf-8") as meter:
            for second in range(0, 120, 30):
                meter.write(f"{rfc3339(order.starts_at + timedelta(seconds=second))},{32.1 * MW}\n")
        here.clock.move_to(order.starts_at + timedelta(seconds=90))
        await here.answers(order, "SUSTAINING")
        here.fake.cancel(next(each.request for each in here.fake.world.ledger.asked.values()))
        await here.says("train as usual")
        assert here.cluster_w() == BASELINE_W


async def test_an_order_that_is_changed_before_it_is_answered_is_asked_again(tmp_path: Path) -> None:
    async with site(tmp_path, "confirm") as here:
        order = await here.ordered(4 * MW)
        await here.says("Answer by")
        here.said.clear()
        changed = here.fake.change(order, ends_at=order.starts_at + timedelta(minutes=30))
        await here.says("Answer by")
        by_hand = Kept(tmp_path / "state" / "agent.db")
        assert by_hand.answer(order.order_id, "accept", "person:eve")
        by_hand.close()
        here.clock.move_to(order.respond_by - timedelta(seconds=10))
        assert (await here.answers(order, "ACCEPTED")).revision == changed.revision


@pytest.mark.parametrize("mode", ["advise", "dry-run"])
async def test_who_advises_sends_no_offer(tmp_path: Path, mode: str) -> None:
    async with site(tmp_path, mode) as here:
        request = here.fake.ask(4 * MW)
        await here.says(f"request {request.request_id}: would offer 4000000 W at 90 EUR/MWh")
        written = {type(record).__name__ for record in here.fake.world.written}
        assert written <= ({"BaselineDeclaration"} if mode == "advise" else set())
