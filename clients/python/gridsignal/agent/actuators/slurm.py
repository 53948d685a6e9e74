"""Slurm, by its own programs `squeue`, `scontrol` and `scancel`: pauses jobs and holds those that wait.

What is done to a job is written into its AdminComment first, and beside: a slurmctld that is killed may forget what it
was told in the last seconds. Everything is said again until `squeue` shows it. Slurm has no end for a hold or a pause:
without an agent `gridsignal agent release`, which a timer starts, gives back what is over.

Bounded: `timeout_s` for each program, 64 MiB of jobs, MOST_AT_ONCE jobs a program. When full: ActuatorFailed, or more
programs. Conflates: nothing.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from gridsignal.agent.actuators import Action, ActuatorFailed, Observed
from gridsignal.agent.actuators.files import replaced
from gridsignal.agent.actuators.programs import ran
from gridsignal.agent.schedule import Schedule
from gridsignal.agent.slurm import MOST_JOB_W, Mark, SlurmJob, Way, chosen, jobs_of, mark_of, paused_w, room_w
from gridsignal.agent.words import counted, power
from gridsignal_schemas.values import rfc3339

MOST_AT_ONCE = 500
_MOST_BYTES = 64 * 1024 * 1024
_WAITS_S = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
_STOPS_S = 3.0
"""Slurm stops the processes of a suspended job up to two seconds later: a resume before that is overtaken by it."""
_BATCHES = 4
"""Held jobs are let go of by a quarter of them at a look, so that they don't all start at once."""
_DO: Mapping[Way, Sequence[str]] = {
    Way.STOP: ("scancel", "-s", "STOP", "-f"),
    Way.SUSPEND: ("scontrol", "suspend"),
    Way.REQUEUE: ("scontrol", "requeuehold"),
    Way.HOLD: ("scontrol", "hold"),
}
_CONTINUE = ("scancel", "-s", "CONT", "-f")


class SlurmActuator:
    """Pauses and holds labelled jobs of one cluster."""

    def __init__(
        self, beside: Path, *, conf: Path | None = None, timeout_s: float = 20.0, most_job_w: int = MOST_JOB_W
    ) -> None:
        """`beside`: a file for what was done. `conf`: slurm.conf where it is not in Slurm's own place."""
        self._beside, self._timeout_s, self._most_job_w = beside, timeout_s, most_job_w
        self._env = {} if conf is None else {"SLURM_CONF": str(conf)}
        self._refused = list[str]()
        """What Slurm did not do in this round; the others go on."""

    async def jobs(self) -> tuple[list[SlurmJob], list[str]]:
        """Labelled jobs that wait or run, and what is wrong with labels. Raises ActuatorFailed."""
        printed = await ran(["squeue", "--json"], timeout_s=self._timeout_s, most_bytes=_MOST_BYTES, env=self._env)
        try:
            return jobs_of(json.loads(printed), self._read(), self._most_job_w)
        except (ValueError, KeyError, TypeError) as error:
            raise ActuatorFailed(f"squeue --json: expected jobs, got {printed[:100]!r}") from error

    async def observe(self, now: datetime) -> Observed:
        jobs, _ = await self.jobs()
        shed_w = paused_w(jobs)
        until = max((job.mark.until for job in jobs if job.mark is not None and job.is_paused), default=None)
        return Observed(shed_w, until, room_w(jobs, now))

    async def apply(self, schedule: Schedule, now: datetime) -> tuple[Action, ...]:
        jobs, _ = await self.jobs()
        slot, until = schedule.at(now), schedule.until(now)
        ways = {} if slot is None or until is None else chosen(jobs, slot.shed_w, until, now)
        actions = list[Action]()
        if slot is not None and until is not None:
            actions += await self._pause(jobs, ways, until, slot.reason, now)
        reason = "no order asks for it any more" if slot is None else slot.reason
        back = [job for job in jobs if job.mark is not None and job.mark.way is not None and job.job_id not in ways]
        held = [job for job in back if job.mark is not None and job.mark.way is Way.HOLD]
        late = {job.job_id for job in held[math.ceil(len(held) / _BATCHES) :]}
        actions += await self._give_back([job for job in back if job.job_id not in late], reason, now)
        return self._done(actions)

    async def release(self, now: datetime, *, everything: bool = False) -> tuple[Action, ...]:
        """Gives back what is over, or all of it: without an agent, or beside one."""
        jobs, _ = await self.jobs()
        over = [job for job in jobs if job.mark is not None and job.mark.way is not None]
        over = [job for job in over if everything or (job.mark is not None and job.mark.until <= now)]
        return self._done(await self._give_back(over, "it is over", now))

    async def check(self, now: datetime) -> str:
        jobs, faults = await self.jobs()
        if jobs:  # what it says already, once more: it shows whether we may
            await self._note([(jobs[0], jobs[0].with_mark(jobs[0].mark), 0)])
            self._done(())
        wrong = f"; not touched: {'; '.join(faults[:3])}" if faults else ""
        return (
            f"{counted(len(jobs), 'labelled job', 'labelled jobs')}, {power(room_w(jobs, now))} could be paused{wrong}"
        )

    async def aclose(self) -> None:
        """Nothing is open."""

    def _done(self, actions: Iterable[Action]) -> tuple[Action, ...]:
        """Raises ActuatorFailed where Slurm refused some of it."""
        refused, self._refused = self._refused, []
        if refused:
            raise ActuatorFailed(f"{refused[0]}{f', and {len(refused) - 1} more' if len(refused) > 1 else ''}")
        return tuple(actions)

    async def _pause(
        self, jobs: Sequence[SlurmJob], ways: Mapping[int, Way], until: datetime, reason: str, now: datetime
    ) -> list[Action]:
        marks = dict[int, Mark]()
        notes, todo = list[tuple[SlurmJob, str, int]](), defaultdict[Way, list[int]](list)
        for job in jobs:
            if (way := ways.get(job.job_id)) is None:
                continue
            before = job.mark if job.mark is not None and job.mark.way is way else None
            mark = Mark(way, now, until, 0 if job.mark is None else job.mark.paused_s, reason)
            mark = mark if before is None else replace(mark, since=before.since)
            marks[job.job_id] = mark
            if before is None or str(before) != str(mark):
                more_s = (until - (before.until if before else now)).total_seconds()
                runs_on = way is Way.STOP and job.limit_s is not None  # a stopped job's time limit does
                notes.append((job, job.with_mark(mark), max(0, math.ceil(more_s / 60)) if runs_on else 0))
            if not (job.is_held if way is Way.HOLD else job.is_paused):
                todo[way].append(job.job_id)
        if notes:
            there = {job.job_id for job in jobs}
            self._write({name: mark for name, mark in (self._read() | marks).items() if name in there})
            await self._note(notes)
        for way, names in todo.items():
            await self._tell(_DO[way], names)
        if todo:
            await self._shows({name for names in todo.values() for name in names})
        return [Action(f"{way} {_listed(names)} until {rfc3339(until)}", reason) for way, names in todo.items()]

    async def _shows(self, names: set[int]) -> None:
        """Returns once Slurm shows it, which takes it a moment, or after three seconds: the next look asks again."""
        for wait_s in _WAITS_S:
            jobs, _ = await self.jobs()
            if all(job.is_paused or job.is_held for job in jobs if job.job_id in names):
                return
            await asyncio.sleep(wait_s)

    async def _give_back(self, jobs: Sequence[SlurmJob], reason: str, now: datetime) -> list[Action]:
        """Undone first and noted then: who is killed between the two does it again, which does nothing."""
        todo = defaultdict[Way, list[SlurmJob]](list)
        for job in jobs:
            if job.mark is not None and job.mark.way is not None:
                todo[job.mark.way].append(job)
        actions = list[Action]()
        for way, each in todo.items():
            if await self._undo(way, each):
                await self._note([(job, job.with_mark(_after(job, now)), 0) for job in each])
                gone = {job.job_id for job in each}
                self._write({name: mark for name, mark in self._read().items() if name not in gone})
                actions.append(Action(f"{way} of {_listed(job.job_id for job in each)} is undone", reason))
        return actions

    async def _undo(self, way: Way, jobs: Sequence[SlurmJob]) -> bool:
        """Whether Slurm took it; it may be said again, as long as it didn't."""
        waits = [job.job_id for job in jobs if job.state == "PENDING"]
        runs = [job.job_id for job in jobs if job.state != "PENDING"]
        match way:
            case Way.HOLD:  # one that started may have been stopped since, where Slurm forgot that note
                goes_on = await self._tell(
                    _CONTINUE, [job.job_id for job in jobs if job.state in ("RUNNING", "STOPPED")]
                )
                return await self._tell(("scontrol", "release"), waits) and goes_on
            case Way.REQUEUE:  # without a start time it waits two minutes more
                is_free = await self._tell(("scontrol", "release"), waits)
                return await self._update((name, ("StartTime=now",)) for name in waits) and is_free
            case Way.STOP:
                return await self._tell(_CONTINUE, runs)
            case Way.SUSPEND:  # one that Slurm takes to be running is suspended again: it may have forgotten
                if again := [job.job_id for job in jobs if job.state == "RUNNING"]:
                    await self._tell(_DO[way], again)
                    await asyncio.sleep(_STOPS_S)
                return await self._tell(("scontrol", "resume"), runs)

    async def _note(self, notes: Iterable[tuple[SlurmJob, str, int]]) -> bool:
        """AdminComments, and minutes more of a time limit: the whole of it, for of several jobs `+` does nothing."""
        return await self._update(
            (job.job_id, (*_limit(job, minutes), f"AdminComment={text}")) for job, text, minutes in notes
        )

    async def _update(self, changes: Iterable[tuple[int, tuple[str, ...]]]) -> bool:
        """The same change of many jobs is one program."""
        alike = defaultdict[tuple[str, ...], list[int]](list)
        for name, change in changes:
            alike[change].append(name)
        return all([await self._tell(("scontrol", "update"), names, change) for change, names in alike.items()])

    async def _tell(self, words: Sequence[str], names: Sequence[int], change: Sequence[str] = ()) -> bool:
        """Whether all of it was done; what was refused is kept for the end of the round."""
        is_done = True
        for first in range(0, len(names), MOST_AT_ONCE):
            listed = [str(name) for name in names[first : first + MOST_AT_ONCE]]
            jobs = listed if words[0] == "scancel" else [f"{'JobId=' if change else ''}{','.join(listed)}"]
            try:
                await ran([*words, *jobs, *change], timeout_s=self._timeout_s, env=self._env)
            except ActuatorFailed as refused:
                self._refused.append(str(refused))
                is_done = False
        return is_done

    def _read(self) -> dict[int, Mark]:
        """What was done, as it lies beside; a file that can't be read says nothing: Slurm's own notes do."""
        try:
            found = json.loads(self._beside.read_text("utf-8"))
            marks = {int(name): mark_of(text) for name, text in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise ActuatorFailed(f"{self._beside}: expected what was done to jobs: {error}") from error
        return {name: mark for name, mark in marks.items() if mark is not None}

    def _write(self, marks: Mapping[int, Mark]) -> None:
        said = json.dumps({str(name): str(mark) for name, mark in marks.items()})
        replaced(self._beside, said)


def _after(job: SlurmJob, now: datetime) -> Mark | None:
    """What is left of a mark: how long the job was stopped, for its progress."""
    mark = job.mark
    if mark is None or mark.way not in (Way.STOP, Way.SUSPEND):
        return None if mark is None or not mark.paused_s else replace(mark, way=None)
    paused = max(timedelta(0), now - mark.since)
    return Mark(None, now, now, mark.paused_s + int(paused.total_seconds()))


def _limit(job: SlurmJob, more_minutes: int) -> list[str]:
    return [f"TimeLimit={job.limit_s // 60 + more_minutes}"] if job.limit_s is not None and more_minutes else []


def _listed(names: Iterable[int]) -> str:
    found = sorted(names)
    shown = ", ".join(map(str, found[:10]))
    return f"{'job' if len(found) == 1 else 'jobs'} {shown}{f' and {len(found) - 10} more' if len(found) > 10 else ''}"
