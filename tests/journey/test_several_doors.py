"""Several doors of each kind on one cluster: any of them answers for all, and none is missed when it leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

import gridsignal
from gridsignal_schemas.messages import DispatchRequest
from gridsignal_services.bus.kafka_topics import Brokers
from tests.integration.gateway_stand import open_client
from tests.journey.fleet import Fleet
from tests.load import MW, Load, must_be_whole
from tests.patience import LONG_S

pytestmark = pytest.mark.services
REPLACED = 4509


@pytest.fixture
async def fleet(kafka: Brokers, schema_registry: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Fleet]:
    env = {"GRIDSIGNAL_REDIS": redis_url, "GRIDSIGNAL_GATEWAY_DEAD_AFTER_S": "5", "GRIDSIGNAL_GATEWAY_PING_S": "1"}
    async with Fleet.sailing(tmp_path, kafka, schema_registry, replication=1, env=env) as sailing:
        yield sailing


async def the_request(grid: gridsignal.Grid) -> DispatchRequest:
    async with asyncio.timeout(LONG_S):
        async for signal in grid.subscribe("dispatch", zones=["DE-LU"]):
            if isinstance(signal, DispatchRequest):
                return signal
    raise AssertionError("the stream ended")


async def test_the_same_offer_at_another_gateway_after_a_wipe_gets_the_first_receipt(
    fleet: Fleet, redis_url: str, tmp_path: Path
) -> None:
    """Scenario 8: nothing about identity rests on the cache."""
    await fleet.ask()
    async with fleet.site("gateway-1", "one", tmp_path / "one.db") as one:
        request = await the_request(one)
        first = await one.offer(request, 1 * MW, "80", offer_id="mine")
        async with Redis.from_url(redis_url) as cache:
            await cache.flushall()
        async with fleet.site("gateway-2", "other", tmp_path / "other.db") as other:
            assert await other.offer(request, 1 * MW, "80", offer_id="mine") == first
            with pytest.raises(gridsignal.Refused, match="conflict"):
                await other.offer(request, 1 * MW, "81", offer_id="mine")
    found = await fleet.checked()
    assert set(found["offers"]["mine"]) >= {first.sha256}


async def test_a_write_at_one_door_is_read_at_the_other(fleet: Fleet) -> None:
    async with fleet.desk("dispatch-1") as one, fleet.desk("dispatch-2") as other:
        request_id = await fleet.ask()
        answer = await other.post(f"/v1/requests/{request_id}/cancel", json={})
        assert answer.status_code == 200
        after = {"Gridsignal-Position": answer.headers["Gridsignal-Position"]}
        assert (await one.get(f"/v1/requests/{request_id}", headers=after)).json()["state"] == "CANCELLED"


async def test_a_newer_session_of_the_same_instance_at_another_gateway_replaces_the_older(fleet: Fleet) -> None:
    token = fleet.token("participant", "acme-ai")
    first, second = (f"{fleet.gateway(name)}/v1/stream" for name in ("gateway-1", "gateway-2"))
    async with open_client(first, token) as older:
        await older.hello(instance="planner")
        async with open_client(second, token) as newer:
            await newer.hello(instance="planner")
            code, _ = await older.closed()
            assert code == REPLACED
            assert (await newer.subscribe("prices", snapshot=True))["t"] == "subscribed"


async def test_a_gateway_that_is_asked_to_end_sends_its_clients_elsewhere_and_nothing_is_missed(fleet: Fleet) -> None:
    async with Load.on(fleet) as load:
        await load.offering.reach(20)
        leaving = fleet.doors["gateway-1"].process
        assert await asyncio.to_thread(leaving.stop, 60) == 0
        await asyncio.to_thread(leaving.start)
        await load.offering.reach(len(load.offering.receipts) + 20)
    must_be_whole(load, await fleet.checked())


async def test_an_owner_that_is_asked_to_end_hands_over_at_once(fleet: Fleet) -> None:
    owner = await fleet.owner()
    (successor,) = (name for name in ("dispatch-1", "dispatch-2") if name != owner)
    assert await asyncio.to_thread(fleet.doors[owner].process.stop, 30) == 0
    await fleet.owns_all(successor)
    async with fleet.desk(successor) as desk:
        assert (await desk.get("/readyz")).status_code == 200
