"""The profile `cluster`: three brokers, three replicas, and one of them killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.load import Load, counts, must_be_whole
from tests.stack.compose import Compose


@pytest.fixture(scope="module")
def cluster(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    directory: Path = tmp_path_factory.mktemp("outboxes")
    _, _, version = image.partition(":")
    compose = Compose("gridsignal-cluster-test", directory, env_file="deploy/cluster.env", GRIDSIGNAL_VERSION=version)
    compose.down("--volumes")
    try:
        compose.up("--no-build")
        print(f"\nthree brokers: healthy after {compose.healthy_s:.0f} s")
        yield compose
    finally:
        compose.down("--volumes")


async def test_one_of_three_brokers_is_killed_and_nothing_is_lost(cluster: Compose) -> None:
    async with Load.on(cluster, "dispatch") as load:
        await load.offering.reach(30)
        cluster.kill_nine("kafka-2")
        await load.offering.reach(len(load.offering.receipts) + 30)
    found = await cluster.checked()
    print("\nkill -9 of one of three brokers:", counts(load, found))
    must_be_whole(load, found, repeats=True)


def test_every_topic_has_three_replicas_and_needs_two(cluster: Compose) -> None:
    told = cluster.kafka("topics", "--describe", "--topic", "gridsignal.dispatch")
    assert "ReplicationFactor: 3" in told
    assert "min.insync.replicas=2" in told
