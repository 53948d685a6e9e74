"""From a configuration to the parts that it names, and the agent made of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

import gridsignal
from gridsignal.agent.actuators import Actuator
from gridsignal.agent.actuators.command import CommandActuator
from gridsignal.agent.actuators.simulated import SimulatedActuator
from gridsignal.agent.config import Command, Config, CsvFile, MeterTable, Mode, Simulated
from gridsignal.agent.following import Follower, Say
from gridsignal.agent.kept import Kept
from gridsignal.agent.meters import Meter
from gridsignal.agent.meters.csv_file import CsvMeter
from gridsignal.agent.meters.prometheus import PrometheusMeter
from gridsignal.agent.reporting import Readings
from gridsignal.agent.running import Connect, SiteAgent
from gridsignal.agent.schedule import Stretch
from gridsignal.clock import Clock, GatewayClock
from gridsignal.tokens import TokenSource

_LONG = timedelta(days=7)


def actuator_of(table: Simulated | Command) -> Actuator:
    """What moves the site's power."""
    match table:
        case Simulated():
            return SimulatedActuator(table.file)
        case Command():
            return CommandActuator(table.apply, table.observe, timeout_s=table.timeout_s)


def meter_of(table: MeterTable) -> Meter:
    """What tells the site's power."""
    source = table.source
    if isinstance(source, CsvFile):
        return CsvMeter(source.file, time=source.time, watts=source.watts, longest_s=source.longest_s)
    return PrometheusMeter(source.url, source.query, step_s=source.step_s, timeout_s=source.timeout_s)


def connection_of(
    config: Config, token: TokenSource, *, wait_s: float = math.inf, clock: Clock | None = None
) -> Connect:
    """How the agent reaches the grid; what it entrusts to the SDK lies beside its state."""
    return lambda: gridsignal.connect(
        config.url,
        token=token,
        site=config.site,
        instance=config.instance,
        outbox=config.state / "outbox.db",
        wait_s=wait_s,
        clock=clock,
    )


@contextmanager
def agent_of(config: Config, connect: Connect, say: Say, clock: Clock | None = None) -> Iterator[SiteAgent]:
    """The agent, with its state open for as long as the block runs. Raises StateFailed."""
    kept = Kept(config.state / "agent.db")
    try:
        meter = None if config.meter is None else meter_of(config.meter)

        def baseline(now: datetime) -> Sequence[Stretch]:
            power_w = None if config.baseline is None else config.baseline.power_w
            return [] if power_w is None else [Stretch(now - _LONG, now + _LONG, power_w)]

        follower = Follower(
            actuator_of(config.actuator),
            meter,
            kept,
            manner=config.orders.manner,
            patience=config.orders.patience,
            window_s=60 if config.meter is None else config.meter.window_s,
            baseline=baseline,
            moves=config.mode in (Mode.AUTOMATIC, Mode.CONFIRM),
            say=say,
        )
        readings = None
        if meter is not None and config.meter is not None and config.meter.report:
            readings = Readings(meter, config.meter, kept, say)
        yield SiteAgent(config, connect, follower, kept, readings, say, clock or GatewayClock())
    finally:
        kept.close()
