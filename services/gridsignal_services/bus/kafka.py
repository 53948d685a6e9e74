"""The log on Apache Kafka: acknowledged by all replicas in sync, timed by the broker, read without a group."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from weakref import WeakSet

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from gridsignal_schemas.catalog import TOPICS, Topic, partition_of
from gridsignal_services.bus import Appended, Log, LogConfigurationError, LogUnavailable, PositionGone, Unwritable
from gridsignal_services.bus.codec import MAX_VALUE_BYTES
from gridsignal_services.bus.condition import Condition
from gridsignal_services.bus.kafka_clients import start, stop
from gridsignal_services.bus.kafka_durability import REPLICATION, apply_command, must_be_durable
from gridsignal_services.bus.kafka_election import KafkaElection
from gridsignal_services.bus.kafka_producer import Producer
from gridsignal_services.bus.kafka_reader import KafkaReader
from gridsignal_services.bus.kafka_rights import owners_group
from gridsignal_services.bus.kafka_topics import (
    Brokers,
    administration,
    brokers_there,
    epoch_of,
    find,
    must_be_the_same,
)
from gridsignal_services.clock import wall_us

OPEN_TIMEOUT_S = 15.0
LOOKUP_TIMEOUT_S = 10.0
LOOKUPS_CLOSE_S = 3.0
CLOSE_TIMEOUT_S = 5.0

WATCH_EVERY_S = 2.0
"""How long a topic that was made again may be taken for the one before it."""

Learn = Callable[[Iterable[bytes]], Awaitable[None]]
"""Is shown the values of records before they are handed out: see registry.Schemas."""


async def _nothing_to_learn(_: Iterable[bytes]) -> None:
    """For those who read no records, or know every schema."""


class KafkaLog(Log):
    """The topics of one cluster under one prefix.

    Bounded: see Producer and KafkaReader. When full: appends wait. Conflates: nothing.
    """

    def __init__(
        self, brokers: Brokers, prefix: str, ids: Mapping[str, uuid.UUID], learn: Learn, condition: Condition
    ) -> None:
        """Use `open`."""
        self.epoch = epoch_of(ids, prefix)
        self._ids = ids
        self._learn = learn
        self._brokers = brokers
        self._prefix = prefix
        self.condition = condition
        self._urgent = Producer(brokers, condition, linger_ms=0)
        self._bulk = Producer(brokers, condition, linger_ms=5)
        self._lookups: AIOKafkaConsumer | None = None  # offset lookups on a consumer that fetches cost half a second
        self._looking = asyncio.Lock()
        self._readers: WeakSet[KafkaReader] = WeakSet()
        self._closed = False

    @classmethod
    async def open(
        cls,
        brokers: Brokers,
        *,
        prefix: str = "",
        learn: Learn = _nothing_to_learn,
        now_us: Callable[[], int] = wall_us,
    ) -> KafkaLog:
        """Opens the log whose topics begin with `prefix`; `now_us` is this machine's clock.

        Raises LogUnavailable where no broker answers within OPEN_TIMEOUT_S, LogConfigurationError where a topic is
        missing, has other partitions than topics.toml says, or has settings under which acknowledged records get lost.
        """
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S), administration(brokers) as admin:
                found, brokers_now = await find(admin, prefix), await brokers_there(admin)
        except TimeoutError as error:
            raise LogUnavailable(f"kafka at {brokers.servers}: no answer in {OPEN_TIMEOUT_S:.0f} s") from error
        for topic in TOPICS.values():
            name = prefix + topic.name
            if name not in found:
                mend = f"`{apply_command(name, topic, min(brokers_now, REPLICATION), brokers.servers)}` makes it"
                raise LogConfigurationError(f"topic {name}: expected to exist; {mend}")
            must_be_durable(name, topic, found[name], brokers_now, brokers.servers)
        log = cls(brokers, prefix, {name: topic.id for name, topic in found.items()}, learn, Condition(now_us=now_us))
        await log._warm()
        return log

    async def _warm(self) -> None:
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await self._urgent.warm(self._prefix + topic.name for topic in TOPICS.values() if topic.subscribable)
                await self._bulk.warm(self._prefix + topic.name for topic in TOPICS.values() if not topic.subscribable)
        except (KafkaError, OSError, TimeoutError) as error:
            await self.aclose()
            raise LogUnavailable(f"kafka at {self._brokers.servers}: {type(error).__name__} {error}") from error

    async def watch(self, every_s: float = WATCH_EVERY_S) -> None:
        """For ever: looks whether the topics are the ones that were opened, as often as the brokers answer.

        Raises LogConfigurationError where one was made again: what was read of it, and positions in it, mean nothing.
        """
        while True:
            await asyncio.sleep(every_s)
            try:
                async with administration(self._brokers) as admin:
                    await must_be_the_same(admin, self._ids)
            except LogUnavailable as away:
                self.condition.away(away)
            else:
                self.condition.answers()

    async def append(
        self, stream: str, key: str, value: bytes, headers: Mapping[str, str], *, partition: int | None = None
    ) -> Appended:
        """See Log.append. Raises ValueError for a stream or partition that isn't there, Unwritable for a long value."""
        self._must_be_open()
        topic = _topic(stream, partition)
        if len(value) > MAX_VALUE_BYTES:
            raise Unwritable(f"expected a value of at most {MAX_VALUE_BYTES} bytes, got {len(value)}")
        place = partition_of(key, topic.partitions) if partition is None else partition
        producer = self._urgent if topic.subscribable else self._bulk
        try:
            return await producer.send(self._prefix + topic.name, place, key, value, headers)
        except MessageSizeTooLargeError as error:
            raise Unwritable(f"expected a record the broker takes, got {len(value)} bytes and headers") from error

    async def reader(self, stream: str, positions: Mapping[int, int]) -> KafkaReader:
        """See Log.reader."""
        for partition in positions:
            _topic(stream, partition)
        starts, ends = await self.start_positions(stream), await self.end_positions(stream)
        for partition, offset in positions.items():
            start, end = starts[partition], ends[partition]
            if not start <= offset <= end:
                raise PositionGone(f"{stream} {partition}: expected a position in [{start}, {end}], got {offset}")
        topic = self._prefix + TOPICS[stream].name
        reader = KafkaReader(
            self._brokers,
            stream,
            topic,
            positions,
            ends=lambda: self.end_positions(stream),
            learn=self._learn,
            condition=self.condition,
        )
        self._readers.add(reader)
        return reader

    async def start_positions(self, stream: str) -> dict[int, int]:
        """See Log.start_positions."""
        partitions = self._partitions(stream)
        async with self._lookup() as lookups:
            found = await lookups.beginning_offsets(partitions)
        return {partition.partition: found[partition] for partition in partitions}

    async def end_positions(self, stream: str) -> dict[int, int]:
        """See Log.end_positions."""
        partitions = self._partitions(stream)
        async with self._lookup() as lookups:
            found = await lookups.end_offsets(partitions)
        return {partition.partition: found[partition] for partition in partitions}

    async def position_at(self, stream: str, appended_us: int) -> dict[int, int]:
        """See Log.position_at. Kafka's times are whole milliseconds."""
        ends = await self.end_positions(stream)
        at_ms = -(-appended_us // 1000)
        async with self._lookup() as lookups:
            found = await lookups.offsets_for_times(dict.fromkeys(self._partitions(stream), at_ms))
        offsets = {partition.partition: place.offset for partition, place in found.items() if place is not None}
        return ends | offsets

    def stand(self, stream: str) -> KafkaElection:
        """See Log.stand."""
        self._must_be_open()
        name = self._prefix + _topic(stream, None).name
        return KafkaElection(self._brokers, owners_group(name), name)

    async def aclose(self) -> None:
        """See Log.aclose."""
        if self._closed:
            return
        self._closed = True
        readers = [reader.aclose() for reader in list(self._readers)]
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await asyncio.gather(self._urgent.aclose(), self._bulk.aclose(), self._drop_lookups(), *readers)

    @asynccontextmanager
    async def _lookup(self) -> AsyncIterator[AIOKafkaConsumer]:
        async with self._looking:
            self._must_be_open()
            try:
                async with asyncio.timeout(LOOKUP_TIMEOUT_S):
                    self._lookups = self._lookups or await self._start_lookups()
                    yield self._lookups
            except (KafkaError, OSError, TimeoutError) as error:
                await self._drop_lookups()
                raise LogUnavailable(f"kafka can't be asked now: {type(error).__name__} {error}") from error

    async def _start_lookups(self) -> AIOKafkaConsumer:
        lookups = AIOKafkaConsumer(**self._brokers.settings())
        try:
            await start(lookups)
        except BaseException:  # whoever asked may have given up: half a consumer is none
            await stop(lookups, LOOKUPS_CLOSE_S)
            raise
        return lookups

    async def _drop_lookups(self) -> None:
        lookups, self._lookups = self._lookups, None
        if lookups is not None:
            await stop(lookups, LOOKUPS_CLOSE_S)

    def _must_be_open(self) -> None:
        if self._closed:
            raise LogUnavailable("the log was closed")

    def _partitions(self, stream: str) -> list[TopicPartition]:
        topic = _topic(stream, None)
        return [TopicPartition(self._prefix + topic.name, partition) for partition in range(topic.partitions)]


def _topic(stream: str, partition: int | None) -> Topic:
    topic = TOPICS.get(stream)
    if topic is None or not 0 <= (partition or 0) < topic.partitions:
        raise ValueError(f"expected a stream and partition of topics.toml, got {stream!r} {partition}")
    return topic
