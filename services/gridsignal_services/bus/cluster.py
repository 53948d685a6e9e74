"""The log on a cluster as the settings describe it: brokers, and the registry that knows the schemas' ids."""

from __future__ import annotations

import ssl
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gridsignal_schemas.catalog import TOPICS
from gridsignal_services.bus import Log, LogConfigurationError
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.kafka import KafkaLog
from gridsignal_services.bus.kafka_topics import Brokers, administration, apply, brokers_there
from gridsignal_services.bus.registry import NotRegistered, SchemaRegistry, Schemas, ids, register_all
from gridsignal_services.settings import ConfigError, ServerSettings

SASL = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


def brokers_of(settings: ServerSettings) -> Brokers:
    """How the settings say the brokers are reached. Raises ConfigError with every fault."""
    faults, tls = [], None
    if settings.kafka is None:
        faults.append("kafka: expected the brokers, host:port with commas between, got nothing")
    if settings.kafka_sasl not in SASL:
        faults.append(f"kafka_sasl: expected one of {', '.join(SASL)}, got {settings.kafka_sasl!r:.60}")
    readable = settings.kafka_username is not None and settings.kafka_ca is None and settings.kafka_sasl == "PLAIN"
    if readable and settings.kafka_in_clear != "allow":
        faults.append(
            "kafka_ca: expected with kafka_username, or the password travels readable; or kafka_sasl=SCRAM-SHA-512,"
            " or kafka_in_clear=allow where nobody can listen"
        )
    try:
        tls = None if settings.kafka_ca is None else ssl.create_default_context(cafile=settings.kafka_ca)
    except OSError as error:
        faults.append(f"kafka_ca: expected a file of certificates, got: {error.strerror or error}")
    if faults or settings.kafka is None:
        raise ConfigError(*faults)
    return Brokers(
        settings.kafka,
        tls,
        settings.kafka_username,
        settings.kafka_password,
        settings.kafka_sasl,
    )


def registry_of(settings: ServerSettings) -> SchemaRegistry:
    """The schema registry, and how we show who we are. Raises ConfigError where the settings don't say where it is."""
    return SchemaRegistry(
        registry_url(settings), username=settings.schema_registry_username, password=settings.schema_registry_password
    )


def registry_url(settings: ServerSettings) -> str:
    """Where the schema registry is. Raises ConfigError where the settings don't say."""
    if settings.schema_registry is None:
        raise ConfigError("schema_registry: expected the registry's URL, got nothing")
    return settings.schema_registry


@asynccontextmanager
async def opened(settings: ServerSettings) -> AsyncIterator[tuple[KafkaLog, Codec]]:
    """The log and its codec, closed on leaving.

    Raises ConfigError, LogUnavailable where the registry or the brokers don't answer, LogConfigurationError where
    schemas or topics are missing.
    """
    brokers = brokers_of(settings)
    async with registry_of(settings) as registry:
        try:
            codec = Codec(await ids(registry, settings.topic_prefix))
        except NotRegistered as missing:
            raise LogConfigurationError(f"{missing}; `gridsignal schemas register` puts the schemas there") from None
        learn = Schemas(registry, codec).learn
        log = await KafkaLog.open(brokers, prefix=settings.topic_prefix, learn=learn)
        try:
            yield log, codec
        finally:
            await log.aclose()


@asynccontextmanager
async def simulation(settings: ServerSettings) -> AsyncIterator[tuple[KafkaLog, Codec]]:
    """A new log for one simulation, under the settings' prefix, or under one of its own that goes with it.

    Its records are the contract's, so it shares the schemas of the real log. Raises as `opened` does, and
    LogConfigurationError where there are records under the prefix already.
    """
    brokers = brokers_of(settings)
    prefix = settings.topic_prefix or f"simulation-{uuid.uuid4().hex[:12]}."
    async with administration(brokers) as admin, registry_of(settings) as registry:
        codec = Codec(await register_all(registry))
        await apply(admin, prefix, replication=min(3, await brokers_there(admin)))
        try:
            log = await KafkaLog.open(brokers, prefix=prefix)
            try:
                await _must_be_empty(log, prefix)
                yield log, codec
            finally:
                await log.aclose()
        finally:
            if not settings.topic_prefix:
                await admin.delete_topics([prefix + topic.name for topic in TOPICS.values()])


async def _must_be_empty(log: Log, prefix: str) -> None:
    for stream in TOPICS:
        if any((await log.end_positions(stream)).values()):
            raise LogConfigurationError(f"topic_prefix: expected a new one, got {prefix!r}, which has records")
