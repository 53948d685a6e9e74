"""The whole stack on a real embedded log, and callers who speak HTTP to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

import gridsignal
from gridsignal import MW, DispatchOrder, DispatchRequest
from gridsignal_schemas.messages import MeterPoint, MeterReading, Quality
from gridsignal_services import embedded
from gridsignal_services.access import Role
from gridsignal_services.bus.publish import publish
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.clock import micros
from gridsignal_services.embedded import Stack
from gridsignal_services.registry import example_registry
from gridsignal_services.settings import ServerSettings
from tests.patience import SOON_S, UNHURRIED

Caller = Callable[[Role, str], httpx2.AsyncClient]


@pytest.fixture
async def stack(stack: Stack) -> Stack:
    """With nine days of baselines for every site."""
    await stack.declare_flat_baselines(embedded.midnight(datetime.now(UTC)), 9, 0.6)
    return stack


@pytest.fixture
async def caller(stack: Stack) -> AsyncIterator[Caller]:
    """Makes clients that carry a token of somebody in the example registry."""
    opened: list[httpx2.AsyncClient] = []

    def call(role: Role, organisation: str) -> httpx2.AsyncClient:
        headers = {"Authorization": f"Bearer {stack.token(role, organisation)}"}
        opened.append(httpx2.AsyncClient(base_url=stack.api_url, headers=headers, timeout=SOON_S))
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


class MovedClock:
    """Wall time, put forward by tests."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)
        self._moved = asyncio.Condition()

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    async def sleep_until(self, when: datetime) -> None:
        while (left := (when - self.now()).total_seconds()) > 0:
            async with self._moved:
                try:
                    async with asyncio.timeout(left):
                        await self._moved.wait()
                except TimeoutError:
                    return

    async def move_to(self, when: datetime) -> None:
        async with self._moved:
            self._ahead = when - datetime.now(UTC)
            self._moved.notify_all()


class Day:
    """A stack, an operator who talks to it, and a site that answers."""

    def __init__(self, stack: Stack, clock: MovedClock, operator: httpx2.AsyncClient, directory: Path) -> None:
        self.stack, self.clock, self.operator, self.directory = stack, clock, operator, directory
        self.starts_at = (clock.now() + timedelta(hours=2)).replace(minute=0, second=0, microsecond=0)
        self.path = ""

    @asynccontextmanager
    async def site(self, **options: Any) -> AsyncIterator[gridsignal.Grid]:
        token = self.stack.token("participant", "acme-ai")
        box = self.directory / "fra-1.outbox"
        async with gridsignal.connect(
            self.stack.gateway_url, token=token, site="fra-1", outbox=box, wait_s=SOON_S, **options
        ) as grid:
            yield grid

    def at(self, minutes: float) -> str:
        return (self.starts_at + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")

    async def order(
        self, accepted_w: int | None = None, longer: timedelta = timedelta(0), **changes: Any
    ) -> DispatchOrder:
        """An order of 12 MW to fra-1, accepted in full or in part; it could be held so much longer."""
        body = {
            "zone": "DE-LU",
            "direction": "LOAD_DECREASE",
            "power_w": 12 * MW,
            "starts_at": self.at(0),
            "ends_at": self.at(60),
            "gate_closure_at": self.at(-40),
            "decision_deadline": self.at(-30),
        } | changes
        asked = await self.operator.post("/v1/requests", json=body, headers={"Idempotency-Key": "k"})
        self.path = asked.headers["Location"]
        async with self.site() as grid, asyncio.timeout(SOON_S):
            async for signal in grid.subscribe("dispatch"):
                if isinstance(signal, DispatchRequest):
                    await grid.offer(signal, 12 * MW, "80", divisible=True, ends_at=signal.ends_at + longer)
                    await self.operator.post(f"{self.path}/clear", json={})
                elif isinstance(signal, DispatchOrder):
                    await grid.accept(signal, power_w=accepted_w)
                    return signal
        raise AssertionError("the stream ended")

    async def meter(self, minutes: int, import_w: int) -> None:
        """A quarter hour's reading of fra-1, as the gateway puts it on the log."""
        starts_at = self.starts_at + timedelta(minutes=minutes)
        reading = MeterReading(
            zone="DE-LU",
            participant="acme-ai",
            site="fra-1",
            meter="main",
            point=MeterPoint.CONNECTION,
            starts_at=starts_at,
            ends_at=starts_at + timedelta(minutes=15),
            import_w=import_w,
            export_w=0,
            quality=Quality.OK,
            seq=minutes + 1000,
        )
        log, codec = self.stack.log, self.stack.codec
        await publish(log, codec, reading, principal="participant:acme-ai", source="tests")

    async def until(self, path: str, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """What a path shows once it shows what is wanted: each look waits for a round trip."""
        async with asyncio.timeout(SOON_S):
            while (answer := await self.operator.get(path)).status_code == 429 or not wanted(answer.json()):
                pass
        return dict(answer.json())


@pytest.fixture
async def day(tmp_path: Path) -> AsyncIterator[Day]:
    clock = MovedClock()
    log = await SqliteLog.open(tmp_path, append_time_us=lambda: micros(clock.now()))
    ports = {"gateway_port": 0, "dispatch_port": 0, "ingest_port": 0}
    settings = ServerSettings(directory=tmp_path, limits=UNHURRIED, **ports)
    starting = embedded.running(log, tmp_path, registry=example_registry(), clock=clock, settings=settings)
    try:
        async with starting as stack:
            await stack.declare_flat_baselines(embedded.midnight(clock.now()), 9, 0.6)  # 36 MW at fra-1
            headers = {"Authorization": f"Bearer {stack.token('operator', 'tso-north')}"}
            async with httpx2.AsyncClient(base_url=stack.api_url, headers=headers, timeout=SOON_S) as operator:
                yield Day(stack, clock, operator, tmp_path)
    finally:
        await log.aclose()
