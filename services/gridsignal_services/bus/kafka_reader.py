"""Reads partitions of one Kafka topic, all of them assigned by hand and none by a group.

A consumer can be alive and stuck after a broker came back, so that no records are not believed: after a while the end
of the log is asked for on another connection, and a consumer that is behind it is made anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import ConsumerStoppedError, KafkaError, OffsetOutOfRangeError

from gridsignal_services.bus import LogRecord, LogUnavailable, PositionGone, Reader
from gridsignal_services.bus.condition import Condition
from gridsignal_services.bus.kafka_clients import start, stop
from gridsignal_services.bus.kafka_topics import Brokers

DOUBT_AFTER_S = 5.0
"""Without a record for so long, the end of the log is looked up."""
FETCH_WAIT_MS = 100
START_TIMEOUT_S = 15.0
CLOSE_TIMEOUT_S = 3.0


class KafkaReader(Reader):
    """One reader's consumer and positions. One `read` at a time; a cancelled one loses nothing.

    Bounded: what the consumer fetches ahead (1 MiB a partition). When full: it fetches no more. Conflates: nothing.
    """

    def __init__(
        self,
        brokers: Brokers,
        stream: str,
        topic: str,
        positions: Mapping[int, int],
        ends: Callable[[], Awaitable[Mapping[int, int]]],
        learn: Callable[[Iterable[bytes]], Awaitable[None]],
        condition: Condition,
    ) -> None:
        """`ends` asks for the topic's end positions, on a connection that does not fetch; `learn` sees values first."""
        self._brokers = brokers
        self._stream = stream
        self._topic = topic
        self._next = dict(positions)
        self._ends = ends
        self._learn = learn
        self._starting: asyncio.Task[AIOKafkaConsumer] | None = None
        self._consumer: AIOKafkaConsumer | None = None
        self._last: frozenset[TopicPartition] = frozenset()
        self._closed = False
        self._condition = condition

    @property
    def positions(self) -> Mapping[int, int]:
        """See Reader.positions."""
        return dict(self._next)

    async def read(self, limit: int = 1000) -> list[LogRecord]:
        """See Reader.read."""
        while True:
            if self._closed:
                raise LogUnavailable("the log was closed")
            try:
                consumer = await self._started() if self._starting or not self._consumer else self._consumer
                try:
                    fetched = await self._fetch(consumer, limit)
                except UnicodeDecodeError:  # the client reads names of headers as text, and one is none
                    return [await self._unreadable()]
                await self._know(consumer, fetched)
                if records := [self._take(record) for records in fetched.values() for record in records]:
                    return records
                if marks := await self._passed_over(consumer):
                    return marks
            except OffsetOutOfRangeError as error:
                raise PositionGone(f"{self._topic}: {error}") from error
            except ConsumerStoppedError as error:
                raise LogUnavailable("the log was closed") from error
            except (KafkaError, OSError, TimeoutError) as error:
                await self._drop()
                raise LogUnavailable(f"kafka can't be read now: {error}") from error
            await self._doubt()

    async def aclose(self) -> None:
        """See Reader.aclose."""
        self._closed = True
        if (starting := self._starting) is not None:
            await asyncio.wait([starting], timeout=CLOSE_TIMEOUT_S)
            starting.cancel()
        await self._drop()

    async def _started(self) -> AIOKafkaConsumer:
        # neither a caller who gives up nor a close interrupts a client that starts: its sockets would stay open
        if self._starting is None:
            self._starting = asyncio.create_task(self._start())
        starting = self._starting
        finished, _ = await asyncio.wait([starting], timeout=START_TIMEOUT_S)
        self._starting = None
        if not finished:  # one whose broker dies meanwhile may wait for ever
            starting.cancel()
            raise TimeoutError("the client did not start")
        if starting.cancelled():
            raise LogUnavailable("the log was closed")
        return starting.result()

    async def _start(self) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=FETCH_WAIT_MS,
            **self._brokers.settings(),
        )
        partitions = {partition: TopicPartition(self._topic, partition) for partition in self._next}
        consumer.assign(list(partitions.values()))  # before start: nothing is read that was not asked for
        self._consumer = consumer
        await start(consumer)
        for partition, offset in self._next.items():  # at once: the fetching task has not run yet
            consumer.seek(partitions[partition], offset)
        return consumer

    async def _fetch(self, consumer: AIOKafkaConsumer, limit: int) -> Mapping[TopicPartition, list[Any]]:
        # the client hands out all it has of one partition before it looks at the next: those left out come first
        fetched: Mapping[TopicPartition, list[Any]] = {}
        if left_out := consumer.assignment() - self._last:
            fetched = await consumer.getmany(*left_out, timeout_ms=0, max_records=limit)
        if not fetched:
            fetched = await consumer.getmany(timeout_ms=int(DOUBT_AFTER_S * 1000), max_records=limit)
        self._last = frozenset(fetched)
        return fetched

    async def _know(self, consumer: AIOKafkaConsumer, fetched: Mapping[TopicPartition, list[Any]]) -> None:
        try:
            await self._learn(record.value or b"" for records in fetched.values() for record in records)
        except BaseException:
            for partition in fetched:  # not handed out, so fetched again
                consumer.seek(partition, self._next[partition.partition])
            raise

    async def _passed_over(self, consumer: AIOKafkaConsumer) -> list[LogRecord]:
        """What the client steps over in silence: the end of a foreign transaction has an offset and no record."""
        marks = []
        for partition in consumer.assignment():
            at = partition.partition
            if (position := await consumer.position(partition)) > self._next[at]:
                self._next[at] = position
                marks.append(_no_record(self._stream, at, position - 1))
        return marks

    async def _doubt(self) -> None:
        ends = await self._ends()
        if any(offset < ends[partition] for partition, offset in self._next.items()):
            await self._drop()  # records lie there and none came: it is stuck

    async def _drop(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await stop(consumer, CLOSE_TIMEOUT_S)

    def _take(self, record: ConsumerRecord[Any, Any]) -> LogRecord:
        self._next[record.partition] = record.offset + 1
        taken = record_of(self._stream, record)
        self._condition.read(taken.appended_us)  # told where it is ahead, not mended: all must read one time
        return taken

    async def _unreadable(self) -> LogRecord:
        """Steps over the record that the client can't read; what it is handed out as is no record of ours."""
        await self._drop()  # it lost what it had fetched together with it
        consumer, ends = await self._started(), await self._ends()
        for partition in sorted(consumer.assignment()):
            at = self._next[partition.partition]
            if at >= ends[partition.partition]:
                continue
            try:
                fetched = await consumer.getmany(partition, timeout_ms=int(DOUBT_AFTER_S * 1000), max_records=1)
            except UnicodeDecodeError:
                self._next[partition.partition] = at + 1
                await self._drop()
                return _no_record(self._stream, partition.partition, at)
            if records := fetched.get(partition):
                return self._take(records[0])
        raise LogUnavailable("kafka can't be read now: a record whose headers are no text, and it is not found again")


def _no_record(stream: str, partition: int, offset: int) -> LogRecord:
    """What lies there is none of ours: whoever decodes it finds it empty, and goes on."""
    return LogRecord(stream, partition, offset, "", b"", 0)


def record_of(stream: str, record: ConsumerRecord[Any, Any]) -> LogRecord:
    """Whatever a producer may have put into one record: a null is empty, and what is no text is replaced."""
    return LogRecord(
        stream=stream,
        partition=record.partition,
        offset=record.offset,
        key=_text(record.key),
        value=record.value or b"",
        appended_us=max(0, record.timestamp or 0) * 1000,
        headers={str(name): _text(value) for name, value in record.headers or ()},
    )


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")
