"""`gridsignal serve` and its preparations: what it is told wrongly is one line, and what is away says try again."""

from __future__ import annotations

import re
import shlex
import uuid
from pathlib import Path

import pytest

from gridsignal_schemas.catalog import TOPICS
from gridsignal_services.bus.kafka_topics import Brokers
from tests.integration.cli.conftest import ran
from tests.services.process import free_ports

DOORS = ["gateway", "dispatch", "ingest"]


@pytest.fixture
def nobody() -> str:
    (port,) = free_ports(1)
    return f"127.0.0.1:{port}"


def refused(words: list[str], code: int, **env: str) -> str:
    """The one line on stderr of a command that ends with this code."""
    ended = ran(words, **env)
    assert (ended.code, ended.out) == (code, "")
    (line,) = ended.err.splitlines()
    return line


@pytest.mark.parametrize("door", DOORS)
def test_without_brokers_it_names_each_key(door: str, tmp_path: Path) -> None:
    told = ran(["serve", door, "--directory", str(tmp_path)])
    assert (told.code, told.out) == (2, "")
    assert [line.split(": ")[1] for line in told.err.splitlines()] == ["kafka", "schema_registry"]
    with_brokers = ["serve", door, "--directory", str(tmp_path), "--kafka", "127.0.0.1:9"]
    assert refused(with_brokers, 2).startswith("gridsignal serve: schema_registry: expected")


@pytest.mark.parametrize("door", DOORS)
def test_a_registry_that_does_not_answer_is_one_line_and_try_again(door: str, nobody: str, tmp_path: Path) -> None:
    cluster = ["--kafka", nobody, "--schema-registry", f"http://{nobody}"]
    line = refused(["serve", door, "--directory", str(tmp_path), *cluster], 3)
    assert line.startswith(f"gridsignal serve: schema registry at http://{nobody}:")


@pytest.mark.parametrize("action", [["topics", "apply"], ["schemas", "register", "--schema-registry", "http://x"]])
def test_brokers_that_do_not_answer_are_one_line_and_try_again(action: list[str], nobody: str) -> None:
    assert refused([*action, "--kafka", nobody], 3).startswith(f"gridsignal {action[0]}: kafka at {nobody}:")


def test_schemas_that_nobody_registered_name_the_command(kafka: Brokers, schema_registry: str, tmp_path: Path) -> None:
    words = ["serve", "gateway", "--directory", str(tmp_path), "--prefix", f"test-{uuid.uuid4().hex[:8]}."]
    cluster = ["--kafka", kafka.servers, "--schema-registry", schema_registry]
    assert refused([*words, *cluster], 2).endswith("`gridsignal schemas register` puts the schemas there")


def test_topics_that_nobody_made_name_the_command(kafka: Brokers, schema_registry: str, tmp_path: Path) -> None:
    prefix = f"test-{uuid.uuid4().hex[:8]}."
    assert ran(["schemas", "register", "--schema-registry", schema_registry, "--prefix", prefix]).code == 0
    words = ["serve", "dispatch", "--directory", str(tmp_path), "--prefix", prefix]
    cluster = ["--kafka", kafka.servers, "--schema-registry", schema_registry]
    named = re.fullmatch(
        r".* expected to exist; `gridsignal (topics apply .*)` makes it", refused([*words, *cluster], 2)
    )
    assert named is not None
    assert ran([*shlex.split(named[1]), "--kafka", kafka.servers, "--dry-run"]).out.count(prefix) == len(TOPICS)


def test_a_password_never_stands_on_the_command_line_and_in_no_error(tmp_path: Path) -> None:
    words = ["serve", "gateway", "--directory", str(tmp_path), "--kafka", "127.0.0.1:9"]
    told = ran(words, GRIDSIGNAL_KAFKA_PASSWORD="canary-password", GRIDSIGNAL_REDIS="http://:canary-redis@x")
    assert (told.code, told.out) == (2, "")
    assert "kafka_password: expected" in told.err
    assert "canary" not in told.err
    assert "--kafka-password" not in ran(["serve", "--help"]).out
