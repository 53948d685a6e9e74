"""The compose file, the image, the settings and the topics say the same."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from deploy.lock import SERVED, wanted
from gridsignal.__main__ import COMMANDS
from gridsignal_schemas.catalog import TOPICS
from gridsignal_services.gateway.settings import GatewaySettings
from gridsignal_services.ingest.limits import IngestLimits
from gridsignal_services.settings import SECRETS, ServerSettings
from tests.tidy.sources import ROOT, assert_none, files

COMPOSE = (ROOT / "docker-compose.yml").read_text("utf-8")
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text("utf-8")
DEPLOYED = [ROOT / "docker-compose.yml", *(path for path in files("deploy") if path.suffix)]
SECRET = re.compile(
    r"(?:password|secret(?!Name:)|private|token)[a-z_]*[\"']?\s*[:=]\s*[\"']?(?P<value>[^\s\"',}\]]+)", re.IGNORECASE
)
NO_VALUE = re.compile(r"yes$|false$|#|/|\$|\{|made\[")
"""A switch, a path, a variable, a place that is filled in at the first start."""
VARIABLE = re.compile(r"^\s+(GRIDSIGNAL_[A-Z_]+):", re.MULTILINE)
PUBLISHED = re.compile(r"^\s+ports: (\[.*\])$", re.MULTILINE)
COMMAND = re.compile(r"^\s+(?:command|entrypoint): \[(.*)\]$", re.MULTILINE)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
BUILD_ARGUMENTS = {"GRIDSIGNAL_VERSION", "GRIDSIGNAL_REVISION"}


def test_every_variable_of_the_doors_is_a_setting() -> None:
    known = {f"GRIDSIGNAL_{name.upper()}" for name in ServerSettings.__dataclass_fields__}
    known |= {f"GRIDSIGNAL_{name.upper()}_FILE" for name in SECRETS}
    known |= {f"GRIDSIGNAL_GATEWAY_{name.upper()}" for name in GatewaySettings.__dataclass_fields__}
    known |= {f"GRIDSIGNAL_INGEST_{name.upper()}" for name in IngestLimits.__dataclass_fields__}
    assert_none(sorted(set(VARIABLE.findall(COMPOSE)) - known))


def test_the_settings_of_the_compose_file_start_a_door(tmp_path: Path) -> None:
    found = dict(re.findall(r"^  (GRIDSIGNAL_[A-Z_]+): ([^#\n]*?)\s*(?:#.*)?$", COMPOSE, re.MULTILINE))
    given = {key: re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", value) for key, value in found.items()}
    (tmp_path / "word").write_text("a word")
    given |= {key: str(tmp_path / "word") for key in given if key.endswith("_FILE")}
    given |= {"GRIDSIGNAL_KAFKA_USERNAME": "gateway"}
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
    ours = [given[1] if given[0] == "gridsignal" else given[0] for given in words if given[0] not in ("", "python")]
    assert_none(word for word in ours if word not in COMMANDS and not word.startswith(("valkey-server", "--")))


def test_no_topic_is_named_outside_the_contract() -> None:
    names = [topic.name for topic in TOPICS.values()]
    assert_none(f"{path.name}: {name}" for path in DEPLOYED for name in names if name in path.read_text("utf-8"))


def test_the_image_takes_what_the_build_needs() -> None:
    copied = set(re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE))
    allowed = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text("utf-8"), re.MULTILINE))
    assert {path for line in copied for path in line.split()} == allowed


def secrets(text: str) -> list[str]:
    """Values that are given to something named like a secret, and anything that looks like a token."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    found = [match["value"] for line in lines for match in SECRET.finditer(line)]
    return [value for value in found if not NO_VALUE.match(value)] + [line for line in lines if "eyJ" in line]


def test_no_secret_stands_in_a_file() -> None:
    plain = [path for path in DEPLOYED if path.suffix != ".py"]  # a program names what it makes
    assert_none(f"{path.name}: {value}" for path in plain for value in secrets(path.read_text("utf-8")))


@pytest.mark.parametrize(
    "text", ["KAFKA_PASSWORD: hunter2", "password=hunter2", 'secret = "x"', "A_TOKEN: 'abc'", "say: eyJhbGciOiJ"]
)
def test_the_check_sees_a_secret(text: str) -> None:
    assert secrets(text)


@pytest.mark.parametrize("line", [line for line in COMPOSE.splitlines() if re.match(r"\s+image:", line)])
def test_an_image_has_a_version_and_can_be_pinned_by_its_digest(line: str) -> None:
    name = line.partition(":")[2].split("#")[0].strip()
    assert re.fullmatch(r"\$\{[A-Z_]+:-[a-z/-]+:v?\d[\w.]*\}|gridsignal:\$\{GRIDSIGNAL_VERSION:-dev\}", name)


def test_what_is_locked_is_what_the_project_asks_for_with_hashes_and_no_address() -> None:
    asked = {re.split(r"[\[<>=~; ]", line)[0].lower() for line in wanted(PROJECT, *SERVED)}
    for lock in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / lock).read_text("utf-8")
        locked = dict(re.findall(r"^([a-z0-9-]+)==(\S+) \\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE))
        assert asked <= set(locked)
        assert len(locked) == len(re.findall(r"^[^\s#]", text, re.MULTILINE))
        assert "://" not in text
