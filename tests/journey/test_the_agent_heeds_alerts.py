"""A disturbance on the embedded stack: the agent holds what is held back, over kill -9, until it is cleared."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gridsignal_schemas.messages import BaselineDeclaration, DispatchOrder, FlexOffer, OrderResponse
from gridsignal_schemas.values import MW
from tests.builders import utc
from tests.journey.conftest import NOON, World, stepped_world
from tests.journey.shipped import Taken
from tests.journey.test_the_agent import AgentProgram
from tests.patience import SOON_S

DISTURBANCE = {
    "alert_id": "fault-7",
    "issued_at": "2024-05-12T18:10:00Z",
    "starts_at": "2024-05-12T18:10:00Z",
    "zone": "DE-LU",
    "kind": "DISTURBANCE",
    "level": 3,
    "action": "HOLD",
    "is_drill": False,
    "text": "A line has tripped.",
    "acknowledge_within_s": 60,
}

TRUSTING = """
[alerts]
providers = ["tso-north"]
"""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with stepped_world(tmp_path / "stack") as opened:
        yield opened


async def test_kill_nine_in_the_middle_of_a_disturbance_brings_nothing_back(world: World, tmp_path: Path) -> None:
    agent, taken = AgentProgram("simulated", world, tmp_path, TRUSTING), Taken(world.stack.replica)
    try:
        await _lives_through_a_disturbance(world, agent, taken)
    finally:
        await agent.kill()


async def _lives_through_a_disturbance(world: World, agent: AgentProgram, taken: Taken) -> None:
    async def reach(clock: str) -> datetime:
        await world.reach(utc(clock))
        agent.time(utc(clock))
        return utc(clock)

    await agent.start(NOON)
    await taken.one(BaselineDeclaration, method="agent: as configured")
    request = await world.ask(power_w=4 * MW)
    await taken.one(FlexOffer, request_id=request)
    await reach("17:00")
    await taken.one(DispatchOrder, request_id=request)
    await taken.one(OrderResponse, request_id=request, response="ACCEPTED", accepted_w=None)
    await reach("18:00")
    await taken.one(OrderResponse, request_id=request, response="STARTED")
    await reach("18:10")
    await push(world, DISTURBANCE)
    await agent.says("HOLD, with 4000000 W held back")
    await answered(world, "applied")

    await agent.kill()
    await world.reach(utc("18:40"))
    await agent.start(utc("18:40"))
    await agent.says("the grid is reached")
    now = await reach("18:50")
    await taken.one(OrderResponse, request_id=request, response="COMPLETED")
    await agent.says("(alert fault-7 of tso-north)")
    assert agent.shed_w(now) == 4 * MW, "its order has ended, and it holds"
    await push(world, DISTURBANCE | {"ends_at": "2024-05-12T18:50:00Z"})
    await agent.says("over, 4000000 W come back")
    await agent.says("a as usual")
    assert agent.shed_w(now) == 0
    assert not taken.all(OrderResponse, response="UNAVAILABLE")


async def push(world: World, alert: dict[str, Any]) -> None:
    token = world.stack.token("operator", "tso-north", "signal:write")
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(base_url=world.stack.feeds_url, headers=headers, timeout=SOON_S) as feeds:
        answer = await feeds.post("/v1/signals/alerts", json=alert)
    assert answer.status_code == 201, answer.text


async def answered(world: World, state: str) -> None:
    """Returns once the operator sees it of the site: each look waits for a round trip."""
    async with world.desk() as desk, asyncio.timeout(SOON_S):
        while not _shows(await desk.get("/v1/alerts/fault-7"), state):
            pass


def _shows(answer: httpx2.Response, state: str) -> bool:
    """The door may not have read the alert yet, or ask for a pause."""
    assert answer.status_code in (200, 404, 429), answer.text
    sites = answer.json()["sites"] if answer.status_code == 200 else []
    return any(each["site"] == "fra-1" and each[state]["at"] for each in sites)
