"""Kafka's topics: what topics.toml wants of them, what a cluster has, and the difference. Nothing is ever deleted."""

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

from gridsignal_schemas.catalog import TOPICS, Topic
from gridsignal_services.bus import LogConfigurationError, LogUnavailable
from gridsignal_services.bus.kafka_topic_ids import topic_ids

REQUEST_TIMEOUT_MS = 10_000
_DAY_MS = 86_400_000
_TOPIC_OVERRIDE = 1  # the source of a setting that was made for this topic (DescribeConfigs, version 1 on)


REPLICATION = 3
"""Copies of each record, where there are as many brokers."""
_AT_LEAST = frozenset({"retention.ms", "min.insync.replicas"})
"""Settings of which more loses nothing."""
_WITHOUT_RIGHT = frozenset({TopicAuthorizationFailedError.errno, ClusterAuthorizationFailedError.errno})
SPREAD_S = 10.0
"""How long a new topic may take to be known to all brokers."""


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


@dataclass(frozen=True, slots=True)
class Found:
    """One topic as the cluster has it."""

    id: uuid.UUID
    partitions: int
    replicas: int
    """The fewest that a partition has."""
    settings: Mapping[str, str]
    """Every setting in force."""
    overrides: Mapping[str, str]
    """Those made for this topic."""


@dataclass(frozen=True, slots=True)
class Change:
    """One topic to make, or settings of it to change."""

    name: str
    new: Topic | None
    """The topic, where it has to be made."""
    settings: Mapping[str, tuple[str | None, str]]
    """(is, shall be) of each setting that differs."""

    def __str__(self) -> str:
        settings = ", ".join(f"{key}: {old or 'unset'} -> {new}" for key, (old, new) in self.settings.items())
        verb = f"make with {self.new.partitions} partitions" if self.new else "change"
        return f"{self.name}: {verb}: {settings}"


def wanted_settings(topic: Topic, replication: int) -> dict[str, str]:
    """What the promises of the log need: append times by the broker, nothing lost, nothing compacted."""
    settings = {
        "cleanup.policy": "delete",
        "message.timestamp.type": "LogAppendTime",
        "min.insync.replicas": str(max(1, replication - 1)),
        "retention.bytes": "-1",
        "retention.ms": str(topic.retention_days * _DAY_MS) if topic.retention_days else "-1",
        "unclean.leader.election.enable": "false",
    }
    if topic.flush_every_message:
        settings["flush.messages"] = "1"
    return settings


def changes(found: Mapping[str, Found], prefix: str, replication: int) -> list[Change]:
    """What `apply` would do. Raises LogConfigurationError for a number of partitions, which can't be changed."""
    needed = []
    for topic in TOPICS.values():
        name = prefix + topic.name
        wanted = wanted_settings(topic, replication)
        if (there := found.get(name)) is None:
            needed.append(Change(name, topic, {key: (None, value) for key, value in wanted.items()}))
            continue
        must_have_partitions(name, topic, there)
        differing = {key: (there.settings.get(key), value) for key, value in wanted.items()}
        differing = {key: (old, new) for key, (old, new) in differing.items() if old != new}
        if differing:
            needed.append(Change(name, None, differing))
    return needed


def must_be_durable(name: str, topic: Topic, found: Found, brokers: int) -> None:
    """Raises LogConfigurationError for settings that lose or change acknowledged records; stricter ones are fine."""
    must_have_partitions(name, topic, found)
    copies = min(brokers, REPLICATION)
    if found.replicas < copies:
        mend = "Kafka's own kafka-reassign-partitions.sh adds them"
        raise LogConfigurationError(f"topic {name}: expected {copies} replicas, got {found.replicas}; {mend}")
    weak = [
        f"{key} {value}, got {found.settings.get(key) or 'none'}"
        for key, value in wanted_settings(topic, found.replicas).items()
        if not _is_as_good(key, found.settings.get(key), value)
    ]
    if weak:
        mend = f"`gridsignal topics apply --replication {found.replicas}` mends it"
        raise LogConfigurationError(f"topic {name}: expected {'; '.join(weak)}; {mend}")


def _is_as_good(key: str, value: str | None, wanted: str) -> bool:
    if value == wanted:
        return True
    if key not in _AT_LEAST or value is None or not value.lstrip("-").isdigit():
        return False
    return wanted != "-1" and (value == "-1" or int(value) >= int(wanted))


def must_have_partitions(name: str, topic: Topic, found: Found) -> None:
    """Raises LogConfigurationError: another number of partitions puts zones elsewhere, and means a new topic."""
    if found.partitions != topic.partitions:
        raise LogConfigurationError(f"topic {name}: expected {topic.partitions} partitions, got {found.partitions}")


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
                await admin.start()
            except KafkaConnectionError as error:  # which says of every cause that it could not connect
                raise LogUnavailable(f"kafka at {brokers.servers}: {'; '.join(reasons) or error}") from error
        yield admin
    except (KafkaError, OSError, TimeoutError) as error:
        raise LogUnavailable(f"kafka at {brokers.servers}: {error}") from error
    finally:
        await admin.close()


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


async def apply(admin: AIOKafkaAdminClient, prefix: str, replication: int) -> list[Change]:
    """Makes what is missing and changes what differs; what it did. Again, it does nothing."""
    found = await find(admin, prefix)
    needed = changes(found, prefix, replication)
    for change in needed:
        settings = {key: new for key, (_, new) in change.settings.items()}
        if change.new is not None:
            topic = NewTopic(change.name, change.new.partitions, replication, topic_configs=settings)
            response = await admin.create_topics([topic])
            for row in response.topic_errors:
                _must_be_fine(row[0], row[1])
        else:  # this call of Kafka's replaces all of a topic's settings: those it had are said again
            merged = dict(found[change.name].overrides) | settings
            for response in await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, change.name, merged)]):
                for code, *_, name in response.resources:
                    _must_be_fine(name, code)
    await _seen(admin, prefix, {change.name for change in needed})
    return needed


async def _seen(admin: AIOKafkaAdminClient, prefix: str, names: set[str]) -> None:
    """Returns once the brokers tell of these topics: a new one is not known everywhere at once."""
    try:
        async with asyncio.timeout(SPREAD_S):
            while not names <= set(await find(admin, prefix)):  # noqa: ASYNC110 - the brokers send no event for it
                await asyncio.sleep(0.05)
    except TimeoutError as error:
        raise LogUnavailable(f"topics {', '.join(sorted(names))}: not told of within {SPREAD_S:.0f} s") from error


def _must_be_fine(name: str, code: int) -> None:
    if code in _WITHOUT_RIGHT:
        raise LogConfigurationError(
            f"topic {name}: expected the right to do this, got {for_code(code).__name__};"
            " `gridsignal topics acls` prints the commands that give a door its rights"
        )
    if code != 0:
        raise LogConfigurationError(f"topic {name}: {for_code(code).__name__}")
