"""The agent's configuration: a TOML file as text in, checked values out, each fault with where, expected and got.

A decision: no file is opened here, no counterpart asked. Paths are as they are written, from the agent's own folder.
"""

from __future__ import annotations

import re
import tomllib
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, model_validator

from gridsignal.agent.config_actuators import (
    DAY_S,
    BatteryTable,
    Command,
    DsxFlex,
    File,
    KubernetesTable,
    NvmlTable,
    Period,
    Seconds,
    Simulated,
    SlurmTable,
    Table,
    Timeout,
    Url,
    Watts,
    Webhook,
)
from gridsignal.agent.config_faults import fault_in
from gridsignal.agent.curves import DEFAULT_CARBON_PRICE
from gridsignal.agent.orders import Patience
from gridsignal.agent.schedule import Manner
from gridsignal.agent.site import Site
from gridsignal.errors import UsageError
from gridsignal.failsafe import FailsafeProfile
from gridsignal_schemas.messages import OnCommsLoss, Workload
from gridsignal_schemas.values import MAX_POWER_W, Identifier

MAX_FILE = 1024 * 1024


class WrongConfig(UsageError):
    """The file configures no agent: each line of its text is one fault."""


class Mode(StrEnum):
    """Who decides, and whether anything moves."""

    AUTOMATIC = "automatic"
    """Offers, accepts and acts by itself."""
    CONFIRM = "confirm"
    """Offers by itself; a person accepts each order before its respond_by, and silence refuses."""
    ADVISE = "advise"
    """Declares and measures; says what it would offer and answer, and does neither. Nothing moves."""
    DRY_RUN = "dry-run"
    """Says what it would do, and sends nothing at all. Nothing moves."""


def _decimal(value: Any) -> Any:
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,9}(\.[0-9]{1,4})?", value):
        return Decimal(value)
    raise ValueError(f'expected a price per MWh as text such as "89.90", got {value!r:.60}')


class CsvFile(Table):
    """`kind = "csv"`: readings that another program writes."""

    kind: Literal["csv"]
    file: File
    time: str = "time"
    watts: str = "watts"
    longest_s: Period = 60


class Prometheus(Table):
    """`kind = "prometheus"`: a query."""

    kind: Literal["prometheus"]
    url: Url
    query: Annotated[str, Field(min_length=1, max_length=4096)]
    step_s: Period = 15
    timeout_s: Timeout = 10.0


class MeterTable(Table):
    """Where readings come from, and how they are reported."""

    source: Annotated[CsvFile | Prometheus, Field(discriminator="kind")]
    name: Identifier = "main"
    interval_s: Annotated[int, Field(ge=60, le=3600)] = 900
    settle_s: Seconds = 30
    """How long after an interval its reading is looked up."""
    report: bool = True
    """False: it verifies orders, and readings are reported by somebody else."""
    window_s: Annotated[int, Field(ge=1, le=3600)] = 60
    """Over how long power is averaged in order to verify an order."""


class Baseline(Table):
    """What the site draws if nobody asks for anything; where it is not declared here somebody else does."""

    power_w: Watts
    days: Annotated[int, Field(ge=1, le=14)] = 2
    resolution_s: Literal[900, 3600] = 900


class FileJobsTable(Table):
    """`kind = "file"`: jobs that another program writes, as TOML or CSV."""

    kind: Literal["file"]
    file: File


class SlurmJobsTable(Table):
    """`kind = "slurm"`: labelled jobs with a deadline of the cluster that the actuator moves."""

    kind: Literal["slurm"]


class KubernetesJobsTable(Table):
    """`kind = "kubernetes"`: labelled Jobs with a deadline of the cluster that the actuator moves."""

    kind: Literal["kubernetes"]


class EntryPointJobsTable(Table):
    """`kind = "entry-point"`: a package of the site's own, by its name in the group `gridsignal.jobs`."""

    kind: Literal["entry-point"]
    name: Annotated[str, Field(min_length=1, max_length=128)]


class PlanTable(Table):
    """How jobs are planned."""

    jobs: Annotated[
        FileJobsTable | SlurmJobsTable | KubernetesJobsTable | EntryPointJobsTable, Field(discriminator="kind")
    ]
    hours: Annotated[int, Field(ge=2, le=48)] = 36
    """How far ahead."""
    every_s: Annotated[int, Field(ge=60, le=DAY_S)] = 900
    """How often, and whenever prices or carbon come."""
    seconds: Annotated[float, Field(gt=0, le=60, strict=False)] = 5.0
    """How long one plan may take."""
    carbon_price: Annotated[float, Field(ge=0, le=10_000, strict=False)] = DEFAULT_CARBON_PRICE
    """Per tonne of CO2, in the currency of offers."""
    margin_per_mwh: Annotated[float, Field(ge=0, le=10_000, strict=False)] = 0.0
    """On top of what moving load costs."""


class Offers(Table):
    """What is offered on a request to draw less."""

    price_per_mwh: Annotated[Decimal, BeforeValidator(_decimal)]
    most_w: Annotated[int, Field(ge=1, le=MAX_POWER_W)]
    least_w: Annotated[int, Field(ge=1, le=MAX_POWER_W)] = 1
    longest_s: Annotated[int, Field(ge=60, le=7 * DAY_S)] = 4 * 3600
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "EUR"
    workload: Annotated[Workload, Field(strict=False)] = Workload.OTHER


class OrdersTable(Table):
    """How orders are followed."""

    lead_s: Seconds = 0
    restore_s: Seconds = 60
    steps: Annotated[int, Field(ge=1, le=20)] = 4
    lease_s: Annotated[int, Field(ge=60, le=DAY_S)] = 900
    apply_s: Seconds = 60
    verify_s: Seconds = 300
    tolerance: Annotated[float, Field(ge=0, le=1, strict=False)] = 0.05
    answer_s: Period = 5
    """How long before respond_by a person's silence refuses."""
    look_s: Period = 5
    """How often the actuator is read back."""
    partly: bool = True
    """Accept what is possible of an order; else refuse it."""

    @property
    def manner(self) -> Manner:
        return Manner(self.lead_s, self.restore_s, self.steps, self.lease_s)

    @property
    def patience(self) -> Patience:
        return Patience(self.apply_s, self.verify_s, self.tolerance)


class FailsafeTable(Table):
    """What the site does that no longer hears the grid, as its operator's registry has it."""

    heartbeat_s: Annotated[int, Field(ge=10, le=DAY_S)] = 300
    """So long a silence is lost contact."""
    limit_w: Watts | None = None
    """What the site then draws at most; without it nothing is limited, and orders alone go by their on_comms_loss."""
    minimum_s: Seconds = 7200
    """How long the limit holds at least."""
    spread_s: Seconds = 600
    """The site returns within so long after that, at random."""
    orders: Literal["HOLD", "COMPLETE", "RESTORE"] = "COMPLETE"
    """What becomes of an order that does not say so itself."""

    @property
    def profile(self) -> FailsafeProfile:
        return FailsafeProfile(
            self.heartbeat_s, self.limit_w, self.minimum_s, OnCommsLoss(self.orders), spread_s=self.spread_s
        )


class StandingTable(Table):
    """What the site stands by with for a product, from its headroom."""

    product: Identifier
    price_per_mwh: Annotated[Decimal, BeforeValidator(_decimal)]
    most_w: Annotated[int, Field(ge=1, le=MAX_POWER_W)]
    full_activation_s: Seconds
    """From being called until the power is there."""
    max_duration_s: Period
    """For how long it is there at most."""
    step_w: Annotated[int, Field(ge=1, le=MAX_POWER_W)] = 100_000
    """It is told in whole steps."""
    every_s: Annotated[int, Field(ge=10, le=3600)] = 60
    """How often it is looked at."""
    days: Annotated[int, Field(ge=1, le=30)] = 7
    """For how long at a time; renewed in the middle of it."""
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "EUR"


class ConfirmTable(Table):
    """An address that answers orders in mode `confirm`, beside people at a terminal."""

    url: Url
    secret_file: File
    every_s: Annotated[int, Field(ge=1, le=3600)] = 5
    """How often it is asked again while nobody has answered."""
    timeout_s: Timeout = 10.0


class AlertsTable(Table):
    """What the site does about alerts of its zone."""

    shed_w: Watts = 0
    """SHED: so much less beside orders, as far as it goes. 0: nothing comes back, and no more."""
    providers: list[Identifier] = Field(default_factory=list, max_length=100)
    """Whose alerts are obeyed; those of others, feeds included, are heard and move nothing."""
    drills: Literal["answer", "act"] = "answer"
    """act: an exercise moves power as the real thing does."""
    longest_s: Period = 4 * 3600
    """How long an alert is believed at most, all its revisions together."""


class MetricsTable(Table):
    """Where Prometheus reads how the agent does."""

    port: Annotated[int, Field(ge=0, le=65_535)]
    """0: one that is free, which is told at the start."""
    host: Annotated[str, Field(min_length=1, max_length=255)] = "127.0.0.1"


class Config(Table):
    """The whole file."""

    site: Identifier
    url: str = "ws://127.0.0.1:8081"
    token_file: File | None = None
    """None: GRIDSIGNAL_TOKEN."""
    instance: Identifier = "agent"
    state: File = Path("agent-state")
    """The folder of the state and the outbox."""
    mode: Annotated[Mode, Field(strict=False)] = Mode.AUTOMATIC
    actuator: Annotated[
        Simulated | Command | Webhook | DsxFlex | BatteryTable | SlurmTable | NvmlTable | KubernetesTable,
        Field(discriminator="kind"),
    ]
    meter: MeterTable | None = None
    baseline: Baseline | None = None
    model: Site | None = None
    """The site's power, for a plan."""
    plan: PlanTable | None = None
    offers: Offers | None = None
    orders: OrdersTable = OrdersTable()
    standing: StandingTable | None = None
    confirm: ConfirmTable | None = None
    alerts: AlertsTable = Field(default_factory=AlertsTable)
    failsafe: FailsafeTable = FailsafeTable()
    metrics: MetricsTable | None = None

    @model_validator(mode="before")
    @classmethod
    def _named(cls, told: Any) -> Any:
        """A model is that of the agent's own site."""
        if isinstance(told, dict) and isinstance(told.get("model"), dict):
            return told | {"model": told["model"] | {"site": told.get("site")}}
        return told

    @model_validator(mode="after")
    def _holds(self) -> Config:
        if (self.model is None) != (self.plan is None):
            raise ValueError("expected [model] and [plan] together, got one of them")
        if self.plan is not None and self.baseline is not None:
            raise ValueError("expected [baseline] or [plan], got both: a plan declares its own baseline")
        source = "" if self.plan is None else self.plan.jobs.kind
        if source in ("slurm", "kubernetes") and self.actuator.kind != source:
            raise ValueError(f"expected an actuator {source} beside its jobs, got {self.actuator.kind}")
        if self.confirm is not None and self.mode is not Mode.CONFIRM:
            raise ValueError(f'expected mode = "confirm" beside [confirm], got {self.mode}')
        if self.failsafe.limit_w is not None and self.baseline is None and self.plan is None:
            raise ValueError("expected a [baseline] beside failsafe.limit_w, got none: a limit is kept against it")
        return self


_KINDS: dict[str, type[BaseModel]] = {
    "simulated": Simulated,
    "command": Command,
    "webhook": Webhook,
    "dsx-flex": DsxFlex,
    "battery": BatteryTable,
    "slurm": SlurmTable,
    "nvml": NvmlTable,
    "kubernetes": KubernetesTable,
    "file": FileJobsTable,
    "entry-point": EntryPointJobsTable,
    "csv": CsvFile,
    "prometheus": Prometheus,
}
"""By kind, what a table of that kind says."""


def config_of(text: bytes, name: str) -> Config:
    """The configuration of a file's text. Raises WrongConfig, which names every fault with its line."""
    if len(text) > MAX_FILE:
        raise WrongConfig(f"{name}: expected at most {MAX_FILE} bytes, got {len(text)}")
    try:
        told = text.decode("utf-8-sig")
        found = tomllib.loads(told)
    except UnicodeDecodeError as wrong:
        line = text[: wrong.start].count(b"\n") + 1
        raise WrongConfig(f"{name}: line {line}: expected UTF-8 text, got a byte {text[wrong.start]:#x}") from None
    except tomllib.TOMLDecodeError as wrong:
        raise WrongConfig(f"{name}: expected TOML: {wrong}") from None
    try:
        return Config.model_validate(found)
    except ValidationError as wrong:
        raise WrongConfig(
            "\n".join(fault_in(error, told, name, Config, _KINDS) for error in wrong.errors(include_url=False))
        ) from None
