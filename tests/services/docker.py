"""Whether a Docker engine answers."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path

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
