"""An emergency calls the agent's standing offer on the embedded stack: the watts it stood by with are shed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gridsignal_schemas.messages import BaselineDeclaration, DispatchOrder, FlexOffer, OrderResponse
from gridsignal_schemas.values import MW
from tests.builders import utc
from tests.journey.conftest import NOON, World, stepped_world
from tests.journey.shipped import Taken
from tests.journey.test_the_agent import AgentProgram

STANDING = """
[standing]
product = "EMERGENCY_SHED"
price_per_mwh = "400"
most_w = 5_000_000
full_activation_s = 60
max_duration_s = 3600
"""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with stepped_world(tmp_path / "stack") as opened:
        yield opened


async def test_an_emergency_calls_what_the_agent_stands_by_with(world: World, tmp_path: Path) -> None:
    agent, taken = AgentProgram("simulated", world, tmp_path, STANDING), Taken(world.stack.replica)
    try:
        await agent.start(NOON)
        await taken.one(BaselineDeclaration, method="agent: as configured")
        stands = await taken.one(FlexOffer, request_id=None)
        assert stands.options[0].power_w == 5 * MW
        times = {
            "starts_at": "12:10:00",
            "ends_at": "12:40:00",
            "gate_closure_at": "12:03:00",
            "decision_deadline": "12:04:00",
        }
        said = {name: f"2024-05-12T{at}Z" for name, at in times.items()}
        await world.ask(product="EMERGENCY_SHED", power_w=5 * MW, respond_within_s=60, **said)
        await world.reach(utc("12:00:01"))
        agent.time(utc("12:00:01"))
        order = await taken.one(DispatchOrder, site="fra-1")
        assert order.power_w == 5 * MW
        await taken.one(OrderResponse, order_id=order.order_id, response="ACCEPTED", accepted_w=None)
        now = order.starts_at
        await world.reach(now)
        agent.time(now)
        await taken.one(OrderResponse, order_id=order.order_id, response="STARTED")
        assert agent.shed_w(now) == 5 * MW
    finally:
        await agent.kill()
