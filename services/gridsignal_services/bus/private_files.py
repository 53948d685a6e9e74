"""Files of the log are their owner's alone: what lies in them is everybody's offers."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_BESIDE = ("", "-wal", "-shm")
"""What SQLite keeps beside a file; new ones get the file's own mode."""


def make_private(*paths: Path) -> None:
    """The files and their folders, made if missing, for their owner alone, also where they were open to others.

    A folder that is not ours, or that everybody may write to, such as /tmp, is left as it is.
    """
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _close_folder(path.parent)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        for name in (path.with_name(path.name + beside) for beside in _BESIDE):
            if name.exists():
                _close(name, 0o600)


def sync(path: Path) -> None:
    """Returns when a file's bytes, or a folder's names, outlast a loss of power. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _close_folder(folder: Path) -> None:
    found = folder.stat()
    if found.st_uid == os.geteuid() and not found.st_mode & stat.S_ISVTX:
        _close(folder, 0o700)


def _close(path: Path, mode: int) -> None:
    if stat.S_IMODE(path.stat().st_mode) & ~mode:
        path.chmod(stat.S_IMODE(path.stat().st_mode) & mode)
