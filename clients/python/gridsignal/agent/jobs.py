"""Jobs: work that has a deadline, and what may be done with its power until then. Values, nothing here acts.

A job is `duration_s` of work at full speed. While it runs it draws `power_w` of IT power, or a level of `levels` that
draws less and is slower. Who pauses it pays a checkpoint and a restart: seconds of no progress, and joules.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, NewType

from pydantic import Field, model_validator

from gridsignal_schemas.values import EXACT_MAX, MAX_POWER_W, Identifier, Shape, Timestamp, Zone

ItWatts = NewType("ItWatts", int)
"""Power that servers draw, in watts."""
ConnectionWatts = NewType("ConnectionWatts", int)
"""Power at the grid's connection point, in watts: what is metered and offered. Only a Site makes one of the other."""

MAX_LEVELS = 8
MAX_PLACES = 64
_LONGEST_S = 366 * 86_400
_WH_S = 3_600

ItPower = Annotated[ItWatts, Field(ge=0, le=MAX_POWER_W)]
_Seconds = Annotated[int, Field(ge=0, le=_LONGEST_S)]
_Joules = Annotated[int, Field(ge=0, le=EXACT_MAX)]


class Level(Shape):
    """A lower power that the job may run at, and what is left of its speed there."""

    power_w: Annotated[ItWatts, Field(ge=1, le=MAX_POWER_W)]
    speed: Annotated[float, Field(gt=0, lt=1)]
    """Work a second, as a share of full speed: 0.9 at 75 % of the power is a GPU that is capped."""


class Job(Shape):
    """One piece of work."""

    job_id: Identifier
    power_w: Annotated[ItWatts, Field(ge=1, le=MAX_POWER_W)]
    """IT power at full speed."""
    duration_s: Annotated[int, Field(ge=1, le=_LONGEST_S)]
    """How long it takes at full speed, without a pause."""
    earliest: Timestamp
    """It can't start before."""
    deadline: Timestamp
    """It has to be done by then."""
    priority: Annotated[int, Field(ge=-1_000, le=1_000)] = 0
    """Who is served first where not all can be; the higher number wins."""
    levels: Annotated[tuple[Level, ...], Field(max_length=MAX_LEVELS, strict=False)] = ()
    """Lower powers it may be capped to, none where it may not be capped."""
    pausable: bool = False
    """It may be stopped after a checkpoint, and go on later."""
    checkpoint_s: _Seconds = 0
    """Seconds that a checkpoint takes, at the job's power and without progress."""
    restart_s: _Seconds = 0
    """Seconds from its restart until it works where it was."""
    checkpoint_j: _Joules = 0
    restart_j: _Joules = 0
    """Joules of either, beyond those seconds at its power: data moved, caches warmed."""
    movable_to: Annotated[tuple[Zone, ...], Field(max_length=MAX_PLACES, strict=False)] = ()
    """Zones other than its own where it may run, too."""
    job_class: Identifier = "job"
    """Whose quality of service is told together."""

    @model_validator(mode="after")
    def _holds(self) -> Job:
        if self.deadline - self.earliest < timedelta(seconds=self.duration_s):
            span_s = round((self.deadline - self.earliest).total_seconds())
            raise ValueError(f"expected a deadline at least {self.duration_s} s after earliest, got {span_s} s")
        before = self.power_w
        for level in self.levels:
            if level.power_w >= before:
                raise ValueError(f"expected levels of falling power below {before} W, got {level.power_w} W")
            before = level.power_w
        return self

    @property
    def energy_wh(self) -> int:
        """IT energy at full speed and without a pause."""
        return self.power_w * self.duration_s // _WH_S

    @property
    def pause_s(self) -> int:
        """Seconds without progress that a pause costs."""
        return self.checkpoint_s + self.restart_s

    @property
    def pause_j(self) -> int:
        """Joules that a pause costs, its seconds at full power included."""
        return self.checkpoint_j + self.restart_j + self.power_w * self.pause_s

    @property
    def at(self) -> tuple[tuple[ItWatts, float], ...]:
        """All its levels as (IT watts, speed), full speed first."""
        return ((self.power_w, 1.0), *((level.power_w, level.speed) for level in self.levels))


class Progress(Shape):
    """How far a job has come: what a new plan goes on from."""

    done_s: Annotated[float, Field(ge=0, le=_LONGEST_S)] = 0.0
    """Seconds of work done, at full speed."""
    is_running: bool = False
