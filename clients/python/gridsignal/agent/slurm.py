"""Slurm's jobs as the agent sees them: what their labels allow, what was done to them, and whom an order pauses. Pure.

A job says in its comment what may be done with it: the word `gridsignal`, and after it words of KEY=VALUE:

    sbatch --comment='gridsignal power_w=40000 pause=stop hold=yes deadline=2026-11-28T06:00:00Z duration_s=14400'

What is not labelled so is not touched. What was done to a job stands in its AdminComment, between brackets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, model_validator

from gridsignal.agent.jobs import Job, Progress
from gridsignal.agent.labelled import WorkLabel, checked, enough, moment_of
from gridsignal_schemas.values import rfc3339

MOST_JOB_W = 10_000_000
"""What a job may say that it draws, where the site has not said otherwise."""
_WORD = "gridsignal"
_MARK = re.compile(r"\s*\[gridsignal ([^\[\]]*)\]")
_WHOLE = ("power_w", "duration_s", "priority", "checkpoint_s", "restart_s")
_RUNS, _STANDS, _WAITS = ("RUNNING",), ("STOPPED", "SUSPENDED"), ("PENDING",)
_SIGNALLED = "SIGNALING"
"""Printed in the place of RUNNING while Slurm passes a signal on, and for ever where it was killed in the middle."""


class Way(StrEnum):
    """What was done to a job; the first three are ways to pause one that runs."""

    STOP = "stop"
    """SIGSTOP: it keeps its processors, GPUs and licences, so that nothing else starts on them."""
    SUSPEND = "suspend"
    """`scontrol suspend`: its processors are free for others at once."""
    REQUEUE = "requeue"
    """It waits in the queue again; its work since the start, or its checkpoint, is lost."""
    HOLD = "hold"
    """It waited, and does not start."""


class Label(WorkLabel):
    """What a job's comment says."""

    pause: Annotated[Way, Field(strict=False)] | None = None
    """How it may be paused while it runs; without it never."""

    @model_validator(mode="after")
    def _holds(self) -> Label:
        if self.pause is Way.HOLD:
            raise ValueError("expected pause=stop, pause=suspend or pause=requeue, got hold: that is hold=yes")
        return self


@dataclass(frozen=True, slots=True)
class Mark:
    """What was done to a job: how, from when, until when, for which orders; and how long it was paused before."""

    way: Way | None
    since: datetime
    until: datetime
    paused_s: int = 0
    reason: str = ""

    def __str__(self) -> str:
        """As it stands in AdminComment."""
        words = [f"paused_s={self.paused_s}"] if self.paused_s else []
        if self.way is not None:
            words += [f"way={self.way}", f"since={rfc3339(self.since)}", f"until={rfc3339(self.until)}"]
            words.append(f"for={re.sub(r'[^A-Za-z0-9_,;-]+', '_', self.reason)[:200]}")
        return f"[{_WORD} {' '.join(words)}]" if words else ""


@dataclass(frozen=True, slots=True)
class SlurmJob:
    """A job that is labelled, or was when something was done to it."""

    job_id: int
    state: str
    is_held: bool
    label: Label | None
    mark: Mark | None
    admin_comment: str
    """What else stands there."""
    started_at: datetime | None
    limit_s: int | None
    """Its time limit; None without one."""

    def with_mark(self, mark: Mark | None) -> str:
        """Its AdminComment with this mark."""
        return " ".join(filter(None, (self.admin_comment, "" if mark is None else str(mark))))

    @property
    def is_paused(self) -> bool:
        """Whether it would run now if nothing had been done to it, and doesn't."""
        if self.mark is None:
            return False
        stands = _WAITS if self.mark.way is Way.REQUEUE else _STANDS
        return self.mark.way not in (None, Way.HOLD) and self.state in stands

    def done_s(self, now: datetime) -> float:
        """Seconds that it has worked."""
        if self.started_at is None or self.state in _WAITS:
            return 0.0
        paused_s = 0 if self.mark is None else self.mark.paused_s
        if self.mark is not None and self.is_paused:
            now = min(now, self.mark.since)
        return max(0.0, (now - self.started_at).total_seconds() - paused_s)

    def may_rest(self, until: datetime, now: datetime) -> bool:
        """Whether it meets its deadline if it rests until then; always where it has none, never where it can't."""
        if self.label is None:
            return False
        done_s = 0.0 if self.label.pause is Way.REQUEUE else self.done_s(now)
        return self.label.may_rest(until, self.label.duration_s or self.limit_s, done_s)


def label_of(comment: str, most_job_w: int = MOST_JOB_W) -> Label | None:
    """What a comment says; None where it has no label. Raises ValueError with what was expected and got."""
    words = comment.split()
    if _WORD not in words:
        return None
    values: dict[str, Any] = {}
    for word in words[words.index(_WORD) + 1 :]:
        key, _, text = word.rstrip(",;").partition("=")
        values[key] = _value(key, text)
    return checked(Label, values, most_job_w)


def _value(key: str, text: str) -> Any:
    if key in _WHOLE and re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        return int(text)
    return {"yes": True, "no": False}.get(text, text) if key == "hold" else text


def mark_of(text: str) -> Mark | None:
    """The mark in an AdminComment, or in what was kept beside; None where there is none that can be read."""
    found = _MARK.search(text)
    words = dict(word.partition("=")[::2] for word in found[1].split()) if found else {}
    try:
        paused_s = int(words.get("paused_s", "0"))
        if "way" not in words:
            return Mark(None, _EPOCH, _EPOCH, paused_s) if paused_s else None
        since, until = moment_of(words["since"]), moment_of(words["until"])
        return Mark(Way(words["way"]), since, until, paused_s, words.get("for", ""))
    except (ValueError, KeyError):
        return None


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def jobs_of(
    told: Mapping[str, Any], kept: Mapping[int, Mark], most_job_w: int = MOST_JOB_W
) -> tuple[list[SlurmJob], list[str]]:
    """Of what `squeue --json` prints: the jobs that are ours to touch, and what is wrong with labels.

    Tasks of an array are not ours: one of them has the array's own number, by which Slurm means all of them.

    `kept`: marks that lie beside, which Slurm may have forgotten when it was killed. Raises KeyError, TypeError and
    ValueError for what is no such print.
    """
    jobs, faults = list[SlurmJob](), list[str]()
    for row in told["jobs"]:
        name, comment, admin = int(row["job_id"]), str(row["comment"] or ""), str(row["admin_comment"] or "")
        state = row["job_state"] if isinstance(row["job_state"], str) else next(iter(row["job_state"]), "")
        state = "RUNNING" if state == _SIGNALLED else state
        noted, beside = mark_of(admin), kept.get(name)
        mark = beside if beside is not None and (noted is None or noted.way is None) else noted
        if state not in (*_RUNS, *_STANDS, *_WAITS) or _number(row.get("het_job_id")):
            continue
        try:
            label = label_of(comment, most_job_w)
        except ValueError as wrong:
            faults.append(f"job {name}: {wrong}")
            label = None
        if array := _number(row.get("array_job_id")):
            if label is not None:
                faults.append(f"job {array}: expected a job of its own, got an array: Slurm stops its tasks together")
            continue
        if label is None and (mark is None or mark.way is None):
            continue
        started, minutes = _number(row.get("start_time")), _number(row.get("time_limit"))
        jobs.append(
            SlurmJob(
                name,
                state,
                _number(row.get("priority")) == 0,
                label,
                mark,
                _MARK.sub("", admin).strip(),
                datetime.fromtimestamp(started, UTC) if started else None,
                minutes * 60 if minutes else None,
            )
        )
    return jobs, list(dict.fromkeys(faults))


def _number(value: Any) -> int | None:
    """A number as Slurm 22.05 prints it, or as 23.02 and later do."""
    if isinstance(value, Mapping):
        return int(value["number"]) if value.get("set") and not value.get("infinite") else None
    return None if value is None else int(value)


def chosen(jobs: Sequence[SlurmJob], shed_w: int, until: datetime, now: datetime) -> dict[int, Way]:
    """Whom so many watts pause until then, and whom they keep from starting.

    Who is paused already stays so, as far as it is needed; then by priority, by what is lost, and by power. Jobs are
    whole, so it may be more than was asked; nobody is in it without whom it is enough. Of 0 W nobody pauses, and
    nobody starts.
    """
    if shed_w < 0:
        return {}
    able = [job for job in jobs if job.label is not None and job.label.pause and job.may_rest(until, now)]
    able = [job for job in able if job.is_paused or job.state in _RUNS]
    taken = enough(able, shed_w, power_w=_power_w, stays=_was_paused, cost=lambda job: _cost(job, now))
    waits = [job for job in jobs if job.state in _WAITS and job.label is not None and job.label.hold]
    held = [job for job in waits if (not job.is_held or _way(job) is Way.HOLD) and job.may_rest(until, now)]
    ways = {job.job_id: Way.HOLD for job in held if not job.is_paused}
    return ways | {job.job_id: _paused_by(job) for job in taken}


def room_w(jobs: Iterable[SlurmJob], now: datetime) -> int:
    """What running jobs could give now."""
    able = (job for job in jobs if job.state in _RUNS and job.label is not None and job.label.pause)
    return sum(_power_w(job) for job in able if job.may_rest(now, now))


def paused_w(jobs: Iterable[SlurmJob]) -> int:
    """What those that are paused would draw."""
    return sum(_power_w(job) for job in jobs if job.is_paused)


def to_plan(jobs: Iterable[SlurmJob], now: datetime) -> tuple[list[Job], dict[str, Progress], list[str]]:
    """For the planner: labelled jobs with a deadline and a duration, how far they are, and why others are none."""
    found, progress, faults = list[Job](), dict[str, Progress](), list[str]()
    for job in jobs:
        label, name = job.label, f"slurm-{job.job_id}"
        needs_s = None if label is None else label.duration_s or job.limit_s
        if label is None:
            continue
        if label.deadline is None or needs_s is None:
            faults.append(f"job {job.job_id}: expected a deadline and a duration_s or a time limit, got none")
            continue
        left_s = max(1, round(needs_s - job.done_s(now)))
        try:
            planned = label.to_plan(name, label.power_w, left_s, now, pausable=label.pause is not None)
        except ValueError as wrong:
            faults.append(f"job {job.job_id}: {wrong}")
            continue
        found.append(planned)
        progress[name] = Progress(is_running=job.state in _RUNS)
    return found, progress, faults


def _power_w(job: SlurmJob) -> int:
    return 0 if job.label is None else int(job.label.power_w)


def _pause(job: SlurmJob) -> Way:
    assert job.label is not None
    assert job.label.pause is not None
    return job.label.pause


def _way(job: SlurmJob) -> Way | None:
    return None if job.mark is None else job.mark.way


def _paused_by(job: SlurmJob) -> Way:
    """As it was paused. A hold is no pause: a job may start while it is being held, and has to be paused then."""
    way = _way(job)
    return _pause(job) if way is None or way is Way.HOLD else way


def _was_paused(job: SlurmJob) -> bool:
    return _way(job) not in (None, Way.HOLD)


def _cost(job: SlurmJob, now: datetime) -> tuple[int, float, int, int]:
    assert job.label is not None
    lost_s = float(job.label.checkpoint_s + job.label.restart_s)
    if job.label.pause is Way.REQUEUE:
        lost_s += job.done_s(now)
    return job.label.priority, lost_s, -_power_w(job), job.job_id
