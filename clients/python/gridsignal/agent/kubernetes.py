"""Kubernetes' Jobs as the agent sees them: what their labels allow, what was done, and whom an order pauses. Pure.

A Job with the label `gridsignal/flexible: "yes"` says in annotations what may be done with it:

    gridsignal/power-w: "700"       # IT watts of each of its pods
    gridsignal/pause: "yes"
    gridsignal/deadline: "2026-11-28T06:00:00Z"

What is not labelled so is not touched. What was done stands in the annotation `gridsignal/paused` of the Workload that
Kueue made of the Job, or of the Job itself where Kueue has none of it: written together with what it says, and signed
for this very Job: whoever may write a Job may write its annotations, and only what an agent wrote counts.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from gridsignal.agent.jobs import Job, Progress
from gridsignal.agent.kubernetes_quota import quantity, usage_of
from gridsignal.agent.labelled import WorkLabel, checked, enough, moment_of, seconds_of
from gridsignal_schemas.values import MAX_POWER_W, rfc3339

PREFIX = "gridsignal/"
FLEXIBLE = f"{PREFIX}flexible"
"""The label of Jobs that are ours to touch, with the value `yes`."""
PAUSED = f"{PREFIX}paused"
"""As an annotation: what was done. As a label of a Job, `yes`: that there is such an annotation."""
QUEUE_NAME = "kueue.x-k8s.io/queue-name"
_WHOLE = ("power_w", "duration_s", "priority", "checkpoint_s", "restart_s")
MOST_POD_W = 20_000
"""What a label may say of a pod, where the site has not said otherwise: a node of eight GPUs draws less."""
_MOST_NOTE, _MOST_PODS = 65_536, 100_000
_OVER = ("Complete", "Failed", "Finished")


@dataclass(frozen=True, slots=True)
class Rules:
    """What a site lets labels say."""

    namespaces: frozenset[str] | None = None
    """Whose labels count; None: everybody's. What was done is given back everywhere."""
    most_pod_w: int = MOST_POD_W


class Label(WorkLabel):
    """What a Job's annotations say; `power_w` is that of each of its pods."""

    pause: bool = False
    """It may be paused while it runs: its pods are deleted, and made anew later."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What was done to a Job: from when, until when, for which orders; and what it had before."""

    since: datetime
    until: datetime
    reason: str = ""
    pods: int = 0
    """That ran; none of one that waited."""
    pod_w: int = 0
    queue: str = ""
    """The ClusterQueue in which it had quota."""
    usage: Mapping[str, Decimal] = field(default_factory=dict)
    """The quota, by flavor and resource."""

    @property
    def power_w(self) -> int:
        """What it drew."""
        return self.pods * self.pod_w

    def __str__(self) -> str:
        """As it stands in the annotation, signed."""
        said = {"since": rfc3339(self.since), "until": rfc3339(self.until), "for": self.reason[:200]}
        had = {"pods": self.pods, "pod_w": self.pod_w, "queue": self.queue}
        return json.dumps({**said, **had, "usage": {path: str(amount) for path, amount in self.usage.items()}})


def signed(mark: Mark, key: bytes, job_uid: str, kind: str) -> str:
    """The annotation of a `kind` of object: for this Job alone, or its owner may copy it to another."""
    return f"{_signature(str(mark), key, job_uid, kind)} {mark}"


def mark_of(text: str | None, key: bytes | None, job_uid: str, kind: str) -> Mark | None:
    """What an annotation says. Raises ValueError for one that is not of an agent with this key."""
    if not text:
        return None
    signature, _, said = text.partition(" ")
    is_ours = key is not None and len(text) <= _MOST_NOTE and signature.isascii()
    if key is None or not is_ours or not hmac.compare_digest(signature, _signature(said, key, job_uid, kind)):
        raise ValueError(f"{PAUSED}: expected what an agent wrote here, signed, got {text!r:.100}")
    try:
        told = json.loads(said)
        usage = {str(path): _amount(amount) for path, amount in told["usage"].items()}
        pods, pod_w = _whole(told["pods"], _MOST_PODS), _whole(told["pod_w"], MAX_POWER_W)
        since, until = moment_of(told["since"]), moment_of(told["until"])
        return Mark(since, until, str(told["for"]), pods, pod_w, str(told["queue"]), usage)
    except (KeyError, TypeError, AttributeError, RecursionError, ValueError) as wrong:
        raise ValueError(f"{PAUSED}: expected what was done, got {said!r:.100}") from wrong


def _signature(said: str, key: bytes, job_uid: str, kind: str) -> str:
    return hmac.digest(key, json.dumps([kind, job_uid, said]).encode(), "sha256").hex()


def _amount(text: Any) -> Decimal:
    if (amount := quantity(text)) < 0:
        raise ValueError(f"expected 0 or more, got {amount}")
    return amount


def _whole(value: Any, most: int) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"expected a whole number from 0 to {most}, got {value!r:.40}")
    return value


@dataclass(frozen=True, slots=True)
class Thing:
    """An object of the API, as it was read."""

    namespace: str
    name: str
    version: str
    """Its resourceVersion: a change is of what was read, or refused."""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Workload:
    """What Kueue made of a Job."""

    thing: Thing
    job_uid: str
    is_active: bool
    queue: str
    """The ClusterQueue that it has quota in; empty: it waits."""
    usage: Mapping[str, Decimal]
    mark: Mark | None
    is_kept_out: bool = False
    """Kueue has not put it into its queue again so far."""


@dataclass(frozen=True, slots=True)
class KubernetesJob:
    """A Job that is labelled, or was when something was done to it."""

    uid: str
    thing: Thing
    label: Label | None
    mark: Mark | None
    workload: Workload | None
    """None: Kueue has nothing to do with it, and it is suspended itself."""
    is_suspended: bool
    pods: int
    """That are on a node and have not ended, those that are about to end included."""
    would_run: int
    """How many pods it has at a time."""
    started_at: datetime | None
    limit_s: int | None

    @property
    def is_off(self) -> bool:
        """Whether it is told to have no pods."""
        return self.is_suspended if self.workload is None else not self.workload.is_active

    @property
    def is_paused(self) -> bool:
        """Whether it is off because of us."""
        return self.mark is not None and self.is_off

    @property
    def drawn_w(self) -> int:
        """What its pods draw."""
        pod_w = self.label.power_w if self.label is not None else self.mark.pod_w if self.mark is not None else 0
        return self.pods * pod_w

    @property
    def power_w(self) -> int:
        """What is won by its pause, or was."""
        return self.mark.power_w if self.mark is not None and self.is_off else self.drawn_w

    def done_s(self, now: datetime) -> float:
        """Seconds since it was started; nobody knows what of that it would keep."""
        return 0.0 if self.started_at is None or self.is_off else max(0.0, (now - self.started_at).total_seconds())

    def may_rest(self, until: datetime) -> bool:
        """Whether it meets its deadline if it rests until then and begins anew."""
        return self.label is not None and self.label.may_rest(until, self.label.duration_s or self.limit_s, 0.0)


def label_of(metadata: Mapping[str, Any], most_pod_w: int) -> Label | None:
    """What a Job says of itself; None where it has no label. Raises ValueError with what was expected and got."""
    if (metadata.get("labels") or {}).get(FLEXIBLE) != "yes":
        return None
    values: dict[str, Any] = {}
    for name, text in (metadata.get("annotations") or {}).items():
        if name.startswith(PREFIX) and name != PAUSED:
            key = name.removeprefix(PREFIX).replace("-", "_")
            values[key] = _value(key, str(text))
    return checked(Label, values, most_pod_w)


def _value(key: str, text: str) -> Any:
    if key in _WHOLE and re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        return int(text)
    return {"yes": True, "no": False}.get(text, text) if key in ("pause", "hold") else text


def thing_of(row: Mapping[str, Any]) -> Thing:
    """Of an object, what it takes to change it."""
    metadata = row["metadata"]
    return Thing(str(metadata.get("namespace", "")), str(metadata["name"]), str(metadata["resourceVersion"]))


def workloads_of(rows: Iterable[Mapping[str, Any]], key: bytes | None) -> tuple[list[Workload], list[str]]:
    """All that are not over, of whatever they are made, and what is wrong with notes."""
    found, faults = list[Workload](), list[str]()
    for row in rows:
        if _is_over(row):
            continue
        metadata, status = row["metadata"], row.get("status") or {}
        owners = [each["uid"] for each in metadata.get("ownerReferences") or () if each.get("kind") == "Job"]
        admission = status.get("admission") or {}
        job_uid = str(owners[0]) if owners else ""
        try:
            mark = mark_of((metadata.get("annotations") or {}).get(PAUSED), key, job_uid, "Workload")
        except ValueError as wrong:
            faults.append(f"workload {thing_of(row)}: {wrong}")
            mark = None
        active, queue = row["spec"].get("active", True) is not False, str(admission.get("clusterQueue", ""))
        conditions = {each["type"]: each["status"] for each in status.get("conditions") or ()}
        is_out = conditions.get("Requeued") == "False"
        found.append(Workload(thing_of(row), job_uid, active, queue, usage_of(admission), mark, is_out))
    return found, faults


def jobs_of(
    rows: Iterable[Mapping[str, Any]],
    workloads: Iterable[Workload],
    pods: Mapping[str, int],
    key: bytes | None,
    rules: Rules,
) -> tuple[list[KubernetesJob], list[str]]:
    """The Jobs that are ours to touch, and what is wrong with labels; `pods`: how many each has, by its uid.

    Raises KeyError, TypeError and ValueError for what are no Jobs.
    """
    of_job = {(each.thing.namespace, each.job_uid): each for each in workloads if each.job_uid}
    unseen = {name: each for name, each in of_job.items() if each.mark is not None}
    jobs, faults = list[KubernetesJob](), list[str]()
    for row in rows:
        thing, uid = thing_of(row), str(row["metadata"]["uid"])
        unseen.pop((thing.namespace, uid), None)
        try:
            found, said = _job_of(row, of_job.get((thing.namespace, uid)), pods.get(uid, 0), key, rules)
        except (KeyError, TypeError, AttributeError, ArithmeticError, ValueError) as wrong:
            found, said = None, [f"expected a Job, got {wrong!r:.200}"]
        jobs += [] if found is None else [found]
        faults += [f"job {thing}: {fault}" for fault in said]
    return [*jobs, *(_without_label(each, pods) for each in unseen.values())], faults


def _job_of(
    row: Mapping[str, Any], workload: Workload | None, pods: int, key: bytes | None, rules: Rules
) -> tuple[KubernetesJob | None, list[str]]:
    """One Job, where it is ours to touch, and what is wrong with it."""
    metadata, spec, thing, faults = row["metadata"], row["spec"], thing_of(row), list[str]()
    if _is_over(row):
        return None, []
    uid, mark = str(metadata["uid"]), None if workload is None else workload.mark
    if workload is None:
        try:
            mark = mark_of((metadata.get("annotations") or {}).get(PAUSED), key, uid, "Job")
        except ValueError as wrong:
            return None, [str(wrong)]
    label, limit_s = None, None
    if rules.namespaces is None or thing.namespace in rules.namespaces:
        try:
            limit_s = seconds_of(spec.get("activeDeadlineSeconds"), "activeDeadlineSeconds")
            label = label_of(metadata, rules.most_pod_w)
        except ValueError as wrong:  # what was done to it is given back all the same
            faults.append(str(wrong))
    if (why := _left_alone(row, workload is not None)) and label is not None:
        faults.append(why)
    if why or (label is None and mark is None):
        return None, faults
    at_a_time, started = int(spec.get("parallelism", 1)), (row.get("status") or {}).get("startTime")
    return KubernetesJob(
        uid,
        thing,
        label,
        mark,
        workload,
        bool(spec.get("suspend", False)),
        pods,
        min(at_a_time, int(spec.get("completions", at_a_time))),
        moment_of(started) if started else None,
        limit_s,
    ), faults


def _without_label(workload: Workload, pods: Mapping[str, int]) -> KubernetesJob:
    """Its Job has lost its label: what was done to it can be given back all the same."""
    uid = workload.job_uid
    return KubernetesJob(uid, workload.thing, None, workload.mark, workload, False, pods.get(uid, 0), 0, None, None)


def _left_alone(row: Mapping[str, Any], has_workload: bool) -> str:
    """Why a Job is not ours to touch, though it may be labelled."""
    metadata = row["metadata"]
    owners = [str(each["kind"]) for each in metadata.get("ownerReferences") or () if each.get("controller")]
    if strangers := [kind for kind in owners if kind != "CronJob"]:
        return f"expected a Job of its own, got one that a {strangers[0]} owns"
    if not has_workload and QUEUE_NAME in (metadata.get("labels") or {}):
        return "expected a Workload that Kueue made of it, got none so far"
    return ""


def _is_over(row: Mapping[str, Any]) -> bool:
    conditions = (row.get("status") or {}).get("conditions") or ()
    return any(each["type"] in _OVER and each["status"] == "True" for each in conditions)


def pods_of(rows: Iterable[Mapping[str, Any]], where: Mapping[str, str]) -> dict[str, int]:
    """How many pods draw power, by the uid of the Job that has them: each on a node that has not ended so far.

    `where`: the namespace of each Job; a pod elsewhere is not its own, whatever it says.
    """
    found: dict[str, int] = {}
    for row in rows:
        ended = (row.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        for owner in row["metadata"].get("ownerReferences") or ():
            is_its_own = owner["kind"] == "Job" and where.get(owner["uid"]) == row["metadata"].get("namespace", "")
            if is_its_own and not ended and row["spec"].get("nodeName"):
                found[owner["uid"]] = min(found.get(owner["uid"], 0) + 1, _MOST_PODS)
    return found


def chosen(
    jobs: Sequence[KubernetesJob], shed_w: int, until: datetime, refused: Iterable[str] = ()
) -> tuple[list[KubernetesJob], list[KubernetesJob]]:
    """Whom so many watts pause until then, and whom they keep from starting; `refused`: who can't be had, by uid.

    Of 0 W nobody pauses, and nobody starts.
    """
    if shed_w < 0:
        return [], []
    able = [job for job in jobs if job.label is not None and job.may_rest(until) and job.uid not in refused]
    pausable = [job for job in able if job.label is not None and job.label.pause and _counts(job)]
    taken = enough(pausable, shed_w, power_w=lambda job: job.power_w, stays=_was_paused, cost=_cost)
    names = {job.uid for job in taken}
    waits = [job for job in able if job.label is not None and job.label.hold and _waits(job)]
    return taken, [job for job in waits if job.uid not in names]


def room_w(jobs: Iterable[KubernetesJob], now: datetime) -> int:
    """What running jobs could give now."""
    able = (job for job in jobs if not job.is_off and job.label is not None and job.label.pause)
    return sum(job.drawn_w for job in able if job.may_rest(now))


def paused_w(jobs: Iterable[KubernetesJob]) -> int:
    """What was drawn by those that are paused, less what pods of theirs still draw."""
    return sum(max(0, job.power_w - job.drawn_w) for job in jobs if job.is_paused)


def to_plan(jobs: Iterable[KubernetesJob], now: datetime) -> tuple[list[Job], dict[str, Progress], list[str]]:
    """For the planner: labelled jobs with a deadline and a duration, whether they run, and why others are none."""
    found, progress, faults = list[Job](), dict[str, Progress](), list[str]()
    for job in jobs:
        label, name = job.label, f"kube-{job.uid}"
        if label is None:
            continue
        needs_s = label.duration_s or job.limit_s
        if label.deadline is None or needs_s is None:
            faults.append(f"job {job.thing}: expected a deadline and a duration-s or activeDeadlineSeconds, got none")
            continue
        left_s = max(1, round(needs_s - job.done_s(now)))
        power_w = label.power_w * max(job.pods, job.would_run, 1)
        try:
            found.append(label.to_plan(name, power_w, left_s, now, pausable=label.pause))
        except ValueError as wrong:
            faults.append(f"job {job.thing}: {wrong}")
            continue
        progress[name] = Progress(is_running=job.pods > 0 and not job.is_off)
    return found, progress, faults


def _counts(job: KubernetesJob) -> bool:
    """Whether its pause gives watts, or has."""
    return job.is_paused if job.is_off else job.drawn_w > 0


def _was_paused(job: KubernetesJob) -> bool:
    return job.is_paused and job.power_w > 0


def _waits(job: KubernetesJob) -> bool:
    """In a queue of Kueue: it has no quota, or was held there."""
    if job.workload is None:
        return False
    return (job.is_paused and job.power_w == 0) or (not job.is_off and not job.workload.queue)


def _cost(job: KubernetesJob) -> tuple[int, int, int, str]:
    assert job.label is not None
    return job.label.priority, job.label.checkpoint_s + job.label.restart_s, -job.power_w, str(job.thing)
