"""What moves a site's power: one port, and who speaks to a scheduler, a battery or a program of the site's own.

An actuator is given the whole schedule, as often as one likes. It compares what it reads back with what is wanted now
and does what is missing, no more: the same schedule a second time does nothing. What it does ends by itself where the
schedule ends, also when the agent is gone by then; where a counterpart has no such end, its module says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gridsignal.agent.schedule import Schedule
from gridsignal.errors import GridsignalError


class ActuatorFailed(GridsignalError):
    """The counterpart did not do what it was told, or does not answer; what is in effect is not known by that."""

    retriable = True


@contextmanager
def guarded(what: str) -> Iterator[None]:
    """Whatever a counterpart says, and nobody has thought of, is told: the agent and its other orders go on."""
    try:
        yield
    except GridsignalError:
        raise
    except Exception as wrong:  # the last resort of everything that speaks to a counterpart
        raise ActuatorFailed(f"{what}: {type(wrong).__name__}: {str(wrong)[:200]}") from wrong


@dataclass(frozen=True, slots=True)
class Observed:
    """What is in effect, read back from the counterpart."""

    shed_w: int
    """Watts below the baseline; negative: above it. 0: nothing is held."""
    until: datetime | None = None
    """When that ends by itself; None where nothing is held, or the counterpart does not tell."""
    room_w: int | None = None
    """What more could be shed now; None where the counterpart does not tell."""


@dataclass(frozen=True, slots=True)
class Action:
    """Something that was done, and why."""

    what: str
    reason: str


class Actuator(Protocol):
    """The port. Every call is bounded in time and raises ActuatorFailed where the counterpart does not answer."""

    async def observe(self, now: datetime) -> Observed:
        """Reads back what is in effect; changes nothing."""

    async def apply(self, schedule: Schedule, now: datetime) -> tuple[Action, ...]:
        """Makes the schedule hold from now on; what was done. An empty schedule gives everything back.

        Where less is possible than the schedule asks, as much as is possible is done: `observe` tells.
        """

    async def check(self, now: datetime) -> str:
        """What was reached, in a few words; moves nothing."""

    async def aclose(self) -> None:
        """Ends what is open towards the counterpart; leaves in effect what is."""
