"""What topics.toml wants of Kafka's topics, the difference to what a cluster has, and what of it loses records."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
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
    replicas: tuple[int, int] | None = None
    """(is, shall be) where a topic that exists has too few."""

    def __str__(self) -> str:
        more = {} if self.replicas is None else {"replicas": self.replicas}
        changed = ", ".join(
            f"{key}: {old or 'unset'} -> {new}" for key, (old, new) in (more | dict(self.settings)).items()
        )
        verb = f"make with {self.new.partitions} partitions" if self.new else "change"
        return f"{self.name}: {verb}: {changed}"


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
    """What `apply` would do, with at least `replication` copies of everything.

    Raises LogConfigurationError for what can't be changed: a number of partitions.
    """
    needed = []
    for topic in TOPICS.values():
        name = prefix + topic.name
        if (there := found.get(name)) is None:
            wanted = wanted_settings(topic, replication)
            needed.append(Change(name, topic, {key: (None, value) for key, value in wanted.items()}))
            continue
        must_have_partitions(name, topic, there)
        copies = max(there.replicas, replication)
        wanted = wanted_settings(topic, copies)
        differing = {key: (there.settings.get(key), value) for key, value in wanted.items()}
        differing = {key: (old, new) for key, (old, new) in differing.items() if old != new}
        if differing or copies > there.replicas:
            more = (there.replicas, copies) if copies > there.replicas else None
            needed.append(Change(name, None, differing, more))
    return needed


def must_be_durable(name: str, topic: Topic, found: Found, brokers: int, servers: str) -> None:
    """Raises LogConfigurationError for settings that lose or change acknowledged records; stricter ones are fine.

    It names every one, and the command that mends them all.
    """
    must_have_partitions(name, topic, found)
    copies = max(found.replicas, min(brokers, REPLICATION))
    few = [f"{copies} replicas, got {found.replicas}"] if found.replicas < copies else []
    weak = few + [
        f"{key} {value}, got {found.settings.get(key) or 'none'}"
        for key, value in wanted_settings(topic, copies).items()
        if not _is_as_good(key, found.settings.get(key), value)
    ]
    if weak:
        mend = f"`{apply_command(name, topic, copies, servers)}` mends it"
        raise LogConfigurationError(f"topic {name}: expected {'; '.join(weak)}; {mend}")


def apply_command(name: str, topic: Topic, replication: int, servers: str) -> str:
    """What makes this topic, and the others under its prefix, what they have to be."""
    prefix = name.removesuffix(topic.name)
    words = f"gridsignal topics apply --kafka {servers} --replication {replication}"
    return f"{words} --prefix {prefix}" if prefix else words


def spread(replicas: Mapping[int, Sequence[int]], brokers: Sequence[int], copies: int) -> dict[int, list[int]]:
    """Where the partitions that have too few copies shall be: where they are, and where the fewest of all are.

    `replicas` are the brokers of each partition, of which the first leads. Raises LogConfigurationError where there
    are fewer brokers than copies.
    """
    if len(brokers) < copies:
        raise LogConfigurationError(f"expected at least {copies} brokers for {copies} replicas, got {len(brokers)}")
    load = Counter(dict.fromkeys(brokers, 0))
    load.update(broker for there in replicas.values() for broker in there)
    placed = {}
    for partition, there in sorted(replicas.items()):
        if len(there) >= copies:
            continue
        placed[partition] = list(there)
        while len(placed[partition]) < copies:
            broker = min(set(brokers) - set(placed[partition]), key=lambda other: (load[other], other))
            placed[partition].append(broker)
            load[broker] += 1
    return placed


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
