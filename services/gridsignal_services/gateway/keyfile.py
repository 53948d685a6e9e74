"""The cursors' keys in a file that several gateways may share: made, rotated and forgotten under a lock."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
from pathlib import Path

from gridsignal_services.gateway.cursor import DAY_S, Key

_NAME = "cursor_keys.json"


def open_keys(directory: Path, now_s: int, *, rotate_days: int = 30, keep_days: int = 90) -> list[Key]:
    """All keys that may still open a cursor, the newest last; makes one where the newest is too old.

    A key is forgotten `keep_days` after its successor was made. Raises OSError for a file that holds none.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / f"{_NAME}.lock", "a+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released when the file is closed
        known = _read(directory / _NAME)
        keys = rotated(known, now_s, secrets.token_bytes(32), rotate_days=rotate_days, keep_days=keep_days)
        if keys != known:
            _write(directory / _NAME, keys)
    return keys


def rotated(keys: list[Key], now_s: int, fresh: bytes, *, rotate_days: int, keep_days: int) -> list[Key]:
    """The keys as they should be at `now_s`; `fresh` becomes the next key's secret where one is due."""
    kept = list(keys)
    if not kept or kept[-1].created_s + rotate_days * DAY_S <= now_s:
        kept.append(Key(kept[-1].id + 1 if kept else 1, fresh, now_s))
    while len(kept) > 1 and kept[1].created_s + keep_days * DAY_S < now_s:
        kept.pop(0)
    return kept


def _read(path: Path) -> list[Key]:
    if not path.exists():
        return []
    try:
        rows = json.loads(path.read_bytes())["keys"]
        return [Key(int(row["id"]), base64.b64decode(row["secret"]), int(row["created_s"])) for row in rows]
    except (ValueError, TypeError, KeyError):
        message = f"{path}: expected the cursors' keys, got something else; without the file new ones are made"
        raise OSError(f"{message}, and clients begin again with a snapshot") from None


def _write(path: Path, keys: list[Key]) -> None:
    rows = [{"id": k.id, "secret": base64.b64encode(k.secret).decode(), "created_s": k.created_s} for k in keys]
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        json.dump({"keys": rows}, out)
        out.flush()
        os.fsync(out.fileno())
    os.replace(fresh, path)
