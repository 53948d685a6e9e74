"""The signal of one order as its site follows it: the newest setpoint, and the base once the signal is lost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from gridsignal_protocol.setpoints import Setpoints, is_over
from gridsignal_schemas.messages import RegulationSetpoint
from gridsignal_schemas.messages.regulation import MISSED_CYCLES


@dataclass(frozen=True, slots=True)
class RampToBase:
    """Three cycles were missed: go to the base, as fast as the order's ramp allows, and stay there until a setpoint
    comes. It has what a setpoint has to be followed by: level 0 of the same base."""

    order_id: str
    base_w: int
    """Of the last setpoint, in watts."""
    last: RegulationSetpoint
    """The last that came."""
    level_ppm: int = 0

    def power_w(self, band_w: int) -> int:
        """What the site is to draw, in watts, whatever the order's `band_w`: the base."""
        return self.base_w


Followed = RegulationSetpoint | RampToBase
"""What a site is told to follow."""


class Signal:
    """Decides what a site follows: pure, the time is given.

    A setpoint is followed until a newer one comes, or three cycles after its `target_at` have passed without one.
    Bounded: one setpoint waits. When full: the newer takes its place. Conflates: to the newest.
    """

    def __init__(self, order_id: str) -> None:
        self._order_id = order_id
        self._heard = Setpoints(limit=1)
        self._waiting: RegulationSetpoint | None = None
        self._last: RegulationSetpoint | None = None
        """The newest that was heard of, until its loss has been told."""

    def take(self, setpoint: RegulationSetpoint, now: datetime) -> None:
        """Takes in what came; passes over what is another order's, over, overtaken or known."""
        if setpoint.order_id == self._order_id and self._heard.take(setpoint, now):
            self._waiting = self._last = setpoint

    def next(self, now: datetime) -> Followed | None:
        """What is to be followed from now on; None while that is what was told last, or nothing has come."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not is_over(waiting, now):
            return waiting
        if self._last is None or self.due_at is None or now < self.due_at:
            return None
        last, self._last = self._last, None
        return RampToBase(self._order_id, last.base_w, last)

    @property
    def due_at(self) -> datetime | None:
        """When the signal is lost unless another setpoint comes; None while there is none to lose."""
        if self._last is None:
            return None
        return self._last.target_at + MISSED_CYCLES * timedelta(seconds=self._last.cycle_s)
