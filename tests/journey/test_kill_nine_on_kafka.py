"""kill -9 of any part while offers flow: each received offer is on the log once, nobody hears a gap or a repeat."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.journey.fleet import Fleet
from tests.load import AT_ONCE, Load, counts, must_be_whole
from tests.services.kafka import KafkaCluster

pytestmark = [pytest.mark.services, pytest.mark.slow]
ENOUGH = 50
"""Receipts before the kill, and after it."""
AGAIN = 3
"""Deaths of a broker, one after the other."""
SEED = 20241212


@pytest.fixture(scope="module", params=[1, 3], ids=["one broker", "three brokers"])
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """Brokers that may be killed: the one that all tests share may not. Not async: they start outside of any loop."""
    started = KafkaCluster(tmp_path_factory.mktemp("brokers"), request.param)
    yield started
    started.stop()


async def _a_gateway(fleet: Fleet, _: KafkaCluster) -> Any:
    return fleet.doors["gateway-1"].process


async def _the_owner(fleet: Fleet, _: KafkaCluster) -> Any:
    return fleet.doors[await fleet.owner()].process


async def _a_broker(_: Fleet, cluster: KafkaCluster) -> Any:
    return cluster.nodes[0].process


Victim = Callable[[Fleet, KafkaCluster], Awaitable[Any]]


@pytest.mark.parametrize(
    ("cluster", "victim", "times"),
    [(1, _a_gateway, 1), (1, _the_owner, 1), (1, _a_broker, 3), (3, _a_broker, 1)],
    ids=["a gateway", "the owner of the zone", "the only broker, three times", "one of three brokers"],
    indirect=["cluster"],
)
async def test_whatever_is_killed_no_received_offer_is_lost_or_repeated(
    request: pytest.FixtureRequest,
    cluster: KafkaCluster,
    schema_registry: str,
    tmp_path: Path,
    victim: Victim,
    times: int,
) -> None:
    chance = random.Random(SEED)
    async with Fleet.sailing(tmp_path, cluster.brokers, schema_registry, len(cluster.nodes)) as fleet:
        async with Load.on(fleet) as load:
            for _ in range(times):
                received = len(load.offering.receipts)
                await load.offering.reach(received + ENOUGH + chance.randrange(ENOUGH))  # whatever is under way then
                process = await victim(fleet, cluster)
                process.kill()
                await asyncio.to_thread(process.start)
            await load.offering.reach(len(load.offering.receipts) + ENOUGH)
        found = await fleet.checked()

    print(request.node.callspec.id, counts(load, found))
    must_be_whole(load, found, repeats=victim is _a_broker)


@pytest.mark.parametrize("cluster", [1], ids=["one broker"], indirect=True)
async def test_decisions_flow_again_each_time_a_broker_comes_back(
    cluster: KafkaCluster, schema_registry: str, tmp_path: Path
) -> None:
    broker = cluster.nodes[0].process
    async with Fleet.sailing(tmp_path, cluster.brokers, schema_registry, 1) as fleet:
        async with Load.on(fleet) as load:
            for _ in range(AGAIN):
                before = set(load.offering.receipts)
                await load.offering.reach(len(before) + AT_ONCE)
                fresh = set(load.offering.receipts) - before
                for ear in load.ears.values():  # each process reads, and each zone has its owner
                    await ear.hears(fresh)
                broker.kill()
                await asyncio.to_thread(broker.start)
        found = await fleet.checked()

    print(counts(load, found))
    must_be_whole(load, found, repeats=True)
