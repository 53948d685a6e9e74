"""A consumer group as an election: it says who acts on which partition. Nothing is read by it, nothing committed.

A member that stops is replaced at once, one that dies or freezes after SESSION_MS. Between losing its turn and noticing
it a member may act still: the ledger makes that harmless (the first valid clearing counts).
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from gridsignal_services.bus import Election, LogUnavailable
from gridsignal_services.bus.kafka_clients import start, stop
from gridsignal_services.bus.kafka_topics import Brokers, administration
from gridsignal_services.supervised import supervise
from gridsignal_services.telemetry import Outage, logger

SESSION_MS = 6_000
"""The least that brokers take with their default settings."""
HEARTBEAT_MS = 1_000
LOOK_EVERY_S = 15.0
"""How often the brokers are asked whether they still count this member."""
RETRY_S = 1.0
START_TIMEOUT_S = 30.0
"""How long a group may take to give out its partitions: a client that starts can be stuck, too."""
CLOSE_TIMEOUT_S = 4.0


class KafkaElection(Election, ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """One candidate: a consumer that fetches nothing."""

    def __init__(self, brokers: Brokers, group: str, topic: str, *, look_every_s: float = LOOK_EVERY_S) -> None:
        """Enters at once, within a running event loop; what the log's brokers answer comes later."""
        self._brokers, self._group, self._topic, self._look_every_s = brokers, group, topic, look_every_s
        self._name = f"gridsignal-{uuid.uuid4().hex}"
        self._mine: frozenset[int] = frozenset()
        self._changed = asyncio.Event()
        self._consumer: AIOKafkaConsumer | None = None
        self._outage = Outage(logger("election"), "election", topic=topic)
        self._standing = asyncio.create_task(supervise("election", self._stand_for_ever()))
        self._standing.add_done_callback(lambda _: self._changed.set())

    @property
    def mine(self) -> frozenset[int]:
        """See Election.mine."""
        return self._mine

    async def changed(self) -> None:
        """See Election.changed. Raises what nobody foresaw and what ended the election."""
        await self._changed.wait()
        self._changed.clear()
        if self._standing.done() and not self._standing.cancelled():
            self._standing.result()

    async def aclose(self) -> None:
        """See Election.aclose."""
        self._standing.cancel()
        await asyncio.wait([self._standing])

    # --- what the group says, on the event loop ------------------------------------------------------------------

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Called by the client before partitions are given out anew."""
        self._hold(frozenset())

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Called by the client with what is ours from now on."""
        assert self._consumer is not None
        self._consumer.pause(*assigned)  # the election is all we want of the group
        self._hold(frozenset(partition.partition for partition in assigned))

    def _hold(self, partitions: frozenset[int]) -> None:
        if partitions != self._mine:
            self._mine = partitions
            self._changed.set()

    # --- standing --------------------------------------------------------------------------------------------------

    async def _stand_for_ever(self) -> None:
        while True:
            try:
                await self._stand()
            except (LogUnavailable, KafkaError, OSError, TimeoutError) as error:
                self._outage.say(error)
                await asyncio.sleep(RETRY_S)

    async def _stand(self) -> None:
        """Until the brokers no longer count us: a client can be alive and stuck after a broker came back."""
        self._consumer = AIOKafkaConsumer(
            client_id=self._name,
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="latest",
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=HEARTBEAT_MS,
            **self._brokers.settings(),
        )
        self._consumer.subscribe([self._topic], listener=self)
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await start(self._consumer)
            missed = 0
            while missed < 2:  # once is a group that gives out its partitions anew
                await self._keep_in_touch(self._consumer, self._look_every_s)
                missed = 0 if await self._is_counted() else missed + 1
        finally:
            self._hold(frozenset())
            await stop(self._consumer, CLOSE_TIMEOUT_S)

    async def _keep_in_touch(self, consumer: AIOKafkaConsumer, seconds: float) -> None:
        # a group puts out whoever does not ask for records, even if none are to be had
        until_s = asyncio.get_running_loop().time() + seconds
        while (left_s := until_s - asyncio.get_running_loop().time()) > 0:
            await consumer.getmany(timeout_ms=int(min(left_s, 1.0) * 1000) + 1)

    async def _is_counted(self) -> bool:
        async with administration(self._brokers) as admin:
            (response,) = await admin.describe_consumer_groups([self._group])
        self._outage.over()
        members = [member for group in response.groups for member in group[5]]
        return any(client_id == self._name for _, client_id, *_ in members)
