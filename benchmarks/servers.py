"""The servers under test, each in a process of its own that obeys one pipe.

The publisher lives in the server's process, as with `gridsignal up`: the embedded log has one owner.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from importlib.resources import files
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from websockets.asyncio.server import broadcast, serve

from benchmarks import signing
from benchmarks.machine import SERVER, cpu_s, percentile, pin
from gridsignal.testing import ManualClock
from gridsignal_schemas.catalog import TOPIC_OF_RECORD
from gridsignal_schemas.messages import (
    RECORDS,
    BaselineDeclaration,
    DispatchRequest,
    FlexOffer,
    Record,
    SiteRegistration,
    SpotPrice,
)
from gridsignal_services.access import OFFER_WRITE, SIGNAL_READ
from gridsignal_services.access.issuer import LocalIssuer
from gridsignal_services.access.signer import Signer
from gridsignal_services.audit.keeping import TreeKeeper
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.publish import headers_of, publish
from gridsignal_services.bus.sqlite import SoleCandidate, SqliteLog
from gridsignal_services.cache.memory import MemoryCache
from gridsignal_services.clock import micros
from gridsignal_services.collecting import collect_seldom
from gridsignal_services.gateway.rendering import TEXT, message
from gridsignal_services.gateway.service import Gateway
from gridsignal_services.gateway.settings import GatewaySettings
from gridsignal_services.owning.heads import Heads
from gridsignal_services.owning.owner import Owner
from gridsignal_services.replica import Replica
from gridsignal_services.telemetry import configure_logging
from gridsignal_services.work import let_the_loop_in

R = TypeVar("R", bound=Record)
NOON = datetime(2024, 5, 12, 12, tzinfo=UTC)
_PRINCIPAL, _SOURCE = "service:benchmarks", "/benchmarks"
Publish = Callable[[int], Awaitable[None]]


def example(record: type[R]) -> R:
    """The ordinary golden example of a record."""
    path = files("gridsignal_schemas").joinpath("examples", f"{record.__name__}.ordinary.json")
    return record.model_validate_json(path.read_text("utf-8"))


async def paced(send: Publish, rate_per_s: float, seconds: float) -> dict[str, float]:
    """Publishes at a rate; each message carries when it was due, so that a late publisher shows as latency."""
    count = int(rate_per_s * seconds)
    began, began_cpu = time.monotonic_ns(), cpu_s()
    for number in range(count):
        due = began + int(number * 1e9 / rate_per_s)
        wait_s = (due - time.monotonic_ns()) / 1e9
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        await send(due)
    return {"sent": count, "took_s": (time.monotonic_ns() - began) / 1e9, "began_cpu_s": began_cpu}


async def obey(pipe: Connection, send: Publish, extra: Callable[[Any], Awaitable[Any]] | None = None) -> None:
    """Answers commands until told to stop."""
    while True:
        command, *arguments = await asyncio.to_thread(pipe.recv)
        if command == "stop":
            return
        if command == "publish":
            pipe.send(await paced(send, *arguments))
        elif command == "cpu":
            pipe.send(cpu_s())
        elif extra is not None:
            pipe.send(await extra(arguments[0]))


# --- the gateway ------------------------------------------------------------------------------------------------


def run_gateway(pipe: Connection, profile: str | None, heads_every_s: float | None = None) -> None:
    """A gateway around an embedded log and a replica; `profile` is a file for cProfile.

    With `heads_every_s` an owner acts beside it, which writes a tree head so often, or none where that is 0.
    """
    pin(SERVER)
    let_the_loop_in()  # as `gridsignal up` does
    configure_logging(json=False, level="WARNING")
    if profile is None:
        asyncio.run(_gateway(pipe, heads_every_s))
        return
    import cProfile

    profiler = cProfile.Profile()
    profiler.runcall(asyncio.run, _gateway(pipe, heads_every_s))
    profiler.dump_stats(profile)


async def _gateway(pipe: Connection, heads_every_s: float | None) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        log = await SqliteLog.open(directory / "log", append_time_us=lambda: micros(NOON))
        try:
            await _serve_gateway(pipe, log, directory, heads_every_s)
        finally:
            await log.aclose()


async def _serve_gateway(pipe: Connection, log: SqliteLog, directory: Path, heads_every_s: float | None) -> None:
    codec = Codec.from_lock()
    issuer = LocalIssuer.create_or_open(directory / "issuer")
    replica = Replica(log, codec, source=_SOURCE)
    # one organisation is all subscribers, one connection makes all the offers: what bounds one of them is out of the
    # way, every other bound stays
    limits: dict[str, Any] = {"frames_per_s": 1e6, "frame_burst": 1_000_000}
    limits |= {"organisation_writes_per_s": 1e6, "organisation_write_burst": 1_000_000}
    limits |= {"organisation_connections": 20_000, "organisation_handshakes_per_s": 1e6}
    settings = GatewaySettings(directory / "gateway", port=0, **limits)
    gateway = Gateway(
        log, codec, replica, issuer.verifier(), signing.registry(), MemoryCache(), settings, ManualClock(NOON)
    )
    async with asyncio.TaskGroup() as tasks:
        lasting = [replica.run(), gateway.run(), collect_seldom(gateway.ready())]
        if heads_every_s is not None:
            lasting += _owning(log, replica, directory, heads_every_s)
        running = [tasks.create_task(each) for each in lasting]
        await gateway.ready()
        for record in (SiteRegistration, BaselineDeclaration, DispatchRequest):
            first = example(record)
            principal = f"operator:{first.operator}" if isinstance(first, DispatchRequest) else _PRINCIPAL
            await replica.submit(first, principal)
        token = issuer.mint("participant", "acme-ai", "bench", [SIGNAL_READ, OFFER_WRITE], 3600, datetime.now(UTC))
        pipe.send((gateway.address[1], token))
        await obey(pipe, _price_publisher(log, codec), lambda load: _bare_appends(codec, directory, *load))
        for task in running:
            task.cancel()


def _owning(log: SqliteLog, replica: Replica, directory: Path, every_s: float) -> list[Coroutine[Any, Any, None]]:
    """Who owns all zones, and keeps the hashes beside the log."""
    signer = Signer.create_or_open(directory)
    heads = Heads(log.epoch, signer, every_s, every_s, lambda: datetime.now(UTC)) if every_s else None
    owner = Owner(replica, ManualClock(NOON), SoleCandidate(frozenset(replica.ledgers)), heads)
    return [owner.run(), *([TreeKeeper(log, replica, directory).run()] if heads else [])]


def _price_publisher(log: SqliteLog, codec: Codec) -> Publish:
    price = example(SpotPrice).model_dump() | {"prices_per_mwh": example(SpotPrice).prices_per_mwh[:1]}
    revision = 0

    async def send(due_ns: int) -> None:
        nonlocal revision
        revision += 1
        record = SpotPrice(**price | {"revision": revision, "licence": f"due={due_ns}"})
        await publish(log, codec, record, principal=_PRINCIPAL, source=_SOURCE)

    return send


async def _bare_appends(
    codec: Codec, directory: Path, in_flight: int, count: int, name: str = FlexOffer.__name__
) -> tuple[float, float, float]:
    """Appends per second, p50 and p99 in ms, of such a record's bytes on a log that nobody reads."""
    record: Any = example(RECORDS[name])
    value, headers = codec.encode(record), headers_of(record, principal=_PRINCIPAL, source=_SOURCE)
    log = await SqliteLog.open(directory / f"bare-{in_flight}-{time.monotonic_ns()}")
    took: list[float] = []
    left = iter(range(count))

    async def append() -> None:
        for _ in left:
            began = time.perf_counter()
            await log.append(TOPIC_OF_RECORD[name].stream, record.zone, value, headers)
            took.append((time.perf_counter() - began) * 1000)

    try:
        began = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(in_flight):
                tasks.create_task(append())
        rate = count / (time.perf_counter() - began)
    finally:
        await log.aclose()
    took.sort()
    return rate, percentile(took, 0.5), percentile(took, 0.99)


# --- what it is compared with -----------------------------------------------------------------------------------


def run_broadcast(pipe: Connection, frame_bytes: int) -> None:
    """A plain `websockets.broadcast()` server: no log, filter, cursor, token or backlog."""
    pin(SERVER)
    asyncio.run(_broadcast(pipe, frame_bytes))


async def _broadcast(pipe: Connection, frame_bytes: int) -> None:
    connections: set[Any] = set()

    async def stay(connection: Any) -> None:
        await connection.recv()  # the subscription
        connections.add(connection)
        await connection.send('{"t":"subscribed"}')
        await connection.wait_closed()
        connections.discard(connection)

    async def send(due_ns: int) -> None:
        frame = {"t": "signal", "licence": f"due={due_ns}", "filling": ""}
        frame["filling"] = "x" * max(0, frame_bytes - len(json.dumps(frame)))
        broadcast(connections, json.dumps(frame))
        await asyncio.sleep(0)

    async with serve(stay, "127.0.0.1", 0, compression=None, ping_interval=None, backlog=4096) as server:
        pipe.send((server.sockets[0].getsockname()[1], ""))
        await obey(pipe, send)
        for connection in list(connections):
            connection.transport.abort()


# --- the ceiling ------------------------------------------------------------------------------------------------

_TICK_S = 0.002


def run_bare(pipe: Connection, frame_bytes: int) -> None:
    """asyncio alone: no WebSocket library, nothing is read, and each tick writes all that has gathered in one piece."""
    pin(SERVER)
    asyncio.run(_bare(pipe, frame_bytes))


class _Bare(asyncio.Protocol):
    """Lets everybody in, and has everybody subscribed by their first message."""

    def __init__(self, subscribed: set[asyncio.Transport]) -> None:
        self._subscribed = subscribed
        self._is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if not self._is_open:
            self._is_open = True
            head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
            self._transport.write(head.encode())
        elif self._transport not in self._subscribed:
            self._subscribed.add(self._transport)
            self._transport.write(message(TEXT, b'{"t":"subscribed"}'))

    def connection_lost(self, exc: Exception | None) -> None:
        self._subscribed.discard(self._transport)


async def _bare(pipe: Connection, frame_bytes: int) -> None:
    loop, connections, gathered = asyncio.get_running_loop(), set[asyncio.Transport](), list[bytes]()

    def write() -> None:
        joined = b"".join(gathered)
        gathered.clear()
        for transport in connections:
            transport.write(joined)

    async def send(due_ns: int) -> None:
        frame = {"t": "signal", "licence": f"due={due_ns}", "filling": ""}
        frame["filling"] = "x" * max(0, frame_bytes - 4 - len(json.dumps(frame)))
        if not gathered:
            loop.call_later(_TICK_S, write)
        gathered.append(message(TEXT, json.dumps(frame).encode()))

    server = await loop.create_server(lambda: _Bare(connections), "127.0.0.1", 0, backlog=4096)
    async with server:
        pipe.send((server.sockets[0].getsockname()[1], ""))
        await obey(pipe, send)
        for transport in list(connections):
            transport.abort()
