"""A file that holds a secret: made once, and never readable by others, not for a moment."""

from __future__ import annotations

import os
from pathlib import Path


def create(path: Path, secret: bytes) -> None:
    """Writes a file for its owner alone, durably. Of two that come at once the first stays."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    # mode at creation, not after it: there is no moment in which others can read it
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
