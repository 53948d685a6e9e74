"""`gridsignal topics apply` on a real broker."""

from __future__ import annotations

import uuid

import pytest

from gridsignal_services.bus import LogConfigurationError
from gridsignal_services.bus.kafka import KafkaLog
from gridsignal_services.bus.kafka_topics import Brokers
from gridsignal_services.cli import topics


def _run(kafka: Brokers, *arguments: str) -> int:
    given = ["apply", "--kafka", kafka.servers, "--replication", "1", *arguments]
    return topics.run(topics.parser().parse_args(given))


def test_topics_are_made_once_and_a_dry_run_makes_none(kafka: Brokers, capsys: pytest.CaptureFixture[str]) -> None:
    prefix = f"test-{uuid.uuid4().hex[:12]}."
    assert _run(kafka, "--prefix", prefix, "--dry-run") == 0
    planned = capsys.readouterr().out
    assert planned.count("make with 6 partitions") == 5
    assert "LogAppendTime" in planned
    assert _run(kafka, "--prefix", prefix) == 0
    assert capsys.readouterr().out == planned
    assert _run(kafka, "--prefix", prefix) == 0
    assert capsys.readouterr().out == "all topics are as they should be\n"


async def test_a_log_without_its_topics_names_the_command_that_makes_them(kafka: Brokers) -> None:
    with pytest.raises(LogConfigurationError, match="gridsignal topics apply"):
        await KafkaLog.open(kafka, prefix=f"test-{uuid.uuid4().hex[:12]}.")
