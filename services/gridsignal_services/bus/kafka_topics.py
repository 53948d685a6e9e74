"""Kafka's topics: asks a cluster what it has, and makes it what it has to be. Nothing is ever deleted."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import ssl
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)

from gridsignal_schemas.catalog import TOPICS
from gridsignal_services.bus import LogConfigurationError, LogUnavailable
from gridsignal_services.bus.kafka_clients import close, start
from gridsignal_services.bus.kafka_durability import Change, Found, changes, spread
from gridsignal_services.bus.kafka_requests import place
from gridsignal_services.bus.kafka_topic_ids import topic_ids

REQUEST_TIMEOUT_MS = 10_000
CLOSE_TIMEOUT_S = 4.0
_TOPIC_OVERRIDE = 1  # the source of a setting that was made for this topic (DescribeConfigs, version 1 on)


_WITHOUT_RIGHT = frozenset({TopicAuthorizationFailedError.errno, ClusterAuthorizationFailedError.errno})
SPREAD_S = 10.0
"""How long a new topic may take to be known to all brokers."""
COPIED_S = 600.0
"""How long more replicas may take to have all that a topic holds."""


@dataclass(frozen=True, slots=True)
class Brokers:
    """How to reach a cluster."""

    servers: str
    """host:port, several with commas."""
    tls: ssl.SSLContext | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    """SASL, where there is a username."""
    sasl: str = "PLAIN"
    """How the password is shown: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512."""

    def settings(self) -> dict[str, Any]:
        """As every client of aiokafka takes them."""
        security = ("SASL_" if self.username else "") + ("SSL" if self.tls else "PLAINTEXT")
        settings: dict[str, Any] = {"bootstrap_servers": self.servers.split(","), "security_protocol": security}
        settings |= {"ssl_context": self.tls, "request_timeout_ms": REQUEST_TIMEOUT_MS, "metadata_max_age_ms": 30_000}
        if self.username:
            settings |= {"sasl_mechanism": self.sasl}
            settings |= {"sasl_plain_username": self.username, "sasl_plain_password": self.password}
        return settings


def epoch_of(ids: Mapping[str, uuid.UUID], prefix: str) -> str:
    """Names this incarnation of the log: another one as soon as one topic was made again."""
    text = "".join(f"{topic.name} {ids[prefix + topic.name]}\n" for topic in TOPICS.values())
    return hashlib.sha256(text.encode()).hexdigest()[:32]


async def must_be_the_same(admin: AIOKafkaAdminClient, known: Mapping[str, uuid.UUID]) -> None:
    """Raises LogConfigurationError for a topic that has another id; one that is not told of now is not judged."""
    for name, (topic_id, *_) in (await topic_ids(admin, list(known))).items():
        if topic_id != known[name]:
            raise LogConfigurationError(f"topic {name}: expected the one with id {known[name]}, got {topic_id}")


@asynccontextmanager
async def administration(brokers: Brokers) -> AsyncIterator[AIOKafkaAdminClient]:
    """A client for topics. Raises LogUnavailable where no broker answers."""
    admin = AIOKafkaAdminClient(**brokers.settings())
    try:
        with _reasons() as reasons:
            try:
                await start(admin)
            except KafkaConnectionError as error:  # which says of every cause that it could not connect
                raise LogUnavailable(f"kafka at {brokers.servers}: {'; '.join(reasons) or error}") from error
        yield admin
    except (KafkaError, OSError, TimeoutError) as error:
        raise LogUnavailable(f"kafka at {brokers.servers}: {error}") from error
    finally:
        await close(admin, CLOSE_TIMEOUT_S)


_REASONS = 8
"""What is kept of what the library says while one client starts."""
_said: ContextVar[list[str] | None] = ContextVar("_said", default=None)


class _Kept(logging.Filter):
    """Why a client can't start the library logs and does not raise: it is kept for the error, and said once."""

    def filter(self, record: logging.LogRecord) -> bool:
        if (said := _said.get()) is None:
            return True
        if len(said) < _REASONS and (reason := record.getMessage()) not in said:
            said.append(reason)
        return False


logging.getLogger("aiokafka").addFilter(_Kept())


@contextmanager
def _reasons() -> Iterator[list[str]]:
    reasons: list[str] = []
    before = _said.set(reasons)
    try:
        yield reasons
    finally:
        _said.reset(before)


async def brokers_there(admin: AIOKafkaAdminClient) -> int:
    """How many brokers the cluster has now."""
    return len((await admin.describe_cluster())["brokers"])


async def find(admin: AIOKafkaAdminClient, prefix: str) -> dict[str, Found]:
    """The contract's topics that exist under this prefix, by name. Raises LogConfigurationError without the right."""
    try:
        ids = await topic_ids(admin, [prefix + topic.name for topic in TOPICS.values()])
    except TopicAuthorizationFailedError as refused:
        _must_be_fine(str(refused.args[0]), refused.errno)
    if not ids:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in ids]
    found = {}
    for response in await admin.describe_configs(resources):
        for code, _, _, name, rows in response.resources:
            if code == UnknownTopicOrPartitionError.errno:
                continue  # a new topic, and the broker that was asked has not heard of it
            _must_be_fine(name, code)
            settings = {row[0]: row[1] for row in rows}
            overrides = {row[0]: row[1] for row in rows if row[3] == _TOPIC_OVERRIDE}
            found[name] = Found(*ids[name], settings, overrides)
    return found


async def apply(
    admin: AIOKafkaAdminClient, prefix: str, replication: int, *, spread_s: float = SPREAD_S
) -> list[Change]:
    """Makes what is missing and changes what differs; what it did. Again, it does nothing.

    Raises LogUnavailable where the brokers do not tell of it in `spread_s`, or where more replicas are not in sync in
    COPIED_S: the brokers go on, and it can be run again.
    """
    found = await find(admin, prefix)
    needed = changes(found, prefix, replication)
    for change in needed:
        if change.replicas is not None:
            await _copy(admin, change.name, change.replicas[1])
        if change.new is None and (more := change.settings.get("min.insync.replicas")) is not None:
            await _in_sync(admin, change.name, int(more[1]))  # or nothing could be written until they are
        settings = {key: new for key, (_, new) in change.settings.items()}
        if change.new is not None:
            topic = NewTopic(change.name, change.new.partitions, replication, topic_configs=settings)
            response = await admin.create_topics([topic])
            for row in response.topic_errors:
                _must_be_fine(row[0], row[1])
        elif settings:  # this call of Kafka's replaces all of a topic's settings: those it had are said again
            merged = dict(found[change.name].overrides) | settings
            for response in await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, change.name, merged)]):
                for code, *_, name in response.resources:
                    _must_be_fine(name, code)
    if needed:
        await _spread(admin, prefix, replication, needed, spread_s)
    for change in needed:
        if change.replicas is not None:
            await _in_sync(admin, change.name, change.replicas[1])
    return needed


async def _copy(admin: AIOKafkaAdminClient, name: str, copies: int) -> None:
    """Has each partition of a topic copied to more brokers."""
    brokers = [broker["node_id"] for broker in (await admin.describe_cluster())["brokers"]]
    try:
        placed = spread(await _partitions(admin, name, "replicas"), brokers, copies)
    except LogConfigurationError as few:
        raise LogConfigurationError(f"topic {name}: {few}") from None
    await place(admin, name, placed)


async def _in_sync(admin: AIOKafkaAdminClient, name: str, copies: int) -> None:
    """Returns once each partition has so many copies in sync."""
    try:
        async with asyncio.timeout(COPIED_S):
            while min(map(len, (await _partitions(admin, name, "isr")).values()), default=0) < copies:  # noqa: ASYNC110 - as below
                await asyncio.sleep(0.2)
    except TimeoutError as error:
        raise LogUnavailable(f"topic {name}: expected {copies} replicas in sync in {COPIED_S:.0f} s") from error


async def _partitions(admin: AIOKafkaAdminClient, name: str, which: str) -> dict[int, list[int]]:
    """The brokers of each partition: all its `replicas`, or those in sync, `isr`."""
    (topic,) = await admin.describe_topics([name])
    return {row["partition"]: row[which] for row in topic["partitions"]}


async def _spread(
    admin: AIOKafkaAdminClient, prefix: str, replication: int, left: list[Change], spread_s: float
) -> None:
    """Returns once the brokers tell of it: neither a new topic nor a setting is known everywhere at once."""
    try:
        async with asyncio.timeout(spread_s):
            while left := changes(await find(admin, prefix), prefix, replication):  # noqa: ASYNC110 - the brokers send no event for it
                await asyncio.sleep(0.05)
    except TimeoutError as error:
        names = ", ".join(sorted(change.name for change in left))
        raise LogUnavailable(f"topics {names}: not told of within {spread_s:.0f} s") from error


def _must_be_fine(name: str, code: int) -> None:
    if code in _WITHOUT_RIGHT:
        raise LogConfigurationError(
            f"topic {name}: expected the right to do this, got {for_code(code).__name__};"
            " `gridsignal topics acls` prints the commands that give a door its rights"
        )
    if code != 0:
        raise LogConfigurationError(f"topic {name}: {for_code(code).__name__}")
