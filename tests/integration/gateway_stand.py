"""A real gateway on a real log, and a client that speaks the protocol by hand.

Grid time stands at the noon of the builders' story (2024-05-12) and is moved by the tests alone.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from gridsignal.testing import ManualClock
from gridsignal_schemas.catalog import TOPIC_OF_RECORD, TOPICS
from gridsignal_schemas.messages import ClearingTrigger, Record
from gridsignal_services.access import OFFER_WRITE, SIGNAL_READ, Role
from gridsignal_services.access.issuer import LocalIssuer
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.publish import publish
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.cache import Cache
from gridsignal_services.cache.memory import MemoryCache
from gridsignal_services.clock import MACHINE_TIME, Time, micros
from gridsignal_services.gateway.service import Gateway
from gridsignal_services.gateway.settings import GatewaySettings
from gridsignal_services.ledger.clearing import decide
from gridsignal_services.registry import example_registry
from gridsignal_services.replica import Replica
from gridsignal_services.testing import time_of
from tests.builders import a_baseline_declaration, a_site_registration, utc
from tests.patience import SOON_S

JSON = "gridsignal.v1.json"
AVRO = "gridsignal.v1.avro"
Frame = dict[str, Any]


class Stand:
    """Log, replica and gateway in one loop."""

    def __init__(
        self,
        log: SqliteLog,
        directory: Path,
        clock: ManualClock,
        settings: GatewaySettings,
        cache: Cache | None = None,
        time: Time = MACHINE_TIME,
    ) -> None:
        self.log, self.directory, self.clock, self.time = log, directory, clock, time
        self.codec = Codec.from_lock()
        self.issuer = LocalIssuer.create_or_open(directory / "issuer")
        self.registry = example_registry()
        self.replica = Replica(log, self.codec, source="tests")
        self.cache = cache or MemoryCache()
        self.gateway = self.another(settings)

    def another(self, settings: GatewaySettings, replica: Replica | None = None) -> Gateway:
        """A gateway on this log."""
        return Gateway(
            self.log,
            self.codec,
            replica or self.replica,
            self.issuer.verifier(),
            self.registry,
            self.cache,
            settings,
            self.clock,
            time=self.time,
        )

    @classmethod
    @asynccontextmanager
    async def open(
        cls, directory: Path, *, cache: Cache | None = None, all_by_hand: bool = False, **limits: Any
    ) -> AsyncIterator[Self]:
        """`all_by_hand`: tokens and cursors grow old by the clock that the test moves, too."""
        clock = ManualClock(utc("12:00"))
        log = await SqliteLog.open(directory / "log", append_time_us=lambda: micros(clock.now()))
        settings = GatewaySettings(**{"data_directory": directory / "gateway", "port": 0} | limits)
        try:
            time = time_of(clock) if all_by_hand else MACHINE_TIME
            stand = cls(log, directory, clock, settings, cache, time)
            async with asyncio.TaskGroup() as tasks:
                replica = tasks.create_task(stand.replica.run())
                gateway = tasks.create_task(stand.gateway.run())
                try:
                    async with asyncio.timeout(SOON_S):
                        await stand.gateway.ready()
                    yield stand
                finally:
                    gateway.cancel()
                    replica.cancel()
        finally:
            await log.aclose()

    @property
    def url(self) -> str:
        host, port = self.gateway.address
        return f"ws://{host}:{port}/v1/stream"

    def token(
        self,
        organisation: str = "acme-ai",
        role: Role = "participant",
        *,
        scopes: tuple[str, ...] = (SIGNAL_READ, OFFER_WRITE),
        ttl_s: int = 3600,
    ) -> str:
        return self.issuer.mint(role, organisation, "tests", scopes, ttl_s, self.time.wall())

    async def publish(self, *records: Record, principal: str = "service:tests") -> None:
        """Appends records, and waits until this replica has reduced, and this gateway read, those that concern it."""
        for record in records:
            await publish(self.log, self.codec, record, principal=principal, source="tests")
        for partition, end in (await self.log.end_positions("dispatch")).items():
            await self.replica.passed(partition, end - 1)
        followed = self.gateway._sources.followed
        for stream in {TOPIC_OF_RECORD[record.record_name].stream for record in records} & followed.keys():
            await followed[stream].reach_end(range(TOPICS[stream].partitions), SOON_S)

    async def announce(self) -> None:
        """Writes what the ledger owes, as the owner of a partition does."""
        for ledger in self.replica.ledgers.values():
            while (owed := next(ledger.next_owed(), None)) is not None:
                await self.publish(owed)

    async def clear(self, request_id: str) -> None:
        """The operator clears the request by hand, and what follows is announced."""
        ledger = next(ledger for ledger in self.replica.ledgers.values() if request_id in ledger.requests)
        assert ledger.now is not None
        await self.announce()
        clearing = decide(
            ledger.book,
            request_id,
            now=ledger.now,
            position=ledger.position,
            trigger=ClearingTrigger.BY_HAND,
            actor="operator:tso-north",
        )
        await self.publish(clearing, principal="operator:tso-north")
        await self.announce()

    async def register(self, site: str = "fra-1", participant: str = "acme-ai", zone: str = "DE-LU") -> None:
        """The site and its baseline are on the log."""
        await self.publish(
            a_site_registration(site=site, participant=participant, zone=zone),
            a_baseline_declaration(site=site, participant=participant, zone=zone),
        )

    @asynccontextmanager
    async def client(
        self, *, site: str | None = "fra-1", hello: bool = True, gateway: Gateway | None = None, **options: Any
    ) -> AsyncIterator[Client]:
        host, port = (gateway or self.gateway).address
        async with open_client(
            f"ws://{host}:{port}/v1/stream", options.pop("token", self.token()), **options
        ) as client:
            if hello:
                client.welcome = await client.hello(site=site)
            yield client


@asynccontextmanager
async def open_client(url: str, token: str | None, *, subprotocol: str = JSON, **options: Any) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with connect(
        url,
        additional_headers=headers,
        subprotocols=[Subprotocol(subprotocol)],
        compression=None,
        open_timeout=SOON_S,
        close_timeout=1,
        max_queue=None,
        **{"ping_interval": None} | options,
    ) as websocket:
        yield Client(websocket)


class Client:
    """A stranger's client: JSON by hand."""

    def __init__(self, websocket: ClientConnection) -> None:
        self.websocket = websocket
        self.welcome: Frame = {}
        self._next_id = 1
        self.unread: list[Frame] = []

    async def send(self, frame: Frame) -> int:
        """Sends a frame, with an id of its own where it has none."""
        if "id" not in frame:
            frame = {**frame, "id": self._next_id}
            self._next_id += 1
        await self.websocket.send(json.dumps(frame))
        return int(frame["id"])

    async def receive(self) -> Frame:
        """The next frame, whatever it is."""
        if self.unread:
            return self.unread.pop(0)
        return await self._read()

    async def _read(self) -> Frame:
        async with asyncio.timeout(SOON_S):
            got = await self.websocket.recv()
        if isinstance(got, bytes):
            return opened(got)
        frame: Frame = json.loads(got)
        return frame

    async def until(self, wanted: Callable[[Frame], bool]) -> Frame:
        """The first frame that is wanted; those before it stay unread."""
        for at, frame in enumerate(self.unread):
            if wanted(frame):
                return self.unread.pop(at)
        async with asyncio.timeout(SOON_S):  # heartbeats go on for ever
            while not wanted(frame := await self._read()):
                self.unread.append(frame)
        return frame

    async def ask(self, t: str, **fields: Any) -> Frame:
        """Sends a request and returns its answer."""
        asked = await self.send({"t": t, **fields})
        return await self.until(lambda frame: frame.get("id") == asked)

    async def hello(self, **fields: Any) -> Frame:
        given = {name: value for name, value in fields.items() if value is not None}
        return await self.ask("hello", client="tests/1", **given)

    async def subscribe(self, stream: str, **fields: Any) -> Frame:
        return await self.ask("subscribe", stream=stream, **fields)

    async def signal(self) -> Frame:
        return await self.until(lambda frame: frame["t"] == "signal")

    async def position(self) -> Frame:
        return await self.until(lambda frame: frame["t"] == "position")

    async def round_trip(self) -> list[Frame]:
        """Everything the gateway sent before it read this ping."""
        pong = await self.websocket.ping()
        async with asyncio.timeout(SOON_S):
            await pong
        reading = [asyncio.create_task(self.websocket.recv())]
        while True:
            await asyncio.sleep(0)
            if not reading[-1].done():
                break
            got = reading[-1].result()
            self.unread.append(opened(got) if isinstance(got, bytes) else json.loads(got))
            reading.append(asyncio.create_task(self.websocket.recv()))
        reading[-1].cancel()
        await asyncio.wait([reading[-1]])
        unread, self.unread = self.unread, []
        return unread

    async def closed(self) -> tuple[int | None, str | None]:
        """The close code and reason, once it is over."""
        async with asyncio.timeout(SOON_S):
            await self.websocket.wait_closed()
        return self.websocket.close_code, self.websocket.close_reason


def opened(message: bytes) -> Frame:
    """An Avro envelope taken apart."""
    assert message[0] == 1
    sub_ends = 2 + message[1]
    cursor_ends = sub_ends + 2 + int.from_bytes(message[sub_ends : sub_ends + 2], "big")
    cursor = message[sub_ends + 2 : cursor_ends].decode()
    value = message[cursor_ends:]
    return {"t": "signal", "sub": message[2:sub_ends].decode(), "cursor": cursor or None, "value": value}
