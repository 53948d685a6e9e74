"""A running owner on a clock that is set, beside the log and the replica it acts on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

from gridsignal.testing import ManualClock
from gridsignal_schemas.catalog import TOPICS
from gridsignal_schemas.messages import Record
from gridsignal_schemas.rules.lifecycle import RequestState
from gridsignal_schemas.values import MW
from gridsignal_services.bus import Log, LogRecord
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.sqlite import SoleCandidate, SqliteLog
from gridsignal_services.checkpoints.keeping import Checkpoints
from gridsignal_services.clock import Clock, micros
from gridsignal_services.dispatch.finished import Finished
from gridsignal_services.ledger.book import KEPT
from gridsignal_services.ledger.entry import Outcome
from gridsignal_services.metering.readings import ReadingsReader
from gridsignal_services.owning.best import Solver
from gridsignal_services.owning.heads import Heads
from gridsignal_services.owning.owner import Owner
from gridsignal_services.registry import example_registry
from gridsignal_services.replica import Replica
from tests.builders import a_baseline_declaration, a_flex_offer, a_site_registration, an_option, utc
from tests.patience import SOON_S

ALL = frozenset(range(TOPICS["dispatch"].partitions))
GATE = utc("17:00")


class Stage:
    """A log, a replica and an owner on one clock; the log's own clock may be another."""

    owner: Owner
    meters: ReadingsReader

    def __init__(self, log: Log, codec: Codec, clock: Clock, replica: Replica) -> None:
        self.log, self.codec, self.replica = log, codec, replica
        self._clock = clock
        self.seen: list[tuple[Record, Outcome]] = []
        self._moved = asyncio.Event()
        replica.listen(self._hear)

    def _hear(self, _: LogRecord, record: Record, outcome: Outcome) -> None:
        self.seen.append((record, outcome))
        self._moved.set()

    @property
    def clock(self) -> ManualClock:
        """One that is set."""
        assert isinstance(self._clock, ManualClock)
        return self._clock

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(SOON_S):
            while not done():
                self._moved.clear()
                await self._moved.wait()

    async def submit(self, record: Record, principal: str) -> None:
        outcome = await self.replica.submit(record, principal)
        assert outcome.accepted, outcome

    async def a_site(self, who: str, zone: str) -> None:
        await self.submit(a_site_registration(site=f"{who}-1", participant=who, zone=zone), "service:dispatch")
        declared = a_baseline_declaration(site=f"{who}-1", participant=who, zone=zone, power_w=[40 * MW] * 96)
        await self.submit(declared, f"participant:{who}")

    def state(self, request_id: str, zone: str = "DE-LU") -> RequestState:
        return self.replica.ledger_of(zone).requests[request_id].state


def an_offer(who: str, request_id: str, zone: str, offer_id: str) -> Record:
    option = an_option(power_w=MW, min_power_w=0)
    fields = {"participant": who, "site": f"{who}-1", "zone": zone, "expires_at": utc("18:40")}
    return a_flex_offer(request_id=request_id, offer_id=offer_id, options=[option], **fields)


@asynccontextmanager
async def running(
    directory: Path,
    now: datetime,
    codec: Codec | None = None,
    lag_s: float = 0,
    around: Callable[[Log, Codec], Log] = lambda log, _: log,
    heads: Heads | None = None,
    *,
    owns: bool = True,
    checkpoints_every: int | None = None,
    solver: Solver | None = None,
) -> AsyncIterator[Stage]:
    """On an embedded log; with checkpoints where it is said after how many records."""
    clock = ManualClock(now)
    codec = codec or Codec.from_lock()
    file = await SqliteLog.open(directory, append_time_us=lambda: micros(clock.now() - timedelta(seconds=lag_s)))
    log = around(file, codec)
    try:
        more = {"owns": owns, "checkpoints_every": checkpoints_every, "solver": solver}
        async with acting(log, codec, clock, directory, heads, **more) as stage:
            yield stage
    finally:
        await log.aclose()


@asynccontextmanager
async def acting(
    log: Log,
    codec: Codec,
    clock: Clock,
    directory: Path,
    heads: Heads | None = None,
    *,
    owns: bool = True,
    kept: timedelta = KEPT,
    checkpoints_every: int | None = None,
    solver: Solver | None = None,
) -> AsyncIterator[Stage]:
    """On any log, with its own files in the directory."""
    with contextlib.ExitStack() as files:
        checkpoints: Checkpoints | None = None
        if checkpoints_every is not None:
            opened = Checkpoints.opened(directory / "checkpoints", 2, log, every=checkpoints_every)
            checkpoints = files.enter_context(opened)
        replica = Replica(log, codec, source="/tests", read_back_s=SOON_S, checkpoints=checkpoints)
        for ledger in replica.ledgers.values():
            ledger.book.kept = kept
        meters = ReadingsReader(log, codec, example_registry(), lambda: replica.grid, directory)
        finished = Finished(directory / "finished", stamp=None if checkpoints is None else checkpoints.stamp)
        replica.keep(finished)
        stage = Stage(log, codec, clock, replica)
        stage.meters = meters
        stage.owner = Owner(replica, clock, SoleCandidate(ALL), heads, meters, finished, solver)
        tasks = [asyncio.create_task(work) for work in (replica.run(), replica.save(), meters.following.run())]
        if owns:
            tasks.append(asyncio.create_task(stage.owner.run()))
        await replica.caught_up()
        try:
            yield stage
            await replica.finish()
            assert [task for task in tasks if task.done()] == [], "something ended that should go on"
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            meters.meters.close()
            await finished.aclose()
