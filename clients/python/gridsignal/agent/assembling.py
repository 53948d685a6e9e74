"""From a configuration to the parts that it names, and the agent made of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import gridsignal
from gridsignal.agent.actuators import Actuator
from gridsignal.agent.actuators.battery import BatteryActuator, Registers
from gridsignal.agent.actuators.command import CommandActuator
from gridsignal.agent.actuators.nvml import NvmlActuator, library
from gridsignal.agent.actuators.simulated import SimulatedActuator
from gridsignal.agent.actuators.slurm import SlurmActuator
from gridsignal.agent.actuators.webhook import WebhookActuator
from gridsignal.agent.answering import Answers
from gridsignal.agent.config import (
    Baseline,
    Config,
    CsvFile,
    EntryPointJobsTable,
    FileJobsTable,
    KubernetesJobsTable,
    MeterTable,
    Mode,
    StandingTable,
)
from gridsignal.agent.config_actuators import (
    BatteryTable,
    Command,
    DsxFlex,
    KubernetesTable,
    NvmlTable,
    Simulated,
    SlurmTable,
    Webhook,
)
from gridsignal.agent.confirming import Confirming
from gridsignal.agent.contact import GridContact, Say
from gridsignal.agent.following import Follower
from gridsignal.agent.heeding import Heeding
from gridsignal.agent.job_sources import EntryPointJobs, FileJobs, JobSource, KubernetesJobs, SlurmJobs
from gridsignal.agent.kept import Kept
from gridsignal.agent.kubernetes import Rules
from gridsignal.agent.meters import Meter
from gridsignal.agent.meters.csv_file import CsvMeter
from gridsignal.agent.meters.prometheus import PrometheusMeter
from gridsignal.agent.reporting import Readings
from gridsignal.agent.running import Connect, SiteAgent
from gridsignal.agent.schedule import Stretch
from gridsignal.agent.standing import StandingBy
from gridsignal.clock import Clock, GatewayClock
from gridsignal.errors import UsageError
from gridsignal.extras import needs
from gridsignal.outbox import MEMORY
from gridsignal.tokens import TokenSource

if TYPE_CHECKING:  # they need what an agent without a plan, or without a cluster, does without
    from gridsignal.agent.actuators.kubernetes import KubernetesActuator
    from gridsignal.agent.foreseeing import Planner

_LONG = timedelta(days=7)
_LOOK_S = 5.0
_LEASE_S, _LEASE_LOOKS = 60, 4
"""For how long an agent that is silent keeps others from writing; for so many of its looks at least."""


def actuator_of(config: Config, *, program: str = "run") -> Actuator:
    """What moves the site's power. Raises UsageError for a secret or a key that can't be read.

    `program`: which of the agent's commands asks; a counterpart that knows its clients by name tells them apart.
    """
    table = config.actuator
    match table:
        case Simulated():
            return SimulatedActuator(table.file)
        case Command():
            return CommandActuator(table.apply, table.observe, timeout_s=table.timeout_s)
        case Webhook():
            return WebhookActuator(table.url, _secret(table.secret_file), timeout_s=table.timeout_s)
        case BatteryTable():
            registers = Registers(table.setpoint_register, table.revert_register, table.step_w)
            where = (table.host, table.port, table.unit, registers)
            return BatteryActuator(*where, most_w=table.most_w, timeout_s=table.timeout_s)
        case SlurmTable():
            return _slurm(config, table)
        case KubernetesTable():
            return _kubernetes(config, table)
        case NvmlTable():
            return nvml_of(config, table)
        case DsxFlex():
            return _dsx_flex(table, config.baseline, program)


def releasing_of(config: Config) -> SlurmActuator | KubernetesActuator | NvmlActuator:
    """What has no end of its own for what was done to it. Raises UsageError for another actuator."""
    match config.actuator:
        case SlurmTable() as table:
            return _slurm(config, table)
        case KubernetesTable() as table:
            return _kubernetes(config, table)
        case NvmlTable() as table:
            return nvml_of(config, table)
        case other:
            raise UsageError(
                f"expected an actuator slurm, nvml or kubernetes, got {other.kind}: what that does ends by itself"
            )


def _kubernetes(config: Config, table: KubernetesTable) -> KubernetesActuator:
    """A cluster; under which name the agent writes there lies beside its state."""
    try:
        from gridsignal.agent import kubeconfig
        from gridsignal.agent.actuators.kubernetes import KubernetesActuator
        from gridsignal.agent.actuators.kubernetes_api import KubernetesApi
    except ModuleNotFoundError as missing:
        raise UsageError(needs("kubernetes", missing.name, "kubernetes")) from None
    if table.kubeconfig is None:
        access = kubeconfig.in_cluster()
    else:
        access = kubeconfig.kubeconfig(table.kubeconfig, table.context)
    access = access if table.namespace is None else replace(access, namespace=table.namespace)
    api = KubernetesApi(access, timeout_s=table.timeout_s)
    lease_s = max(_LEASE_S, _LEASE_LOOKS * config.orders.look_s)
    namespaces = None if table.namespaces is None else frozenset(table.namespaces)
    rules = Rules(namespaces, table.most_pod_w)
    return KubernetesActuator(api, config.state / "kubernetes-name", rules=rules, lease_s=lease_s)


def _slurm(config: Config, table: SlurmTable) -> SlurmActuator:
    """Slurm; what was done to its jobs lies beside the agent's state."""
    return SlurmActuator(
        config.state / "slurm.json", conf=table.conf, timeout_s=table.timeout_s, most_job_w=table.most_job_w
    )


def nvml_of(config: Config, table: NvmlTable) -> NvmlActuator:
    """This machine's GPUs; what their limits were lies beside the agent's state. Raises UsageError."""
    try:
        nvml = library()
    except ModuleNotFoundError as missing:
        raise UsageError(needs("nvml", missing.name, "nvml")) from None
    return NvmlActuator(table.gpus, config.state / "nvml.json", nvml, timeout_s=table.timeout_s)


def _dsx_flex(table: DsxFlex, baseline: Baseline | None, program: str) -> Actuator:
    try:
        from gridsignal.agent.actuators import dsx_flex, dsx_wire
    except ModuleNotFoundError as missing:
        raise UsageError(needs("dsx-flex", missing.name, "dsx")) from None
    keys = None
    if table.wire == "signed":
        if table.key_file is None or table.factory_key_file is None:
            raise UsageError(
                "actuator: expected key_file and factory_key_file where the wire is signed, got neither or one"
            )
        keys = dsx_flex.Keys(dsx_flex.key_of(_secret(table.key_file)), dsx_flex.key_of(_secret(table.factory_key_file)))
    password = None if table.password_file is None else _secret(table.password_file).decode()
    bus = dsx_flex.Bus(table.host, table.port, table.isv, table.agent, table.user, password, table.tls, program)
    feeds = [dsx_wire.Feed(feed.tag, feed.share) for feed in table.feeds]
    power_w = None if baseline is None else baseline.power_w
    return dsx_flex.DsxFlexActuator(bus, feeds, lambda _: power_w, keys, timeout_s=table.timeout_s)


def _secret(file: Path) -> bytes:
    try:
        secret = file.read_bytes().strip()
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None
    if not secret:
        raise UsageError(f"{file}: expected a secret, got an empty file")
    return secret


def meter_of(table: MeterTable) -> Meter:
    """What tells the site's power."""
    source = table.source
    if isinstance(source, CsvFile):
        return CsvMeter(source.file, time=source.time, watts=source.watts, longest_s=source.longest_s)
    return PrometheusMeter(source.url, source.query, step_s=source.step_s, timeout_s=source.timeout_s)


def connection_of(config: Config, token: TokenSource, *, clock: Clock | None = None) -> Connect:
    """How the agent reaches the grid; what it entrusts to the SDK lies beside its state."""
    outbox = config.state / "outbox.db"
    return lambda: gridsignal.connect(
        config.url,
        token=token,
        site=config.site,
        instance=config.instance,
        outbox=outbox,
        wait_s=math.inf,
        clock=clock,
    )


def look_of(config: Config, token: TokenSource) -> Connect:
    """How somebody has a look at the grid beside an agent that runs: under another name, and without its outbox."""
    instance = f"{config.instance[:58]}-check"
    return lambda: gridsignal.connect(
        config.url, token=token, site=config.site, instance=instance, outbox=MEMORY, wait_s=_LOOK_S
    )


def jobs_of(config: Config) -> JobSource | None:
    """Where jobs come from; None where nothing is planned. Raises UsageError for an entry point that is none."""
    if config.plan is None:
        return None
    table = config.plan.jobs
    if isinstance(table, FileJobsTable):
        return FileJobs(table.file)
    if isinstance(table, EntryPointJobsTable):
        return EntryPointJobs(table.name)
    if isinstance(table, KubernetesJobsTable):
        assert isinstance(config.actuator, KubernetesTable)
        return KubernetesJobs(_kubernetes(config, config.actuator))
    assert isinstance(config.actuator, SlurmTable)
    return SlurmJobs(_slurm(config, config.actuator))


def planner_of(config: Config, say: Say) -> Planner | None:
    """What plans; None where nothing is. Raises UsageError without what plans need."""
    source = jobs_of(config)
    if source is None or config.model is None or config.plan is None:
        return None
    try:
        from gridsignal.agent.foreseeing import Planner
    except ModuleNotFoundError as missing:
        raise UsageError(needs("[plan]", missing.name, "agent")) from None
    currency = "EUR" if config.offers is None else config.offers.currency
    return Planner(config.model, source, config.plan, currency, config.state / "plan.json", say)


def confirming_of(config: Config, kept: Kept, say: Say) -> Confirming | None:
    """What asks an address; None where people are asked alone. Raises UsageError for a secret that can't be read."""
    if (table := config.confirm) is None:
        return None
    return Confirming(table.url, _secret(table.secret_file), table.every_s, table.timeout_s, kept, say)


def _room_w(follower: Follower, planner: Planner | None, table: StandingTable, clock: Clock) -> int | None:
    """The most that could be held back at once for so long, what is held back included; None: not known so far."""
    called_at = clock.now() + timedelta(seconds=table.full_activation_s)
    if follower.heeding.holds_at(clock.now(), called_at):
        return 0  # whoever is called now would have to begin, and nothing starts
    if planner is not None:
        rooms = [each for each in planner.headroom if each.notice_s == 0 and each.duration_s >= table.max_duration_s]
        return min((each.shed_w for each in rooms), default=0 if planner.headroom else None)
    if follower.seen is None:
        return None
    if (observed := follower.seen.observed) is None:
        return 0
    return table.most_w if observed.room_w is None else observed.shed_w + observed.room_w


@contextmanager
def agent_of(config: Config, connect: Connect, say: Say, clock: Clock | None = None) -> Iterator[SiteAgent]:
    """The agent, with its state open for as long as the block runs. Raises StateFailed."""
    kept = Kept(config.state / "agent.db")
    try:
        ours = clock or GatewayClock()
        meter = None if config.meter is None else meter_of(config.meter)

        planner = planner_of(config, say)

        def baseline(now: datetime) -> Sequence[Stretch]:
            if planner is not None:
                return planner.baseline(now)
            power_w = None if config.baseline is None else config.baseline.power_w
            return [] if power_w is None else [Stretch(now - _LONG, now + _LONG, power_w)]

        moves = config.mode in (Mode.AUTOMATIC, Mode.CONFIRM)
        follower = Follower(
            actuator_of(config),
            meter,
            kept,
            manner=config.orders.manner,
            patience=config.orders.patience,
            window_s=60 if config.meter is None else config.meter.window_s,
            baseline=baseline,
            moves=moves,
            contact=GridContact(config.failsafe.profile, kept, ours.now(), say),
            heeding=Heeding(config.alerts, config.orders.manner, kept, moves=moves, say=say),
            say=say,
        )
        readings = None
        if meter is not None and config.meter is not None and config.meter.report:
            readings = Readings(meter, config.meter, kept, say)
        answers = Answers(config, follower, kept, planner, confirming_of(config, kept, say), say)
        standing = None
        if config.standing is not None and moves:
            room = partial(_room_w, follower, planner, config.standing, ours)
            standing = StandingBy(config.standing, config.site, kept, room, say)
        yield SiteAgent(config, connect, follower, answers, readings, planner, standing, say, ours)
    finally:
        kept.close()
