"""The whole stack on a registry file and a file of revocations that tests change while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from gridsignal_services import embedded
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.clock import WallClock
from gridsignal_services.embedded import Stack
from gridsignal_services.registry import Registry, example_registry_text
from gridsignal_services.settings import ServerSettings
from tests.patience import SOON_S


@dataclass(frozen=True)
class Stage:
    """A running stack, its files, and the event that SIGHUP sets."""

    stack: Stack
    registry: Path
    revocations: Path
    asked: asyncio.Event

    def rewrite(self, change: Callable[[str], str]) -> None:
        """Changes the registry file."""
        self.registry.write_text(change(self.registry.read_text("utf-8")), "utf-8")

    async def status(self, token: str, path: str = "/v1/requests") -> int:
        """What the dispatch door answers to a read."""
        async with httpx2.AsyncClient(
            base_url=self.stack.api_url, headers={"Authorization": f"Bearer {token}"}, timeout=SOON_S
        ) as http:
            return (await http.get(path)).status_code

    async def becomes(self, status: int, token: str, path: str = "/v1/requests") -> None:
        """Returns once the door answers so."""
        async with asyncio.timeout(SOON_S):
            while await self.status(token, path) != status:
                pass  # each look is a round trip


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    registry, revocations = tmp_path / "sites.toml", tmp_path / "revoked.toml"
    registry.write_text(example_registry_text(), "utf-8")
    revocations.write_text("", "utf-8")
    settings = ServerSettings(
        directory=tmp_path / "data",
        gateway_port=0,
        dispatch_port=0,
        ingest_port=0,
        registry=registry,
        revocations=revocations,
        watch_files_s=1,
    )
    asked = asyncio.Event()
    log = await SqliteLog.open(settings.directory)
    starting = embedded.running(
        log,
        settings.directory,
        registry=Registry.load(registry),
        clock=WallClock(),
        settings=settings,
        reload_asked=asked,
    )
    try:
        async with starting as stack:
            yield Stage(stack, registry, revocations, asked)
    finally:
        await log.aclose()
