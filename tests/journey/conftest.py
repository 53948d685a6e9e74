"""The whole stack around a log that is a parameter, embedded or on Kafka; its time is the test's on either."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, cast

import httpx2
import pytest

import gridsignal
from gridsignal_schemas.messages import GridClock, Record
from gridsignal_services import embedded
from gridsignal_services.bus.cluster import simulation
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.clock import Clock, SteppedClock, micros
from gridsignal_services.demo.conductor import Conductor
from gridsignal_services.embedded import Stack
from gridsignal_services.registry import example_registry
from gridsignal_services.settings import ServerSettings
from tests.builders import MARKET_DAY, utc
from tests.journey.hand_stamped import HandStamped
from tests.owning import next_records
from tests.patience import LONG_S, SOON_S, UNHURRIED

R = TypeVar("R", bound=Record)
NOON = utc("12:00")
TEN_MW = 10_000_000
PATIENT = {
    f"GRIDSIGNAL_GATEWAY_{name}": f"{LONG_S:.0f}"
    for name in ("HELLO_TIMEOUT_S", "DEAD_AFTER_S", "CLOSE_TIMEOUT_S", "ANSWER_TIMEOUT_S", "STALL_S")
} | UNHURRIED
"""A story is not about who is slow on a busy machine."""


class Turn:
    """Stands for the programs, which tests themselves are: lets the loop go round while the conductor looks."""

    async def settled(self) -> None:
        await asyncio.sleep(0)


class World:
    """The stack, and those who speak to it over real sockets; its time stands still but for the steps a test takes."""

    def __init__(self, stack: Stack, log: SqliteLog | HandStamped, clock: SteppedClock) -> None:
        self.stack, self.clock = stack, clock
        self._conductor = Conductor(stack, cast("Any", log), clock, [cast("Any", Turn())])
        self._asked = 0

    async def reach(self, when: datetime) -> None:
        """Lets everything happen that is due by `when`."""
        waiting = asyncio.create_task(self.clock.sleep_until(when))
        async with asyncio.timeout(LONG_S):
            await self._quiet(waiting)
            while self.clock.now() < when:
                self.clock.step()
                await self._quiet(waiting)

    async def _quiet(self, waiting: asyncio.Task[None]) -> None:
        """Returns when nothing is left to do; on a cluster the owner may not have been elected yet."""
        await self._conductor.quiet([waiting])
        while any(next_records(ledger, self.clock.now()) for ledger in self.stack.replica.ledgers.values()):
            await self._conductor.quiet([waiting])

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
        given: dict[str, Any] = {"outbox": ":memory:", "clock": self.clock, "wait_s": SOON_S} | options
        return gridsignal.connect(self.stack.gateway_url, token=token, site=site, **given)


@pytest.fixture(params=["sqlite", "kafka"])
def cluster(request: pytest.FixtureRequest) -> ServerSettings | None:
    """The cluster under a story; None for the embedded log. Not async: a cluster starts outside of any loop."""
    if request.param == "sqlite":
        return None
    brokers, registry = request.getfixturevalue("kafka"), request.getfixturevalue("schema_registry")
    return ServerSettings(kafka=brokers.servers, schema_registry=registry)


@pytest.fixture
async def world(cluster: ServerSettings | None, tmp_path: Path) -> AsyncIterator[World]:
    async with stepped_world(tmp_path, cluster) as opened:
        yield opened


@asynccontextmanager
async def stepped_world(
    directory: Path, cluster: ServerSettings | None = None, limits: Mapping[str, str] = PATIENT, **more: Any
) -> AsyncIterator[World]:
    """A stack at noon of the market day, with flat baselines; its log is in this folder where there is no cluster."""
    clock, grid = SteppedClock(NOON), GridClock(origin=NOON, rate=1.0, epoch=NOON)
    settings = ServerSettings(
        directory=directory, gateway_port=0, dispatch_port=0, ingest_port=0, limits=limits, **more
    )
    async with a_log(directory, cluster, clock) as (log, codec):
        starting = embedded.running(
            log, directory, codec=codec, registry=example_registry(), clock=clock, settings=settings, grid=grid
        )
        async with starting as stack:
            await stack.declare_flat_baselines(MARKET_DAY, 2, 0.6)
            yield World(stack, log, clock)


@asynccontextmanager
async def a_log(
    directory: Path, cluster: ServerSettings | None, clock: Clock
) -> AsyncIterator[tuple[SqliteLog | HandStamped, Codec]]:
    """Embedded in this folder, or of a cluster; its records bear the time of the clock."""
    if cluster is not None:
        async with simulation(cluster) as (log, codec):
            yield HandStamped(log, clock), codec
        return
    embedded_log = await SqliteLog.open(directory / "log", append_time_us=lambda: micros(clock.now()))
    try:
        yield embedded_log, Codec.from_lock()
    finally:
        await embedded_log.aclose()


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
