"""Which settings of a topic are refused at the start: all under which acknowledged records get lost or change."""

from __future__ import annotations

import uuid
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_schemas.catalog import TOPICS
from gridsignal_services.bus import LogConfigurationError
from gridsignal_services.bus.kafka_durability import Found, must_be_durable, spread, wanted_settings

LEDGER, PRICES = TOPICS["dispatch"], TOPICS["prices"]


def found(stream: str = "prices", replicas: int = 3, **changes: str) -> Found:
    topic = TOPICS[stream]
    settings = wanted_settings(topic, replicas) | {key.replace("_", "."): value for key, value in changes.items()}
    return Found(uuid.UUID(int=1), topic.partitions, replicas, settings, {})


@pytest.mark.parametrize("stream", sorted(TOPICS))
@pytest.mark.parametrize(("replicas", "brokers"), [(1, 1), (2, 2), (3, 3), (3, 5), (3, 2)])
def test_what_is_applied_is_durable(stream: str, replicas: int, brokers: int) -> None:
    must_be_durable(stream, TOPICS[stream], found(stream, replicas), brokers, "b:1")


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
        with pytest.raises(LogConfigurationError, match="`gridsignal topics apply --kafka b:1 --replication 3"):
            must_be_durable(stream, TOPICS[stream], found(stream, **changes), 3, "b:1")


def test_a_ledger_that_does_not_flush_is_refused() -> None:
    weak = found("dispatch", flush_messages="9223372036854775807")
    with pytest.raises(LogConfigurationError, match=r"flush\.messages 1"):
        must_be_durable("ledger", LEDGER, weak, 3, "b:1")


def test_stricter_settings_are_fine() -> None:
    must_be_durable(
        "prices", PRICES, found(retention_ms="-1", min_insync_replicas="3", compression_type="gzip"), 3, "b:1"
    )


def test_too_few_copies_are_refused_with_all_else_and_one_command_for_both() -> None:
    with pytest.raises(LogConfigurationError) as refused:
        must_be_durable(f"x.{PRICES.name}", PRICES, found(replicas=1, cleanup_policy="compact"), 3, "a:1,b:1")
    assert str(refused.value) == (
        f"topic x.{PRICES.name}: expected 3 replicas, got 1; cleanup.policy delete, got compact; min.insync.replicas 2,"
        " got 1; `gridsignal topics apply --kafka a:1,b:1 --replication 3 --prefix x.` mends it"
    )


@given(
    replicas=st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=4, unique=True), min_size=1, max_size=9),
    brokers=st.lists(st.integers(1, 6), min_size=1, unique=True),
    copies=st.integers(1, 4),
)
def test_more_copies_go_where_the_fewest_are_and_none_moves(
    replicas: list[list[int]], brokers: list[int], copies: int
) -> None:
    there = dict(enumerate([[broker for broker in of if broker in brokers] or brokers[:1] for of in replicas]))
    if len(brokers) < copies:
        with pytest.raises(LogConfigurationError, match=f"expected at least {copies} brokers"):
            spread(there, brokers, copies)
        return
    placed = spread(there, brokers, copies)
    assert placed.keys() == {partition for partition, of in there.items() if len(of) < copies}
    for partition, of in placed.items():
        assert of[: len(there[partition])] == there[partition]  # its leader stays
        assert (len(of), len(set(of))) == (copies, copies)
    if all(of == there[0] and len(of) < copies for of in there.values()):  # all on the same brokers: evenly on others
        others = Counter(broker for of in placed.values() for broker in of[len(there[0]) :])
        free = [others[broker] for broker in brokers if broker not in there[0]]
        assert max(free) - min(free) <= 1
