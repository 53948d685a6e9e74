"""What jobs of a scheduler say of themselves, whichever it is, and who of them gives so many watts. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Annotated, Any, TypeVar

from pydantic import Field, ValidationError

from gridsignal.agent.jobs import ItWatts, Job
from gridsignal_schemas.rules.shapes import shape_fault
from gridsignal_schemas.values import MAX_POWER_W, Identifier, Shape, Timestamp

MOST_S = 366 * 86_400
"""So long a job lasts at most."""
_Seconds = Annotated[int, Field(ge=0, le=MOST_S)]
J = TypeVar("J")


class WorkLabel(Shape):
    """What a job's label says."""

    power_w: Annotated[ItWatts, Field(ge=1, le=MAX_POWER_W)]
    """IT watts while it runs."""
    hold: bool = False
    """It may be kept from starting."""
    deadline: Timestamp | None = None
    earliest: Timestamp | None = None
    duration_s: Annotated[int, Field(ge=1, le=MOST_S)] | None = None
    """Without it the job's time limit."""
    priority: Annotated[int, Field(ge=-1_000, le=1_000)] = 0
    """Who is paused last; the higher number."""
    checkpoint_s: _Seconds = 0
    restart_s: _Seconds = 0
    job_class: Identifier = "job"

    def may_rest(self, until: datetime, needs_s: float | None, done_s: float) -> bool:
        """Whether it meets its deadline if it rests until then; always where it has none, never where it can't."""
        if self.deadline is None or needs_s is None:
            return self.deadline is None
        left_s = max(0.0, needs_s - done_s) + self.checkpoint_s + self.restart_s
        return until + timedelta(seconds=left_s) <= self.deadline

    def to_plan(self, name: str, power_w: int, left_s: int, now: datetime, *, pausable: bool) -> Job:
        """For the planner, from now on. Raises ValueError with what was expected and got."""
        try:
            return Job(
                job_id=name,
                power_w=ItWatts(power_w),
                duration_s=left_s,
                earliest=max(now, self.earliest or now),
                deadline=max(self.deadline or now, now + timedelta(seconds=left_s)),
                priority=self.priority,
                pausable=pausable,
                checkpoint_s=self.checkpoint_s,
                restart_s=self.restart_s,
                job_class=self.job_class,
            )
        except ValidationError as wrong:
            raise ValueError(shape_fault(wrong.errors(include_url=False)[0]).message) from None


L = TypeVar("L", bound=WorkLabel)


def checked(kind: type[L], values: dict[str, Any], most_w: int) -> L:
    """The label, of so many watts at most. Raises ValueError with what was expected and got."""
    try:
        label = kind.model_validate(values)
    except ValidationError as wrong:
        faults = map(shape_fault, wrong.errors(include_url=False))
        raise ValueError("; ".join(f"{fault.pointer.strip('/')}: {fault.message}" for fault in faults)) from None
    if label.power_w > most_w:
        raise ValueError(f"power_w: expected at most {most_w}, got {label.power_w}")
    return label


def moment_of(text: Any) -> datetime:
    """A time with its offset: one without can't be compared with any other. Raises ValueError."""
    moment = datetime.fromisoformat(str(text))
    if moment.tzinfo is None:
        raise ValueError(f"expected a time with an offset, got {text!r:.40}")
    return moment


def seconds_of(value: Any, name: str) -> int | None:
    """A time limit; None without one. Raises ValueError for one that no calendar holds."""
    if value is None or (type(value) is int and 0 <= value <= MOST_S):
        return value
    raise ValueError(f"{name}: expected whole seconds up to {MOST_S}, got {value!r:.40}")


def enough(
    jobs: Iterable[J], shed_w: int, *, power_w: Callable[[J], int], stays: Callable[[J], bool], cost: Callable[[J], Any]
) -> list[J]:
    """Who gives so many watts: who gives them already stays so, as far as it is needed, and then by cost.

    Jobs are whole, so it may be more than was asked; nobody is in it without whom it is enough.
    """
    taken, total_w = list[J](), 0
    for job in sorted(jobs, key=lambda job: (not stays(job), cost(job))):
        if total_w >= shed_w:
            break
        taken.append(job)
        total_w += power_w(job)
    for job in sorted(taken, key=cost, reverse=True):
        if total_w - power_w(job) >= shed_w:
            taken.remove(job)
            total_w -= power_w(job)
    return taken
