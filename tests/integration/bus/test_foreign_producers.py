"""What other programs write to our topics on a real broker: a reader hands it on, and what comes after it, too."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from gridsignal_schemas.catalog import TOPICS, partition_of
from gridsignal_services.bus import LogRecord
from gridsignal_services.bus.codec import Codec, Poison
from gridsignal_services.bus.kafka import KafkaLog
from gridsignal_services.bus.kafka_topics import Brokers
from gridsignal_services.bus.publish import publish
from gridsignal_services.replica import Replica
from tests.builders import BUILDERS
from tests.contract.bus.conftest import topics
from tests.patience import SOON_S
from tests.services.kafka import TOOLS
from tests.services.maven import java

PARTITION = partition_of("DE-LU", TOPICS["dispatch"].partitions)
CODEC = Codec.from_lock()


NO_TEXT = """
import asyncio, sys
from aiokafka import AIOKafkaProducer

class Name(str):
    def encode(self, *_, **__):
        return bytes([255, 254, 0])

async def main(servers, topic, partition):
    async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
        await producer.send_and_wait(topic, b"x", partition=int(partition), headers=[(Name("x"), b"x")])

asyncio.run(main(*sys.argv[1:]))
"""
"""A header whose name is no text: only the client in pure Python writes one."""
ODD: dict[str, dict[str, Any]] = {
    "a null header": {"headers": [("trace", None)]},
    "a header without a name": {"headers": [("", b"x")]},
    "a header whose name is no text": {"program": NO_TEXT},
    "a header whose value is no text": {"headers": [("trace", b"\xff\xfe\x00")]},
    "our own header twice and null": {
        "headers": [("gridsignal_principal", b"service:x"), ("gridsignal_principal", None)]
    },
    "a thousand headers": {"headers": [(f"h{n}", b"x") for n in range(1000)]},
    "a null key": {"key": None},
    "a key that is no text": {"key": b"\xff\xfe\x00"},
    "a huge key": {"key": b"k" * 900_000},
    "a tombstone": {"value": None},
    "an empty value": {"value": b""},
    "a value of nearly a megabyte": {"value": b"\x00" * 1_000_000},
    "compressed": {"value": b"x" * 2000, "by": {"compression_type": "gzip"}},
    "in a transaction": {"by": {"transactional_id": "foreign", "enable_idempotence": True}},
}


@dataclass(frozen=True)
class Place:
    """Topics of a test's own, and the log that lies in them."""

    log: KafkaLog
    topic: str
    """Of the dispatch stream."""


@pytest.fixture
async def place(kafka: Brokers) -> AsyncIterator[Place]:
    async with topics(kafka) as prefix:
        log = await KafkaLog.open(kafka, prefix=prefix)
        yield Place(log, prefix + TOPICS["dispatch"].name)
        await log.aclose()


@asynccontextmanager
async def reduced(log: KafkaLog) -> AsyncIterator[Replica]:
    replica = Replica(log, CODEC, source="/tests")
    running = asyncio.create_task(replica.run())
    yield replica
    running.cancel()
    await asyncio.wait([running])


async def _write(kafka: Brokers, topic: str, odd: dict[str, Any]) -> None:
    if "program" in odd:
        command = [sys.executable, "-c", odd["program"], kafka.servers, topic, str(PARTITION)]
        env = os.environ | {"AIOKAFKA_NO_EXTENSIONS": "1"}
        await asyncio.to_thread(subprocess.run, command, check=True, env=env)
        return
    settings = odd.pop("by", {})
    record = {"key": b"DE-LU", "value": b"no record of ours"} | odd
    async with AIOKafkaProducer(**kafka.settings(), max_request_size=2_000_000, **settings) as producer:
        if "transactional_id" in settings:
            async with producer.transaction():
                await producer.send_and_wait(topic, partition=PARTITION, **record)
        else:
            await producer.send_and_wait(topic, partition=PARTITION, **record)


@pytest.mark.parametrize("kind", ODD)
async def test_an_odd_record_is_poison_alone_and_a_start_gets_past_it(kafka: Brokers, place: Place, kind: str) -> None:
    log = place.log
    reading = await log.reader("dispatch", {PARTITION: 0})
    await publish(log, CODEC, BUILDERS["SiteRegistration"](), principal="service:dispatch", source="/tests")
    await _write(kafka, place.topic, dict(ODD[kind]))
    await publish(log, CODEC, BUILDERS["SiteRegistration"](), principal="service:dispatch", source="/tests")
    records: list[LogRecord] = []
    try:
        async with asyncio.timeout(SOON_S):
            while len(records) < 3:
                records += await reading.read()
    finally:
        await reading.aclose()
    CODEC.decode(records[0].value)
    with pytest.raises(Poison):
        CODEC.decode(records[1].value)
    CODEC.decode(records[2].value)
    await _write(kafka, place.topic, dict(ODD[kind]))  # and as the last one
    async with asyncio.timeout(SOON_S):
        while (await log.end_positions("dispatch"))[PARTITION] < 4 + 2 * ("transaction" in kind):
            pass  # the end of a transaction is marked a moment after it
    async with reduced(log) as replica, asyncio.timeout(SOON_S):
        await replica.caught_up()
        await replica.reach_end()


async def test_what_others_compressed_in_ways_of_theirs_is_read(kafka: Brokers, place: Place) -> None:
    """The client alone reads no lz4, snappy or zstd: the broker unpacks them, for the topic says so."""
    ways = ("lz4", "snappy", "zstd")
    reading = await place.log.reader("dispatch", await place.log.start_positions("dispatch"))
    producer = [*java(TOOLS), "org.apache.kafka.tools.ConsoleProducer", "--bootstrap-server", kafka.servers]
    try:
        for way in ways:
            command = [*producer, "--topic", place.topic, "--compression-codec", way]
            written = way.encode() * 1000
            await asyncio.to_thread(subprocess.run, command, input=written, check=True, capture_output=True)
            async with asyncio.timeout(SOON_S):
                (read,) = await reading.read()
            assert read.value == written
    finally:
        await reading.aclose()
