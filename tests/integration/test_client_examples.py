"""The examples do what they say."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import gridsignal
from gridsignal import MW, DispatchOrder, FlexOffer, OrderResponse
from gridsignal.clock import wall
from gridsignal.testing import FakeGrid, ManualClock
from gridsignal_schemas.messages import GridClock
from tests.builders import a_spot_price
from tests.patience import SOON_S

EXAMPLES = Path(__file__).parents[2] / "clients" / "python" / "examples"


def example(name: str) -> ModuleType:
    """An example, loaded as a module."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@asynccontextmanager
async def running(program: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """A program that runs for as long as the block."""
    task = asyncio.create_task(program)
    async with asyncio.timeout(SOON_S):
        yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


class Told:
    """What a program said, and a way to wait for it."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[str] = asyncio.Queue(1000)

    def __call__(self, line: str) -> None:
        self.lines.put_nowait(line)

    async def until(self, start: str) -> str:
        while not (line := await self.lines.get()).startswith(start):
            pass
        return line


class Scheduler:
    """Notes what it is told to do."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.followed: asyncio.Queue[DispatchOrder] = asyncio.Queue(10)

    def start_deferred_jobs(self) -> None:
        self.started.set()

    def follow(self, order: DispatchOrder) -> None:
        self.followed.put_nowait(order)


async def test_the_readmes_program_follows_prices_requests_and_orders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    program, scheduler = example("readme"), Scheduler()
    async with FakeGrid() as fake, running(program.follow_the_grid(fake.url, fake.token, scheduler)):
        negative = a_spot_price(starts_at=fake.world.now() - timedelta(hours=1), prices_per_mwh=["-1"] * 24)
        fake.publish(negative)
        await scheduler.started.wait()
        fake.ask(12 * MW)
        offer = await fake.next(FlexOffer)
        order = fake.award(offer)
        assert await scheduler.followed.get() == order
        accepted = await fake.next(OrderResponse, response="ACCEPTED")
    assert accepted.order_id == order.order_id
    assert offer.options[0].power_w == 12 * MW


async def test_the_readmes_program_leaves_a_request_alone_whose_gate_has_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After each restart the snapshot has it again, as long as an offer of this site stands there."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    program, clock = example("readme"), ManualClock(wall() - timedelta(minutes=20))
    async with FakeGrid(now=clock.now) as fake:
        running_again = partial(program.follow_the_grid, fake.url, fake.token, Scheduler())
        fake.ask(12 * MW, in_s=3600)  # its gate closes after fifteen minutes
        async with running(running_again()):
            await fake.next(FlexOffer)
        clock.move_to(wall())
        request = fake.ask(12 * MW, in_s=6 * 3600)
        async with running(running_again()):
            assert (await fake.next(FlexOffer)).request_id == request.request_id
    assert capsys.readouterr().out == ""


async def test_the_price_follower_goes_on_where_it_stopped(tmp_path: Path) -> None:
    program, told, saved = example("price_follower"), Told(), tmp_path / "cursor"
    async with FakeGrid() as fake:
        fake.publish(a_spot_price())
        async with running(program.follow(fake.url, fake.token, "DE-LU", saved, told)):
            assert await told.until("DE-LU") == "DE-LU: cheapest from 2024-05-12 11:00Z at -135.45 EUR/MWh"
            fake.publish(a_spot_price(revision=2))
            await told.until("DE-LU")
        fake.publish(a_spot_price(revision=3, currency="CHF"))
        async with running(program.follow(fake.url, fake.token, "DE-LU", saved, told)):
            assert "CHF" in await told.until("DE-LU")


async def test_the_script_without_async_tells_the_cheapest_hours_to_come() -> None:
    now = a_spot_price().starts_at
    async with FakeGrid(grid_clock=GridClock(origin=now, rate=1.0, epoch=wall())) as fake:
        curve = [Decimal(hour % 10) for hour in range(24)]
        fake.publish(a_spot_price(starts_at=now - timedelta(days=1), prices_per_mwh=curve))
        fake.publish(a_spot_price(starts_at=now, prices_per_mwh=[Decimal(-9), *curve[1:]]))
        async with asyncio.timeout(SOON_S):
            program = example("cheap_hours").cheap_hours
            told = await asyncio.to_thread(program, fake.url, fake.token, "DE-LU")
    cheapest = [(now + timedelta(hours=hour), price) for hour, price in ((1, 1), (10, 0), (20, 0))]
    assert told == [f"{start:%Y-%m-%d %H:%MZ} {price} EUR/MWh" for start, price in cheapest]


async def test_the_training_cluster_pauses_only_what_can_wait_and_only_after_the_acceptance() -> None:
    program, told = example("training_cluster"), Told()
    grid = GridClock(origin=a_spot_price().starts_at, rate=3_600.0, epoch=wall())
    origin = grid.origin
    async with FakeGrid(grid_clock=grid) as fake:
        cluster = program.Cluster(program.some_jobs(origin + timedelta(hours=1)), told)
        started = origin + timedelta(hours=4)
        async with running(program.respond(fake.url, fake.token, cluster, site="fra-1", outbox=":memory:")):
            await asyncio.sleep(0)
            fake.ask(
                20 * MW,
                starts_at=started,
                ends_at=started + timedelta(hours=2),
                gate_closure_at=started - timedelta(minutes=60),
                decision_deadline=started - timedelta(minutes=50),
            )
            offer = await fake.next(FlexOffer)
            assert offer.options[0].power_w == 12 * MW  # the job that is due tonight can't wait
            assert offer.flexibility.kind == "SHIFT_TIME"
            fake.award(offer, respond_by=started)
            await fake.next(OrderResponse, response="ACCEPTED")
            paused = {(await told.until("pausing")).split()[1] for _ in range(2)}
            assert paused == {"llm-70b", "vision-3"}
            await told.until("resuming")
            await fake.next(OrderResponse, response="COMPLETED")


async def test_the_training_cluster_pauses_nothing_when_it_was_too_late() -> None:
    program, told = example("training_cluster"), Told()
    async with FakeGrid() as fake:
        cluster = program.Cluster(program.some_jobs(fake.world.now()), told)
        async with running(program.respond(fake.url, fake.token, cluster, site="fra-1", outbox=":memory:")):
            fake.ask(12 * MW)
            offer = await fake.next(FlexOffer)
            await told.until("offered")
            fake.world.refusals.clear()
            fake.refuse("too_late", times=2)  # the acknowledgement and the acceptance
            fake.award(offer)
            assert await told.until("not ours") == "not ours any more: too_late"
    assert all(job.paused_by is None for job in cluster.jobs)


async def test_a_client_by_hand_offers_and_resumes() -> None:
    program, told = example("raw_websocket"), Told()
    async with FakeGrid() as fake, running(program.follow(fake.url, fake.token, told)):
        assert await told.until("recovery") == "recovery snapshot"
        fake.ask(12 * MW)
        await told.until("asked")
        offer = await fake.next(FlexOffer)
        assert (await told.until("the log has")).endswith(offer.offer_id)
        fake.break_lines()
        assert await told.until("recovery") == "recovery full"


def test_the_readme_and_the_example_show_the_same_program() -> None:
    shown = (EXAMPLES / "readme.py").read_text("utf-8")
    body = shown[shown.index("    async with gridsignal.connect") : shown.index("class PrintingScheduler")]
    readme = (EXAMPLES.parents[2] / "README.md").read_text("utf-8")
    assert "```python" in readme, "the README has no program"
    told = {line.split("#")[0].strip() for line in readme.split("```python")[1].split("```")[0].splitlines()}
    missing = [line for line in body.splitlines() if line.strip() and line.split("#")[0].strip() not in told]
    assert [line for line in missing if "connect(" not in line] == []


def test_the_sdk_is_what_the_examples_import() -> None:
    for path in EXAMPLES.glob("*.py"):
        names = [name for name in path.read_text("utf-8").split() if name.startswith("gridsignal.")]
        wanted = {name.split(".")[1].split("(")[0].rstrip(":,)") for name in names}
        assert wanted <= set(gridsignal.__all__) | {"v1"}, path.name


@pytest.mark.slow
async def test_who_starts_while_no_gateway_answers_reads_one_line(tmp_path: Path) -> None:
    environment = os.environ | {"GRIDSIGNAL_URL": "ws://127.0.0.1:9", "GRIDSIGNAL_TOKEN": "t"}

    async def started(name: str) -> tuple[int | None, bytes, bytes]:
        (home := tmp_path / name).mkdir()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, EXAMPLES / f"{name}.py"),
            stdout=PIPE,
            stderr=PIPE,
            env=environment | {"HOME": str(home)},
            cwd=home,
        )
        out, err = await process.communicate()
        return process.returncode, out, err

    names = ("cheap_hours", "price_follower", "readme", "training_cluster")
    async with asyncio.timeout(3 * SOON_S):
        ended = await asyncio.gather(*map(started, names))  # each waits ten seconds, all of them the same
    for name, (code, out, err) in zip(names, ended, strict=True):
        assert (name, code, out) == (name, 1, b"")
        assert err.decode().splitlines()[-1].startswith("no gateway within 10 s: "), name
        assert b"Traceback" not in err, name
