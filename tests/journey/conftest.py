"""The whole stack around a log that is a parameter: stepped by the test on the embedded log, running on Kafka.

A story whose hours are not those from 16:10 on says so with `grid_runs(origin, rate)`: grid seconds per second.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar, cast

import httpx2
import pytest

import gridsignal
from gridsignal_schemas.messages import GridClock, Record
from gridsignal_services import embedded
from gridsignal_services.bus.cluster import simulation
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.clock import Clock, ScaledClock, SteppedClock, micros
from gridsignal_services.demo.conductor import Conductor
from gridsignal_services.dispatch.timers import next_records
from gridsignal_services.embedded import Stack
from gridsignal_services.registry import example_registry
from gridsignal_services.settings import ServerSettings
from tests.builders import MARKET_DAY, utc

R = TypeVar("R", bound=Record)
NOON, SOON_S = utc("12:00"), 20.0
TEN_MW = 10_000_000
IN_TIME_S = 1.0
"""A running story whose stack stood this long after its first hour, or sooner, has time for what comes next."""


class Turn:
    """Stands for the programs, which tests themselves are: lets the loop go round while the conductor looks."""

    async def settled(self) -> None:
        await asyncio.sleep(0)


class World(ABC):
    """The stack, its clock, and those who speak to it over real sockets."""

    def __init__(self, stack: Stack, clock: Clock) -> None:
        self.stack, self.clock = stack, clock
        self._asked = 0

    @abstractmethod
    async def reach(self, when: datetime) -> None:
        """Lets everything happen that is due by `when`."""

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


class SteppedWorld(World):
    """On the embedded log, whose time stands still but for the steps a test takes."""

    def __init__(self, stack: Stack, log: SqliteLog, clock: SteppedClock) -> None:
        super().__init__(stack, clock)
        self._stepped = clock
        self._conductor = Conductor(stack, log, clock, [cast("Any", Turn())])

    async def reach(self, when: datetime) -> None:
        waiting = asyncio.create_task(self._stepped.sleep_until(when))
        async with asyncio.timeout(SOON_S):
            await self._conductor.quiet([waiting])
            while self._stepped.now() < when:
                self._stepped.step()
                await self._conductor.quiet([waiting])


class RunningWorld(World):
    """On a cluster, whose brokers stamp the time: it runs, and a test waits for it."""

    async def reach(self, when: datetime) -> None:
        async with asyncio.timeout(5 * SOON_S):
            await self.clock.sleep_until(when)
            while not await self._is_quiet():
                await self.stack.replica.reach_end()

    async def _is_quiet(self) -> bool:
        ledgers = self.stack.replica.ledgers
        end = await self.stack.log.end_positions("dispatch")
        idle = not any(next_records(ledger, self.clock.now()) for ledger in ledgers.values())
        return idle and self.stack.replica.positions == end and await self.stack.gateway.at_rest()


@pytest.fixture(params=["sqlite", "kafka"])
def cluster(request: pytest.FixtureRequest) -> ServerSettings | None:
    """The cluster under a story; None for the embedded log. Not async: a cluster starts outside of any loop."""
    if request.param == "sqlite":
        return None
    brokers, registry = request.getfixturevalue("kafka"), request.getfixturevalue("schema_registry")
    return ServerSettings(kafka=brokers.servers, schema_registry=registry)


@pytest.fixture
async def world(request: pytest.FixtureRequest, cluster: ServerSettings | None, tmp_path: Path) -> AsyncIterator[World]:
    opening = stepped_world(tmp_path) if cluster is None else _in_time(cluster, tmp_path, request.node)
    async with opening as opened:
        yield opened


def _settings(directory: Path) -> ServerSettings:
    return ServerSettings(directory=directory, gateway_port=0, dispatch_port=0, ingest_port=0)


@asynccontextmanager
async def stepped_world(directory: Path) -> AsyncIterator[World]:
    """A stack on the embedded log in this folder, at noon of the market day, with flat baselines."""
    async with stepped_stack(directory) as opened:
        await opened.stack.declare_flat_baselines(MARKET_DAY, 2, 0.6)
        yield opened


@asynccontextmanager
async def stepped_stack(directory: Path) -> AsyncIterator[World]:
    clock, grid = SteppedClock(NOON), GridClock(origin=NOON, rate=1.0, epoch=NOON)
    log = await SqliteLog.open(directory / "log", append_time_us=lambda: micros(clock.now()))
    settings, registry = _settings(directory), example_registry()
    circuit = embedded.running(log, directory, registry=registry, clock=clock, settings=settings, grid=grid)
    try:
        async with circuit as stack:
            yield SteppedWorld(stack, log, clock)
    finally:
        await log.aclose()


@asynccontextmanager
async def _in_time(cluster: ServerSettings, directory: Path, story: pytest.Item) -> AsyncIterator[World]:
    """A running world with its hours still before it: one that took too long to start is started anew, earlier."""
    marker = story.get_closest_marker("grid_runs")
    origin, rate = marker.args if marker is not None else ("16:10", 600)
    began_s, head_start_s = time.monotonic(), 0.0
    while True:
        async with _running(cluster, directory, utc(origin), rate, head_start_s) as opened:
            if opened.clock.now() <= utc(origin) + timedelta(seconds=IN_TIME_S * rate):
                await opened.clock.sleep_until(utc(origin))
                yield opened
                return
        head_start_s = 2 * (time.monotonic() - began_s)


@asynccontextmanager
async def _running(
    cluster: ServerSettings, directory: Path, origin: datetime, rate: float, head_start_s: float
) -> AsyncIterator[World]:
    settings, registry = _settings(directory), example_registry()
    async with simulation(cluster) as (log, codec):
        epoch = datetime.now(UTC) + timedelta(seconds=head_start_s)
        grid = GridClock(origin=origin, rate=rate, epoch=epoch)
        clock = ScaledClock(grid)
        circuit = embedded.running(
            log, directory, codec=codec, registry=registry, clock=clock, settings=settings, grid=grid
        )
        async with circuit as stack:
            await stack.declare_flat_baselines(MARKET_DAY, 2, 0.6)
            yield RunningWorld(stack, clock)


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
