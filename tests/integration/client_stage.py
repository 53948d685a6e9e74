"""Where the SDK is held to the protocol: a gateway, real or fake, behind a relay that can cut, freeze and redirect.

Everything a test sees comes through a real socket, and every fault happens on the way and not inside the gateway.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

import gridsignal
from gridsignal.testing import FakeGrid
from gridsignal_schemas.messages import DispatchOrder, FlexOffer, Record
from gridsignal_services.bus import LogRecord
from gridsignal_services.clock import SteppedClock
from gridsignal_services.ledger.entry import Outcome
from tests.builders import REQUEST_ID, utc
from tests.integration.gateway_stand import Stand

SOON_S = 10.0
NOON = utc("12:00")
"""Grid time of every stage; it stands until a test moves it."""
HASTY = gridsignal.Limits(retry_first_s=0.02, retry_longest_s=0.1, first_connect_s=5.0)
R = TypeVar("R", bound=Record)


class Relay:
    """Loopback TCP between the SDK and a gateway."""

    def __init__(self) -> None:
        self.target = ("127.0.0.1", 0)
        self.accepted = 0
        self.frozen_up = False
        self.frozen_down = False
        """Bytes in this direction vanish, and nobody is told: half-open."""
        self.flowing = asyncio.Event()
        self.flowing.set()
        """Cleared: nothing is read any more, so that the sender's buffers fill; nobody is told."""
        self.port = 0
        self.came = asyncio.Event()
        """A connection was accepted."""
        self.swallowed = asyncio.Event()
        """Bytes have vanished."""
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._open = asyncio.Event()
        self._open.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self._open.set()
        self.flowing.set()
        self.cut()
        await self._server.wait_closed()

    def cut(self) -> None:
        """Every connection ends, without a goodbye."""
        for writer in list(self._writers):
            writer.transport.abort()

    def refuse_new(self) -> None:
        """Connections are cut as they come."""
        self._open.clear()

    def admit(self) -> None:
        """And now they are not."""
        self._open.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._open.is_set():
            writer.transport.abort()
            return
        self.accepted += 1
        self.came.set()
        try:
            there_reader, there_writer = await asyncio.open_connection(*self.target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, there_writer}
        up = self._copy(reader, there_writer, lambda: self.frozen_up)
        down = self._copy(there_reader, writer, lambda: self.frozen_down)
        await asyncio.gather(up, down)
        self._writers -= {writer, there_writer}

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, frozen: Callable[[], bool]
    ) -> None:
        with suppress(OSError):
            while await self.flowing.wait() and (chunk := await reader.read(65_536)):
                if frozen():
                    self.swallowed.set()
                    continue
                writer.write(chunk)
                await writer.drain()
        if not frozen():
            writer.close()


class Stage(Protocol):
    """What a gateway must offer to stand here."""

    name: str
    relay: Relay
    clock: SteppedClock

    def token(self) -> str: ...

    async def publish(self, *records: Record) -> None:
        """Returns when the records are on the log."""

    async def ask(self, request: Record) -> None:
        """An operator asks; the site is registered."""

    async def order(self, offer_id: str) -> None:
        """What was offered is cleared and ordered."""

    async def logged(self, kind: type[R], **fields: Any) -> R:
        """The first record of this kind, with these fields, that a data center got accepted; waits for it."""

    def count(self, kind: type[Record]) -> int:
        """How many records of this kind data centers got accepted."""


class FakeStage:
    """The gateway in memory that ships with the SDK."""

    name = "fake"

    def __init__(self, fake: FakeGrid, relay: Relay) -> None:
        self.fake, self.relay = fake, relay
        self.clock = SteppedClock(NOON)

    def token(self) -> str:
        return self.fake.token

    async def publish(self, *records: Record) -> None:
        for record in records:
            self.fake.publish(record)

    async def ask(self, request: Record) -> None:
        self.fake.publish(request)

    async def order(self, offer_id: str) -> None:
        offer = next(r for r in self.fake.world.written if isinstance(r, FlexOffer) and r.offer_id == offer_id)
        self.fake.award(offer)

    async def logged(self, kind: type[R], **fields: Any) -> R:
        async with asyncio.timeout(SOON_S):
            return await self.fake.next(kind, **fields)

    def count(self, kind: type[Record]) -> int:
        return sum(isinstance(record, kind) for record in self.fake.world.written)


class GatewayStage:
    """The real gateway on the embedded log."""

    name = "gateway"

    def __init__(self, stand: Stand, relay: Relay) -> None:
        self.stand, self.relay = stand, relay
        self.clock = SteppedClock(NOON)
        self._records: list[Record] = []
        self._news = asyncio.Event()
        stand.replica.listen(self._reduced)

    def _reduced(self, _: LogRecord, record: Record, outcome: Outcome) -> None:
        if outcome.accepted:
            self._records.append(record)
            self._news.set()

    def token(self) -> str:
        return self.stand.token()

    async def publish(self, *records: Record) -> None:
        await self.stand.publish(*records)

    async def ask(self, request: Record) -> None:
        await self.stand.register()
        await self.stand.publish(request, principal="operator:tso-north")

    async def order(self, offer_id: str) -> None:
        del offer_id  # the book knows
        await self.stand.clear(REQUEST_ID)

    async def logged(self, kind: type[R], **fields: Any) -> R:
        async with asyncio.timeout(SOON_S):
            while True:
                for record in self._records:
                    if isinstance(record, kind) and all(getattr(record, name) == v for name, v in fields.items()):
                        return record
                self._news.clear()
                await self._news.wait()

    def count(self, kind: type[Record]) -> int:
        return sum(isinstance(record, kind) for record in self._records)


@asynccontextmanager
async def fake_stage(_: Path) -> AsyncIterator[Stage]:
    async with Relay() as relay, FakeGrid(now=lambda: NOON) as fake:
        relay.target = ("127.0.0.1", fake.port)
        yield FakeStage(fake, relay)


@asynccontextmanager
async def gateway_stage(directory: Path) -> AsyncIterator[Stage]:
    async with Relay() as relay, Stand.open(directory) as stand:
        relay.target = stand.gateway.address
        yield GatewayStage(stand, relay)


STAGES = {"fake": fake_stage, "gateway": gateway_stage}


@asynccontextmanager
async def connected(stage: Stage, **options: Any) -> AsyncIterator[gridsignal.Grid]:
    """The SDK, through the relay."""
    given: dict[str, Any] = {"site": "fra-1", "outbox": ":memory:", "clock": stage.clock, "limits": HASTY}
    url = f"ws://127.0.0.1:{stage.relay.port}"
    async with asyncio.timeout(3 * SOON_S), gridsignal.connect(url, token=stage.token(), **given | options) as grid:
        yield grid


async def take(signals: gridsignal.Subscription, count: int) -> list[gridsignal.Message]:
    """The next messages, soon."""
    async with asyncio.timeout(SOON_S):
        return [await anext(signals) for _ in range(count)]


def order_of(messages: list[gridsignal.Message]) -> DispatchOrder:
    """The one order among them."""
    (order,) = [message for message in messages if isinstance(message, DispatchOrder)]
    return order
