"""The whole stack on a real embedded log, and callers who speak HTTP to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gridsignal_services import embedded
from gridsignal_services.access import Role
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.clock import WallClock
from gridsignal_services.embedded import Stack
from gridsignal_services.registry import example_registry
from gridsignal_services.settings import ServerSettings

Caller = Callable[[Role, str], httpx2.AsyncClient]


@pytest.fixture
def settings(tmp_path: Path) -> ServerSettings:
    return ServerSettings(directory=tmp_path, gateway_port=0, dispatch_port=0, ingest_port=0)


@pytest.fixture
async def stack(tmp_path: Path, settings: ServerSettings) -> AsyncIterator[Stack]:
    log = await SqliteLog.open(tmp_path)
    circuit = embedded.running(log, tmp_path, registry=example_registry(), clock=WallClock(), settings=settings)
    try:
        async with circuit as running:
            await running.declare_flat_baselines(embedded.midnight(datetime.now(UTC)), 9, 0.6)
            yield running
    finally:
        await log.aclose()


@pytest.fixture
async def caller(stack: Stack) -> AsyncIterator[Caller]:
    """Makes clients that carry a token of somebody in the example registry."""
    opened: list[httpx2.AsyncClient] = []

    def call(role: Role, organisation: str) -> httpx2.AsyncClient:
        headers = {"Authorization": f"Bearer {stack.token(role, organisation)}"}
        opened.append(httpx2.AsyncClient(base_url=stack.api_url, headers=headers, timeout=10))
        return opened[-1]

    yield call
    for client in opened:
        await client.aclose()


@pytest.fixture
def operator(caller: Caller) -> httpx2.AsyncClient:
    return caller("operator", "tso-north")


@pytest.fixture
def body() -> dict[str, Any]:
    """A request that is in order: twelve megawatts less for three quarters of an hour, two hours from now."""
    starts_at = (datetime.now(UTC) + timedelta(hours=2)).replace(microsecond=0)

    def at(minutes: int) -> str:
        return (starts_at + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")

    return {
        "zone": "DE-LU",
        "direction": "LOAD_DECREASE",
        "power_w": 12_000_000,
        "starts_at": at(0),
        "ends_at": at(45),
        "gate_closure_at": at(-60),
        "decision_deadline": at(-50),
    }
