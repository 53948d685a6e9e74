"""The whole stack around a log that is a parameter, on a clock that only tests move."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, cast

import httpx2
import pytest

import gridsignal
from gridsignal_schemas.messages import GridClock, Record
from gridsignal_services import embedded
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.clock import SteppedClock, micros
from gridsignal_services.demo.conductor import Conductor
from gridsignal_services.embedded import Stack
from gridsignal_services.registry import example_registry
from gridsignal_services.settings import ServerSettings
from tests.builders import MARKET_DAY, utc

R = TypeVar("R", bound=Record)
NOON, SOON_S = utc("12:00"), 20.0
TEN_MW = 10_000_000


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(NOON)


@pytest.fixture(params=["sqlite"])
async def log(request: pytest.FixtureRequest, tmp_path: Path, clock: SteppedClock) -> AsyncIterator[SqliteLog]:
    """The log under every story; another kind joins by its name in `params`."""
    assert request.param == "sqlite"
    opened = await SqliteLog.open(tmp_path / "log", append_time_us=lambda: micros(clock.now()))
    yield opened
    await opened.aclose()


class Turn:
    """Stands for the programs, which tests themselves are: lets the loop go round while the conductor looks."""

    async def settled(self) -> None:
        await asyncio.sleep(0)


class World(Conductor):
    """The stack, its clock, and those who speak to it over real sockets."""

    def __init__(self, stack: Stack, log: SqliteLog, clock: SteppedClock) -> None:
        super().__init__(stack, log, clock, [cast("Any", Turn())])
        self.stack, self.clock = stack, clock
        self._asked = 0

    async def reach(self, when: datetime) -> None:
        """Lets everything happen that is due by `when`."""
        waiting = asyncio.create_task(self.clock.sleep_until(when))
        async with asyncio.timeout(SOON_S):
            await self._quiet([waiting])
            while self.clock.now() < when:
                self.clock.step()
                await self._quiet([waiting])

    def desk(self, organisation: str = "tso-north", role: Any = "operator") -> httpx2.AsyncClient:
        """Somebody at the REST door."""
        headers = {"Authorization": f"Bearer {self.stack.token(role, organisation)}"}
        return httpx2.AsyncClient(base_url=self.stack.api_url, headers=headers, timeout=SOON_S)

    async def ask(self, **changes: Any) -> str:
        """tso-north asks for 10 MW less from 18:00 to 18:45; the request's id."""
        times = {"starts_at": "18:00", "ends_at": "18:45", "gate_closure_at": "17:00", "decision_deadline": "17:20"}
        body: dict[str, Any] = {name: f"2024-05-12T{at}:00Z" for name, at in times.items()}
        body |= {"zone": "DE-LU", "direction": "LOAD_DECREASE", "power_w": TEN_MW, "respond_within_s": 300}
        self._asked += 1
        async with self.desk() as desk:
            key = {"Idempotency-Key": f"ask-{self._asked}"}
            answer = await desk.post("/v1/requests", json=body | changes, headers=key)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["request"]["request_id"])

    def site(self, participant: str, site: str, **options: Any) -> AbstractAsyncContextManager[gridsignal.Grid]:
        """A data center's program."""
        token = self.stack.token("participant", participant)
        given: dict[str, Any] = {"outbox": ":memory:", "clock": self.clock} | options
        return gridsignal.connect(self.stack.gateway_url, token=token, site=site, **given)


@pytest.fixture
async def world(log: SqliteLog, clock: SteppedClock, tmp_path: Path) -> AsyncIterator[World]:
    settings = ServerSettings(directory=tmp_path, gateway_port=0, dispatch_port=0, ingest_port=0)
    grid = GridClock(origin=NOON, rate=1.0, epoch=NOON)
    circuit = embedded.running(log, tmp_path, registry=example_registry(), clock=clock, settings=settings, grid=grid)
    async with circuit as stack:
        await stack.declare_flat_baselines(MARKET_DAY, 2, 0.6)
        yield World(stack, log, clock)


async def hear(signals: gridsignal.Subscription, kind: type[R], **fields: Any) -> R:
    """The first message of this kind with these fields; those before it are passed over."""
    async with asyncio.timeout(SOON_S):
        async for message in signals:
            if isinstance(message, kind) and all(getattr(message, name) == want for name, want in fields.items()):
                return message
    raise AssertionError(f"the stream ended without {kind.__name__} {fields}")


@asynccontextmanager
async def two_sites(world: World) -> AsyncIterator[tuple[gridsignal.Grid, gridsignal.Grid]]:
    """fra-1 of acme-ai and muc-1 of volt-colo."""
    async with AsyncExitStack() as connections:
        one = await connections.enter_async_context(world.site("acme-ai", "fra-1"))
        other = await connections.enter_async_context(world.site("volt-colo", "muc-1"))
        yield one, other


@pytest.fixture
async def sites(world: World) -> AsyncIterator[tuple[gridsignal.Grid, gridsignal.Grid]]:
    async with two_sites(world) as both:
        yield both


@pytest.fixture
def hearing() -> Any:
    return hear
