"""A log and a process whose clocks differ: both go on by the log's time, and those who run them are told."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from gridsignal_schemas.catalog import TOPICS, partition_of
from gridsignal_services.bus.kafka import KafkaLog
from gridsignal_services.bus.kafka_topics import Brokers, administration, apply
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.clock import wall_us

DAY_S = 86_400
SECOND = 1_000_000
PARTITION = partition_of("DE-LU", TOPICS["prices"].partitions)


@asynccontextmanager
async def a_log(kafka: Brokers, *, behind_s: int = 0) -> AsyncIterator[tuple[KafkaLog, str, AIOKafkaAdminClient]]:
    """Opened by a process whose clock is so far behind the broker's."""
    prefix = f"test-{uuid.uuid4().hex[:12]}."
    async with administration(kafka) as admin:
        await apply(admin, prefix, replication=1)
        log = await KafkaLog.open(kafka, prefix=prefix, now_us=lambda: wall_us() - behind_s * SECOND)
        yield log, prefix, admin
        await log.aclose()
        await admin.delete_topics([prefix + topic.name for topic in TOPICS.values()])


@pytest.mark.parametrize("behind_s", [-DAY_S, -5, 0, 5, DAY_S])
async def test_a_process_whose_clock_is_off_against_the_brokers_is_told(kafka: Brokers, behind_s: int) -> None:
    async with a_log(kafka, behind_s=behind_s) as (log, _, _):
        appended = await log.append("prices", "DE-LU", b"x", {})
        assert abs(appended.appended_us - wall_us()) < 60 * SECOND  # by the log's clock, which all read
        side = {True: "ahead of", False: "behind"}[behind_s > 0]
        assert (f" s {side} this machine's" in log.condition.reason) == bool(behind_s), log.condition.reason


async def test_a_record_of_a_time_that_has_not_come_is_told_to_who_only_reads(kafka: Brokers) -> None:
    async with a_log(kafka) as (log, prefix, admin):
        name = prefix + TOPICS["prices"].name
        by_producers = ConfigResource(ConfigResourceType.TOPIC, name, {"message.timestamp.type": "CreateTime"})
        await admin.alter_configs([by_producers])  # a broker whose clock is ahead, without one
        async with AIOKafkaProducer(**kafka.settings()) as producer:
            ahead_ms = wall_us() // 1000 + 3_600_000 - 10_000  # within what a broker takes
            await producer.send_and_wait(name, b"x", partition=PARTITION, timestamp_ms=ahead_ms)
        reader = await log.reader("prices", {PARTITION: 0})
        (read,) = await reader.read()
        assert read.appended_us == ahead_ms * 1000
        assert "s ahead of this machine's" in log.condition.reason


async def test_a_log_that_was_written_by_a_clock_a_day_ahead_says_so_at_the_first_append(tmp_path: Path) -> None:
    log = await SqliteLog.open(tmp_path, append_time_us=lambda: wall_us() + DAY_S * SECOND)
    await log.append("prices", "DE-LU", b"x", {})
    await log.aclose()
    log = await SqliteLog.open(tmp_path)
    try:
        await log.append("prices", "DE-LU", b"x", {})
        assert "s ahead of this machine's" in log.condition.reason
    finally:
        await log.aclose()
