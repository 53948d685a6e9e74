"""Offers received durably through the gateway, in turns with a bare producer that sends the same bytes."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from websockets.asyncio.client import ClientConnection

from benchmarks.kafka_stand import Stand
from benchmarks.machine import percentile
from benchmarks.offers import Figures, offer_all, offer_frame
from gridsignal_schemas.catalog import TOPICS, partition_of
from gridsignal_schemas.messages import FlexOffer
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.publish import headers_of

_TOPIC = TOPICS["dispatch"]
_SITE = {"zone": "DE-LU", "participant": "acme-ai", "site": "fra-1"}
_PARTITION = partition_of(_SITE["zone"], _TOPIC.partitions)
_PER_OFFER = 2
"""Records on the log for one offer: itself and the decision that announces it."""
_LONG_S = 120.0


@dataclass(frozen=True, slots=True)
class Turn:
    """One way of writing, once."""

    figures: Figures
    decided_per_s: float | None
    """Offers whose decision was on the log, too; None for the bare producer."""
    cpu_ms: dict[str, float]
    """CPU milliseconds of each process for one offer, decisions included."""


@dataclass(frozen=True, slots=True)
class Row:
    """So many in flight, both ways."""

    in_flight: int
    offers: Turn
    bare: Turn

    @property
    def ratio(self) -> float:
        return self.offers.figures[0] / self.bare.figures[0]


async def measured(stand: Stand, in_flights: list[int], count: int, repeat: int) -> list[Row]:
    """Both ways in turns, `repeat` times for each number in flight; the medians by rate."""
    async with _ends(stand) as ends, _producer(stand) as producer, stand.connected() as connection:
        await _pair(stand, ends, producer, connection, max(in_flights), count)  # the JVM compiles, nobody counts
        rows = []
        for in_flight in in_flights:
            pairs = [await _pair(stand, ends, producer, connection, in_flight, count) for _ in range(repeat)]
            rows.append(Row(in_flight, *(_median([pair[way] for pair in pairs]) for way in (0, 1))))
        return rows


def _median(turns: list[Turn]) -> Turn:
    return sorted(turns, key=lambda turn: turn.figures)[(len(turns) - 1) // 2]


def _ends(stand: Stand) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(**stand.brokers.settings())


def _producer(stand: Stand) -> AIOKafkaProducer:
    return AIOKafkaProducer(acks="all", enable_idempotence=True, linger_ms=0, **stand.brokers.settings())


async def _pair(
    stand: Stand,
    ends: AIOKafkaConsumer,
    producer: AIOKafkaProducer,
    connection: ClientConnection,
    in_flight: int,
    count: int,
) -> tuple[Turn, Turn]:
    names = [str(uuid.uuid4()) for _ in range(count)]
    values, headers = _values(stand.offer, names)
    frames = [offer_frame(number, name, stand.offer) for number, name in enumerate(names)]
    return (
        await _offered(stand, ends, connection, frames, in_flight),
        await _produced(stand, producer, values, headers, in_flight),
    )


def _values(body: dict[str, Any], names: list[str]) -> tuple[list[bytes], list[tuple[str, bytes]]]:
    """What the gateway makes of these offers: the bytes, but for the schema's id, and an offer's headers."""
    codec = Codec.from_lock()
    offers = [FlexOffer.model_validate_json(json.dumps(body | _SITE | {"offer_id": name})) for name in names]
    headers = headers_of(offers[0], principal="participant:acme-ai", source="/gateway")
    return [codec.encode(offer) for offer in offers], [(name, text.encode()) for name, text in headers.items()]


async def _offered(
    stand: Stand, ends: AIOKafkaConsumer, connection: ClientConnection, frames: list[str], in_flight: int
) -> Turn:
    place = TopicPartition(f"{stand.fleet.prefix}{_TOPIC.name}", _PARTITION)
    goal = (await ends.end_offsets([place]))[place] + _PER_OFFER * len(frames)
    before, began = stand.cpu(), time.perf_counter()
    figures = await offer_all(connection, frames, in_flight)
    async with asyncio.timeout(_LONG_S):
        while (await ends.end_offsets([place]))[place] < goal:  # noqa: ASYNC110 - the broker sends no event for it
            await asyncio.sleep(0.02)
    return Turn(figures, len(frames) / (time.perf_counter() - began), _per_offer(stand, before, len(frames)))


async def _produced(
    stand: Stand, producer: AIOKafkaProducer, values: list[bytes], headers: list[tuple[str, bytes]], in_flight: int
) -> Turn:
    topic, key = f"{stand.bare_prefix}{_TOPIC.name}", _SITE["zone"].encode()
    took: list[float] = []
    left = iter(values)

    async def produce() -> None:
        for value in left:
            began = time.perf_counter()
            await producer.send_and_wait(topic, value, key, _PARTITION, headers=headers)
            took.append((time.perf_counter() - began) * 1000)

    before, began = stand.cpu(), time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(in_flight):
            tasks.create_task(produce())
    rate = len(values) / (time.perf_counter() - began)
    took.sort()
    figures = (rate, percentile(took, 0.5), percentile(took, 0.99))
    return Turn(figures, None, _per_offer(stand, before, len(values)))


def _per_offer(stand: Stand, before: dict[str, float], count: int) -> dict[str, float]:
    return {name: (after - before[name]) * 1000 / count for name, after in stand.cpu().items()}
