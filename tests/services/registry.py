"""One schema registry for all tests; each test has subjects of its own under a prefix."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import RAN_ON
from tests.services.maven import need, unpacked
from tests.services.process import Process, free_ports

VERSION = "2.6.13.Final"
ADDRESS = "GRIDSIGNAL_TEST_REGISTRY"


class RegistryNode:
    """Apicurio, with its state in memory."""

    def __init__(self, folder: Path) -> None:
        need("java", "mvn")
        program = unpacked(f"io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all")
        (jar,) = program.glob("*-runner.jar")
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}/apis/ccompat/v7"
        jvm = ["-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
        listen = ["-Dquarkus.http.host=127.0.0.1", f"-Dquarkus.http.port={port}"]
        self.process = Process(["java", *jvm, *listen, "-jar", str(jar)], "Listening on", folder / "registry.out")


@pytest.fixture(scope="session")
def schema_registry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL under which a Confluent-compatible registry answers."""
    if url := os.environ.get(ADDRESS):
        request.config.stash[RAN_ON]["schema registry"] = f"at {ADDRESS}"
        yield url
        return
    node = RegistryNode(tmp_path_factory.mktemp("registry"))
    request.config.stash[RAN_ON]["schema registry"] = f"Apicurio {VERSION}, started by the tests"
    yield node.url
    node.process.stop()
