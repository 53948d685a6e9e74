"""Those who offer and listen while parts of a stack are killed, and what they count."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import uuid
from abc import ABC, abstractmethod
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
from gridsignal_schemas.messages import DispatchRequest
from gridsignal_services.access import Role
from tests.integration.gateway_stand import Client, open_client
from tests.patience import LONG_S, SOON_S

MW = 1_000_000
CHECKER = Path(__file__).with_name("checker.py")
AT_ONCE = 4
"""Offers under way at each gateway."""
GONE = (ConnectionClosed, InvalidHandshake, OSError, EOFError, TimeoutError)


class Place(ABC):
    """A stack on Kafka, as those outside of it reach it."""

    directory: Path
    """Where programs keep their outboxes."""
    prefix: str
    gateways: tuple[str, ...]

    @property
    @abstractmethod
    def servers(self) -> str:
        """The brokers."""

    def broker_login(self) -> dict[str, str]:
        """What a stranger needs to read the log, as environment variables."""
        return {}

    @abstractmethod
    def port(self, door: str) -> int: ...

    @abstractmethod
    def token(self, role: Role, organisation: str) -> str: ...

    @abstractmethod
    async def reachable(self, gateway: str) -> None:
        """Returns when it is worth trying to connect."""

    def gateway(self, name: str) -> str:
        return f"ws://127.0.0.1:{self.port(name)}"

    def desk(self, door: str = "dispatch-1") -> httpx2.AsyncClient:
        """tso-north at the REST door."""
        headers = {"Authorization": f"Bearer {self.token('operator', 'tso-north')}"}
        return httpx2.AsyncClient(base_url=f"http://127.0.0.1:{self.port(door)}", headers=headers, timeout=SOON_S)

    def site(self, gateway: str, instance: str, outbox: Path) -> Any:
        """fra-1 of acme-ai, as a program on the SDK."""
        token = self.token("participant", "acme-ai")
        named: dict[str, Any] = {"site": "fra-1", "instance": instance, "outbox": outbox}
        return gridsignal.connect(self.gateway(gateway), token=token, wait_s=SOON_S, **named)

    async def ask(self, door: str = "dispatch-1", **changes: Any) -> str:
        """tso-north asks for 10 MW less, three hours from now, with the gate open for two."""
        now = datetime.now(UTC).replace(microsecond=0)
        times = {"gate_closure_at": 2.0, "decision_deadline": 2.2, "starts_at": 3.0, "ends_at": 3.75}
        body: dict[str, Any] = {
            name: (now + timedelta(hours=hours)).isoformat().replace("+00:00", "Z") for name, hours in times.items()
        }
        body |= {"zone": "DE-LU", "direction": "LOAD_DECREASE", "power_w": 10 * MW, "respond_within_s": 300}
        key = {"Idempotency-Key": f"ask-{datetime.now(UTC):%H%M%S%f}"}
        async with self.desk(door) as desk:
            answer = await desk.post("/v1/requests", json=body | changes, headers=key)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["request"]["request_id"])

    async def checked(self) -> dict[str, Any]:
        """What a stranger finds on the log who knows the schemas alone."""
        checking = await asyncio.create_subprocess_exec(
            *(sys.executable, str(CHECKER), self.servers, self.prefix),
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | self.broker_login(),
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
    longest_silence_s: float = 0.0
    """Between two receipts: how long an interruption was for those who offer."""
    _heard_s: float = 0.0
    _load: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    async def go_on(self, grid: gridsignal.Grid, request: DispatchRequest, name: str) -> None:
        """Offers without end, one after the other; no two loads on one stack offer the same."""
        while True:
            offer_id = f"{name}-{self._load}-{len(self.sent)}"
            self.sent.append(offer_id)
            try:
                receipt = await grid.offer(request, 1 * MW, "80", offer_id=offer_id)
            except gridsignal.Refused as refusal:
                self.refused[offer_id] = str(refusal)
                continue
            self.receipts[offer_id] = receipt.sha256
            now_s = time.monotonic()
            self.longest_silence_s = max(self.longest_silence_s, now_s - (self._heard_s or now_s))
            self._heard_s = now_s
            self._more.set()

    async def reach(self, count: int) -> None:
        """Returns once so many receipts are there."""
        try:
            async with asyncio.timeout(LONG_S):
                while len(self.receipts) < count:
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            refused = list(self.refused.values())[:3]
            got = f"{len(self.receipts)} for {len(self.sent)} offers, refused: {refused}"
            raise AssertionError(f"expected {count} receipts within {LONG_S:.0f} s, got {got}") from None


class Ear:
    """A stranger's client that hears decisions, and goes on with its cursor after each break."""

    def __init__(self, place: Place, gateway: str) -> None:
        self._place, self._gateway = place, gateway
        self._cursor: str | None = None
        self.decided: Counter[str] = Counter()
        self.recoveries: list[str] = []
        self._more = asyncio.Event()

    async def listen(self) -> None:
        """For ever."""
        while True:
            await self._place.reachable(self._gateway)
            token = self._place.token("participant", "acme-ai")
            with suppress(*GONE):
                async with open_client(f"{self._place.gateway(self._gateway)}/v1/stream", token) as client:
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
        try:
            async with asyncio.timeout(LONG_S):
                while not wanted <= self.decided.keys():
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            lacking, how = sorted(wanted - self.decided.keys()), f"{self._gateway}, recoveries {self.recoveries}"
            raise AssertionError(
                f"expected a decision on each of {len(wanted)}, got none on {lacking}: {how}"
            ) from None


@dataclass
class Load:
    """At each gateway a program that offers and a stranger that listens, and a request that is open."""

    place: Place
    offering: Offering
    ears: dict[str, Ear]

    @classmethod
    @asynccontextmanager
    async def on(cls, place: Place, dispatch: str = "dispatch-1") -> AsyncIterator[Load]:
        """For as long as the block runs; then nobody offers any more, and everybody has heard all."""
        offering, request_id = Offering(), await place.ask(dispatch)
        ears = {name: Ear(place, name) for name in place.gateways}
        async with AsyncExitStack() as stack:
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            listening = [tasks.create_task(ear.listen()) for ear in ears.values()]
            programs = []
            for gateway in ears:
                outbox = place.directory / f"outbox-{gateway}.db"
                grid = await stack.enter_async_context(place.site(gateway, f"planner-{gateway}", outbox))
                request = await _the_request(grid, request_id)
                names = [f"{gateway}-{number}" for number in range(AT_ONCE)]
                programs += [tasks.create_task(offering.go_on(grid, request, name)) for name in names]
            try:
                yield cls(place, offering, ears)
            finally:  # also where the block failed: a program whose grid is closed would hide why
                for program in programs:
                    program.cancel()
                await asyncio.wait(programs)
            for ear in ears.values():
                await ear.hears(set(offering.receipts))
            for task in listening:
                task.cancel()


def counts(load: Load, found: dict[str, Any]) -> dict[str, Any]:
    """What was sent and received, and what the checker found of it."""
    offers = found["offers"]
    return {
        "sent": len(load.offering.sent),
        "received": len(load.offering.receipts),
        "on the log": len(offers.keys() & set(load.offering.sent)),
        "repeated": sum(len(offers.get(offer_id, [])) > 1 for offer_id in load.offering.sent),
        "lost": len(load.offering.receipts.keys() - offers.keys()),
        "longest silence, s": round(load.offering.longest_silence_s, 1),
        "recoveries": {name: ear.recoveries for name, ear in load.ears.items()},
    }


def must_be_whole(load: Load, found: dict[str, Any], *, repeats: bool = False) -> None:
    """Every received offer is on the log with its hash, once; each decision was heard once, without a gap.

    `repeats`: an offer whose outcome was unknown may lie there twice, alike; the first counts, so it is decided once.
    """
    offers = found["offers"]
    assert load.offering.refused == {}, list(load.offering.refused.values())[:3]
    for offer_id, sha256 in load.offering.receipts.items():
        assert set(offers[offer_id]) == {sha256}
        assert repeats or len(offers[offer_id]) == 1
    for ear in load.ears.values():
        assert {ear.decided[offer_id] for offer_id in load.offering.receipts} == {1}
        assert max(ear.decided.values()) == 1
        assert set(ear.recoveries[1:]) <= {"full"}


async def _the_request(grid: gridsignal.Grid, request_id: str) -> DispatchRequest:
    async with asyncio.timeout(LONG_S):
        async for signal in grid.subscribe("dispatch", zones=["DE-LU"]):
            if isinstance(signal, DispatchRequest) and signal.request_id == request_id:
                return signal
    raise AssertionError("the stream ended")
