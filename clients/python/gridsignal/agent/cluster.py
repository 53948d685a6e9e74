"""A simulated cluster: power that is not linear in speed, ramps, and how classes share a cut. Pure.

    speed = ((GPU watts - idle) / (most - idle)) ^ (1 / exponent)

An assumption for compute-bound work: dynamic power grows with voltage squared and frequency, so between f and f cubed.
What is published, and what is assumed, stands at each figure in GPUS; nothing here was measured by us.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gridsignal.agent.jobs import ConnectionWatts, ItWatts, Level
from gridsignal.agent.site import PuePoint, Site

EXPONENT = 2.4
"""Assumed, between 1 and 3."""
CAP_S = 3.0
"""Time constant with which power follows a cap; assumed: NVML applies a limit within seconds."""
COOLING_LAG_S = 600
"""Assumed: a chilled-water loop's ten minutes."""
MAX_GPUS = 100_000


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU and its share of the server around it, in watts."""

    most_w: float
    least_cap_w: float
    idle_w: float
    host_idle_w: float
    host_most_w: float
    source: str


GPUS: Mapping[str, Gpu] = {
    "H100": Gpu(
        700, 200, 75, 250, 575, "700 W: H100 SXM data sheet; 10.2 kW a server of 8: DGX H100; the rest assumed"
    ),
    "A100": Gpu(400, 100, 55, 180, 412, "400 W: A100 SXM data sheet; 6.5 kW a server of 8: DGX A100; the rest assumed"),
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """So many GPUs of a kind."""

    count: int
    kind: str

    @property
    def gpu(self) -> Gpu:
        """What one is like."""
        return GPUS[self.kind]

    def watts(self, speed: float) -> float:
        """IT watts of a GPU and its share of the server at a share of full speed; 0 is standing still."""
        gpu = self.gpu
        share = math.pow(speed, EXPONENT)
        return gpu.idle_w + gpu.host_idle_w + share * (gpu.most_w - gpu.idle_w + gpu.host_most_w - gpu.host_idle_w)

    @property
    def slowest(self) -> float:
        """The speed at the lowest cap."""
        gpu = self.gpu
        return float(((gpu.least_cap_w - gpu.idle_w) / (gpu.most_w - gpu.idle_w)) ** (1 / EXPONENT))

    def levels(self, gpus: int, speeds: Sequence[float]) -> tuple[Level, ...]:
        """A job's levels at these speeds."""
        idle = self.watts(0)
        return tuple(Level(power_w=ItWatts(round(gpus * (self.watts(each) - idle))), speed=each) for each in speeds)

    def site(self, zone: str) -> Site:
        """The site around it; its PUE curve is assumed, of a new air-cooled hall."""
        most = ItWatts(math.ceil(self.count * self.watts(1)))
        return Site(
            site="simulated",
            zone=zone,
            it_capacity_w=most,
            base_it_w=ItWatts(math.floor(self.count * self.watts(0))),
            connection_limit_w=ConnectionWatts(round(1.35 * most)),
            pue=(PuePoint(load=0.25, pue=1.4), PuePoint(load=0.6, pue=1.27), PuePoint(load=1.0, pue=1.22)),
            cooling_lag_s=COOLING_LAG_S,
        )


def cluster_of(text: str) -> Cluster:
    """256xH100. Raises ValueError."""
    found = re.fullmatch(r"([1-9][0-9]{0,6})x([A-Za-z0-9]+)", text)
    if found is None or found[2].upper() not in GPUS or int(found[1]) > MAX_GPUS:
        raise ValueError(f"expected a cluster such as 256xH100, of {' or '.join(GPUS)}, got {text!r:.40}")
    return Cluster(int(found[1]), found[2].upper())


@dataclass(frozen=True, slots=True)
class Quality:
    """What a class lost in a cut."""

    job_class: str
    tolerated: float
    slowdown: float
    """Mean over the period in which it is judged."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A cut of a cluster that runs at full speed, as shares of its IT power before."""

    asked: float
    reached: float
    """Once power has followed."""
    seconds: float | None
    """Until what was asked for is reached; None if never."""
    after_30_s: float
    qualities: tuple[Quality, ...]


def cut(cluster: Cluster, classes: Mapping[str, float], asked: float, lasts_s: float, judged_s: float) -> Cut:
    """A cut of all classes, equally many GPUs each; each gives the same share of the slow-down that it tolerates.

    `classes` says how much slower each may be on the mean over `judged_s`. Caps end at the lowest that the GPU takes.
    """
    may_for_now = {name: min(1 - cluster.slowest, each * judged_s / lasts_s) for name, each in classes.items()}
    before = cluster.watts(1)

    def reached(depth: float) -> float:
        return 1 - sum(cluster.watts(1 - depth * each) for each in may_for_now.values()) / len(classes) / before

    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if reached(middle) >= asked else (middle, high)
    deep = min(1.0, high * 1.02)  # a little beyond, so that it is reached in finite time
    most = reached(deep)
    seconds = -CAP_S * math.log(1 - asked / most) if most > asked else None
    qualities = tuple(
        Quality(name, each, deep * may_for_now[name] * min(1.0, lasts_s / judged_s)) for name, each in classes.items()
    )
    return Cut(asked, most, seconds, most * (1 - math.exp(-30 / CAP_S)), qualities)
