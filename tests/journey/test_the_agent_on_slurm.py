"""The site agent on a Slurm that runs: what an order stops is stopped for the kernel, whoever dies, and comes back."""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime, timedelta
from pathlib import Path

from gridsignal.agent.actuators.slurm import SlurmActuator
from gridsignal.agent.schedule import Commitment, net
from gridsignal.agent.slurm import Mark, Way
from gridsignal.clock import wall
from gridsignal_schemas.messages import DispatchOrder, FlexOffer, OrderResponse, OrderState
from gridsignal_schemas.values import MW
from tests.builders import utc
from tests.integration.cli.conftest import ran
from tests.journey.conftest import NOON, World, stepped_world
from tests.journey.shipped import Program, Taken
from tests.services.slurm import Slurm

RUNNER = Path(__file__).with_name("run_agent.py")
CONFIG = """
site = "fra-1"
state = "{home}/state"
url = "{url}"
[baseline]
power_w = 36_000_000
[offers]
price_per_mwh = "90"
most_w = 7_000_000
[orders]
restore_s = 120
[meter]
window_s = 30
report = false
source = {{ kind = "csv", file = "{home}/power.csv", longest_s = 3600 }}
[actuator]
kind = "slurm"
conf = "{slurm}"
"""
LEFT = """
site = "fra-1"
state = "state"
[actuator]
kind = "slurm"
conf = "{slurm}"
"""
POWER_W = {"a": 2 * MW, "b": 2 * MW, "c": 3 * MW, "fixed": MW, "foreign": MW}
"""What each job draws while its process runs."""
ELSEWHERE_W = 27 * MW
USUAL = dict.fromkeys(POWER_W, "RUNNING") | {"next": "PENDING", "later": "PENDING"}
DONE = "duration_s=3600 deadline=2024-05-12T23:00:00Z"


class AgentOnSlurm(Program):
    """`gridsignal agent run`, but that its time is the test's; the meter shows what runs."""

    def __init__(self, world: World, slurm: Slurm, home: Path) -> None:
        super().__init__("agent", world.stack.gateway_url, world.stack.token("participant", "acme-ai"), home)
        self._slurm, self.config, self._power = slurm, home / "site.toml", home / "power.csv"
        told = CONFIG.format(home=home, url=world.stack.gateway_url, slurm=slurm.conf)
        self.config.write_text(told, "utf-8")
        self._power.write_text("time,watts\n", "utf-8")

    async def start(self, now: datetime) -> None:
        self.said.clear()
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", str(RUNNER), str(self.config), now.isoformat()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self._slurm.env | {"GRIDSIGNAL_TOKEN": self._token},
        )
        self._listening = asyncio.create_task(self._listen(self._process))

    def drawn_w(self) -> int:
        """What really runs, whatever the agent and Slurm think."""
        return sum(watts for name, watts in POWER_W.items() if self._slurm.works(name))

    async def metered(self, now: datetime, drawn_w: int) -> None:
        """Once so much is drawn the meter shows it, and time is now."""
        await asyncio.to_thread(self._slurm.until, lambda: self.drawn_w() == drawn_w)
        with self._power.open("a", encoding="utf-8") as meter:
            meter.write(f"{now.isoformat()},{drawn_w + ELSEWHERE_W}\n")


_SAID = {"SIGNALING": "RUNNING"}
"""What a slurmctld that was killed while it passed a signal on says for ever of a job that runs."""


def states(slurm: Slurm) -> dict[str, str]:
    """What scontrol and squeue say."""
    return {
        name: "HELD"
        if job["job_state"] == "PENDING" and job["priority"] == 0
        else _SAID.get(job["job_state"], job["job_state"])
        for name, job in slurm.jobs().items()
    }


def fills(slurm: Slurm) -> None:
    """Every processor: three jobs that may be paused, one that may not, one of nobody's business; two wait."""
    for name, may in (("a", "pause=stop"), ("b", "pause=stop"), ("c", "pause=requeue restart_s=600")):
        slurm.submit(name, 32, f"gridsignal power_w={POWER_W[name]} {may} {DONE}", "-t", "120")
    slurm.submit("fixed", 16, f"gridsignal power_w={MW} {DONE}")
    slurm.submit("foreign", 16, "somebody's own")
    slurm.until(lambda: all(slurm.works(name) for name in POWER_W))
    slurm.submit("next", 128, f"gridsignal power_w={MW} hold=yes {DONE}")
    slurm.submit("later", 128, "waits as it likes")


class Story:
    """Two orders, one within the other."""

    def __init__(self, world: World, agent: AgentOnSlurm, slurm: Slurm) -> None:
        self._world, self._agent, self._slurm, self._taken = world, agent, slurm, Taken(world.stack.replica)

    async def _reach(self, clock: str) -> None:
        await self._world.reach(utc(clock))
        self._agent.time(utc(clock))

    async def _said(self, request: str, response: str) -> None:
        await self._taken.one(OrderResponse, request_id=request, response=response)

    async def is_accepted(self) -> None:
        await self._agent.start(NOON)
        await self._agent.says("the grid is reached")
        await self._agent.metered(NOON, 9 * MW)
        self._long = await self._world.ask(power_w=4 * MW)
        await self._taken.one(FlexOffer, request_id=self._long)
        times = {"starts_at": "2024-05-12T18:15:00Z", "ends_at": "2024-05-12T18:30:00Z"}
        self._short = await self._world.ask(power_w=3 * MW, **times)
        await self._taken.one(FlexOffer, request_id=self._short)
        await self._reach("17:00")
        for request in (self._long, self._short):
            await self._taken.one(DispatchOrder, request_id=request)
            await self._taken.one(OrderResponse, request_id=request, response="ACCEPTED", accepted_w=None)

    async def is_followed(self) -> None:
        await self._reach("18:00")
        await asyncio.to_thread(self._slurm.until, lambda: "HELD" in states(self._slurm)["next"])
        self._agent.time(utc("18:00:05"))
        await self._said(self._long, "STARTED")
        await self._agent.metered(utc("18:00"), 5 * MW)
        assert states(self._slurm) == USUAL | {"a": "STOPPED", "b": "STOPPED", "next": "HELD"}
        await self._reach("18:01")
        await self._said(self._long, "SUSTAINING")
        await self._reach("18:15")
        await asyncio.to_thread(self._slurm.until, lambda: states(self._slurm)["c"] == "HELD")
        self._agent.time(utc("18:15:05"))  # its next look: Slurm takes its time to end a job that it requeues
        await self._said(self._short, "STARTED")
        await self._agent.metered(utc("18:15"), 2 * MW)
        await self._reach("18:16")
        await self._said(self._short, "SUSTAINING")

    async def outlives_both(self) -> None:
        await self._agent.kill()
        self._slurm.saved()  # Slurm itself loses a job that it requeued and forgot
        self._slurm.kill_controller()
        self._slurm.start_controller()
        await self._world.reach(utc("18:20"))
        await self._agent.start(utc("18:20"))
        await self._agent.says("2 orders bind the site")
        await self._reach("18:21")
        assert states(self._slurm) == USUAL | {"a": "STOPPED", "b": "STOPPED", "c": "HELD", "next": "HELD"}

    async def comes_back_in_steps(self) -> None:
        await self._reach("18:30")
        await self._said(self._short, "COMPLETED")
        assert self._agent.drawn_w() == 2 * MW, "of 7 MW six and a quarter are still held"
        self._agent.time(utc("18:31:30"))
        await self._agent.says("requeue of job")
        await self._agent.metered(utc("18:31:30"), 5 * MW)
        await self._reach("18:45")
        await self._said(self._long, "COMPLETED")
        assert self._agent.drawn_w() == 5 * MW
        for clock, drawn_w in (("18:45:30", 7 * MW), ("18:46:30", 9 * MW)):
            self._agent.time(utc(clock))
            await self._agent.metered(utc(clock), drawn_w)
        await self._agent.says("hold of job")
        self._slurm.until(lambda: states(self._slurm) == USUAL)

    def ended_well(self) -> None:
        assert {name: self._slurm.starts(name) for name in POWER_W} == dict.fromkeys(POWER_W, 1) | {"c": 2}
        limits = {name: job["time_limit"] for name, job in self._slurm.jobs().items() if name in "ab"}
        assert limits == {"a": 120 + 47, "b": 120 + 47}, "a pause takes no time away"
        assert not self._taken.all(OrderResponse, response="UNAVAILABLE")
        orders = self._world.stack.replica.ledger_of("DE-LU").orders.values()
        assert {each.state for each in orders} == {OrderState.COMPLETED}


async def test_an_order_stops_what_it_may_and_gives_it_back_whoever_is_killed(tmp_path: Path, slurm: Slurm) -> None:
    async with stepped_world(tmp_path / "stack") as world:
        agent = AgentOnSlurm(world, slurm, tmp_path)
        try:
            fills(slurm)
            story = Story(world, agent, slurm)
            await story.is_accepted()
            await story.is_followed()
            await story.outlives_both()
            await story.comes_back_in_steps()
            story.ended_well()
        except (AssertionError, TimeoutError) as failed:
            failed.add_note(agent.story())
            raise
        finally:
            await agent.kill()


async def test_what_an_agent_leaves_behind_is_given_back_by_a_timer(tmp_path: Path, slurm: Slurm) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "site.toml").write_text(LEFT.format(slurm=slurm.conf), "utf-8")
    for name, pause in (("a", "stop"), ("b", "suspend")):
        slurm.submit(name, 32, f"gridsignal power_w={POWER_W[name]} pause={pause}")
    slurm.until(lambda: all(slurm.works(name) for name in "ab"))
    slurm.submit("next", 128, "gridsignal power_w=1 hold=yes")
    slurm.saved()
    usual = {"a": "RUNNING", "b": "RUNNING", "next": "PENDING"}
    actuator, now = SlurmActuator(tmp_path / "state" / "slurm.json", conf=slurm.conf), utc("18:00")

    async def paused(until: datetime) -> None:
        await actuator.apply(net([Commitment("order-1", now, until, 4 * MW)], now), now)
        slurm.until(lambda: not any(slurm.works(name) for name in "ab"))
        slurm.kill_controller()
        slurm.start_controller()

    await paused(utc("18:45"))
    done = await asyncio.to_thread(ran, ("agent", "release", "--config", "site.toml"), cwd=tmp_path, **slurm.env)
    assert done.code == 0, done
    assert "stop of job 1 is undone (it is over)" in done.out
    slurm.until(lambda: all(slurm.works(name) for name in "ab") and states(slurm) == usual)
    await paused(wall() + timedelta(days=1))
    assert await actuator.release(wall()) == ()
    assert await actuator.release(wall(), everything=True)
    slurm.until(lambda: all(slurm.works(name) for name in "ab") and states(slurm) == usual)
    assert (await actuator.observe(wall())).shed_w == 0


async def test_a_hold_s_note_of_a_job_that_runs_keeps_it_neither_running_nor_stopped(
    tmp_path: Path, slurm: Slurm
) -> None:
    """It started while it was being held; or it was stopped, and Slurm has forgotten that note. An array is left."""
    labelled = f"gridsignal power_w={2 * MW} pause=stop hold=yes"
    job = slurm.submit("a", 32, labelled)
    slurm.submit("task", 32, labelled, "--array=1-1")
    slurm.until(lambda: slurm.works("a") and slurm.works("task"))
    slurm.saved()
    now, beside = utc("18:00"), tmp_path / "slurm.json"
    note = f"AdminComment={Mark(Way.HOLD, now, utc('18:45'), reason='order-1')}"
    actuator = SlurmActuator(beside, conf=slurm.conf)
    slurm.run("scontrol", "update", f"JobId={job}", note)
    await actuator.apply(net([Commitment("order-1", now, utc("18:45"), 4 * MW)], now), now)
    slurm.until(lambda: not slurm.works("a"))
    assert "1 labelled job, 0 W could be paused; not touched: job 2: expected a job of its own, got an array" in (
        await actuator.check(now)
    )
    beside.unlink()
    slurm.run("scontrol", "update", f"JobId={job}", note)
    assert await actuator.release(now, everything=True)
    slurm.until(lambda: slurm.works("a"))
    assert slurm.works("task")
    assert not slurm.jobs()["a"]["admin_comment"]
