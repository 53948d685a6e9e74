"""Counterparts for the actuators' contract: of each, ten megawatts can be shed below a baseline of twelve."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from gridsignal.agent.actuators import Actuator, Observed
from gridsignal.agent.actuators.battery import BatteryActuator
from gridsignal.agent.actuators.command import CommandActuator
from gridsignal.agent.actuators.dsx_flex import Bus, DsxFlexActuator, Keys
from gridsignal.agent.actuators.nvml import NvmlActuator
from gridsignal.agent.actuators.simulated import Cluster, SimulatedActuator, SimulatedJob
from gridsignal.agent.actuators.webhook import WebhookActuator
from gridsignal.agent.schedule import Commitment, Schedule, Stretch, net
from gridsignal_schemas.values import KW, MW
from tests.builders import utc
from tests.contract.agent import factory
from tests.contract.agent.battery_bank import REGISTERS, UNIT, Battery
from tests.contract.agent.gpus import Gpus
from tests.contract.agent.receiver import receiver
from tests.patience import SOON_S

CAN_W, BASELINE_W = 10 * MW, 12 * MW
START, END = utc("18:00"), utc("18:45")
PROGRAM = Path(__file__).with_name("site_program.py")


async def _as_told(now: datetime) -> None:
    """It goes by what it is told."""


@dataclass
class Stand:
    """A counterpart that is up, and how an agent that has just started takes it over."""

    make: Callable[[], Actuator]
    at: Callable[[datetime], Awaitable[None]] = _as_told
    """Moves the counterpart's own clock, where it has one."""

    async def reads(self, now: datetime) -> Observed:
        """What an agent that has just started finds."""
        await self.at(now)
        actuator = self.make()
        try:
            return await actuator.observe(now)
        finally:
            await actuator.aclose()


def scheduled(*shed_w: int, now: datetime = START, minutes: int = 45) -> Schedule:
    """Orders of so many watts each, one over the other, from START on."""
    ends_at = START + timedelta(minutes=minutes)
    orders = [Commitment(f"order-{at}", START, ends_at, watts) for at, watts in enumerate(shed_w, 1)]
    return net(orders, now, baseline=[Stretch(START - timedelta(hours=1), END + timedelta(hours=1), BASELINE_W)])


@asynccontextmanager
async def simulated(folder: Path) -> AsyncIterator[Stand]:
    file = folder / "cluster.json"
    named = {"train": (4 * MW, 0), "batch": (5 * MW, 500 * KW), "serve": (3 * MW, 1500 * KW)}
    jobs = [SimulatedJob(name=name, power_w=w, least_w=least_w) for name, (w, least_w) in named.items()]
    file.write_text(Cluster(jobs=jobs).model_dump_json(), "utf-8")
    yield Stand(lambda: SimulatedActuator(file))


@asynccontextmanager
async def command(folder: Path) -> AsyncIterator[Stand]:
    words = [sys.executable, "-S", "-I", str(PROGRAM), str(folder / "state.json")]
    yield Stand(
        lambda: CommandActuator(
            apply=[*words, "apply", "{shed_w}", "{until}", "{reason}"], observe=[*words, "observe", "{now}"]
        )
    )


@asynccontextmanager
async def webhook(folder: Path) -> AsyncIterator[Stand]:
    secret = b"between us"
    with receiver(secret) as url:
        yield Stand(lambda: WebhookActuator(url, secret, timeout_s=SOON_S))


@asynccontextmanager
async def dsx_flex(folder: Path) -> AsyncIterator[Stand]:
    if factory.MOSQUITTO is None:
        pytest.skip("needs mosquitto: apt-get install mosquitto")
    ours, theirs = (ECKey.generate_key("P-256", {"kid": kid}) for kid in ("isv-1", "site1-1"))
    with factory.broker(folder) as port:
        bus = Bus("127.0.0.1", port, factory.ISV, factory.AGENT, factory.ISV, factory.ISV, tls=False)
        behind = factory.Factory(port, theirs, ours, START)

        async def at(now: datetime) -> None:
            behind.now = now
            await behind.tell()

        async with behind.running():
            yield Stand(
                lambda: DsxFlexActuator(bus, factory.FEEDS, lambda _: BASELINE_W, Keys(ours, theirs), timeout_s=SOON_S),
                at=at,
            )


@asynccontextmanager
async def battery(folder: Path) -> AsyncIterator[Stand]:
    bank = Battery(START)

    async def at(now: datetime) -> None:
        bank.now = now

    async with bank.running() as port:
        yield Stand(lambda: BatteryActuator("127.0.0.1", port, UNIT, REGISTERS, most_w=CAN_W, timeout_s=SOON_S), at=at)


@asynccontextmanager
async def nvml(folder: Path) -> AsyncIterator[Stand]:
    gpus = Gpus()

    def make() -> NvmlActuator:
        return NvmlActuator(("GPU-a", "GPU-b", "GPU-c"), folder / "nvml.json", gpus)

    async def at(now: datetime) -> None:
        await make().release(now)  # the timer that stands beside an agent

    yield Stand(make, at=at)


STANDS = {stand.__name__: stand for stand in (simulated, command, webhook, dsx_flex, battery, nvml)}
