"""One stack for all tests of this folder: brought up once, taken down with its volumes at the end."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.conftest import RAN_ON
from tests.services.docker import docker_answers
from tests.stack.compose import Compose, docker

IMAGE = "gridsignal:test"


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image of this tree, built once; the test is skipped where no engine answers."""
    if not docker_answers():
        pytest.skip("needs a Docker engine with compose")
    revision = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip() or "unknown"
    directory = tmp_path_factory.mktemp("build")
    Compose("gridsignal-build", directory, GRIDSIGNAL_VERSION="test", GRIDSIGNAL_REVISION=revision).run("build")
    return IMAGE


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    """The stack as `docker compose up --wait` brings it up, metrics included."""
    _, _, version = image.partition(":")
    compose = Compose("gridsignal-test", tmp_path_factory.mktemp("outboxes"), GRIDSIGNAL_VERSION=version)
    compose.down("--volumes")
    try:
        compose.up("--no-build")
        engine = docker("version", "--format", "{{.Server.Version}}").strip()
        request.config.stash[RAN_ON]["Docker"] = f"engine {engine}; healthy after {compose.healthy_s:.0f} s"
        yield compose
    finally:
        compose.down("--volumes")
