"""Four mixes of jobs for a study, drawn from a seed; each day's jobs arrive in four batches. Pure.

They are shapes, not recordings: a site with 1 MW of IT for jobs, 45 % of it in use, and 0.25 MW that is always there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zlib import crc32

from gridsignal.agent.jobs import ConnectionWatts, ItWatts, Job, Level
from gridsignal.agent.site import PuePoint, Site

if TYPE_CHECKING:
    import numpy as np

BATCHES = 4
BATCH = timedelta(hours=24 // BATCHES)
ROOM_W = 1_000_000
SITE = Site(
    site="study",
    zone="study",
    it_capacity_w=ItWatts(1_250_000),
    base_it_w=ItWatts(250_000),
    connection_limit_w=ConnectionWatts(1_600_000),
    pue=(PuePoint(load=0.2, pue=1.45), PuePoint(load=1.0, pue=1.22)),
)


@dataclass(frozen=True, slots=True)
class _Kind:
    share: float
    """Of the mix's energy."""
    power_w: tuple[int, int]
    hours: tuple[int, int]
    slack: tuple[float, float]
    """Hours that it may wait."""
    pausable: bool
    levels: tuple[tuple[float, float], ...] = ()
    """(share of power, speed)."""


_TRAINING = _Kind(1.0, (80_000, 200_000), (4, 12), (6, 20), True, ((0.75, 0.9), (0.55, 0.7)))
_BATCH = _Kind(1.0, (10_000, 60_000), (1, 4), (4, 24), False)
_TUNING = _Kind(1.0, (20_000, 80_000), (2, 8), (2, 12), True)
_SERVING = _Kind(1.0, (60_000, 120_000), (6, 6), (0.5, 2), False, ((0.75, 0.92),))
MIXES: dict[str, tuple[tuple[float, _Kind], ...]] = {
    "training": ((1.0, _TRAINING),),
    "batch": ((1.0, _BATCH),),
    "serving": ((0.7, _SERVING), (0.3, _TUNING)),
    "mixed": ((0.4, _TRAINING), (0.25, _BATCH), (0.2, _TUNING), (0.15, _SERVING)),
}
_USED = 0.45


def drawn(words: str) -> np.random.Generator:
    """Chance that is the same each time for the same words."""
    import numpy as np  # here, so that a command names the mixes without it

    return np.random.default_rng(crc32(words.encode()))


def batch(mix: str, at: datetime, seed: int) -> list[Job]:
    """The jobs that arrive at a moment."""
    chance = drawn(f"{mix} {seed} {at.timestamp():.0f}")
    jobs = list[Job]()
    for share, kind in MIXES[mix]:
        left_wh = _USED * ROOM_W * 24 / BATCHES * share
        while left_wh > 0:
            power_w = int(chance.integers(*kind.power_w, endpoint=True)) // 1_000 * 1_000
            hours = int(chance.integers(*kind.hours, endpoint=True))
            waits = timedelta(minutes=15 * round(4 * chance.uniform(*kind.slack)))
            if chance.random() < left_wh / (power_w * hours):  # the last one as often as it is a whole one
                jobs.append(_job(f"{mix}-{at:%y%m%d%H}-{len(jobs)}", kind, at, power_w, hours, waits))
            left_wh -= power_w * hours
    return jobs


def _job(job_id: str, kind: _Kind, at: datetime, power_w: int, hours: int, waits: timedelta) -> Job:
    return Job(
        job_id=job_id,
        power_w=ItWatts(power_w),
        duration_s=hours * 3_600,
        earliest=at,
        deadline=at + timedelta(hours=hours) + waits,
        levels=tuple(Level(power_w=ItWatts(int(power_w * share)), speed=speed) for share, speed in kind.levels),
        pausable=kind.pausable,
        checkpoint_s=60 if kind.pausable else 0,
        restart_s=240 if kind.pausable else 0,
    )
