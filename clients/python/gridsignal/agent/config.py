"""The agent's configuration: a TOML file as text in, checked values out, each fault with where, expected and got.

A decision: no file is opened here, no counterpart asked. Paths are as they are written, from the agent's own folder.
"""

from __future__ import annotations

import math
import re
import tomllib
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from gridsignal.agent.actuators.command import faults_of
from gridsignal.agent.config_faults import fault_in
from gridsignal.agent.orders import Patience
from gridsignal.agent.schedule import Manner
from gridsignal.agent.web import address
from gridsignal.errors import UsageError
from gridsignal.failsafe import FailsafeProfile
from gridsignal_schemas.messages import OnCommsLoss, Workload
from gridsignal_schemas.values import MAX_POWER_W, Identifier

MAX_FILE = 1024 * 1024
_DAY_S = 86_400


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


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _words(value: list[str]) -> list[str]:
    if faults := faults_of(value):
        raise ValueError("; ".join(faults))
    return value


def _url(value: str) -> str:
    address(value)
    return value


def _decimal(value: Any) -> Any:
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,9}(\.[0-9]{1,4})?", value):
        return Decimal(value)
    raise ValueError(f'expected a price per MWh as text such as "89.90", got {value!r:.60}')


File = Annotated[Path, Field(strict=False)]
Watts = Annotated[int, Field(ge=0, le=MAX_POWER_W)]
Seconds = Annotated[int, Field(ge=0, le=_DAY_S)]
Period = Annotated[int, Field(ge=1, le=_DAY_S)]
Timeout = Annotated[float, Field(gt=0, le=600, strict=False)]
Words = Annotated[list[Annotated[str, Field(max_length=4096)]], Field(max_length=100), AfterValidator(_words)]
Url = Annotated[str, AfterValidator(_url)]


class Simulated(_Table):
    """`kind = "simulated"`: a cluster in a file."""

    kind: Literal["simulated"]
    file: File


class Command(_Table):
    """`kind = "command"`: programs of the site's own."""

    kind: Literal["command"]
    apply: Words
    observe: Words
    timeout_s: Timeout = 30.0


class Webhook(_Table):
    """`kind = "webhook"`: an address of the site's own."""

    kind: Literal["webhook"]
    url: Url
    secret_file: File
    timeout_s: Timeout = 10.0


class FeedTable(_Table):
    """A feed of a factory, and which share of the connection's power it carries."""

    tag: Annotated[str, Field(min_length=1, max_length=128)]
    share: Annotated[float, Field(gt=0, le=1, strict=False)] = 1.0


def _whole(feeds: list[FeedTable]) -> list[FeedTable]:
    if not math.isclose(total := sum(feed.share for feed in feeds), 1.0):
        raise ValueError(f"expected shares that add up to 1, got {total:g}")
    return feeds


class DsxFlex(_Table):
    """`kind = "dsx-flex"`: NVIDIA DSX Flex over MQTT."""

    kind: Literal["dsx-flex"]
    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(ge=1, le=65_535)] = 8883
    tls: bool = True
    user: str | None = None
    password_file: File | None = None
    isv: Identifier
    agent: Identifier
    feeds: Annotated[list[FeedTable], Field(min_length=1, max_length=64), AfterValidator(_whole)]
    wire: Literal["signed", "plain"] = "signed"
    key_file: File | None = None
    """Our private key: a JWK of P-256 with a kid."""
    factory_key_file: File | None = None
    """The public key of the factory's agent, likewise."""
    timeout_s: Timeout = 30.0


class BatteryTable(_Table):
    """`kind = "battery"`: a battery behind Modbus TCP, and its register map."""

    kind: Literal["battery"]
    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(ge=1, le=65_535)] = 502
    unit: Annotated[int, Field(ge=0, le=255)] = 1
    setpoint_register: Annotated[int, Field(ge=0, le=65_534)]
    """Of two: a signed number of steps, discharge is positive; as on the wire, from 0."""
    revert_register: Annotated[int, Field(ge=0, le=65_534)]
    """Of two: seconds until the device lets go of the setpoint, counting down."""
    step_w: Annotated[int, Field(ge=1, le=MAX_POWER_W)] = 1
    most_w: Annotated[int, Field(ge=1, le=MAX_POWER_W)]
    timeout_s: Timeout = 5.0


class SlurmTable(_Table):
    """`kind = "slurm"`: labelled jobs of a Slurm cluster, by its own programs."""

    kind: Literal["slurm"]
    conf: File | None = None
    """slurm.conf, where it is not in Slurm's own place."""
    timeout_s: Timeout = 20.0


class CsvFile(_Table):
    """`kind = "csv"`: readings that another program writes."""

    kind: Literal["csv"]
    file: File
    time: str = "time"
    watts: str = "watts"
    longest_s: Period = 60


class Prometheus(_Table):
    """`kind = "prometheus"`: a query."""

    kind: Literal["prometheus"]
    url: Url
    query: Annotated[str, Field(min_length=1, max_length=4096)]
    step_s: Period = 15
    timeout_s: Timeout = 10.0


class MeterTable(_Table):
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


class Baseline(_Table):
    """What the site draws if nobody asks for anything; where it is not declared here somebody else does."""

    power_w: Watts
    days: Annotated[int, Field(ge=1, le=14)] = 2
    resolution_s: Literal[900, 3600] = 900


class Offers(_Table):
    """What is offered on a request to draw less."""

    price_per_mwh: Annotated[Decimal, BeforeValidator(_decimal)]
    most_w: Annotated[int, Field(ge=1, le=MAX_POWER_W)]
    least_w: Annotated[int, Field(ge=1, le=MAX_POWER_W)] = 1
    longest_s: Annotated[int, Field(ge=60, le=7 * _DAY_S)] = 4 * 3600
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "EUR"
    workload: Annotated[Workload, Field(strict=False)] = Workload.OTHER


class OrdersTable(_Table):
    """How orders are followed."""

    lead_s: Seconds = 0
    restore_s: Seconds = 60
    steps: Annotated[int, Field(ge=1, le=20)] = 4
    lease_s: Annotated[int, Field(ge=60, le=_DAY_S)] = 900
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


class FailsafeTable(_Table):
    """What the site does that no longer hears the grid, as its operator's registry has it."""

    heartbeat_s: Annotated[int, Field(ge=10, le=_DAY_S)] = 300
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


class MetricsTable(_Table):
    """Where Prometheus reads how the agent does."""

    port: Annotated[int, Field(ge=0, le=65_535)]
    """0: one that is free, which is told at the start."""
    host: Annotated[str, Field(min_length=1, max_length=255)] = "127.0.0.1"


class Config(_Table):
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
        Simulated | Command | Webhook | DsxFlex | BatteryTable | SlurmTable, Field(discriminator="kind")
    ]
    meter: MeterTable | None = None
    baseline: Baseline | None = None
    offers: Offers | None = None
    orders: OrdersTable = OrdersTable()
    failsafe: FailsafeTable = FailsafeTable()
    metrics: MetricsTable | None = None

    @model_validator(mode="after")
    def _holds(self) -> Config:
        if self.failsafe.limit_w is not None and self.baseline is None:
            raise ValueError("expected a [baseline] beside failsafe.limit_w, got none: a limit is kept against it")
        return self


_KINDS: dict[str, type[BaseModel]] = {
    "simulated": Simulated,
    "command": Command,
    "webhook": Webhook,
    "dsx-flex": DsxFlex,
    "battery": BatteryTable,
    "slurm": SlurmTable,
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
