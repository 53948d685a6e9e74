"""`gridsignal topics apply` on a real broker."""

from __future__ import annotations

import asyncio
import re
import shlex
import uuid
from collections.abc import Iterator

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from gridsignal_schemas.catalog import TOPICS
from gridsignal_services.bus import LogConfigurationError
from gridsignal_services.bus.condition import Condition
from gridsignal_services.bus.kafka import KafkaLog
from gridsignal_services.bus.kafka_durability import wanted_settings
from gridsignal_services.bus.kafka_producer import Producer
from gridsignal_services.bus.kafka_topics import Brokers, administration, apply, find
from gridsignal_services.cli import topics
from tests.patience import SOON_S
from tests.services.kafka import KafkaCluster


def _run(kafka: Brokers, *arguments: str) -> int:
    given = ["apply", "--kafka", kafka.servers, "--replication", "1", *arguments]
    return topics.run(topics.parser().parse_args(given))


def test_topics_are_made_once_and_a_dry_run_makes_none(kafka: Brokers, capsys: pytest.CaptureFixture[str]) -> None:
    prefix = f"test-{uuid.uuid4().hex[:12]}."
    assert _run(kafka, "--prefix", prefix, "--dry-run") == 0
    planned = capsys.readouterr().out
    assert planned.count("make with 6 partitions") == 7
    assert "LogAppendTime" in planned
    assert _run(kafka, "--prefix", prefix) == 0
    assert capsys.readouterr().out == planned
    assert _run(kafka, "--prefix", prefix) == 0
    assert capsys.readouterr().out == "all topics are as they should be\n"


WRONG = [
    ("prices", {"retention.ms": "3600000"}),
    ("readings", {"retention.ms": "60000"}),
    ("dispatch", {"retention.ms": "604800000"}),
    ("dispatch", {"retention.bytes": "1000000"}),
    ("carbon", {"cleanup.policy": "compact"}),
    ("dispatch", {"cleanup.policy": "compact,delete"}),
    ("prices", {"compression.type": "producer"}),
    ("alerts", {"message.timestamp.type": "CreateTime"}),
    ("dispatch", {"unclean.leader.election.enable": "true"}),
    ("dispatch", {"flush.messages": "9223372036854775807"}),
    ("readings", {"retention.ms": "60000", "cleanup.policy": "compact", "unclean.leader.election.enable": "true"}),
]


async def test_each_weak_setting_is_refused_and_the_command_it_names_mends_it(kafka: Brokers) -> None:
    prefix = f"test-{uuid.uuid4().hex[:12]}."
    async with administration(kafka) as admin:
        await apply(admin, prefix, replication=1)
        await (await KafkaLog.open(kafka, prefix=prefix)).aclose()
        for stream, settings in WRONG:
            topic = TOPICS[stream]
            wrong = wanted_settings(topic, 1) | settings
            name = prefix + topic.name
            await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, wrong)])
            async with asyncio.timeout(SOON_S):
                while not settings.items() <= (await find(admin, prefix))[name].settings.items():
                    continue  # the broker took it, and tells of it a moment later
            with pytest.raises(LogConfigurationError, match=re.escape(f"topic {name}: expected ")) as refused:
                await KafkaLog.open(kafka, prefix=prefix)
            for key, value in settings.items():
                assert re.search(rf"{re.escape(key)} \S+, got {re.escape(value)}(;| |$)", str(refused.value))
            assert await _run_as_named(kafka, str(refused.value)) == 0
            await (await KafkaLog.open(kafka, prefix=prefix)).aclose()
        await admin.delete_topics([prefix + topic.name for topic in TOPICS.values()])


async def test_topics_that_are_not_there_are_made_by_the_command_that_is_named(kafka: Brokers) -> None:
    prefix = f"test-{uuid.uuid4().hex[:12]}."
    with pytest.raises(LogConfigurationError) as refused:
        await KafkaLog.open(kafka, prefix=prefix)
    assert await _run_as_named(kafka, str(refused.value)) == 0
    await (await KafkaLog.open(kafka, prefix=prefix)).aclose()


async def test_more_copies_than_a_topic_has_are_not_promised(kafka: Brokers) -> None:
    """`apply` asks for three by default, and one broker holds one copy: nothing is changed, and records are taken."""
    prefix = f"test-{uuid.uuid4().hex[:12]}."
    async with administration(kafka) as admin:
        await apply(admin, prefix, replication=1)
        with pytest.raises(LogConfigurationError, match="expected at least 3 brokers for 3 replicas, got 1"):
            await apply(admin, prefix, replication=3)
        assert not await apply(admin, prefix, replication=1)
    log = await KafkaLog.open(kafka, prefix=prefix)
    await log.append("dispatch", "DE-LU", b"x", {})
    await log.aclose()


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokers]:
    """Brokers that may each have a copy. Not async: they start outside of any loop."""
    started = KafkaCluster(tmp_path_factory.mktemp("brokers"), 3)
    yield started.brokers
    started.kill()


@pytest.mark.slow
async def test_topics_that_grew_up_on_one_broker_are_copied_to_three_by_the_command_that_is_named(
    three: Brokers,
) -> None:
    prefix = f"test-{uuid.uuid4().hex[:12]}."
    async with administration(three) as admin:
        await apply(admin, prefix, replication=1)
        producer = Producer(three, Condition(), linger_ms=0)
        name = prefix + TOPICS["dispatch"].name
        sent = [await producer.send(name, at % TOPICS["dispatch"].partitions, "k", b"%d" % at, {}) for at in range(30)]
        await producer.aclose()
        with pytest.raises(LogConfigurationError, match="expected 3 replicas, got 1; ") as refused:
            await KafkaLog.open(three, prefix=prefix)
        assert await _run_as_named(three, str(refused.value)) == 0
        assert not await apply(admin, prefix, replication=3)
        told = await admin.describe_topics([prefix + topic.name for topic in TOPICS.values()])
        rows = [row for topic in told for row in topic["partitions"]]
        assert [(len(row["replicas"]), len(row["isr"])) for row in rows] == [(3, 3)] * len(rows)
    log = await KafkaLog.open(three, prefix=prefix)
    await log.append("dispatch", "DE-LU", b"x", {})
    assert sum((await log.end_positions("dispatch")).values()) == len(sent) + 1
    await log.aclose()


async def _run_as_named(kafka: Brokers, refusal: str) -> int:
    """Runs what stands between the backticks."""
    (command,) = re.findall("`gridsignal topics (.*)`", refusal)
    assert kafka.servers in command
    arguments = topics.parser().parse_args(shlex.split(command))
    return await asyncio.to_thread(topics.run, arguments)
