"""What the configuration says of actuators, and the words that all of its tables are made of. A decision."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gridsignal.agent.actuators.command import faults_of
from gridsignal.agent.actuators.nvml import MOST
from gridsignal.agent.kubernetes import MOST_POD_W
from gridsignal.agent.slurm import MOST_JOB_W
from gridsignal.agent.web import address
from gridsignal_schemas.values import MAX_POWER_W, Identifier

DAY_S = 86_400
_NAMESPACE = "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"


class Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _words(value: list[str]) -> list[str]:
    if faults := faults_of(value):
        raise ValueError("; ".join(faults))
    return value


def _url(value: str) -> str:
    address(value)
    return value


File = Annotated[Path, Field(strict=False)]
Watts = Annotated[int, Field(ge=0, le=MAX_POWER_W)]
Seconds = Annotated[int, Field(ge=0, le=DAY_S)]
Period = Annotated[int, Field(ge=1, le=DAY_S)]
Timeout = Annotated[float, Field(gt=0, le=600, strict=False)]
Words = Annotated[list[Annotated[str, Field(max_length=4096)]], Field(max_length=100), AfterValidator(_words)]
Url = Annotated[str, AfterValidator(_url)]


class Simulated(Table):
    """`kind = "simulated"`: a cluster in a file."""

    kind: Literal["simulated"]
    file: File


class Command(Table):
    """`kind = "command"`: programs of the site's own."""

    kind: Literal["command"]
    apply: Words
    observe: Words
    timeout_s: Timeout = 30.0


class Webhook(Table):
    """`kind = "webhook"`: an address of the site's own."""

    kind: Literal["webhook"]
    url: Url
    secret_file: File
    timeout_s: Timeout = 10.0


class FeedTable(Table):
    """A feed of a factory, and which share of the connection's power it carries."""

    tag: Annotated[str, Field(min_length=1, max_length=128)]
    share: Annotated[float, Field(gt=0, le=1, strict=False)] = 1.0


def _whole(feeds: list[FeedTable]) -> list[FeedTable]:
    if not math.isclose(total := sum(feed.share for feed in feeds), 1.0):
        raise ValueError(f"expected shares that add up to 1, got {total:g}")
    return feeds


class DsxFlex(Table):
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


class BatteryTable(Table):
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


def _once(uuids: list[str]) -> list[str]:
    if len(set(uuids)) != len(uuids):
        raise ValueError("expected each GPU once, got one twice")
    return uuids


class NvmlTable(Table):
    """`kind = "nvml"`: power limits of this machine's NVIDIA GPUs, of those that are named here."""

    kind: Literal["nvml"]
    gpus: Annotated[
        list[Annotated[str, Field(pattern="^GPU-[A-Za-z0-9-]{1,80}$")]],
        Field(min_length=1, max_length=MOST),
        AfterValidator(_once),
    ]
    """As `nvidia-smi -L` lists them."""
    timeout_s: Timeout = 10.0


class SlurmTable(Table):
    """`kind = "slurm"`: labelled jobs of a Slurm cluster, by its own programs."""

    kind: Literal["slurm"]
    conf: File | None = None
    """slurm.conf, where it is not in Slurm's own place."""
    timeout_s: Timeout = 20.0
    most_job_w: Annotated[int, Field(ge=1, le=MAX_POWER_W)] = MOST_JOB_W
    """What a job's label may say; one that says more is left alone."""


class KubernetesTable(Table):
    """`kind = "kubernetes"`: labelled Jobs of a cluster, with Kueue's ClusterQueues where there are some."""

    kind: Literal["kubernetes"]
    kubeconfig: File | None = None
    """None: the service account of the pod in which the agent runs."""
    context: Annotated[str, Field(min_length=1)] | None = None
    """Of the kubeconfig, where it is not the current one."""
    namespace: Annotated[str, Field(pattern=_NAMESPACE)] | None = None
    """Where the Lease and the Secret lie by which one agent alone writes; None: that of the access."""
    namespaces: (
        Annotated[list[Annotated[str, Field(pattern=_NAMESPACE)]], Field(min_length=1, max_length=1000)] | None
    ) = None
    """Whose labels count; None: everybody's."""
    most_pod_w: Annotated[int, Field(ge=1, le=MAX_POWER_W)] = MOST_POD_W
    """What a label may say of a pod; a Job that says more is left alone."""
    timeout_s: Timeout = 10.0
