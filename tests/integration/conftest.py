"""The whole stack in one process, on a real embedded log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gridsignal_services import embedded
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.clock import WallClock
from gridsignal_services.embedded import Stack
from gridsignal_services.registry import example_registry
from gridsignal_services.settings import ServerSettings
from tests.patience import UNHURRIED


@pytest.fixture
def settings(tmp_path: Path) -> ServerSettings:
    return ServerSettings(directory=tmp_path, gateway_port=0, dispatch_port=0, ingest_port=0, limits=UNHURRIED)


@pytest.fixture
async def stack(tmp_path: Path, settings: ServerSettings) -> AsyncIterator[Stack]:
    log = await SqliteLog.open(tmp_path)
    starting = embedded.running(log, tmp_path, registry=example_registry(), clock=WallClock(), settings=settings)
    try:
        async with starting as running:
            yield running
    finally:
        await log.aclose()
