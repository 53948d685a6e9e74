"""From a record's way to the log to its arrival: at a WebSocket client and at a bare consumer, the same records."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from benchmarks.kafka_stand import Stand
from benchmarks.listener import Listener
from benchmarks.machine import percentile
from benchmarks.servers import example
from benchmarks.subscriber import Frame, Subscriber, Tally
from gridsignal_schemas.catalog import TOPICS
from gridsignal_schemas.messages import SpotPrice
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.publish import headers_of
from gridsignal_services.bus.registry import SchemaRegistry, ids

_TOPIC = TOPICS["prices"]
_STAMP = b"due="
_HELLO: list[Frame] = [
    {"t": "hello", "id": 1, "client": "bench/1"},
    {"t": "subscribe", "id": 2, "stream": "prices", "filter": {"zones": ["DE-LU"]}, "snapshot": False},
]
_WARM_UP_S = 2.0
_LONG_S = 30.0


@dataclass(frozen=True, slots=True)
class Late:
    """How long after the send; milliseconds, sorted."""

    acknowledged: list[float]
    consumer: list[float]
    socket: list[float]


async def measured(stand: Stand, registry: str, rate_per_s: float, seconds: float) -> Late:
    """Sends at a rate; both receivers, each a process of its own, read each record's stamp."""
    async with SchemaRegistry(registry) as schemas:
        codec = Codec(await ids(schemas, stand.fleet.prefix))
    address = (stand.fleet.port("gateway-1"), stand.fleet.token("participant", "acme-ai"))
    topic = f"{stand.fleet.prefix}{_TOPIC.name}"
    listeners = [Listener(_listen, *address), Listener(_consume, stand.brokers.servers, topic)]
    try:
        for listener in listeners:
            await listener.answer()  # it is ready
        warm_up, count = int(rate_per_s * _WARM_UP_S), int(rate_per_s * seconds)
        acknowledged = await _send(stand, codec, topic, warm_up + count, rate_per_s)
        socket, consumer = [sorted((await listener.asked(warm_up + count))[warm_up:]) for listener in listeners]
    finally:
        for listener in listeners:
            listener.end()
    return Late(sorted(acknowledged[warm_up:]), consumer, socket)


async def _send(stand: Stand, codec: Codec, topic: str, count: int, rate_per_s: float) -> list[float]:
    golden = example(SpotPrice)
    price = golden.model_dump() | {"prices_per_mwh": golden.prices_per_mwh[:1]}
    headers = headers_of(golden, principal="service:benchmarks", source="/benchmarks")
    encoded = [(name, text.encode()) for name, text in headers.items()]
    took: list[float] = []
    began_s = time.monotonic()

    async def send(revision: int) -> None:
        sent_ns = time.monotonic_ns()
        record = SpotPrice(**price | {"revision": revision, "licence": f"due={sent_ns}"})
        await producer.send_and_wait(topic, codec.encode(record), record.zone.encode(), headers=encoded)
        took.append((time.monotonic_ns() - sent_ns) / 1e6)

    settings = stand.brokers.settings()
    async with AIOKafkaProducer(acks="all", linger_ms=0, **settings) as producer, asyncio.TaskGroup() as tasks:
        for number in range(count):
            await asyncio.sleep(max(0.0, began_s + number / rate_per_s - time.monotonic()))
            tasks.create_task(send(number + 1))
    return took


# --- those who listen -------------------------------------------------------------------------------------------


def _listen(pipe: Connection, port: int, token: str) -> None:
    asyncio.run(_listened(pipe, port, token))


async def _listened(pipe: Connection, port: int, token: str) -> None:
    tally = Tally()
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: Subscriber(tally, token, _HELLO, 1, True), "127.0.0.1", port)
    await tally.all_subscribed.wait()
    await _report(pipe, tally.late_ms)


def _consume(pipe: Connection, servers: str, topic: str) -> None:
    asyncio.run(_consumed(pipe, servers, topic))


async def _consumed(pipe: Connection, servers: str, topic: str) -> None:
    """As one would write it: every partition, no group, nothing set that makes it faster or slower."""
    late_ms: list[float] = []
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False, auto_offset_reset="latest")
    consumer.assign([TopicPartition(topic, partition) for partition in range(_TOPIC.partitions)])
    async with consumer:
        await consumer.seek_to_end()
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(_read(consumer, late_ms))
            await _report(pipe, late_ms)
            reading.cancel()


async def _read(consumer: AIOKafkaConsumer, late_ms: list[float]) -> None:
    async for record in consumer:
        now_ns = time.monotonic_ns()
        late_ms.append((now_ns - _stamp(record.value)) / 1e6)


def _stamp(value: bytes) -> int:
    """The digits behind the mark: nanoseconds of the monotonic clock, which all processes share."""
    at = end = value.index(_STAMP) + len(_STAMP)
    while value[end : end + 1].isdigit():
        end += 1
    return int(value[at:end])


async def _report(pipe: Connection, late_ms: list[float]) -> None:
    pipe.send("ready")
    count = await asyncio.to_thread(pipe.recv)
    async with asyncio.timeout(_LONG_S):
        while len(late_ms) < count:  # noqa: ASYNC110 - nobody may be woken while latency is taken
            await asyncio.sleep(0.05)
    pipe.send(late_ms)


def median_and_p99(late_ms: list[float]) -> tuple[float, float]:
    """Of sorted values."""
    return percentile(late_ms, 0.5), percentile(late_ms, 0.99)
