"""What topics.toml wants of Kafka's topics, the difference to what a cluster has, and what of it loses records."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from gridsignal_schemas.catalog import TOPICS, Topic
from gridsignal_services.bus import LogConfigurationError

_DAY_MS = 86_400_000
REPLICATION = 3
"""Copies of each record, where there are as many brokers."""
_AT_LEAST = frozenset({"retention.ms", "min.insync.replicas"})
"""Settings of which more loses nothing."""


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
    """What the promises of the log need: append times by the broker, nothing lost, nothing compacted.

    Nothing compressed, for the codecs of other programs would be needed to read what they write: the broker unpacks it.
    """
    settings = {
        "cleanup.policy": "delete",
        "compression.type": "uncompressed",
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
    """What `apply` would do, with `replication` copies of what is new.

    Raises LogConfigurationError for what can't be changed: a number of partitions, and too few replicas.
    """
    needed = []
    for topic in TOPICS.values():
        name = prefix + topic.name
        if (there := found.get(name)) is None:
            wanted = wanted_settings(topic, replication)
            needed.append(Change(name, topic, {key: (None, value) for key, value in wanted.items()}))
            continue
        must_have_partitions(name, topic, there)
        _must_have_replicas(name, there, replication)
        wanted = wanted_settings(topic, there.replicas)  # more in sync than it has copies, and nothing can be written
        differing = {key: (there.settings.get(key), value) for key, value in wanted.items()}
        differing = {key: (old, new) for key, (old, new) in differing.items() if old != new}
        if differing:
            needed.append(Change(name, None, differing))
    return needed


def must_be_durable(name: str, topic: Topic, found: Found, brokers: int) -> None:
    """Raises LogConfigurationError for settings that lose or change acknowledged records; stricter ones are fine."""
    must_have_partitions(name, topic, found)
    _must_have_replicas(name, found, min(brokers, REPLICATION))
    weak = [
        f"{key} {value}, got {found.settings.get(key) or 'none'}"
        for key, value in wanted_settings(topic, found.replicas).items()
        if not _is_as_good(key, found.settings.get(key), value)
    ]
    if weak:
        mend = f"`{apply_command(name, topic, found.replicas)}` mends it"
        raise LogConfigurationError(f"topic {name}: expected {'; '.join(weak)}; {mend}")


def apply_command(name: str, topic: Topic, replication: int) -> str:
    """What makes this topic, and the others under its prefix, what they have to be."""
    prefix = name.removesuffix(topic.name)
    return f"gridsignal topics apply --replication {replication}{f' --prefix {prefix}' if prefix else ''}"


def _must_have_replicas(name: str, found: Found, copies: int) -> None:
    if found.replicas < copies:
        mend = "Kafka's own kafka-reassign-partitions.sh adds them"
        raise LogConfigurationError(f"topic {name}: expected {copies} replicas, got {found.replicas}; {mend}")


def _is_as_good(key: str, value: str | None, wanted: str) -> bool:
    if value == wanted or (key, value) == ("compression.type", "gzip"):  # which Python itself reads
        return True
    if key not in _AT_LEAST or value is None or not value.lstrip("-").isdigit():
        return False
    return wanted != "-1" and (value == "-1" or int(value) >= int(wanted))


def must_have_partitions(name: str, topic: Topic, found: Found) -> None:
    """Raises LogConfigurationError: another number of partitions puts zones elsewhere, and means a new topic."""
    if found.partitions != topic.partitions:
        raise LogConfigurationError(f"topic {name}: expected {topic.partitions} partitions, got {found.partitions}")
