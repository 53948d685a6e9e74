"""Clients of brokers that die, freeze and come back: each goes on by itself, and ends when it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from gridsignal_schemas.catalog import TOPICS
from gridsignal_services.bus import LogConfigurationError
from gridsignal_services.bus.kafka import KafkaLog
from gridsignal_services.bus.kafka_election import KafkaElection
from gridsignal_services.bus.kafka_topics import administration, apply
from tests.patience import LONG_S
from tests.services.kafka import KafkaCluster

pytestmark = [pytest.mark.services, pytest.mark.slow]
PREFIX = "dying."
TOPIC = PREFIX + TOPICS["dispatch"].name
ALL = frozenset(range(TOPICS["dispatch"].partitions))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """A broker that may be killed: the one that all tests share may not. Not async: it starts outside of any loop."""
    started = KafkaCluster(tmp_path_factory.mktemp("broker"), 1)
    yield started
    started.kill()


@pytest.fixture
async def log(cluster: KafkaCluster) -> AsyncIterator[KafkaLog]:
    async with administration(cluster.brokers) as admin:
        await apply(admin, PREFIX, replication=1)
    opened = await KafkaLog.open(cluster.brokers, prefix=PREFIX)
    yield opened
    await opened.aclose()


async def _holds(election: KafkaElection, enough: Callable[[frozenset[int]], bool]) -> None:
    async with asyncio.timeout(LONG_S):
        while not enough(election.mine):
            await election.changed()


async def test_a_candidate_is_back_after_its_brokers_were_away_when_it_asked_whether_it_counts(
    cluster: KafkaCluster, log: KafkaLog
) -> None:
    election = KafkaElection(cluster.brokers, f"{TOPIC}.owners", TOPIC, look_every_s=0.2)
    await _holds(election, lambda mine: mine == ALL)
    cluster.nodes[0].process.kill()
    try:
        await _holds(election, lambda mine: not mine)
    finally:
        await asyncio.to_thread(cluster.nodes[0].process.start)
    await _holds(election, lambda mine: mine == ALL)
    await election.aclose()


async def test_who_gives_up_a_first_lookup_leaves_nothing_half_open_behind(log: KafkaLog) -> None:
    asked = asyncio.create_task(log.end_positions("dispatch"))
    await asyncio.sleep(0)  # it connects
    asked.cancel()
    await asyncio.wait([asked])
    assert await log.end_positions("dispatch") == dict.fromkeys(ALL, 0)


async def test_a_topic_that_was_made_again_under_an_open_log_is_told(cluster: KafkaCluster, log: KafkaLog) -> None:
    watching = asyncio.create_task(log.watch(every_s=0.05))
    async with administration(cluster.brokers) as admin:
        await admin.delete_topics([TOPIC])
        async with asyncio.timeout(LONG_S):
            while not watching.done():  # a topic that goes may be there for a moment still
                await apply(admin, PREFIX, replication=1)
    with pytest.raises(LogConfigurationError, match=f"topic {TOPIC}: expected the one with id"):
        await watching
