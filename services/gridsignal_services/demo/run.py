"""The demo: a grid clock, three SDK programs and two operators' desks around the stack that `gridsignal up` runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gridsignal_schemas.messages import GridClock, Record, SpotPrice
from gridsignal_services import embedded
from gridsignal_services.bus import Log, LogRecord
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.clock import Clock, ScaledClock, SteppedClock, micros, wall_us
from gridsignal_services.demo import figures
from gridsignal_services.demo.asking import ask_all
from gridsignal_services.demo.batteries import Batteries
from gridsignal_services.demo.conductor import Conductor
from gridsignal_services.demo.inference import Inference
from gridsignal_services.demo.planners import Desk, Planner
from gridsignal_services.demo.program import Latencies, Program, price_factor
from gridsignal_services.demo.proof import Proof, proof_of
from gridsignal_services.demo.reading import logged
from gridsignal_services.demo.story import AFTER, BEFORE, Story
from gridsignal_services.demo.timed_log import TimedLog
from gridsignal_services.demo.training import Training
from gridsignal_services.embedded import Stack
from gridsignal_services.following import Following
from gridsignal_services.ingest import replay
from gridsignal_services.registry import example_registry
from gridsignal_services.settings import ServerSettings
from gridsignal_services.telemetry import logger

SHORTEST_DEADLINE_S = 0.5
"""Wall seconds: a site's program gets at least so long to answer."""
GET_READY = timedelta(seconds=3)
"""Wall time for the doors to open and the sites to connect, before the grid's clock shows the start."""
_OWNERS: dict[Callable[[Desk], Planner], str] = {Training: "acme-ai", Inference: "hyper-infer", Batteries: "volt-colo"}

Watcher = Callable[[Record | None, datetime], None]
"""Is shown every record of the day as it happens, with the grid's time; None each second, when only time passes."""


Shown = Callable[[Stack], AbstractAsyncContextManager[None]]
"""Is entered once the doors are open; they stay open after the day for as long as it takes to leave it."""


class SpeedRefused(ValueError):
    """At this speed nobody could answer in time."""


@dataclass(frozen=True, slots=True)
class Result:
    """A finished day."""

    story: Story
    seed: int
    day: figures.Day
    offer_to_receipt_ms: list[float]
    price_to_client_ms: list[float]
    proof: Proof | None
    """None where the day was played on a cluster."""


def fastest(story: Story) -> int:
    """The highest speed that leaves every deadline half a second of wall time."""
    return int(story.shortest_deadline_s / SHORTEST_DEADLINE_S)


def must_be_answerable(story: Story, speed: float) -> None:
    """Raises SpeedRefused."""
    if speed > fastest(story):
        raise SpeedRefused(
            f"expected a speed of at most {fastest(story)}, got {speed:g}: the shortest deadline of {story.day} is"
            f" {story.shortest_deadline_s} s and must leave half a second to answer; or use --speed max"
        )


async def play_day(
    story: Story,
    *,
    seed: int,
    speed: float | None,
    directory: Path,
    watch: Watcher | None = None,
    cluster: ServerSettings | None = None,
    shown: Shown = lambda _: nullcontext(),
) -> Result:
    """Plays the day at `speed` grid seconds per wall second, or stepped (None), and counts its log.

    The log is an embedded one that stays in `directory`, or on the `cluster` of these settings. Raises SpeedRefused.
    """
    start = story.midnight - BEFORE
    if speed is None:
        if cluster is not None:
            raise SpeedRefused("expected a number, got max: only the embedded log's clock can be stepped")
        stepped = SteppedClock(start.astimezone(UTC))
        grid = GridClock(origin=start, rate=1.0, epoch=start)
        async with _embedded_log(directory, lambda: micros(stepped.now())) as (log, codec):
            return await _play(story, seed, log, codec, grid, stepped, directory, watch, shown)
    must_be_answerable(story, speed)
    place = _embedded_log(directory, wall_us) if cluster is None else _simulation_on(cluster)
    async with place as (log, codec):
        grid = GridClock(origin=start, rate=speed, epoch=datetime.now(UTC) + GET_READY)
        return await _play(story, seed, log, codec, grid, ScaledClock(grid), directory, watch, shown)


@asynccontextmanager
async def _embedded_log(directory: Path, append_time_us: Callable[[], int]) -> AsyncIterator[tuple[Log, Codec]]:
    log = await SqliteLog.open(directory, append_time_us=append_time_us)
    try:
        yield log, Codec.from_lock()
    finally:
        await log.aclose()


def _simulation_on(cluster: ServerSettings) -> AbstractAsyncContextManager[tuple[Log, Codec]]:
    """A log of its own on a cluster."""
    from gridsignal_services.bus.cluster import simulation  # its client comes with the extra `kafka`

    return simulation(cluster)


async def _play(
    story: Story,
    seed: int,
    log: Log,
    codec: Codec,
    grid: GridClock,
    clock: Clock,
    directory: Path,
    watch: Watcher | None,
    shown: Shown,
) -> Result:
    timed = TimedLog(log)
    settings = replace(ServerSettings(directory=directory), gateway_port=0, dispatch_port=0, ingest_port=0)
    settings = replace(settings, solver_limit_s=0)  # its figures are the same wherever it runs
    starting = embedded.running(
        timed,
        directory,
        codec=codec,
        registry=example_registry(),
        clock=clock,
        settings=settings,
        grid=grid,
        playback=replay.shipped(story.day),
    )
    latencies = Latencies()
    desk = Desk(story, price_factor(seed))
    programs = {name: Program(kind(desk), story, seed, clock, latencies) for kind, name in _OWNERS.items()}
    async with starting as stack, shown(stack), AsyncExitStack() as connections:
        for name, program in programs.items():
            token = stack.token("participant", name)
            await connections.enter_async_context(program.connected(stack.gateway_url, token, directory))
        await _work(stack, log, story, seed, clock, list(programs.values()), watch)
        records = await logged(log, stack.codec)
        began = {_series(stack.codec.decode(value)): at for value, at in timed.began_s.items()}
    proof = await asyncio.to_thread(proof_of, directory) if isinstance(log, SqliteLog) else None
    return Result(
        story,
        seed,
        figures.count(records),
        latencies.offer_to_receipt_ms,
        [(seen - began[series]) * 1000 for series, seen in latencies.price_seen],
        proof,
    )


def _series(record: Record) -> str:
    assert isinstance(record, SpotPrice), "only prices are timed"
    return record.series_id


async def _work(
    stack: Stack,
    log: Log,
    story: Story,
    seed: int,
    clock: Clock,
    programs: Sequence[Program],
    watch: Watcher | None,
) -> None:
    """The day itself, until its last meter reading is on the log."""
    async with asyncio.TaskGroup() as tasks:
        others = [tasks.create_task(program.hear(program.listen())) for program in programs]
        if watch is not None:
            stack.replica.listen(
                lambda logged, record, outcome: watch(record, clock.now()) if outcome.accepted else None
            )
            others.append(tasks.create_task(_watch_prices(stack, clock, watch)))
            others.append(tasks.create_task(_watch_clock(clock, watch)))
        actors = [tasks.create_task(program.meter()) for program in programs]
        for operator in sorted({ask.operator for ask in story.asks}):
            token = stack.token("operator", operator)
            actors.append(tasks.create_task(ask_all(story, operator, stack.api_url, token, seed, clock)))
        actors.append(tasks.create_task(clock.sleep_until(story.midnight + timedelta(days=1) + AFTER)))
        if isinstance(clock, SteppedClock):
            assert isinstance(log, SqliteLog), "only an embedded log is stepped"
            await Conductor(stack, log, clock, programs).conduct(actors)
        await asyncio.wait(actors)
        for program in programs:
            await program.settled()
        for other in others:
            other.cancel()


async def _watch_prices(stack: Stack, clock: Clock, watch: Watcher) -> None:
    async def take(records: list[LogRecord]) -> None:
        for record in records:
            watch(await following.read(record), clock.now())

    following = Following(stack.log, stack.codec, "prices", take, logger("demo"), by="demo")
    await following.run()


async def _watch_clock(clock: Clock, watch: Watcher) -> None:
    while True:
        await asyncio.sleep(1)
        watch(None, clock.now())
