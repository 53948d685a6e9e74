"""The implementations of the log that run the same contract suite."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest

from gridsignal_schemas.catalog import TOPICS
from gridsignal_services.bus import Log
from gridsignal_services.bus.kafka import KafkaLog
from gridsignal_services.bus.kafka_topics import Brokers, administration, apply
from gridsignal_services.bus.sqlite import SqliteLog


class LogFactory(Protocol):
    """Opens one test's own log; what was opened is closed after the test."""

    shares: bool
    """Whether candidates of an election divide the partitions among them: not where a file has one owner."""

    async def open(self) -> Log:
        """The log of this test, and after `close` the same log again."""

    async def close(self) -> None:
        """Closes it, as a service does that stops."""


class SqliteFactory:
    shares = False

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._opened: list[SqliteLog] = []

    async def open(self) -> SqliteLog:
        log = await SqliteLog.open(self._directory)
        self._opened.append(log)
        return log

    async def close(self) -> None:
        while self._opened:
            await self._opened.pop().aclose()


class KafkaFactory:
    shares = True

    def __init__(self, brokers: Brokers, prefix: str) -> None:
        self._brokers = brokers
        self._prefix = prefix
        self._opened: list[KafkaLog] = []

    async def open(self) -> KafkaLog:
        log = await KafkaLog.open(self._brokers, prefix=self._prefix)
        self._opened.append(log)
        return log

    async def close(self) -> None:
        while self._opened:
            await self._opened.pop().aclose()


@pytest.fixture(params=["sqlite", "kafka"])
def brokers(request: pytest.FixtureRequest) -> Brokers | None:
    """The cluster the log is on; None for the embedded one. Not async: a cluster starts outside of any loop."""
    return request.getfixturevalue("kafka") if request.param == "kafka" else None


@pytest.fixture
async def log_factory(brokers: Brokers | None, tmp_path: Path) -> AsyncIterator[LogFactory]:
    async with AsyncExitStack() as stack:
        factory: SqliteFactory | KafkaFactory = SqliteFactory(tmp_path)
        if brokers is not None:
            factory = KafkaFactory(brokers, await stack.enter_async_context(topics(brokers)))
        stack.push_async_callback(factory.close)
        yield factory


@asynccontextmanager
async def topics(brokers: Brokers) -> AsyncIterator[str]:
    """The prefix of topics that are this test's own and go with it: one broker serves the whole suite."""
    prefix = f"test-{uuid.uuid4().hex[:12]}."
    async with administration(brokers) as admin:
        await apply(admin, prefix, replication=1)
        yield prefix
        await admin.delete_topics([prefix + topic.name for topic in TOPICS.values()])


@pytest.fixture
async def log(log_factory: LogFactory) -> Log:
    return await log_factory.open()
