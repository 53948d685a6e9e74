"""Which settings of a topic are refused at the start: all under which acknowledged records get lost or change."""

from __future__ import annotations

import uuid

import pytest

from gridsignal_schemas.catalog import TOPICS
from gridsignal_services.bus import LogConfigurationError
from gridsignal_services.bus.kafka_durability import Found, must_be_durable, wanted_settings

LEDGER, PRICES = TOPICS["dispatch"], TOPICS["prices"]


def found(stream: str = "prices", replicas: int = 3, **changes: str) -> Found:
    topic = TOPICS[stream]
    settings = wanted_settings(topic, replicas) | {key.replace("_", "."): value for key, value in changes.items()}
    return Found(uuid.UUID(int=1), topic.partitions, replicas, settings, {})


@pytest.mark.parametrize("stream", sorted(TOPICS))
@pytest.mark.parametrize(("replicas", "brokers"), [(1, 1), (2, 2), (3, 3), (3, 5), (3, 2)])
def test_what_is_applied_is_durable(stream: str, replicas: int, brokers: int) -> None:
    must_be_durable(stream, TOPICS[stream], found(stream, replicas), brokers)


@pytest.mark.parametrize(
    "changes",
    [
        {"retention_ms": "3600000"},
        {"retention_ms": ""},
        {"retention_bytes": "1000000"},
        {"cleanup_policy": "compact"},
        {"compression_type": "producer"},
        {"compression_type": "zstd"},
        {"cleanup_policy": "compact,delete"},
        {"min_insync_replicas": "1"},
        {"message_timestamp_type": "CreateTime"},
        {"unclean_leader_election_enable": "true"},
    ],
)
def test_weak_settings_are_refused_with_the_command_that_mends_them(changes: dict[str, str]) -> None:
    for stream in ("prices", "dispatch"):
        with pytest.raises(LogConfigurationError, match="gridsignal topics apply --replication 3"):
            must_be_durable(stream, TOPICS[stream], found(stream, **changes), 3)


def test_a_ledger_that_does_not_flush_is_refused() -> None:
    weak = found("dispatch", flush_messages="9223372036854775807")
    with pytest.raises(LogConfigurationError, match=r"flush\.messages 1"):
        must_be_durable("ledger", LEDGER, weak, 3)


def test_stricter_settings_are_fine() -> None:
    must_be_durable("prices", PRICES, found(retention_ms="-1", min_insync_replicas="3", compression_type="gzip"), 3)


def test_too_few_copies_are_refused() -> None:
    with pytest.raises(LogConfigurationError, match="expected 3 replicas, got 1"):
        must_be_durable("prices", PRICES, found(replicas=1), 3)
