"""Doors as processes on a cluster, and those who offer and listen while some of them are killed."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
from websockets.exceptions import ConnectionClosed, InvalidHandshake

import gridsignal
from gridsignal_schemas.catalog import TOPICS, partition_of
from gridsignal_schemas.messages import DispatchRequest
from gridsignal_services.access import DISPATCH_WRITE, OFFER_WRITE, SIGNAL_READ, Role
from gridsignal_services.access.issuer import LocalIssuer
from gridsignal_services.bus.kafka_topics import Brokers, administration, apply
from gridsignal_services.bus.registry import Registry, register_all
from tests.integration.gateway_stand import Client, open_client
from tests.services.process import Process, free_ports

MW = 1_000_000
CHECKER = Path(__file__).with_name("checker.py")
LONG_S = 90.0
AT_ONCE = 4
"""Offers under way at each gateway."""
GONE = (ConnectionClosed, InvalidHandshake, OSError, EOFError, TimeoutError)


class Door:
    """One `gridsignal serve` process, which keeps its port when it is started again."""

    def __init__(
        self, kind: str, name: str, directory: Path, brokers: str, registry: str, prefix: str, env: dict[str, str]
    ) -> None:
        (self.port,) = free_ports(1)
        place = ["--directory", str(directory), "--port", str(self.port), "--prefix", prefix]
        cluster = ["--kafka", brokers, "--schema-registry", registry]
        command = [sys.executable, "-m", "gridsignal", "serve", kind, *place, *cluster]
        self.process = Process(command, f"{kind} ready at", directory / f"{name}.out", env)
        self._out = directory / f"{name}.out"

    def owned(self) -> list[int]:
        """The partitions it said last that it owns."""
        said = [line for line in self._out.read_text("utf-8").splitlines() if " owns " in line]
        return list(json.loads(said[-1].split("partitions=")[1].split(" service")[0])) if said else []


class Fleet:
    """Two gateways and two dispatch processes on topics of their own."""

    def __init__(
        self, directory: Path, brokers: Brokers, registry: str, prefix: str, env: dict[str, str] | None = None
    ) -> None:
        self.directory, self.brokers, self.registry, self.prefix = directory, brokers, registry, prefix
        self._env = env or {}
        self._issuer = LocalIssuer.create_or_open(directory / "issuer")
        self.doors: dict[str, Door] = {}

    def _start(self, name: str) -> None:
        kind = name.partition("-")[0]
        where = (self.directory, self.brokers.servers, self.registry, self.prefix, self._env)
        self.doors[name] = Door(kind, name, *where)

    @classmethod
    @asynccontextmanager
    async def sailing(
        cls, directory: Path, brokers: Brokers, registry: str, replication: int, env: dict[str, str] | None = None
    ) -> AsyncIterator[Fleet]:
        """All four doors, ready, for as long as the block runs; `env` is added to their environment."""
        prefix = f"test-{datetime.now(UTC):%H%M%S%f}."
        async with administration(brokers) as admin, Registry(registry) as schemas:
            await apply(admin, prefix, replication)
            await register_all(schemas, prefix)
        fleet = cls(directory, brokers, registry, prefix, env)
        names = ("dispatch-1", "dispatch-2", "gateway-1", "gateway-2")
        try:
            async with asyncio.TaskGroup() as tasks:
                for name in names:
                    tasks.create_task(asyncio.to_thread(fleet._start, name))
            yield fleet
        finally:
            for door in fleet.doors.values():
                door.process.kill()

    def token(self, role: Role, organisation: str) -> str:
        write = DISPATCH_WRITE if role == "operator" else OFFER_WRITE
        return self._issuer.mint(role, organisation, "tests", [SIGNAL_READ, write], 3600, datetime.now(UTC))

    def gateway(self, name: str) -> str:
        return f"ws://127.0.0.1:{self.doors[name].port}"

    def desk(self, name: str = "dispatch-1") -> httpx2.AsyncClient:
        """tso-north at the REST door."""
        headers = {"Authorization": f"Bearer {self.token('operator', 'tso-north')}"}
        return httpx2.AsyncClient(base_url=f"http://127.0.0.1:{self.doors[name].port}", headers=headers, timeout=30)

    def site(self, gateway: str, instance: str, outbox: Path) -> Any:
        """fra-1 of acme-ai, as a program on the SDK."""
        token = self.token("participant", "acme-ai")
        return gridsignal.connect(self.gateway(gateway), token=token, site="fra-1", instance=instance, outbox=outbox)

    def owner(self) -> str:
        """The dispatch process that owns the zone of the stories."""
        partition = partition_of("DE-LU", TOPICS["dispatch"].partitions)
        return next(name for name, door in self.doors.items() if partition in door.owned())

    async def ask(self, **changes: Any) -> str:
        """tso-north asks for 10 MW less, three hours from now, with the gate open for two."""
        now = datetime.now(UTC).replace(microsecond=0)
        times = {"gate_closure_at": 2.0, "decision_deadline": 2.2, "starts_at": 3.0, "ends_at": 3.75}
        body: dict[str, Any] = {
            name: (now + timedelta(hours=hours)).isoformat().replace("+00:00", "Z") for name, hours in times.items()
        }
        body |= {"zone": "DE-LU", "direction": "LOAD_DECREASE", "power_w": 10 * MW, "respond_within_s": 300}
        async with self.desk() as desk:
            answer = await desk.post(
                "/v1/requests", json=body | changes, headers={"Idempotency-Key": f"ask-{now:%H%M%S}"}
            )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["request"]["request_id"])

    async def checked(self) -> dict[str, Any]:
        """What a stranger finds on the log who knows the schemas alone."""
        checking = await asyncio.create_subprocess_exec(
            *(sys.executable, str(CHECKER), self.brokers.servers, self.prefix), stdout=asyncio.subprocess.PIPE
        )
        out, _ = await checking.communicate()
        assert checking.returncode == 0
        found: dict[str, Any] = json.loads(out)
        return found


@dataclass
class Offering:
    """What was offered by programs on the SDK, and the receipts they got."""

    sent: list[str] = field(default_factory=list)
    receipts: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    async def go_on(self, grid: gridsignal.Grid, request: DispatchRequest, name: str) -> None:
        """Offers without end, one after the other."""
        while True:
            offer_id = f"{name}-{len(self.sent)}"
            self.sent.append(offer_id)
            try:
                receipt = await grid.offer(request, 1 * MW, "80", offer_id=offer_id)
            except gridsignal.Refused as refusal:
                self.refused[offer_id] = str(refusal)
                continue
            self.receipts[offer_id] = receipt.sha256
            self._more.set()

    async def reach(self, count: int) -> None:
        """Returns once so many receipts are there."""
        async with asyncio.timeout(LONG_S):
            while len(self.receipts) < count:
                self._more.clear()
                await self._more.wait()


class Ear:
    """A stranger's client that hears decisions, and goes on with its cursor after each break."""

    def __init__(self, door: Door, token: str) -> None:
        self._door, self._token = door, token
        self._cursor: str | None = None
        self.decided: Counter[str] = Counter()
        self.recoveries: list[str] = []
        self._more = asyncio.Event()

    async def listen(self) -> None:
        """For ever."""
        while True:
            await asyncio.to_thread(self._door.process.wait_until_ready)
            with suppress(*GONE):
                async with open_client(f"ws://127.0.0.1:{self._door.port}/v1/stream", self._token) as client:
                    await client.hello(site="fra-1")
                    await self._hear(client)

    async def _hear(self, client: Client) -> None:
        where = {"snapshot": True} if self._cursor is None else {"cursor": self._cursor}
        subscribed = await client.subscribe("dispatch", filter={"zones": ["DE-LU"]}, mode="every", **where)
        self.recoveries.append(subscribed["recovery"])
        while True:
            frame = await client.receive()
            assert frame["t"] not in ("gap", "error"), frame
            if frame["t"] == "signal" and frame["type"] == "OfferDecision":
                self.decided[frame["body"]["offer_id"]] += 1
                self._more.set()
            self._cursor = frame.get("cursor", self._cursor)

    async def hears(self, wanted: set[str]) -> None:
        """Returns once all of these are decided."""
        async with asyncio.timeout(LONG_S):
            while not wanted <= self.decided.keys():
                self._more.clear()
                await self._more.wait()


@dataclass
class Load:
    """Two programs that offer, two strangers that listen, a request that is open."""

    fleet: Fleet
    offering: Offering
    ears: dict[str, Ear]

    @classmethod
    @asynccontextmanager
    async def on(cls, fleet: Fleet) -> AsyncIterator[Load]:
        """For as long as the block runs; then nobody offers any more, and everybody has heard all."""
        offering, request_id = Offering(), await fleet.ask()
        token = fleet.token("participant", "acme-ai")
        ears = {name: Ear(fleet.doors[name], token) for name in ("gateway-1", "gateway-2")}
        async with AsyncExitStack() as stack:
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            listening = [tasks.create_task(ear.listen()) for ear in ears.values()]
            programs = []
            for gateway in ears:
                outbox = fleet.directory / f"outbox-{gateway}.db"
                grid = await stack.enter_async_context(fleet.site(gateway, f"planner-{gateway}", outbox))
                request = await _the_request(grid, request_id)
                names = [f"{gateway}-{number}" for number in range(AT_ONCE)]
                programs += [tasks.create_task(offering.go_on(grid, request, name)) for name in names]
            yield cls(fleet, offering, ears)
            for program in programs:
                program.cancel()
            await asyncio.wait(programs)
            for ear in ears.values():
                await ear.hears(set(offering.receipts))
            for task in listening:
                task.cancel()


async def _the_request(grid: gridsignal.Grid, request_id: str) -> DispatchRequest:
    async with asyncio.timeout(LONG_S):
        async for signal in grid.subscribe("dispatch", zones=["DE-LU"]):
            if isinstance(signal, DispatchRequest) and signal.request_id == request_id:
                return signal
    raise AssertionError("the stream ended")
