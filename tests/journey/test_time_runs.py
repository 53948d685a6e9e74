"""On a cluster time may run as fast as a simulation likes: what is logged then bears the grid's time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import gridsignal
from gridsignal_schemas.messages import DispatchRequest, GridClock
from gridsignal_services import embedded
from gridsignal_services.bus.cluster import simulation
from gridsignal_services.bus.kafka_topics import Brokers
from gridsignal_services.clock import ScaledClock
from gridsignal_services.registry import example_registry
from gridsignal_services.settings import ServerSettings
from tests.builders import MARKET_DAY, utc
from tests.journey.conftest import World, hear

RATE = 60.0
MILLISECOND = timedelta(milliseconds=RATE)
"""Of the brokers' clock, by the grid's."""


async def test_a_receipt_says_when_the_grid_got_the_offer(kafka: Brokers, schema_registry: str, tmp_path: Path) -> None:
    settings = ServerSettings(
        kafka=kafka.servers,
        schema_registry=schema_registry,
        directory=tmp_path,
        gateway_port=0,
        dispatch_port=0,
        ingest_port=0,
    )
    grid = GridClock(origin=utc("00:00"), rate=RATE, epoch=datetime.now(UTC))
    clock = ScaledClock(grid)
    async with (
        simulation(settings) as (log, codec),
        embedded.running(
            log, tmp_path, codec=codec, registry=example_registry(), clock=clock, settings=settings, grid=grid
        ) as stack,
    ):
        await stack.declare_flat_baselines(MARKET_DAY, 2, 0.6)
        world = World(stack, log, clock)
        await world.ask()
        async with world.site("acme-ai", "fra-1") as site:
            request = await hear(site.subscribe("dispatch", zones=["DE-LU"]), DispatchRequest)
            before = clock.now()
            receipt = await site.offer(request, gridsignal.MW, "80")
            after = clock.now()
    assert before - MILLISECOND <= receipt.received_at <= after
