"""A cluster that exists in a file alone: jobs with power, each held at less or more until a time.

It outlives the agent, as a real one does, and another program can read it. Jobs give in the order in which they stand.
Bounded: by its jobs. When full: `apply` does what is possible. Conflates: nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gridsignal.agent.actuators import Action, ActuatorFailed, Observed
from gridsignal.agent.actuators.files import replaced
from gridsignal.agent.schedule import Schedule
from gridsignal.agent.words import counted, power
from gridsignal_schemas.rules.shapes import findings
from gridsignal_schemas.values import Power, Timestamp, rfc3339


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class SimulatedJob(_Shape):
    """A job at constant power, and between what it can be held."""

    name: Annotated[str, Field(min_length=1, max_length=128)]
    power_w: Power
    least_w: Power = 0
    most_w: Power | None = None
    """None: no more than it draws anyway."""


class Hold(_Shape):
    """A job is held at another power, until then."""

    power_w: Power
    until: Timestamp
    reason: str


class Cluster(_Shape):
    """All of it."""

    jobs: Annotated[list[SimulatedJob], Field(max_length=10_000)]
    holds: dict[str, Hold] = {}

    def held(self, now: datetime) -> dict[str, Hold]:
        """By job, what holds now."""
        return {name: hold for name, hold in self.holds.items() if now < hold.until}

    def power_w(self, now: datetime) -> int:
        """What it draws."""
        held = self.held(now)
        return sum(held[job.name].power_w if job.name in held else job.power_w for job in self.jobs)


def shared(jobs: Sequence[SimulatedJob], shed_w: int) -> dict[str, int]:
    """At what power each job that gives is held, so that together they give as much of `shed_w` as they can."""
    powers: dict[str, int] = {}
    for job in jobs:
        most_w = job.power_w if job.most_w is None else max(job.power_w, job.most_w)
        given_w = max(job.power_w - most_w, min(max(0, job.power_w - job.least_w), shed_w))
        if given_w:
            powers[job.name] = job.power_w - given_w
            shed_w -= given_w
    return powers


class SimulatedActuator:
    """Holds a simulated cluster's jobs."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def read(self) -> Cluster:
        """The cluster as it stands. Raises ActuatorFailed."""
        try:
            return Cluster.model_validate_json(self._file.read_bytes())
        except OSError as error:
            raise ActuatorFailed(f"{self._file}: {error.strerror}") from error
        except ValidationError as error:
            raise ActuatorFailed(f"{self._file}: expected a cluster, got {findings(error)}") from error

    async def observe(self, now: datetime) -> Observed:
        cluster = self.read()
        held = cluster.held(now)
        usual_w, drawn_w = sum(job.power_w for job in cluster.jobs), cluster.power_w(now)
        least_w = sum(min(job.least_w, job.power_w) for job in cluster.jobs)
        until = max((hold.until for hold in held.values()), default=None)
        return Observed(usual_w - drawn_w, until, drawn_w - least_w)

    async def apply(self, schedule: Schedule, now: datetime) -> tuple[Action, ...]:
        cluster, slot, until = self.read(), schedule.at(now), schedule.until(now)
        wanted: dict[str, Hold] = {}
        if slot is not None and until is not None:
            powers = shared(cluster.jobs, slot.shed_w)
            wanted = {name: Hold(power_w=w, until=until, reason=slot.reason) for name, w in powers.items()}
        held = cluster.held(now)
        if wanted == held:
            return ()
        reason = slot.reason if slot is not None else "no order asks for it any more"
        new = {name: hold for name, hold in wanted.items() if held.get(name) != hold}
        actions = [
            Action(f"{name} to {power(hold.power_w)} until {rfc3339(hold.until)}", hold.reason)
            for name, hold in new.items()
        ]
        actions += [Action(f"{name} as usual", reason) for name in held if name not in wanted]
        cluster.holds = wanted
        replaced(self._file, json.dumps(cluster.model_dump(mode="json"), indent=1))
        return tuple(actions)

    async def check(self, now: datetime) -> str:
        cluster = self.read()
        return f"{counted(len(cluster.jobs), 'job draws', 'jobs draw')} {power(cluster.power_w(now))}"

    async def aclose(self) -> None:
        """Nothing is open."""
