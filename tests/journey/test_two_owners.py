"""Scenario 17: two owners of one partition at once. One clearing counts, and everybody sees the same one."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import gridsignal
from gridsignal_schemas.catalog import TOPICS
from gridsignal_schemas.messages import Clearing, DispatchOrder, DispatchRequest, Record, Timer, TimerFired
from gridsignal_services.bus import Appended, Log, LogRecord
from gridsignal_services.bus.around import AroundLog
from gridsignal_services.bus.cluster import opened
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.kafka_topics import Brokers
from gridsignal_services.bus.sqlite import SoleCandidate
from gridsignal_services.ledger.entry import Outcome
from gridsignal_services.owning.owner import Owner
from gridsignal_services.replica import Replica
from gridsignal_services.settings import ServerSettings
from gridsignal_services.testing import ManualClock
from tests.builders import a_baseline_declaration, a_dispatch_request, a_flex_offer, a_site_registration
from tests.journey.conftest import NOON, a_log
from tests.journey.fleet import Fleet
from tests.load import MW
from tests.patience import LONG_S, SOON_S

ALL = frozenset(range(TOPICS["dispatch"].partitions))


class Held(AroundLog):
    """Another log, on which one kind of record is held back before it is appended."""

    def __init__(self, log: Log, kind: str) -> None:
        super().__init__(log)
        self._kind = f"gridsignal.{kind}"
        self.reached, self.released = asyncio.Event(), asyncio.Event()

    async def append(
        self, stream: str, key: str, value: bytes, headers: Mapping[str, str], *, partition: int | None = None
    ) -> Appended:
        if headers["ce_type"] == self._kind:
            self.reached.set()
            await self.released.wait()
        return await super().append(stream, key, value, headers, partition=partition)


class Seen:
    """What one process's reduce made of each clearing and order."""

    def __init__(self, replica: Replica) -> None:
        self.clearings: list[tuple[str, bool]] = []
        self.orders: list[tuple[str, str]] = []
        self.moved = asyncio.Event()
        replica.listen(self._hear)

    def _hear(self, _: LogRecord, record: Record, outcome: Outcome) -> None:
        if isinstance(record, Clearing):
            self.clearings.append((record.clearing_id, outcome.accepted))
        if isinstance(record, DispatchOrder) and outcome.accepted:
            self.orders.append((record.order_id, record.state.value))
        self.moved.set()

    async def sees(self, clearings: int, orders: int) -> None:
        """Returns once so many of each were reduced."""
        async with asyncio.timeout(SOON_S):
            while len(self.clearings) < clearings or len(self.orders) < orders:
                self.moved.clear()
                await self.moved.wait()


def soon(**after: float) -> datetime:
    return (datetime.now(UTC) + timedelta(**after)).replace(microsecond=0)


async def ask_and_offer(replica: Replica) -> None:
    """A request, and the offer of a site with a baseline."""
    await replica.submit(a_site_registration(), "service:tests")
    await replica.submit(a_baseline_declaration(), "participant:acme-ai")
    assert (await replica.submit(a_dispatch_request(), "operator:tso-north")).accepted
    outcome = await replica.submit(a_flex_offer(), "participant:acme-ai")
    assert (outcome.accepted, outcome.faults) == (True, ())


async def test_of_two_clearings_the_first_counts_on_every_node(cluster: ServerSettings | None, tmp_path: Path) -> None:
    clock = ManualClock(NOON)
    async with a_log(tmp_path, cluster, clock) as (log, codec):
        held = Held(log, "Clearing")
        frozen, awake = Replica(held, codec, source="frozen"), Replica(log, codec, source="awake")
        nodes = Seen(frozen), Seen(awake)
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(replica.run()) for replica in (frozen, awake)]
            await frozen.caught_up()
            await awake.caught_up()
            running.append(tasks.create_task(Owner(frozen, clock, SoleCandidate(ALL)).run()))
            await ask_and_offer(awake)
            clock.move_to(a_dispatch_request().gate_closure_at)
            async with asyncio.timeout(SOON_S):
                await held.reached.wait()  # it has decided, and what it decided is not on the log
            running.append(tasks.create_task(Owner(awake, clock, SoleCandidate(ALL)).run()))
            for node in nodes:
                await node.sees(clearings=1, orders=1)
            held.released.set()
            for node in nodes:
                await node.sees(clearings=2, orders=1)
            await frozen.reach_end()
            await awake.reach_end()
            for task in running:
                task.cancel()
    one, other = nodes
    assert (one.clearings, one.orders) == (other.clearings, other.orders)
    assert [accepted for _, accepted in one.clearings] == [True, False]
    assert [state for _, state in one.orders] == ["ISSUED"]


# --- as processes ------------------------------------------------------------------------------------------------


class Program:
    """What one program hears on the SDK."""

    def __init__(self) -> None:
        self.orders: list[tuple[str, int, str]] = []
        self._requests: dict[str, DispatchRequest] = {}
        self._more = asyncio.Event()

    async def listen(self, grid: gridsignal.Grid) -> None:
        """For ever."""
        async for heard in grid.subscribe("dispatch", zones=["DE-LU"]):
            if isinstance(heard, DispatchOrder):
                self.orders.append((heard.order_id, heard.revision, heard.state.value))
            elif isinstance(heard, DispatchRequest):
                self._requests[heard.request_id] = heard
            self._more.set()

    async def hears_of(self, request_id: str) -> DispatchRequest:
        """The request, once it is there."""
        async with asyncio.timeout(LONG_S):
            while request_id not in self._requests:
                self._more.clear()
                await self._more.wait()
        return self._requests[request_id]

    async def is_ordered(self, count: int) -> None:
        """Returns once it has heard of so many orders."""
        async with asyncio.timeout(LONG_S):
            while len(self.orders) < count:
                self._more.clear()
                await self._more.wait()


async def fired(log: Log, codec: Codec, request_id: str) -> None:
    """Returns in the moment in which the request's gate closure is on the log."""
    reader = await log.reader("dispatch", await log.start_positions("dispatch"))
    async with asyncio.timeout(LONG_S):
        while True:
            for logged in await reader.read():
                record = codec.decode(logged.value)
                if isinstance(record, TimerFired) and (record.timer, record.subject_id) == (
                    Timer.GATE_CLOSURE,
                    request_id,
                ):
                    await reader.aclose()
                    return


async def test_an_owner_frozen_in_the_middle_of_a_clearing_is_followed_and_does_no_harm_when_it_wakes(
    kafka: Brokers, schema_registry: str, tmp_path: Path
) -> None:
    async with Fleet.sailing(tmp_path, kafka, schema_registry, replication=1) as fleet:
        settings = ServerSettings(kafka=kafka.servers, schema_registry=schema_registry, topic_prefix=fleet.prefix)
        programs = one, other = Program(), Program()
        async with (
            opened(settings) as (log, codec),
            fleet.site("gateway-1", "one", tmp_path / "one.db") as grid,
            fleet.site("gateway-2", "other", tmp_path / "other.db") as second,
            asyncio.TaskGroup() as tasks,
        ):
            listening = [tasks.create_task(one.listen(grid)), tasks.create_task(other.listen(second))]
            await grid.declare_baseline(soon(days=-1), [36 * MW] * 4, resolution_s=86_400)
            first = await asked_and_offered(fleet, one, grid, 10 * MW)
            owner = await fleet.owner()
            await fired(log, codec, first)
            frozen = fleet.doors[owner].process
            times_owned = frozen.times_said(" owns ")
            frozen.signal(signal.SIGSTOP)
            try:
                for program in programs:  # from the one that froze, if it was quick, or from the one that took over
                    await program.is_ordered(1)
                successor = next(name for name in fleet.doors if name.startswith("dispatch") and name != owner)
                await fleet.owns_all(successor)
            finally:
                frozen.signal(signal.SIGCONT)
            await asyncio.to_thread(frozen.wait_for, " owns ", times_owned + 1)  # it is back in the election
            next_ = await asked_and_offered(fleet, one, grid, 2 * MW)
            for program in programs:
                await program.is_ordered(2)
            for task in listening:
                task.cancel()
            books = [await book(fleet, name, first) for name in ("dispatch-1", "dispatch-2")]
            accepted = await counted(log, codec)
        found = await fleet.checked()
    print("clearings on the log:", len(found["clearings"]), "that count:", accepted)
    assert one.orders == other.orders
    assert books[0] == books[1]
    assert [line["awarded_w"] for line in books[0]["offers"]] == [10 * MW]
    assert accepted == {first: 1, next_: 1}


async def asked_and_offered(fleet: Fleet, program: Program, grid: gridsignal.Grid, power_w: int) -> str:
    """A request whose gate closes in fifteen seconds, and an offer that meets it; the request's id."""
    closes = soon(seconds=15).isoformat().replace("+00:00", "Z")
    request_id = await fleet.ask(gate_closure_at=closes, power_w=power_w)
    await grid.offer(await program.hears_of(request_id), power_w, "80")
    return request_id


async def book(fleet: Fleet, door: str, request_id: str) -> dict[str, Any]:
    async with fleet.desk(door) as desk:
        answer = await desk.get(f"/v1/requests/{request_id}/book")
    found: dict[str, Any] = answer.json()
    return found


async def counted(log: Log, codec: Codec) -> dict[str, int]:
    """How many clearings of each request count, for somebody who reads the log anew."""
    replica = Replica(log, codec, source="tests")
    accepted: dict[str, int] = {}

    def hear(_: LogRecord, record: Record, outcome: Outcome) -> None:
        if isinstance(record, Clearing):
            accepted[record.request_id] = accepted.get(record.request_id, 0) + outcome.accepted

    replica.listen(hear)
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(replica.run())
        await replica.caught_up()
        reading.cancel()
    return accepted
