"""One agent at a time has a state: two of them would move the same power.

The lock is the system's, which lets go of it when its holder dies; the file stays.
Bounded: one lock. When full: the second is told who has it. Conflates: nothing.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gridsignal.agent.kept import StateFailed
from gridsignal.errors import UsageError


@contextmanager
def claimed(state: Path, site: str) -> Iterator[None]:
    """The state's folder is this program's for as long as the block runs. Raises UsageError and StateFailed."""
    file = state / "agent.lock"
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StateFailed(f"the state {file} can't be used: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(lock, 32, 0).decode("ascii", "replace").strip()
        os.close(lock)
        which = f"process {owner}" if owner.isdigit() else "another process"
        raise UsageError(f"another agent runs for {site}: {which} has the state {state}; stop that one first") from None
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(lock)
