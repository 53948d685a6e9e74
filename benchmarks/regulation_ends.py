"""Both ends of the regulation signal, each in a process of its own: the operator's door and its EMS, those who hear."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import httpx2
from aiokafka import AIOKafkaConsumer, TopicPartition
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from benchmarks.servers import example
from gridsignal_schemas.catalog import TOPICS
from gridsignal_schemas.messages import DispatchOrder, DispatchRequest, OrderState, RegulationSetpoint
from gridsignal_schemas.values import rfc3339
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.kafka import KafkaLog
from gridsignal_services.bus.kafka_topics import Brokers
from gridsignal_services.bus.registry import SchemaRegistry, ids
from gridsignal_services.ledger.requesting import audience_of_request
from gridsignal_services.ledger.tracked import TrackedOrder, TrackedRequest
from gridsignal_services.replica import Replica
from gridsignal_services.rest.asgi import HttpServer
from gridsignal_services.rest.limits import RestLimits
from gridsignal_services.settings import ServerSettings
from gridsignal_services.work import let_the_loop_in
from tests.integration.a_door import a_door, callers_of

CYCLE_S = 2
PARTICIPANTS = {"acme-ai": "fra-1", "hyper-infer": "ber-1", "volt-colo": "muc-1"}
"""Whose sites the orders are for, in turns."""
_BASE_W = 40_000_000
_AT_ONCE = 50
_LONG_S = 30.0
What = tuple[str, int]
"""A setpoint's order and cycle."""


@dataclass(slots=True)
class Sent:
    """When the batch of each setpoint was posted, and how long each batch waited for its answer."""

    began_ms: dict[What, float] = field(default_factory=dict)
    answered_ms: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Heard:
    """When each setpoint came, and what came that should not have."""

    at_ms: dict[What, float] = field(default_factory=dict)
    reordered: int = 0
    stale: int = 0


def _now_ms() -> float:
    return time.monotonic_ns() / 1e6


def orders(count: int) -> Iterator[DispatchOrder]:
    """Orders that run now, for the sites in turns."""
    now, golden, sites = datetime.now(UTC), example(DispatchOrder), list(PARTICIPANTS.items())
    for number in range(count):
        participant, site = sites[number % len(sites)]
        yield golden.model_copy(
            update={
                "order_id": f"order-{number}",
                "participant": participant,
                "site": site,
                "starts_at": now - timedelta(hours=1),
                "ends_at": now + timedelta(hours=3),
            }
        )


# --- the operator -----------------------------------------------------------------------------------------------


def door(pipe: Connection, servers: str, registry: str, prefix: str, folder: str, count: int) -> None:
    """The operators' door on a log of its own connection; its ledger holds these orders."""
    let_the_loop_in()
    asyncio.run(_door(pipe, servers, registry, prefix, Path(folder), count))


async def _door(pipe: Connection, servers: str, registry: str, prefix: str, folder: Path, count: int) -> None:
    log, codec = await KafkaLog.open(Brokers(servers), prefix=prefix), await _codec(registry, prefix)
    replica = Replica(log, codec, source="/benchmarks")
    request = example(DispatchRequest)
    ledger = replica.ledger_of(request.zone)
    ledger.requests[request.request_id] = TrackedRequest(request, 0, {}, {}, audience_of_request(request))
    for order in orders(count):
        ledger.orders[order.order_id] = TrackedOrder(order, None, "", OrderState.ACTIVE, accepted_w=order.power_w)
    made, _ = callers_of(a_door(log, replica, _Wall(), folder, codec=codec), folder)
    settings = ServerSettings(directory=folder, dispatch_port=0)
    server = HttpServer(made, settings, 0, RestLimits())
    server.listen()
    pipe.send(server.address[1])
    await server.serve()


class _Wall:
    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep_until(self, when: datetime) -> None:
        await asyncio.sleep(max(0.0, (when - self.now()).total_seconds()))


class Desk:
    """An EMS: one connection, one batch after the other."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._headers = url, {"Authorization": f"Bearer {token}"}
        self._cycle = 0

    async def regulate(self, count: int, batch: int, seconds: float) -> Sent:
        """A setpoint to each of the orders in each cycle, its batches spread evenly over it."""
        sent, names = Sent(), [order.order_id for order in orders(count)]
        batches = [names[at : at + batch] for at in range(0, count, batch)]
        async with httpx2.AsyncClient(base_url=self._url, headers=self._headers, timeout=_LONG_S) as http:
            began_s = time.monotonic()
            for cycle in range(round(seconds / CYCLE_S)):
                self._cycle += 1
                for place, some in enumerate(batches):
                    due_s = began_s + CYCLE_S * (cycle + place / len(batches))
                    await asyncio.sleep(max(0.0, due_s - time.monotonic()))
                    await self._post(http, some, sent)
        return sent

    async def _post(self, http: httpx2.AsyncClient, names: list[str], sent: Sent) -> None:
        setpoints = [{"order_id": name, "level_ppm": 250_000, "base_w": _BASE_W} for name in names]
        body = {"cycle_s": CYCLE_S, "cycle_no": self._cycle, "target_at": rfc3339(datetime.now(UTC))}
        began_ms = _now_ms()
        answer = await http.post("/v1/regulation/setpoints", json=body | {"setpoints": setpoints})
        sent.answered_ms.append(_now_ms() - began_ms)
        if answer.status_code != 200 or answer.json()["refused"]:
            raise SystemExit(f"regulation: expected all to be logged, got {answer.status_code} {answer.text[:300]}")
        sent.began_ms |= {(name, self._cycle): began_ms for name in names}


# --- those who hear ---------------------------------------------------------------------------------------------


def clients(pipe: Connection, port: int, tokens: dict[str, str], count: int) -> None:
    """A WebSocket for each order, which hears its setpoints alone."""
    asyncio.run(_clients(pipe, port, tokens, count))


async def _clients(pipe: Connection, port: int, tokens: dict[str, str], count: int) -> None:
    heard, opening = Heard(), asyncio.Semaphore(_AT_ONCE)
    ready = [asyncio.Event() for _ in range(count)]
    async with asyncio.TaskGroup() as tasks:
        for order, event in zip(orders(count), ready, strict=True):
            tasks.create_task(_client(port, tokens[order.participant], order, opening, event, heard))
        for event in ready:
            await event.wait()
        await _report(pipe, heard)


async def _client(
    port: int, token: str, order: DispatchOrder, opening: asyncio.Semaphore, ready: asyncio.Event, heard: Heard
) -> None:
    headers, protocol = {"Authorization": f"Bearer {token}"}, Subprotocol("gridsignal.v1.json")
    async with opening:
        connection = await connect(
            f"ws://127.0.0.1:{port}/v1/stream", additional_headers=headers, subprotocols=[protocol], compression=None
        )
    wanted = {"stream": "regulation", "filter": {"orders": [order.order_id]}, "mode": "latest"}
    await connection.send(json.dumps({"t": "hello", "id": 1, "client": "bench/1", "site": order.site}))
    await connection.send(json.dumps({"t": "subscribe", "id": 2} | wanted))
    last = 0
    async for message in connection:
        now_ms = _now_ms()
        frame = json.loads(message)
        if frame["t"] == "position":
            ready.set()
        elif frame["t"] == "signal":
            setpoint = frame["body"]
            heard.reordered += setpoint["cycle_no"] <= last
            heard.stale += datetime.fromisoformat(setpoint["valid_until"]) <= datetime.now(UTC)
            last = setpoint["cycle_no"]
            heard.at_ms[setpoint["order_id"], last] = now_ms
        elif frame["t"] in ("error", "refused"):
            raise SystemExit(f"regulation: expected a subscription, got {frame}")


def consumer(pipe: Connection, servers: str, topic: str, registry: str, prefix: str) -> None:
    """A bare consumer: every partition, no group, nothing set that makes it faster or slower."""
    asyncio.run(_consumer(pipe, servers, topic, registry, prefix))


async def _consumer(pipe: Connection, servers: str, topic: str, registry: str, prefix: str) -> None:
    heard, codec = Heard(), await _codec(registry, prefix)
    reader = AIOKafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False, auto_offset_reset="latest")
    reader.assign([TopicPartition(topic, partition) for partition in range(TOPICS["regulation"].partitions)])
    async with reader:
        await reader.seek_to_end()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_read(reader, codec, heard))
            await _report(pipe, heard)


async def _read(reader: AIOKafkaConsumer, codec: Codec, heard: Heard) -> None:
    async for record in reader:
        now_ms = _now_ms()
        setpoint = codec.decode(record.value)
        assert isinstance(setpoint, RegulationSetpoint)
        heard.at_ms[setpoint.order_id, setpoint.cycle_no] = now_ms


async def _report(pipe: Connection, heard: Heard) -> None:
    """Says it is ready; then, asked for a number of setpoints, what it has heard since it was asked before."""
    pipe.send("ready")
    while True:
        count = await asyncio.to_thread(pipe.recv)
        until_s = time.monotonic() + _LONG_S
        while len(heard.at_ms) < count and time.monotonic() < until_s:  # noqa: ASYNC110 - nobody may be woken
            await asyncio.sleep(0.05)
        pipe.send(heard)
        heard.at_ms = {}


async def _codec(registry: str, prefix: str) -> Codec:
    async with SchemaRegistry(registry) as schemas:
        return Codec(await ids(schemas, prefix))
