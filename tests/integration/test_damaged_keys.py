"""Keys in the data directory that a full disk or a careless hand has damaged: a start says which, and what then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.clock import WallClock
from gridsignal_services.embedded import running
from gridsignal_services.registry import example_registry
from gridsignal_services.settings import ServerSettings

KEYS = {
    "cursor_keys.json": "the cursors' keys",
    "position.key": "a key of 64 bytes",
    "issuer/issuer-key.json": "the issuer's",
}
DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda whole: b"",
    "cut": lambda whole: whole[: len(whole) // 2],
    "other bytes": lambda whole: b"\xff" * 32,
    "another document": lambda whole: b'{"keys": [{}]}',
}


async def start(directory: Path, settings: ServerSettings) -> None:
    """Starts a stack in the directory, and ends it."""
    log = await SqliteLog.open(directory)
    try:
        async with running(log, directory, registry=example_registry(), clock=WallClock(), settings=settings):
            pass
    finally:
        await log.aclose()


@pytest.mark.parametrize("name", KEYS)
async def test_a_damaged_key_is_named_and_a_missing_one_is_made(
    name: str, tmp_path: Path, settings: ServerSettings
) -> None:
    await start(tmp_path, settings)
    path = tmp_path / name
    whole = path.read_bytes()
    for damaged in DAMAGE.values():
        path.write_bytes(damaged(whole))
        with pytest.raises((OSError, ExceptionGroup)) as refused:
            await start(tmp_path, settings)
        assert told(refused.value).startswith(f"{path}: expected {KEYS[name]}")
    path.unlink()
    await start(tmp_path, settings)


def told(error: BaseException) -> str:
    """What a command would tell: the first cause."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, OSError)
    return str(error)
