"""What Kubernetes' Jobs say of themselves, whom an order pauses, and what becomes of the quota meanwhile."""

from __future__ import annotations

import base64
import json
from copy import deepcopy
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal.agent.kubeconfig import in_cluster, kubeconfig
from gridsignal.agent.kubernetes import (
    FLEXIBLE,
    PAUSED,
    KubernetesJob,
    Mark,
    Rules,
    chosen,
    jobs_of,
    mark_of,
    paused_w,
    pods_of,
    room_w,
    signed,
    to_plan,
    workloads_of,
)
from gridsignal.agent.kubernetes_quota import LOWERED, lowered, quantity, written
from gridsignal.errors import UsageError
from tests.builders import utc

NOW = utc("18:00")
UNTIL = NOW + timedelta(hours=1)
GPU = "gpu|nvidia.com/gpu"
KEY, RULES = b"k" * 32, Rules()
WHOLE = st.integers(0, 10**8).map(lambda seconds: NOW + timedelta(seconds=seconds))
AMOUNT = st.integers(0, 10**9).map(lambda thousandths: Decimal(thousandths) / 1000)
MARKS = st.builds(
    Mark, WHOLE, WHOLE, st.text(max_size=40), st.integers(0, 99), st.integers(0, 10**9), st.text(max_size=9),
    st.dictionaries(st.text(max_size=9), AMOUNT, max_size=3),
)  # fmt: skip


def a_job(uid: str, power_w: int = 1000, *, labels: Any = None, suspend: bool = False, **said: str) -> dict[str, Any]:
    notes = {f"gridsignal/{key.replace('_', '-')}": text for key, text in {"pause": "yes", **said}.items()}
    metadata: dict[str, Any] = {"uid": uid, "name": uid, "namespace": "team", "resourceVersion": "1"}
    metadata["labels"] = {FLEXIBLE: "yes"} | (labels or {})
    metadata["annotations"] = {"gridsignal/power-w": str(power_w), **notes}
    spec = {"parallelism": 2, "suspend": suspend}
    return {"metadata": metadata, "spec": spec, "status": {"startTime": "2024-05-12T17:00:00Z"}}


def a_workload(uid: str, *, gpus: int = 2, active: bool = True, mark: Mark | None = None) -> dict[str, Any]:
    owner = {"kind": "Job", "uid": uid}
    metadata = {"name": f"job-{uid}", "namespace": "team", "resourceVersion": "7", "ownerReferences": [owner]}
    metadata["annotations"] = {PAUSED: signed(mark, KEY, uid, "Workload")} if mark else {}
    podset = {"flavors": {"nvidia.com/gpu": "gpu"}, "resourceUsage": {"nvidia.com/gpu": str(gpus)}}
    admission = {"admission": {"clusterQueue": "site", "podSetAssignments": [podset]}} if gpus else {}
    return {"metadata": metadata, "spec": {"active": active}, "status": admission}


def read(*rows: dict[str, Any], workloads: Any = (), pods: int = 2) -> list[KubernetesJob]:
    made, wrong = workloads_of(workloads, KEY)
    jobs, faults = jobs_of(rows, made, {row["metadata"]["uid"]: pods for row in rows}, KEY, RULES)
    assert not wrong
    assert not faults
    return jobs


def lasting(limit_s: int) -> dict[str, Any]:
    """With a time limit that only Kubernetes has room for."""
    row = a_job("a", deadline="2030-01-01T00:00:00Z")
    row["spec"]["activeDeadlineSeconds"] = limit_s
    return row


@given(MARKS)
def test_a_mark_is_read_as_it_was_written(mark: Mark) -> None:
    assert mark_of(signed(mark, KEY, "a", "Job"), KEY, "a", "Job") == mark


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (a_job("a", power_w="40kW"), "power_w: expected a valid integer, got '40kW'"),
        (a_job("a", pause="stop"), "pause: "),
        (a_job("a", deadlin="2030-01-01T00:00:00Z"), "deadlin: "),
        (a_job("a", deadline="tomorrow"), "deadline: "),
        (a_job("a", power_w=100_000_000), "power_w: expected at most 20000, got 100000000"),
        (lasting(2**63 - 1), "activeDeadlineSeconds: expected whole seconds up to 31622400, got 9223372036854775807"),
        (a_job("a", paused="yes"), "gridsignal/paused: expected what an agent wrote here, signed, got 'yes'"),
        (a_job("a", labels={"kueue.x-k8s.io/queue-name": "team"}), "expected a Workload that Kueue made of it"),
    ],
)
def test_a_job_with_a_fault_is_named_and_not_touched(row: dict[str, Any], fault: str) -> None:
    jobs, faults = jobs_of([row], [], {}, KEY, RULES)
    assert not jobs
    assert faults[0].startswith("job team/a: ")
    assert fault in faults[0]


def test_what_is_not_labelled_or_another_controller_s_or_over_is_not_touched() -> None:
    switched_off, owned, over = a_job("off", labels={FLEXIBLE: "no"}), a_job("owned"), a_job("over")
    owned["metadata"]["ownerReferences"] = [{"kind": "JobSet", "uid": "x", "controller": True}]
    over["status"]["conditions"] = [{"type": "Complete", "status": "True"}]
    jobs, faults = jobs_of([switched_off, owned, over], [], {}, KEY, RULES)
    assert not jobs
    assert faults == ["job team/owned: expected a Job of its own, got one that a JobSet owns"]


FORGED = {"since": "2024-05-12T17:00:00Z", "until": "2024-05-12T19:00:00Z", "for": "x", "queue": "site"}
FORGED |= {"pods": 20_000, "pod_w": 1000, "usage": {GPU: "8"}}


@pytest.mark.parametrize(
    "said",
    [
        FORGED,
        FORGED | {"usage": {GPU: "NaN"}},
        FORGED | {"usage": {GPU: "1e999999999"}},
        FORGED | {"usage": {GPU: "-8"}},
        FORGED | {"until": "2024-05-12T19:00:00"},
        FORGED | {"pods": -20_000},
        FORGED | {"pods": True},
        FORGED | {"pods": 10**9},
        FORGED | {"pod_w": 10**15},
        "[" * 50_000,
    ],
    ids=lambda said: json.dumps(said)[-40:],
)
def test_a_mark_that_no_agent_wrote_or_none_would_is_a_fault_of_its_job_alone(said: Any) -> None:
    """Unsigned, signed by another, copied from another Job or kind of object, and, but for the first, signed by us."""
    text = said if isinstance(said, str) else json.dumps(said)
    ours = [Text(text), *([Text(text, KEY)] if said is not FORGED else [])]
    for written_by in (*ours, Text(text, b"x" * 32), Text(text, KEY, "b"), Text(text, KEY, "bad", "Workload")):
        jobs, faults = jobs_of(
            [a_job("bad", suspend=True, paused=str(written_by)), a_job("good")], [], {"good": 2}, KEY, RULES
        )
        assert [job.uid for job in jobs] == ["good"]
        assert (paused_w(jobs), room_w(jobs, NOW)) == (0, 2000)
        assert len(faults) == 1
        assert faults[0].startswith("job team/bad: gridsignal/paused: expected ")


class Text:
    """An annotation as somebody makes it."""

    def __init__(self, said: str, key: bytes | None = None, uid: str = "bad", kind: str = "Job") -> None:
        self._said, self._key, self._of = said, key, (uid, kind)

    def __str__(self) -> str:
        return self._said if self._key is None else signed(cast(Mark, self._said), self._key, *self._of)


def test_labels_count_in_the_namespaces_that_are_named_and_what_was_done_everywhere() -> None:
    paused = signed(Mark(NOW, UNTIL, "order-1", 2, 1000), KEY, "paused", "Job")
    rows = [a_job("free"), a_job("paused", suspend=True, paused=paused)]
    jobs, faults = jobs_of(rows, [], {"free": 2}, KEY, Rules(frozenset({"other"})))
    assert [(job.uid, job.label, job.is_paused) for job in jobs] == [("paused", None, True)]
    assert not faults
    jobs, _ = jobs_of(rows, [], {"free": 2}, KEY, Rules(frozenset({"team"})))
    assert [job.label is None for job in jobs] == [False, False]


def test_a_pod_or_a_workload_elsewhere_is_not_a_job_s_own() -> None:
    pod = {"metadata": {"namespace": "evil", "ownerReferences": [{"kind": "Job", "uid": "a"}]}}
    pod |= {"spec": {"nodeName": "n"}}
    assert pods_of([pod], {"a": "team"}) == {}
    assert pods_of([pod], {"a": "evil"}) == {"a": 1}
    workload = a_workload("a", mark=Mark(NOW, UNTIL, pods=2, pod_w=1000), active=False)
    workload["metadata"]["namespace"] = "evil"
    jobs, _ = jobs_of([a_job("a")], workloads_of([workload], KEY)[0], {"a": 2}, KEY, RULES)
    assert jobs[0].workload is None


def test_a_job_that_lost_its_label_can_be_given_back() -> None:
    mark = Mark(NOW, UNTIL, "order-1", 2, 1000, "site", {GPU: Decimal(2)})
    (job,) = read(workloads=[a_workload("gone", gpus=0, active=False, mark=mark)])
    assert (job.label, job.mark, job.is_paused) == (None, mark, True)
    assert chosen([job], 1000, UNTIL) == ([], [])


def test_the_cheapest_are_paused_and_nobody_without_whom_it_is_enough() -> None:
    late = {"deadline": "2024-05-12T19:30:00Z", "duration_s": "3600"}
    jobs = read(
        a_job("dear", priority="5"), a_job("small", 500), a_job("large", 2000), a_job("late", 9000, **late),
        a_job("never", 9000, pause="no"),
    )  # fmt: skip
    for shed_w, expected in ((1, "large"), (4000, "large"), (4001, "large small"), (9999, "dear large small")):
        taken, held = chosen(jobs, shed_w, UNTIL)
        assert sorted(job.uid for job in taken) == expected.split()
        assert not held
    assert [job.uid for job in chosen(jobs, 4000, UNTIL, refused=["large"])[0]] == ["small", "dear"]


def test_pods_that_are_still_there_are_not_shed() -> None:
    mark = Mark(NOW, UNTIL, "order-1", 2, 1000)
    row = a_job("a", suspend=True, paused=signed(mark, KEY, "a", "Job"))
    for pods, shed_w in ((2, 0), (1, 1000), (0, 2000)):
        jobs = read(row, pods=pods)
        assert paused_w(jobs) == shed_w
        assert [job.uid for job in chosen(jobs, 2000, UNTIL)[0]] == ["a"]
    assert paused_w(read(a_job("theirs", suspend=True), pods=0)) == 0, "somebody else has suspended it"


def test_who_waits_in_a_queue_is_held_and_takes_nothing_from_who_runs() -> None:
    rows = [a_job("runs"), a_job("waits", hold="yes"), a_job("free")]
    made = [a_workload("runs"), a_workload("waits", gpus=0), a_workload("free", gpus=0)]
    jobs, _ = jobs_of(rows, workloads_of(made, KEY)[0], {"runs": 2}, KEY, RULES)
    taken, held = chosen(jobs, 1, UNTIL)
    assert [job.uid for job in taken] == ["runs"]
    assert [job.uid for job in held] == ["waits"]


def test_the_planner_gets_jobs_with_a_deadline_and_hears_of_the_others() -> None:
    done = {"deadline": "2024-05-12T23:00:00Z", "duration_s": "7200"}
    found, progress, faults = to_plan(read(a_job("a", **done), a_job("b")), NOW)
    assert [(job.job_id, job.power_w, job.duration_s) for job in found] == [("kube-a", 2000, 3600)]
    assert progress["kube-a"].is_running
    assert faults == ["job team/b: expected a deadline and a duration-s or activeDeadlineSeconds, got none"]


def test_quantities_are_read_and_written_as_kubernetes_has_them() -> None:
    for text, amount in {"8": 8, "500m": "0.5", "64Gi": 64 * 2**30, "1k": 1000, "2e3": 2000}.items():
        assert quantity(text) == Decimal(amount)
        assert quantity(written(Decimal(amount))) == Decimal(amount)
    for text in ("", "8 GB", "1.2.3", "Gi", "NaN", "1e999999999", "9e9999999E"):
        with pytest.raises(ValueError, match="expected a quantity"):
            quantity(text)


def a_queue(nominal: str, lending: str | None) -> dict[str, Any]:
    resource = {"name": "nvidia.com/gpu", "nominalQuota": nominal} | ({"lendingLimit": lending} if lending else {})
    groups = [{"coveredResources": ["nvidia.com/gpu"], "flavors": [{"name": "gpu", "resources": [resource]}]}]
    return {"metadata": {"name": "site"}, "spec": {"resourceGroups": groups}}


def changed(queue: dict[str, Any], change: Any) -> dict[str, Any]:
    """As the API merges it."""
    found = deepcopy(queue)
    if change is not None:
        notes = found["metadata"].get("annotations", {}) | change["metadata"]["annotations"]
        found["metadata"]["annotations"] = {name: text for name, text in notes.items() if text is not None}
        found["spec"] = change["spec"]
    return found


def quotas(queue: dict[str, Any]) -> tuple[Decimal, Decimal | None]:
    (resource,) = queue["spec"]["resourceGroups"][0]["flavors"][0]["resources"]
    lending = resource.get("lendingLimit")
    return quantity(resource["nominalQuota"]), None if lending is None else quantity(lending)


QUOTAS = st.integers(0, 100).map(str) | st.integers(0, 10**5).map(lambda amount: f"{amount}m")


@given(QUOTAS, st.none() | QUOTAS, st.lists(AMOUNT, max_size=3), AMOUNT)
def test_a_quota_is_lowered_never_below_what_others_use_and_comes_back_as_it_was(
    nominal: str, lending: str | None, freed: list[Decimal], others: Decimal
) -> None:
    if lending is not None and quantity(lending) > quantity(nominal):
        lending = nominal  # Kueue takes no more
    before = queue = a_queue(nominal, lending)
    for amount in freed:
        queue = changed(queue, lowered(queue, {GPU: amount}, {GPU: others}))
        now, lends = quotas(queue)
        assert now == max(quantity(nominal) - amount, min(quantity(nominal), others), 0)
        assert lends is None or lends == min(quantity(lending), now)
        assert lowered(queue, {GPU: amount}, {GPU: others}) is None, "it is so already"
    queue = changed(queue, lowered(queue, {}, {}))
    assert quotas(queue) == quotas(before)
    assert LOWERED not in queue["metadata"].get("annotations", {})


def test_a_quota_that_somebody_changes_meanwhile_is_theirs() -> None:
    queue = changed(a_queue("8", None), lowered(a_queue("8", None), {GPU: Decimal(4)}, {}))
    queue["spec"]["resourceGroups"][0]["flavors"][0]["resources"][0]["nominalQuota"] = "12"
    queue = changed(queue, lowered(queue, {GPU: Decimal(4)}, {}))
    assert quotas(queue)[0] == 8
    assert json.loads(queue["metadata"]["annotations"][LOWERED]) == {f"{GPU}|nominalQuota": ["12", "8"]}
    assert quotas(changed(queue, lowered(queue, {}, {})))[0] == 12


def test_a_kubeconfig_is_read_with_files_beside_it_and_its_faults_are_named(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("PEM", "utf-8")
    cluster = {"server": "https://127.0.0.1:6443", "certificate-authority": "ca.crt"}
    key = base64.b64encode(b"KEY").decode()
    told: dict[str, Any] = {
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"tokenFile": "token", "client-key-data": key}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "grid"}}],
        "current-context": "x",
    }
    file = tmp_path / "config"
    file.write_text(json.dumps(told), "utf-8")
    access = kubeconfig(file)
    assert (access.server, access.authority, access.namespace) == ("https://127.0.0.1:6443", "PEM", "grid")
    assert (access.token_file, access.key) == (tmp_path / "token", b"KEY")
    with pytest.raises(UsageError, match="expected 'y' among contexts, got \\['x'\\]"):
        kubeconfig(file, "y")
    told["users"][0]["user"] = {"exec": {"command": "login"}}
    file.write_text(json.dumps(told), "utf-8")
    with pytest.raises(UsageError, match="expected a token, tokenFile or a client certificate, got exec"):
        kubeconfig(file)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: [", "line 1, column 5: expected a kubeconfig in YAML"),
        ('users:\n- user:\n    token: "SECRET\n', "line 4, column 1: expected a kubeconfig in YAML"),
        ("users:\n- user:\n    token: SECRET: x: y\n", "line 3, column 18: expected a kubeconfig in YAML"),
        ("token: !!int SECRET\n", "expected a kubeconfig in YAML"),
        ("current-context: x\ncontexts: SECRET\n", "expected a kubeconfig: TypeError"),
        ("contexts: []\n", "got none of 'current-context'"),
        (
            "current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n"
            "clusters: [{name: c, cluster: {server: 'https://me:SECRET@k8s:6443'}}]\nusers: [{name: u}]",
            "without a password in it, got https://k8s:6443",
        ),
    ],
)
def test_a_fault_of_a_kubeconfig_says_where_and_never_what_is_secret(tmp_path: Path, text: str, fault: str) -> None:
    file = tmp_path / "config"
    file.write_text(text, "utf-8")
    with pytest.raises(UsageError) as wrong:
        kubeconfig(file)
    assert fault in str(wrong.value)
    assert "SECRET" not in str(wrong.value)


def test_a_pod_reaches_its_cluster_by_its_service_account(tmp_path: Path) -> None:
    for name, text in {"ca.crt": "PEM", "namespace": "grid\n", "token": "secret"}.items():
        (tmp_path / name).write_text(text, "utf-8")
    access = in_cluster({"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}, tmp_path)
    assert (access.server, access.namespace, access.token_file) == (
        "https://[fd00::1]:6443",
        "grid",
        tmp_path / "token",
    )
    with pytest.raises(UsageError, match="expected a kubeconfig, or to run as a pod's service account"):
        in_cluster({}, tmp_path)
