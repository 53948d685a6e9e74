"""Sends records to Kafka and waits until all replicas in sync have them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from gridsignal_services.bus import PRINCIPAL, Appended, LogUnavailable
from gridsignal_services.bus.condition import Condition
from gridsignal_services.bus.kafka_clients import start, stop
from gridsignal_services.bus.kafka_topics import Brokers
from gridsignal_services.bus.room import RECORD_BYTES, Room
from gridsignal_services.timeouts import Timeouts

MAX_WAITING_BYTES = 32 * 1024 * 1024
SEND_TIMEOUT_S = 15.0
"""Longer than the client's own time-out of 10 s, which is the one that is met."""
CLOSE_TIMEOUT_S = 4.0
BATCH_BYTES = 256 * 1024
"""What one caller appends without waiting fits into it, and so lies in the order in which it was appended."""


class Producer:
    """One client, replaced when it fails: an idempotent producer that lost a batch refuses all that follow.

    Repeats by the client's own retries are prevented by its sequence numbers; nothing rests on that.

    Bounded: MAX_WAITING_BYTES of records under way. When full: callers wait their turn. Conflates: nothing.
    """

    def __init__(self, brokers: Brokers, condition: Condition, *, linger_ms: int) -> None:
        self._brokers, self._condition = brokers, condition
        self._linger_ms = linger_ms
        self._room, self._timeouts = Room(MAX_WAITING_BYTES), Timeouts(SEND_TIMEOUT_S)
        self._client: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._leaving: set[asyncio.Task[None]] = set()
        self._closed = False

    async def send(self, topic: str, partition: int, key: str, value: bytes, headers: Mapping[str, str]) -> Appended:
        """Returns when the record is durable. Raises LogUnavailable, MessageSizeTooLargeError."""
        encoded = [(name, text.encode()) for name, text in headers.items()]
        size, began_s = len(value) + RECORD_BYTES, self._condition.begin()
        await self._room.take(size, headers.get(PRINCIPAL, ""))
        client, place = None, f"{topic} {partition}"
        try:
            with self._timeouts.limit():
                client = await self._ready()
                sent_us = self._condition.now_us()
                sent = await client.send_and_wait(topic, value, key.encode(), partition, headers=encoded)
        except MessageSizeTooLargeError:
            raise
        except (KafkaError, OSError, TimeoutError) as error:
            self._replace(client)
            failure = LogUnavailable(f"kafka can't be written now: {type(error).__name__} {error}")
            self._condition.failed(place, failure)
            raise failure from error
        finally:
            self._room.free(size)
        self._condition.written(place)
        self._condition.written_since(began_s)
        appended = Appended(sent.partition, sent.offset, sent.timestamp * 1000)
        self._condition.stamped(sent_us // 1000 * 1000, appended.appended_us)  # the broker counts whole milliseconds
        return appended

    async def warm(self, topics: Iterable[str]) -> None:
        """Learns where partitions are, so that first records need not wait for it. Raises KafkaError."""
        client = await self._ready()
        for topic in topics:
            await client.partitions_for(topic)

    async def aclose(self) -> None:
        """Sends what is under way, for a few seconds at most."""
        self._closed = True
        self._room.close(LogUnavailable("the log was closed"))
        self._replace(self._client)
        if self._leaving:
            await asyncio.wait(self._leaving)

    async def _ready(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._closed:
                raise LogUnavailable("the log was closed")
            if self._client is None:
                client = AIOKafkaProducer(
                    acks="all",
                    enable_idempotence=True,
                    linger_ms=self._linger_ms,
                    max_batch_size=BATCH_BYTES,
                    **self._brokers.settings(),
                )
                try:
                    await start(client)
                except BaseException:
                    await stop(client, CLOSE_TIMEOUT_S)
                    raise
                self._client = client
            return self._client

    def _replace(self, client: AIOKafkaProducer | None) -> None:
        if client is not None and client is self._client:  # the first to fail replaces it for all
            self._client = None
            leaving = asyncio.create_task(stop(client, CLOSE_TIMEOUT_S))
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)
