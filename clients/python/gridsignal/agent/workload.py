"""Jobs as figures on a grid of quarter hours: what each needs, where it may run, what a pause takes. Pure.

Work is counted in units of 90 s at full speed, rounded up; a level's speed is rounded down to tenths.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gridsignal.agent.curves import SLOT_S, Outlook
from gridsignal.agent.jobs import Job, Progress
from gridsignal.agent.site import Site

UNITS = 10
"""Units of work in a quarter hour at full speed."""
UNIT_S = SLOT_S / UNITS
_COARSE = UNITS // 2
_MWH = SLOT_S / 3_600 / 1e6
"""MWh that a watt makes in a quarter hour."""
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a quarter hour costs, and how much fits into it; arrays with a value for each."""

    marginal: Floats
    """Cost of an IT watt over the quarter hour: price and carbon, with the overhead that comes with it."""
    room_w: Floats
    """IT watts for jobs: below the site's capacity and connection limit, beside what is always there."""

    @classmethod
    def of(cls, site: Site, outlook: Outlook, carbon_price: float) -> Terms:
        """The terms at a site; `carbon_price` in currency per tonne.

        Overhead is counted by the chord from the base load to the site's whole capacity at the hour's temperature.
        """
        at = {degrees: _at(site, degrees) for degrees in set(outlook.temperature)}
        marginal, room = list[float](), list[float]()
        for price, carbon, degrees in zip(
            outlook.prices.values, outlook.carbon.values, outlook.temperature, strict=True
        ):
            chord, room_w = at[degrees]
            marginal.append((1 + chord) * _MWH * (price + carbon_price * carbon / 1_000))
            room.append(room_w)
        return cls(np.array(marginal), np.array(room, dtype=np.float64))


def _at(site: Site, degrees: float) -> tuple[float, float]:
    """The chord of a temperature's overhead, and the room for jobs."""
    base, full = site.base_it_w, site.it_capacity_w
    chord = (site.overhead_w(full, degrees) - site.overhead_w(base, degrees)) / max(1, full - base)
    return chord, float(max(0, site.it_w(site.connection_limit_w, degrees) - base))


@dataclass(frozen=True, slots=True)
class Workload:
    """Jobs in rows. Levels beyond a job's own have speed 0 and are never taken."""

    jobs: tuple[Job, ...]
    watts: Floats
    """(jobs, levels): IT watts."""
    units: Ints
    """(jobs, levels): units of work a quarter hour."""
    need: Ints
    """Units left to do within these quarter hours."""
    first: Ints
    """The first quarter hour it may run in."""
    last: Ints
    """The one after the last."""
    lost: Ints
    """Units of work that a pause takes."""
    pause_w: Floats
    """The joules of a pause, as watts over the quarter hour it resumes in."""
    begun: npt.NDArray[np.bool_]
    """It has run before and stands still: starting it is resuming it."""
    running: npt.NDArray[np.bool_]
    rigid: npt.NDArray[np.bool_]
    """It has no choice: it runs as soon as it may, as fast as it can."""

    @property
    def count(self) -> int:
        """How many jobs."""
        return len(self.jobs)

    @classmethod
    def of(cls, jobs: Sequence[Job], outlook: Outlook, progress: Mapping[str, Progress]) -> Workload:
        """The jobs that have something to do within the outlook, in the order they are given."""
        kept = [(job, place) for job in jobs if (place := _place(job, outlook, progress.get(job.job_id, Progress())))]
        levels = max((len(job.at) for job, _ in kept), default=1)
        watts, units = np.zeros((len(kept), levels)), np.zeros((len(kept), levels), dtype=np.int64)
        for row, (job, _) in enumerate(kept):
            for level, (power_w, speed) in enumerate(job.at):
                watts[row, level], units[row, level] = power_w, math.floor(UNITS * speed + 1e-9)
        told = [progress.get(job.job_id, Progress()) for job, _ in kept]
        return cls(
            tuple(job for job, _ in kept),
            watts,
            units,
            need=np.array([place.need for _, place in kept], dtype=np.int64),
            first=np.array([place.first for _, place in kept], dtype=np.int64),
            last=np.array([place.last for _, place in kept], dtype=np.int64),
            lost=np.array([_lost(job) for job, _ in kept], dtype=np.int64),
            pause_w=np.array([(job.checkpoint_j + job.restart_j) / SLOT_S for job, _ in kept]),
            begun=np.array([each.done_s > 0 and not each.is_running for each in told], dtype=np.bool_),
            running=np.array([each.is_running for each in told], dtype=np.bool_),
            rigid=np.array([place.rigid for _, place in kept], dtype=np.bool_),
        )


@dataclass(frozen=True, slots=True)
class _Place:
    need: int
    first: int
    last: int
    rigid: bool


def _place(job: Job, outlook: Outlook, progress: Progress) -> _Place | None:
    """Where a job may run within the outlook; None where it has nothing to do there."""
    left_s = job.duration_s - progress.done_s
    opens, closes = max(0.0, outlook.slot_of(job.earliest)), outlook.slot_of(job.deadline)
    if left_s <= 0 or opens >= outlook.slots:
        return None
    need = math.ceil(left_s / UNIT_S - 1e-9)
    lost = _lost(job) if progress.done_s and not progress.is_running else 0
    first, last = math.ceil(opens - 1e-9), min(outlook.slots, math.floor(closes + 1e-9))
    fits = (last - first) * UNITS - lost
    if fits < need and closes > outlook.slots:  # the rest of it comes after the outlook
        if fits <= 0 or not (job.pausable or progress.is_running):
            return None
        need = fits
    rigid = fits < need
    return _Place(need, math.floor(opens) if rigid else first, outlook.slots if rigid else last, rigid)


def _lost(job: Job) -> int:
    """Units that a pause takes, rounded up to half a quarter hour: tables of schedules get smaller by it."""
    return math.ceil(job.pause_s / UNIT_S / _COARSE - 1e-9) * _COARSE
