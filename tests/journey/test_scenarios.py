"""Stories of messages.md, told through real HTTP and WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import gridsignal
from gridsignal_schemas.messages import DispatchOrder, DispatchRequest
from gridsignal_services.cache.memory import MemoryCache
from gridsignal_services.gateway.service import Gateway
from gridsignal_services.gateway.settings import GatewaySettings
from gridsignal_services.replica import Replica
from tests.builders import utc

TEN_MW = 10_000_000
Sites = tuple[gridsignal.Grid, gridsignal.Grid]


async def test_silence_voids_the_order_before_the_next_is_ordered_and_a_late_yes_is_refused(
    world: Any, sites: Sites, hearing: Any
) -> None:
    """Scenario 16."""
    silent, next_ = sites
    heard, heard_next = silent.subscribe("dispatch", zones=["DE-LU"]), next_.subscribe("dispatch", zones=["DE-LU"])
    await world.ask()
    await silent.offer(await hearing(heard, DispatchRequest), TEN_MW, "80")
    await next_.offer(await hearing(heard_next, DispatchRequest), TEN_MW, "90")
    await world.reach(utc("17:00"))
    order = await hearing(heard, DispatchOrder)
    await world.reach(order.respond_by)
    voided = await hearing(heard, DispatchOrder, order_id=order.order_id, state="VOIDED")
    second = await hearing(heard_next, DispatchOrder)
    assert (voided.site, second.site, second.power_w) == ("fra-1", "muc-1", TEN_MW)
    with pytest.raises(gridsignal.Refused, match="too_late"):
        await silent.accept(order)
    await next_.accept(second)
    states = {i: tracked.state for i, tracked in world.stack.replica.ledger_of("DE-LU").orders.items()}
    assert (states[order.order_id].value, states[second.order_id].value) == ("VOIDED", "ACCEPTED")


async def test_an_offer_sent_again_gets_the_first_receipt_and_another_body_is_a_conflict(
    world: Any, sites: Sites, hearing: Any
) -> None:
    """Scenario 8."""
    one, _ = sites
    await world.ask()
    request = await hearing(one.subscribe("dispatch", zones=["DE-LU"]), DispatchRequest)
    first = await one.offer(request, TEN_MW, "80", offer_id="mine")
    async with world.site("acme-ai", "fra-1", instance="another") as again:
        assert await again.offer(request, TEN_MW, "80", offer_id="mine") == first
        with pytest.raises(gridsignal.Refused, match="conflict"):
            await again.offer(request, TEN_MW, "81", offer_id="mine")


@asynccontextmanager
async def another_gateway(world: Any, directory: Path) -> AsyncIterator[str]:
    """Another process's gateway on the same log, which shares nothing else; its address."""
    stack, settings = world.stack, GatewaySettings(data_directory=directory, port=0)
    replica, verifier = Replica(stack.log, stack.codec, source="tests"), stack.issuer.verifier()
    gateway = Gateway(stack.log, stack.codec, replica, verifier, stack.registry, MemoryCache(), settings, world.clock)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(replica.run()), tasks.create_task(gateway.run())]
        await gateway.ready()
        host, port = gateway.address
        yield f"ws://{host}:{port}"
        for task in running:
            task.cancel()


async def test_on_another_gateway_with_an_empty_cache_identity_holds_as_well(
    world: Any, sites: Sites, hearing: Any, tmp_path: Path
) -> None:
    """Scenario 8: nothing rests on what a gateway or its cache remembers."""
    one, _ = sites
    await world.ask()
    request = await hearing(one.subscribe("dispatch", zones=["DE-LU"]), DispatchRequest)
    first = await one.offer(request, TEN_MW, "80", offer_id="mine")
    token = world.stack.token("participant", "acme-ai")
    async with (
        another_gateway(world, tmp_path / "another") as url,
        gridsignal.connect(url, token=token, site="fra-1", outbox=":memory:", clock=world.clock) as there,
    ):
        assert await there.offer(request, TEN_MW, "80", offer_id="mine") == first
        with pytest.raises(gridsignal.Refused, match="conflict"):
            await there.offer(request, TEN_MW, "81", offer_id="mine")
    offers = world.stack.replica.ledger_of("DE-LU").offers
    assert [key for key in offers if key[1] == "mine"] == [("acme-ai", "mine")]


async def test_another_participant_finds_no_trace_of_an_offer(world: Any, sites: Sites, hearing: Any) -> None:
    """Scenario 12, over both doors: an id that is somebody else's is an id that nobody has."""
    one, other = sites
    request_id = await world.ask()
    request = await hearing(one.subscribe("dispatch", zones=["DE-LU"]), DispatchRequest)
    await one.offer(request, TEN_MW, "80", offer_id="canary-offer")
    states = await other.query(offer_ids=["canary-offer", "nobodys"])
    assert states.offers["canary-offer"] == states.offers["nobodys"]
    async with world.desk("volt-colo", "participant") as stranger:
        for path in ("/v1/requests", f"/v1/requests/{request_id}/book", "/v1/orders"):
            assert "canary" not in (await stranger.get(path)).text
