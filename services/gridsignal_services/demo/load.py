"""What a site draws over one market day: a baseline, and what moves it away: trapezoids with ramps, noise on top.

Minutes count from the start of the market day. Everything is a function of its arguments: the same seed draws the
same day at every speed.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

SLOT_MIN = 15
SLOTS = 96
MINUTES = SLOT_MIN * SLOTS
_NOISE_SHARE = 0.004
"""A site's quarter-hour means wander by some tenths of a percent around what was planned."""


def trapezoid(starts_min: int, ends_min: int, power_w: float, ramp_w_per_min: float) -> list[float]:
    """Mean power of each minute: full from `starts_min` to `ends_min`, ramps outside of it."""
    ramp_min = abs(power_w) / ramp_w_per_min
    shape = [0.0] * MINUTES
    for minute in range(MINUTES):
        rising = (minute + 0.5 - (starts_min - ramp_min)) / ramp_min
        falling = ((ends_min + ramp_min) - (minute + 0.5)) / ramp_min
        shape[minute] = power_w * max(0.0, min(1.0, rising, falling))
    return shape


def refill(starts_min: int, ends_min: int, energy_wmin: float, ramp_w_per_min: float) -> list[float]:
    """A trapezoid with its ramps inside the window, whose area is the given energy (watt-minutes, signed).

    Its power P solves P x duration - P^2 / ramp = energy. Raises ValueError where the window is too short.
    """
    duration, size = ends_min - starts_min, abs(energy_wmin)
    inside = duration * duration - 4 * size / ramp_w_per_min
    if inside < 0:
        raise ValueError(f"expected a window for {size:.0f} W min, got {duration} minutes")
    power = ramp_w_per_min * (duration - math.sqrt(inside)) / 2
    ramp_min = power / ramp_w_per_min
    shape = [0.0] * MINUTES
    for minute in range(max(0, starts_min), min(MINUTES, ends_min)):
        edge = min(minute + 0.5 - starts_min, ends_min - minute - 0.5)
        shape[minute] = power * min(1.0, edge / ramp_min) if ramp_min else 0.0
    area = sum(shape)
    return [value * energy_wmin / area for value in shape] if area else shape


def wander(seed: int, site: str, slot: int, scale_w: float) -> int:
    """Noise of one quarter hour, from (seed, site, interval) alone.

    It is the step of a bounded walk that starts and ends at zero: work done a little earlier or later, never more or
    less of it over the day.
    """

    def level(at: int) -> int:
        if at < 0 or at >= SLOTS - 1:
            return 0
        digest = hashlib.sha256(f"{seed}|{site}|{at}".encode()).digest()
        return int((int.from_bytes(digest[:4], "big") / 2**32 * 2 - 1) * scale_w * _NOISE_SHARE)

    return level(slot) - level(slot - 1)


@dataclass(slots=True)
class Load:
    """One connection point's day. Bounded: one number a minute."""

    site: str
    baseline_w: list[int]
    """One mean a quarter hour."""
    moved_w: list[float] = field(default_factory=lambda: [0.0] * MINUTES)
    """What orders and their rebound add or take away, by the minute."""

    def move(self, shape: Sequence[float]) -> float:
        """Adds a shape; returns its energy in watt-minutes."""
        self.moved_w = [a + b for a, b in zip(self.moved_w, shape, strict=True)]
        return sum(shape)

    def planned_w(self, slot: int) -> float:
        """The planned mean of a quarter hour."""
        return self.baseline_w[slot] + sum(self.moved_w[slot * SLOT_MIN : (slot + 1) * SLOT_MIN]) / SLOT_MIN

    def metered_w(self, seed: int, slot: int) -> int:
        """What the meter shows for a quarter hour."""
        scale = sum(self.baseline_w) / SLOTS
        return max(0, round(self.planned_w(slot)) + wander(seed, self.site, slot, scale))
