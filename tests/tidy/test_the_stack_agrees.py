"""The compose file, the image, the settings and the topics say the same."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from gridsignal.__main__ import COMMANDS
from gridsignal_schemas.catalog import TOPICS
from gridsignal_services.gateway.gauges import Gauges
from gridsignal_services.ingest.metrics import Metrics as FeedMetrics
from gridsignal_services.settings import ServerSettings
from gridsignal_services.telemetry import metrics
from tests.tidy.sources import ROOT, assert_none

COMPOSE = (ROOT / "docker-compose.yml").read_text("utf-8")
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text("utf-8")
DEPLOYED = [ROOT / "docker-compose.yml", *sorted((ROOT / "deploy").rglob("*.*"))]
VARIABLE = re.compile(r"^\s+(GRIDSIGNAL_[A-Z_]+):", re.MULTILINE)
PUBLISHED = re.compile(r"^\s+ports: (\[.*\])$", re.MULTILINE)
COMMAND = re.compile(r"^\s+(?:command|entrypoint): \[(.*)\]$", re.MULTILINE)
BUILD_ARGUMENTS = {"GRIDSIGNAL_VERSION", "GRIDSIGNAL_REVISION"}


def test_every_variable_of_the_doors_is_a_setting() -> None:
    known = {f"GRIDSIGNAL_{name.upper()}" for name in ServerSettings.__dataclass_fields__}
    assert_none(sorted(set(VARIABLE.findall(COMPOSE)) - known))


def test_the_settings_of_the_compose_file_start_a_door() -> None:
    found = dict(re.findall(r"^  (GRIDSIGNAL_[A-Z_]+): ([^#\n]*?)\s*(?:#.*)?$", COMPOSE, re.MULTILINE))
    given = {key: re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", value) for key, value in found.items()}
    settings = ServerSettings.from_environment(given)
    assert (settings.kafka, settings.host, settings.tls) == ("kafka:9092", "0.0.0.0", "proxy")


def test_every_port_is_published_on_loopback_alone() -> None:
    published: list[str] = [port for line in PUBLISHED.findall(COMPOSE) for port in json.loads(line)]
    assert published
    assert_none(port for port in published if not port.startswith("127.0.0.1:"))


@pytest.mark.parametrize(("door", "port"), [("gateway", 8081), ("dispatch", 8082), ("ingest", 8083)])
def test_a_door_is_published_and_looked_at_where_it_listens(door: str, port: int) -> None:
    assert getattr(ServerSettings(), f"{door}_port") == port
    assert f"{door.upper()}_PORT:-{port}}}:{port}" in COMPOSE
    assert f"http://127.0.0.1:{port}/readyz" in COMPOSE
    assert f"{door.upper()}_OPS_PORT:-{port + 1000}}}:{ServerSettings().ops_port_beside(port)}" in COMPOSE
    assert f"{door}:{port + 1000}" in (ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text("utf-8")


def test_every_command_of_the_stack_exists() -> None:
    words = [line.replace('"', "").split(", ") for line in COMMAND.findall(COMPOSE)]
    ours = [given[1] if given[0] == "gridsignal" else given[0] for given in words]
    assert_none(word for word in ours if word not in COMMANDS and not word.startswith(("valkey-server", "--")))


def test_no_topic_is_named_outside_the_contract() -> None:
    names = [topic.name for topic in TOPICS.values()]
    assert_none(f"{path.name}: {name}" for path in DEPLOYED for name in names if name in path.read_text("utf-8"))


def test_the_image_takes_what_the_build_needs() -> None:
    copied = set(re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE))
    allowed = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text("utf-8"), re.MULTILINE))
    assert {path for line in copied for path in line.split()} == allowed


def test_every_rule_watches_a_metric_that_exists() -> None:
    rules = (ROOT / "deploy" / "prometheus" / "rules.yml").read_text("utf-8")
    watched = set(re.findall(r"gridsignal_[a-z_]+(?=[{ \[])", rules))
    told = metrics(Gauges().registry) + metrics(FeedMetrics().registry) + b"gridsignal_dispatch_answers_total"
    assert watched
    assert_none(name for name in sorted(watched) if name.encode() not in told)


@pytest.mark.parametrize("word", ["password", "secret", "private", "eyJ"])
def test_no_secret_stands_in_a_file(word: str) -> None:
    def values(path: Any) -> list[str]:
        lines = path.read_text("utf-8").splitlines()
        return [line for line in lines if not line.lstrip().startswith("#") and word.lower() in line.lower()]

    assert_none(f"{path.name}: {line}" for path in DEPLOYED for line in values(path))
