"""One owner of a directory, by a lock that the system releases when its holder dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from gridsignal_services.bus import LogConfigurationError


def claim(path: Path) -> int:
    """Takes the lock and returns its open descriptor; the lock lasts until `release` or the end of the process.

    Raises LogConfigurationError naming the process that has it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise LogConfigurationError(
            f"{path.parent}: this log is in use, owned by pid {owner}; stop that process or name another folder"
        ) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def release(descriptor: int) -> None:
    """Gives the lock back. The file stays: removing it would let two owners lock two files of one name."""
    os.close(descriptor)
