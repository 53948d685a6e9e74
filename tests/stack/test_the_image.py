"""What is in the image, and what is not."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.patience import SOON_S
from tests.stack.compose import docker

LARGEST_MB = 400


def run(image: str, *words: str, entrypoint: str = "python") -> subprocess.CompletedProcess[str]:
    command = ["docker", "run", "--rm", "--network", "none", "--read-only", "--entrypoint", entrypoint, image, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=SOON_S)


@pytest.fixture
def inspected(image: str) -> dict[str, Any]:
    (found,) = json.loads(docker("image", "inspect", image))
    return dict(found)


def test_it_says_what_it_is(inspected: dict[str, Any]) -> None:
    labels = inspected["Config"]["Labels"]
    told = {key.removeprefix("org.opencontainers.image."): value for key, value in labels.items()}
    assert (told["title"], told["licenses"], told["version"]) == ("gridsignal", "Apache-2.0", "test")
    assert len(told["revision"]) == 40
    assert inspected["Config"]["User"] == "gridsignal"
    assert inspected["Config"]["StopSignal"] == "SIGTERM"


def test_it_is_small(inspected: dict[str, Any]) -> None:
    print(f"\nimage: {inspected['Size'] / 1e6:.0f} MB")
    assert inspected["Size"] < LARGEST_MB * 1e6


@pytest.mark.parametrize("tool", ["pip", "ensurepip", "setuptools", "hatchling"])
def test_no_build_tool_is_left(image: str, tool: str) -> None:
    assert f"No module named {tool}" in run(image, "-m", tool).stderr


def test_its_history_tells_no_secret(image: str) -> None:
    history = docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", image)
    assert not [word for word in ("PASSWORD", "TOKEN=", "SECRET", "BEGIN EC", "eyJ") if word in history.upper()]


def test_its_commands_answer(image: str) -> None:
    helped = run(image, "--help", entrypoint="gridsignal")
    assert helped.returncode == 0
    assert "serve" in helped.stdout
    refused = run(image, "serve", "gateway", entrypoint="gridsignal")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 2)  # neither brokers nor a schema registry
