"""One Redis for all tests; each test has a key prefix of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import RAN_ON
from tests.services.docker import container, docker_answers
from tests.services.process import Process, free_ports

ADDRESS = "GRIDSIGNAL_TEST_REDIS"


class RedisNode:
    """A server that keeps nothing on disk."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        if program is None:
            pytest.skip("needs an address in the environment, a Docker engine, or redis-server")
        self.version = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout[:40]
        (port,) = free_ports(1)
        self.url = f"redis://127.0.0.1:{port}/0"
        memory_only = ["--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--dir", str(folder)]
        command = [program, "--port", str(port), *memory_only]
        self.process = Process(command, "Ready to accept connections", folder / "redis.out")


@pytest.fixture(scope="session")
def redis_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server's URL: from the environment, of a container, or of a process."""
    ran_on = request.config.stash[RAN_ON]
    if url := os.environ.get(ADDRESS):
        ran_on["Redis"] = f"at {ADDRESS}"
        yield url
    elif docker_answers():
        with container("redis:8", 6379, "Ready to accept connections") as port:
            ran_on["Redis"] = "redis:8 in a container"
            yield f"redis://127.0.0.1:{port}/0"
    else:
        node = RedisNode(tmp_path_factory.mktemp("redis"))
        ran_on["Redis"] = f"{node.version}, started by the tests"
        yield node.url
        node.process.stop()
