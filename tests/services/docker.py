"""Whether a Docker engine answers."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from tests.services.process import free_ports

SOCKET = Path("/var/run/docker.sock")


@cache
def docker_answers() -> bool:
    """Asked once: an engine named in DOCKER_HOST is believed in, the local one has to take a connection."""
    if os.environ.get("DOCKER_HOST"):
        return True
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        try:
            connection.connect(str(SOCKET))
        except OSError:
            return False
    return True


@contextmanager
def container(image: str, inside: int, ready: str, **env: str) -> Iterator[int]:
    """A container for as long as the block runs, reached on the port that is given: of this machine alone."""
    from testcontainers.core.config import testcontainers_config
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    testcontainers_config.ryuk_disabled = True  # its image may not be to be had, and the block ends what it began
    (port,) = free_ports(1)
    started = DockerContainer(image)
    started.ports = {f"{inside}/tcp": ("127.0.0.1", port)}  # `with_bind_ports` would bind every interface
    for name, value in env.items():
        started.with_env(name, value.replace("PORT", str(port)))
    with started.waiting_for(LogMessageWaitStrategy(ready)):
        yield port
