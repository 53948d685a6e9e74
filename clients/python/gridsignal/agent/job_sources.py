"""Where jobs come from: one port, and who reads a file, asks Slurm or Kubernetes, or a package of the site's own.

Bounded: MAX_JOBS, and READ_S for a package of the site's own. When full: ActuatorFailed. Conflates: nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

from gridsignal.agent import kubernetes
from gridsignal.agent.actuators import ActuatorFailed, guarded
from gridsignal.agent.actuators.slurm import SlurmActuator
from gridsignal.agent.job_file import MAX_JOBS, WrongJobs, jobs_of
from gridsignal.agent.jobs import Job, Progress
from gridsignal.agent.kubernetes import KubernetesJob
from gridsignal.agent.slurm import to_plan
from gridsignal.errors import UsageError

GROUP = "gridsignal.jobs"
READ_S = 30.0
Queue = tuple[list[Job], Mapping[str, Progress], list[str]]
"""Jobs, how far they are, and what is wrong with others."""


class JobSource(Protocol):
    """Where jobs come from. Raises ActuatorFailed where it does not answer."""

    async def read(self, now: datetime) -> Queue: ...


class FileJobs:
    """A file that another program writes."""

    def __init__(self, file: Path) -> None:
        self._file = file

    async def read(self, now: datetime) -> Queue:
        try:
            jobs = jobs_of(self._file.read_bytes(), self._file.name)
        except (OSError, WrongJobs) as wrong:
            raise ActuatorFailed(f"{self._file}: {wrong}") from None
        return [job for job in jobs if now < job.deadline], {}, []


class SlurmJobs:
    """Labelled jobs of Slurm with a deadline."""

    def __init__(self, slurm: SlurmActuator) -> None:
        self._slurm = slurm

    async def read(self, now: datetime) -> Queue:
        with guarded("slurm's jobs"):
            jobs, faults = await self._slurm.jobs()
            found, progress, others = to_plan(jobs, now)
        return found, progress, faults + others


class _Cluster(Protocol):
    async def jobs(self) -> tuple[list[KubernetesJob], list[str]]: ...


class KubernetesJobs:
    """Labelled Jobs of Kubernetes with a deadline."""

    def __init__(self, cluster: _Cluster) -> None:
        """`cluster`: the actuator, whose libraries an agent without Kubernetes does without."""
        self._cluster = cluster

    async def read(self, now: datetime) -> Queue:
        with guarded("kubernetes' Jobs"):
            jobs, faults = await self._cluster.jobs()
            found, progress, others = kubernetes.to_plan(jobs, now)
        return found, progress, faults + others


class EntryPointJobs:
    """An entry point of the group GROUP: a callable without arguments that makes a JobSource."""

    def __init__(self, name: str) -> None:
        """Raises UsageError where no installed package has it, or it can't be loaded."""
        found = entry_points(group=GROUP)
        known = ", ".join(sorted(found.names)) or "none"
        if name not in found.names:
            raise UsageError(f"plan.jobs.name: expected one of the entry points {GROUP} ({known}), got {name!r:.60}")
        self._name = name
        try:
            self._source: JobSource = found[name].load()()
        except Exception as wrong:  # the site's own code: whatever it raises is told
            raise UsageError(f"entry point {name}: {type(wrong).__name__}: {wrong}") from wrong

    async def read(self, now: datetime) -> Queue:
        try:
            async with asyncio.timeout(READ_S):
                jobs, progress, faults = await self._source.read(now)
            if len(jobs) > MAX_JOBS or not all(isinstance(job, Job) for job in jobs):
                raise ActuatorFailed(
                    f"entry point {self._name}: expected at most {MAX_JOBS} of gridsignal.agent.jobs.Job"
                )
        except ActuatorFailed:
            raise
        except Exception as wrong:  # the site's own code: without its jobs there is no plan, and the agent goes on
            raise ActuatorFailed(f"entry point {self._name}: {type(wrong).__name__}: {wrong}") from wrong
        return jobs, progress, faults
