"""Kubernetes with Kueue, by its API: lowers the quota of ClusterQueues, pauses labelled Jobs and gives them back.

A Job that Kueue manages is paused by its Workload's `active`, for Kueue undoes a `suspend` of its Job; another Job by
its own `suspend`. What was done stands in an annotation of the same object, written in the same change: whoever is
killed leaves both or neither. It is signed with a key of the agent's own namespace, so nobody else's counts. A change
is of the version that was read, or is refused and all is read again.
Kubernetes has no end for any of this: without an agent `gridsignal agent release` gives back what is over.

Bounded: as the API's calls are; TRIES rounds, GONE_S for pods to go. When full: ActuatorFailed, or the next look
tells. Conflates: nothing.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import socket
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from gridsignal.agent.actuators import Action, ActuatorFailed, Observed
from gridsignal.agent.actuators.files import replaced
from gridsignal.agent.actuators.kubernetes_api import MANAGER, AnotherWrites, Changed, KubernetesApi, Refused
from gridsignal.agent.kubernetes import (
    FLEXIBLE,
    PAUSED,
    KubernetesJob,
    Mark,
    Rules,
    Workload,
    chosen,
    jobs_of,
    paused_w,
    pods_of,
    room_w,
    signed,
    workloads_of,
)
from gridsignal.agent.kubernetes_quota import LOWERED, lowered, summed
from gridsignal.agent.schedule import Schedule
from gridsignal.agent.words import counted, power
from gridsignal_schemas.values import rfc3339

TRIES = 5
GONE_S = 3.0
_LOOK_S = 0.1
_AT_ONCE = 100
"""So many Jobs are asked for their pods in one call."""
_BATCHES = 4
"""Held Jobs are let go of by a quarter of them at a look, so that they don't all start at once."""
_JOBS, _KUEUE = "/apis/batch/v1", "/apis/kueue.x-k8s.io"
RIGHTS = (
    ("list", "batch", "jobs"),
    ("patch", "batch", "jobs"),
    ("list", "", "pods"),
    ("get", "coordination.k8s.io", "leases"),
    ("create", "coordination.k8s.io", "leases"),
    ("update", "coordination.k8s.io", "leases"),
    ("get", "", "secrets"),
    ("create", "", "secrets"),
)
_ALL = Rules()
_OURS = ("leases", "secrets")
"""Of our own namespace, by our own name."""
KUEUE_RIGHTS = tuple(
    (verb, "kueue.x-k8s.io", kind) for kind in ("workloads", "clusterqueues") for verb in ("list", "patch")
)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A cluster as it was read."""

    kueue: str
    """The path of Kueue's kinds; empty where it has none."""
    jobs: Sequence[KubernetesJob]
    faults: Sequence[str]
    workloads: Sequence[Workload]
    queues: Sequence[Mapping[str, Any]]

    @property
    def marked(self) -> list[KubernetesJob]:
        return [job for job in self.jobs if job.mark is not None]

    @property
    def is_usual(self) -> bool:
        """Whether nothing was done to it."""
        return not self.marked and not any(
            LOWERED in (queue["metadata"].get("annotations") or {}) for queue in self.queues
        )


class KubernetesActuator:
    """Pauses and holds labelled Jobs of one cluster."""

    def __init__(self, api: KubernetesApi, identity: Path, *, rules: Rules = _ALL, lease_s: int = 60) -> None:
        """`identity`: a file for the name under which it is the one who writes; whoever shares it is the same."""
        self._api, self._identity, self._rules, self._lease_s = api, identity, rules, lease_s
        self._key: bytes | None = None
        """None: not read so far, or nobody has made one, and then nothing was done."""
        self._refused = list[str]()
        """What the cluster did not do in this round; the others go on."""
        self._did = dict[tuple[str, str], list[KubernetesJob]]()
        """What was done since we last told, and why, in however many rounds."""

    async def jobs(self) -> tuple[list[KubernetesJob], list[str]]:
        """Labelled Jobs, and what is wrong with labels. Raises ActuatorFailed."""
        seen = await self._read()
        return list(seen.jobs), list(seen.faults)

    async def observe(self, now: datetime) -> Observed:
        jobs, _ = await self.jobs()
        until = max((job.mark.until for job in jobs if job.mark is not None and job.is_paused), default=None)
        return Observed(paused_w(jobs), until, room_w(jobs, now))

    async def apply(self, schedule: Schedule, now: datetime) -> tuple[Action, ...]:
        for _ in range(TRIES - 1):
            with suppress(Changed):  # by somebody else, between our look and our change
                return await self._round(schedule, now)
        return await self._round(schedule, now)

    async def release(self, now: datetime, *, everything: bool = False) -> tuple[Action, ...]:
        """Gives back what is over, or all of it. An agent that is at work does so itself."""
        seen = await self._read()
        if seen.is_usual:
            return ()
        try:
            await self._claim()
        except AnotherWrites as works:
            if everything:
                raise
            return (Action("nothing is given back", str(works)),)
        over = [job for job in seen.marked if job.mark is not None and (everything or job.mark.until <= now)]
        await self._give_back(seen, over, "it is over")
        gone = {job.uid for job in over}
        await self._quotas(seen, [job for job in seen.marked if job.uid not in gone])
        return self._done()

    async def check(self, now: datetime) -> str:
        seen = await self._read()
        for verb, group, resource in (*RIGHTS, *(KUEUE_RIGHTS if seen.kueue else ())):
            namespace = self._api.access.namespace if resource in _OURS else ""
            name = MANAGER if resource in _OURS and verb != "create" else ""
            if not await self._api.may(verb, group, resource, namespace, name):
                raise ActuatorFailed(
                    f"kubernetes: expected the right to {verb} {resource} ({group or 'core'}), got none"
                )
        kueue = f"Kueue {seen.kueue.rpartition('/')[2]}" if seen.kueue else "no Kueue"
        wrong = f"; not touched: {'; '.join(seen.faults[:3])}" if seen.faults else ""
        found = counted(len(seen.jobs), "labelled job", "labelled jobs")
        return f"{found}, {power(room_w(seen.jobs, now))} could be paused, {kueue}{wrong}"

    async def aclose(self) -> None:
        await self._api.aclose()

    # --- reading -----------------------------------------------------------------------------------------------------

    async def _read(self) -> _Seen:
        if self._key is None:
            self._key = await self._api.key()
        kueue = await self._kueue()
        path = f"{_JOBS}/jobs"
        rows = {row["metadata"]["uid"]: row for row in await self._api.listed(path, labelSelector=f"{FLEXIBLE}=yes")}
        rows |= {row["metadata"]["uid"]: row for row in await self._api.listed(path, labelSelector=f"{PAUSED}=yes")}
        try:
            workloads, faults = workloads_of(await self._api.listed(f"{kueue}/workloads") if kueue else (), self._key)
            where = {each.job_uid: each.thing.namespace for each in workloads if each.mark is not None and each.job_uid}
            where |= {uid: str(row["metadata"].get("namespace", "")) for uid, row in rows.items()}
            jobs, others = jobs_of(rows.values(), workloads, await self._pods(where), self._key, self._rules)
        except (KeyError, TypeError, ValueError) as wrong:
            raise ActuatorFailed(f"kubernetes: expected Jobs and Workloads, got {wrong!r:.200}") from wrong
        queues = await self._api.listed(f"{kueue}/clusterqueues") if kueue else []
        return _Seen(kueue, jobs, [*faults, *others], workloads, queues)

    async def _kueue(self) -> str:
        """The path of the version that the cluster prefers; empty where it has no Kueue."""
        try:
            group = await self._api.get(_KUEUE)
        except Refused as refused:
            if refused.status != 404:
                raise
            return ""
        return f"{_KUEUE}/{group['preferredVersion']['version']}"

    async def _pods(self, where: Mapping[str, str]) -> dict[str, int]:
        """How many pods each of these Jobs has, by its uid; in which namespace it is."""
        found, left = dict[str, int](), sorted(where)
        for first in range(0, len(left), _AT_ONCE):
            asked = f"batch.kubernetes.io/controller-uid in ({','.join(left[first : first + _AT_ONCE])})"
            found |= pods_of(await self._api.listed("/api/v1/pods", labelSelector=asked), where)
        return found

    # --- changing ----------------------------------------------------------------------------------------------------

    async def _round(self, schedule: Schedule, now: datetime) -> tuple[Action, ...]:
        seen, self._refused = await self._read(), []
        slot, until = schedule.at(now), schedule.until(now)
        if seen.is_usual and (slot is None or slot.shed_w < 0):
            return ()
        await self._claim()
        kept = list[KubernetesJob]()
        if slot is not None and until is not None:
            kept = await self._pause(seen, slot.shed_w, until, slot.reason, now)
        names = {job.uid for job in kept}
        back = [job for job in seen.marked if job.uid not in names]
        held = [job for job in back if job.is_paused and job.power_w == 0]
        late = held[math.ceil(len(held) / _BATCHES) :]
        back = [job for job in back if job not in late]
        await self._give_back(seen, back, "no order asks for it any more" if slot is None else slot.reason)
        if back or not names:
            await self._quotas(seen, [*kept, *late], again=True)
        return self._done()

    async def _pause(
        self, seen: _Seen, shed_w: int, until: datetime, reason: str, now: datetime
    ) -> list[KubernetesJob]:
        """Who is paused then. Whom the cluster does not let us have is replaced by others."""
        refused, done = set[str](), dict[str, KubernetesJob]()
        while True:
            taken, held = chosen(seen.jobs, shed_w, until, refused)
            todo = [job for job in (*taken, *held) if job.uid not in done]
            before = len(refused)
            paused = {job.uid: job for job in (*seen.marked, *done.values(), *todo)}
            closed = await self._quotas(seen, paused.values(), again=bool(refused))
            for job in todo:
                queue = job.workload.queue if job.workload is not None else ""
                if queue in closed or not await self._pause_one(seen, job, until, reason, now):
                    refused.add(job.uid)
                    continue
                done[job.uid] = job
                if not job.is_paused:
                    self._did.setdefault((f"until {rfc3339(until)} pause", reason), []).append(job)
            if len(refused) == before:
                break
        await self._gone({job.uid: job.thing.namespace for job in done.values() if not job.is_paused})
        return [job for job in (*taken, *held) if job.uid in done]

    async def _pause_one(self, seen: _Seen, job: KubernetesJob, until: datetime, reason: str, now: datetime) -> bool:
        """What is done, and the note of it, in one change."""
        label, workload = job.label, job.workload
        assert label is not None
        had = (workload.queue, workload.usage) if workload is not None else ("", {})
        mark = Mark(now, until, reason, job.pods, label.power_w, *had)
        if job.is_paused and job.mark is not None:
            mark = replace(job.mark, until=until, reason=reason)
            if str(mark) == str(job.mark):
                return True
        assert self._key is not None
        said = signed(mark, self._key, job.uid, "Job" if workload is None else "Workload")
        note: dict[str, Any] = {"annotations": {PAUSED: said}}
        if workload is not None:
            return await self._change(_path(seen, job), workload.thing.version, note, {"active": False})
        return await self._change(_path(seen, job), job.thing.version, note | _label("yes"), {"suspend": True})

    async def _give_back(self, seen: _Seen, jobs: Sequence[KubernetesJob], reason: str) -> None:
        """First told to go on; their quota is raised once they are in the queue, or who is behind them gets it."""
        for job in jobs:
            note: dict[str, Any] = {"annotations": {PAUSED: None}}
            if job.workload is not None:
                done = await self._change(_path(seen, job), job.workload.thing.version, note, {"active": True})
            else:
                done = await self._change(_path(seen, job), job.thing.version, note | _label(None), {"suspend": False})
            if done:
                self._did.setdefault(("give back", reason), []).append(job)
        back = {job.workload.thing.name for job in jobs if job.workload is not None}
        for _ in range(round(GONE_S / _LOOK_S)):
            if not back or not await self._are_kept_out(seen, back):
                return
            await asyncio.sleep(_LOOK_S)

    async def _are_kept_out(self, seen: _Seen, names: Collection[str]) -> bool:
        workloads, _ = workloads_of(await self._api.listed(f"{seen.kueue}/workloads"), self._key)
        return any(each.is_kept_out for each in workloads if each.thing.name in names)

    async def _quotas(self, seen: _Seen, paused: Collection[KubernetesJob], *, again: bool = False) -> set[str]:
        """Lowers each ClusterQueue by what these Jobs set free, or raises it to that; where we were refused.

        `again`: their versions have changed since they were read, by ourselves.
        """
        names, closed = {job.uid for job in paused}, set[str]()
        queues = await self._api.listed(f"{seen.kueue}/clusterqueues") if again and seen.kueue else seen.queues
        for queue in queues:
            name = str(queue["metadata"]["name"])
            freed = summed(usage for job in paused for at, usage in (_quota(job),) if at == name)
            others = [each for each in seen.workloads if each.queue == name and each.job_uid not in names]
            try:
                change = lowered(queue, freed, summed(each.usage for each in others))
            except (KeyError, TypeError, ValueError) as wrong:
                raise ActuatorFailed(f"ClusterQueue {name}: expected quotas, got {wrong!r:.200}") from wrong
            path, version = f"{seen.kueue}/clusterqueues/{name}", str(queue["metadata"]["resourceVersion"])
            if change is not None and not await self._change(path, version, change["metadata"], change["spec"]):
                closed.add(name)
        return closed

    async def _change(self, path: str, version: str, metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> bool:
        """Whether the cluster took it; what it refused is kept for the end of the round."""
        try:
            await self._api.patch(path, version, {"metadata": metadata, "spec": spec})
        except Refused as refused:
            if refused.status == 404:  # it is gone, and needs nothing any more
                raise Changed(str(refused)) from refused
            self._refused.append(str(refused))
            return False
        return True

    async def _gone(self, where: Mapping[str, str]) -> None:
        """Returns once their pods are, or after GONE_S: the next look asks again."""
        for _ in range(round(GONE_S / _LOOK_S)):
            if not where or not any((await self._pods(where)).values()):
                return
            await asyncio.sleep(_LOOK_S)

    async def _claim(self) -> None:
        """Raises ActuatorFailed where another agent writes."""
        try:
            name = self._identity.read_text("utf-8")
        except FileNotFoundError:
            name = f"{socket.gethostname()[:40]}-{secrets.token_hex(4)}"
            self._identity.parent.mkdir(parents=True, exist_ok=True)
            replaced(self._identity, name)
        except OSError as error:
            raise ActuatorFailed(f"{self._identity}: {error.strerror}") from error
        await self._api.claim(name, self._lease_s)
        if self._key is None:
            self._key = await self._api.new_key()

    def _done(self) -> tuple[Action, ...]:
        """What was done. Raises ActuatorFailed where the cluster refused some of it."""
        refused, self._refused = self._refused, []
        if refused:
            raise ActuatorFailed(f"{refused[0]}{f', and {len(refused) - 1} more' if len(refused) > 1 else ''}")
        did, self._did = self._did, {}
        return tuple(Action(f"{what} {_listed(jobs)}", reason) for (what, reason), jobs in did.items())


def _path(seen: _Seen, job: KubernetesJob) -> str:
    if job.workload is not None:
        return f"{seen.kueue}/namespaces/{job.workload.thing.namespace}/workloads/{job.workload.thing.name}"
    return f"{_JOBS}/namespaces/{job.thing.namespace}/jobs/{job.thing.name}"


def _label(value: str | None) -> dict[str, Any]:
    """By which a Job that has lost its own label is found."""
    return {"labels": {PAUSED: value}}


def _quota(job: KubernetesJob) -> tuple[str, Mapping[str, Decimal]]:
    """The ClusterQueue and what it had there: as it was noted, or as it has it; outside of Kueue none."""
    if job.workload is None:
        return "", {}
    if job.mark is not None and job.is_paused:
        return job.mark.queue, job.mark.usage
    return job.workload.queue, job.workload.usage


def _listed(jobs: Iterable[KubernetesJob]) -> str:
    found = sorted(str(job.thing) for job in jobs)
    shown = ", ".join(found[:10])
    return f"{'job' if len(found) == 1 else 'jobs'} {shown}{f' and {len(found) - 10} more' if len(found) > 10 else ''}"
