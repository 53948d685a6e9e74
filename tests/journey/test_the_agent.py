"""The site agent on the embedded stack: the watts that are ordered are the watts at the actuator, whenever it dies."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest

from gridsignal.agent.actuators.simulated import Cluster, SimulatedJob
from gridsignal_schemas.messages import BaselineDeclaration, DispatchOrder, FlexOffer, OrderResponse, OrderState
from gridsignal_schemas.values import MW
from tests.builders import utc
from tests.journey.conftest import NOON, World, stepped_world
from tests.journey.shipped import Program, Taken

RUNNER = Path(__file__).with_name("run_agent.py")
SITE_PROGRAM = Path(__file__).parents[1] / "contract" / "agent" / "site_program.py"
CONFIG = """
site = "fra-1"
state = "{home}/state"
url = "{url}"
[baseline]
power_w = 36_000_000
[offers]
price_per_mwh = "90"
most_w = 10_000_000
[orders]
restore_s = 0
[actuator]
"""


class AgentProgram(Program):
    """`gridsignal agent run`, but that its time is the test's."""

    def __init__(self, kind: str, world: World, home: Path, more: str = "") -> None:
        """`more`: tables that its configuration has, too."""
        super().__init__("agent", world.stack.gateway_url, world.stack.token("participant", "acme-ai"), home)
        self._cluster, self._config = home / "cluster.json", home / "site.toml"
        told = CONFIG.format(home=home, url=world.stack.gateway_url).replace("[actuator]", f"{more}[actuator]")
        if kind == "simulated":
            jobs = [SimulatedJob(name=name, power_w=9 * MW, least_w=3 * MW) for name in ("a", "b", "c", "d")]
            self._cluster.write_text(Cluster(jobs=jobs).model_dump_json(), "utf-8")
            told += f'kind = "simulated"\nfile = "{self._cluster}"\n'
        else:
            words = [sys.executable, "-S", "-I", str(SITE_PROGRAM), str(self._cluster)]
            told += f'kind = "command"\napply = {[*words, "apply", "{shed_w}", "{until}", "{reason}"]}\n'
            told += f"observe = {[*words, 'observe', '{now}']}\n"
        self._config.write_text(told, "utf-8")

    async def start(self, now: datetime) -> None:
        self.said.clear()
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", str(RUNNER), str(self._config), now.isoformat()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=os.environ | {"GRIDSIGNAL_TOKEN": self._token},
        )
        self._listening = asyncio.create_task(self._listen(self._process))

    def shed_w(self, now: datetime) -> int:
        """What is in effect at the site, whatever the agent thinks."""
        state = json.loads(self._cluster.read_text("utf-8"))
        if "jobs" not in state:
            return int(state["shed_w"]) if now.isoformat() < state["until"] else 0
        cluster = Cluster.model_validate_json(self._cluster.read_bytes())
        return 36 * MW - cluster.power_w(now)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with stepped_world(tmp_path / "stack") as opened:
        yield opened


@pytest.mark.parametrize("kind", ["simulated", "command"])
async def test_two_orders_add_at_the_actuator_and_kill_nine_in_their_middle_changes_nothing(
    world: World, kind: str, tmp_path: Path
) -> None:
    agent, taken = AgentProgram(kind, world, tmp_path), Taken(world.stack.replica)
    try:
        await _lives_through_two_orders(world, agent, taken, kind)
    finally:
        await agent.kill()


async def _lives_through_two_orders(world: World, agent: AgentProgram, taken: Taken, kind: str) -> None:
    async def reach(clock: str) -> datetime:
        await world.reach(utc(clock))
        agent.time(utc(clock))
        return utc(clock)

    await agent.start(NOON)
    await taken.one(BaselineDeclaration, method="agent: as configured")
    long = await world.ask(power_w=4 * MW)
    await taken.one(FlexOffer, request_id=long)
    short = await world.ask(power_w=3 * MW, starts_at="2024-05-12T18:15:00Z", ends_at="2024-05-12T18:30:00Z")
    await taken.one(FlexOffer, request_id=short)
    await reach("17:00")
    for request in (long, short):
        assert (await taken.one(DispatchOrder, request_id=request)).power_w in (4 * MW, 3 * MW)
        await taken.one(OrderResponse, request_id=request, response="ACCEPTED", accepted_w=None)
    now = await reach("18:00")
    await taken.one(OrderResponse, request_id=long, response="STARTED")
    assert agent.shed_w(now) == 4 * MW
    now = await reach("18:15")
    await taken.one(OrderResponse, request_id=short, response="STARTED")
    assert agent.shed_w(now) == 7 * MW

    await agent.kill()
    await world.reach(utc("18:20"))
    assert agent.shed_w(utc("18:20")) == 7 * MW, "what was applied goes on without the agent"
    await agent.start(utc("18:20"))
    await agent.says("2 orders bind the site")
    now = await reach("18:30")
    await taken.one(OrderResponse, request_id=short, response="COMPLETED")
    await agent.says("4 MW less until" if kind == "command" else "a to 5 MW until")
    assert agent.shed_w(now) == 4 * MW

    await agent.kill()
    now = utc("18:50")
    await world.reach(now)
    assert agent.shed_w(now) == 0, "nothing is held for ever"
    await agent.start(now)
    await agent.says("no order binds the site")
    assert agent.shed_w(now) == 0
    orders = world.stack.replica.ledger_of("DE-LU").orders.values()
    assert [(each.state, each.accepted_w) for each in orders] == [
        (OrderState.COMPLETED, each.order.power_w) for each in orders
    ]
    assert not taken.all(OrderResponse, response="UNAVAILABLE")
