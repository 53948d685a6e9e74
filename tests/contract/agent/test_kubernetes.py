"""The agent on the API of a Kubernetes with Kueue: what it writes, in which order, and who else may."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gridsignal.agent.actuators import ActuatorFailed
from gridsignal.agent.actuators.kubernetes import KubernetesActuator
from gridsignal.agent.actuators.kubernetes_api import KubernetesApi
from gridsignal.agent.kubeconfig import kubeconfig
from gridsignal.agent.kubernetes import FLEXIBLE, PAUSED
from gridsignal.agent.kubernetes_quota import LOWERED
from gridsignal.agent.schedule import Commitment, Schedule, net
from tests.builders import utc
from tests.contract.agent.kubernetes_api import JOBS, LEASES, QUEUES, SECRETS, WORKLOADS, Cluster, served
from tests.patience import SOON_S

NOW = utc("18:00")
LATER = NOW + timedelta(minutes=10)
GPU = "nvidia.com/gpu"


def a_job(cluster: Cluster, name: str, *, gpus: int = 0, labelled: bool = True, **said: str) -> None:
    """Of two pods of 1 kW; with GPUs Kueue manages it."""
    metadata: dict[str, Any] = {"name": name, "uid": name, "namespace": "team"}
    metadata["labels"] = {FLEXIBLE: "yes"} if labelled else {}
    metadata["annotations"] = {f"gridsignal/{key}": text for key, text in {"pause": "yes", **said}.items()}
    metadata["annotations"]["gridsignal/power-w"] = "1000"
    cluster.put(JOBS, {"metadata": metadata, "spec": {"parallelism": 2, "suspend": False}})
    if gpus:
        podset = {"flavors": {GPU: "gpu"}, "resourceUsage": {GPU: str(gpus)}}
        asks = {"clusterQueue": "site", "podSetAssignments": [podset]}
        owner = {"name": f"job-{name}", "namespace": "team", "ownerReferences": [{"kind": "Job", "uid": name}]}
        cluster.put(WORKLOADS, {"metadata": owner, "spec": {"active": True, "asks": asks}})


@pytest.fixture
def cluster() -> Cluster:
    """8 GPUs, all in use: four by labelled Jobs, four by somebody else's; and a labelled Job without Kueue."""
    made = Cluster()
    resource = {"name": GPU, "nominalQuota": "8"}
    groups = [{"coveredResources": [GPU], "flavors": [{"name": "gpu", "resources": [resource]}]}]
    made.put(QUEUES, {"metadata": {"name": "site"}, "spec": {"resourceGroups": groups}})
    for name, gpus in (("a", 2), ("b", 2), ("plain", 0)):
        a_job(made, name, gpus=gpus, **{"priority": "1"} if name == "plain" else {})
    a_job(made, "theirs", gpus=4, labelled=False)
    made.settle()
    return made


@pytest.fixture
async def agent(cluster: Cluster, tmp_path: Path) -> AsyncIterator[Callable[..., KubernetesActuator]]:
    """An agent on it; with another name it is another one."""
    made = list[KubernetesActuator]()
    with served(cluster, tmp_path) as file:

        def make(name: str = "agent") -> KubernetesActuator:
            made.append(KubernetesActuator(KubernetesApi(kubeconfig(file), timeout_s=SOON_S), tmp_path / name))
            return made[-1]

        yield make
        for each in made:
            await each.aclose()


def shed(*watts: int, until: str = "18:45") -> Schedule:
    return net([Commitment(f"order-{at}", NOW, utc(until), each) for at, each in enumerate(watts, 1)], NOW)


async def test_orders_add_up_and_come_back_and_nobody_else_s_work_is_touched(cluster: Cluster, agent: Any) -> None:
    actuator = agent()
    assert "3 labelled jobs, 6 kW could be paused, Kueue v1beta2" in await actuator.check(NOW)
    for watts, shed_w, quota in (((2000,), 2000, "6"), ((2000, 1000), 4000, "4"), ((2000, 1000, 2000), 6000, "4")):
        actions = await actuator.apply(shed(*watts), NOW)
        assert actions[0].reason.endswith(f"order-{len(watts)}")
        assert (await actuator.observe(NOW)).shed_w == (await agent().observe(NOW)).shed_w == shed_w
        assert cluster.quota() == quota
        assert await actuator.apply(shed(*watts), NOW) == (), "the same once more does nothing"
    assert [cluster.pods(name) for name in ("a", "b", "plain", "theirs")] == [0, 0, 0, 2]
    for watts, quota, pods in (((2000,), "6", 4), ((), "8", 6)):
        await actuator.apply(shed(*watts), LATER)
        assert cluster.quota() == quota
        assert sum(cluster.pods(name) for name in ("a", "b", "plain")) == pods
    marks = [
        row["metadata"].get("annotations", {}) for path in (JOBS, WORKLOADS) for row in cluster.rows[path].values()
    ]
    assert not any(PAUSED in each for each in marks)
    assert LOWERED not in cluster.rows[QUEUES]["site"]["metadata"]["annotations"]
    assert not {name for _, name in cluster.changes} & {"theirs", "job-theirs"}


async def test_the_quota_goes_first_and_comes_last(cluster: Cluster, agent: Any) -> None:
    actuator = agent()
    await actuator.apply(shed(4000), NOW)
    await actuator.apply(Schedule(), LATER)
    patched = [name for method, name in cluster.changes if method == "PATCH"]
    assert patched == ["site", "job-a", "job-b", "job-a", "job-b", "site"]


async def test_somebody_else_s_change_in_between_is_read_and_kept(cluster: Cluster, agent: Any) -> None:
    actuator = agent()
    cluster.meanwhile += ["site", "job-a", "job-b"]
    actions = await actuator.apply(shed(4000), NOW)
    assert ["team/a" in action.what and "team/b" in action.what for action in actions] == [True]
    assert ((await actuator.observe(NOW)).shed_w, cluster.quota()) == (4000, "4")


async def test_an_agent_that_is_killed_anywhere_leaves_what_the_next_one_finds(cluster: Cluster, agent: Any) -> None:
    """Each change is the last one once: the connection is gone then. Another begins anew, and gives all of it back."""
    cluster.lasts = {"a"}
    for least in range(1, 9):
        killed, cluster.changes = agent(), []
        original = killed._api.patch

        async def patch(*words: Any, original: Any = original, least: int = least) -> None:
            if len(cluster.changes) >= least:
                raise ActuatorFailed("killed")
            await original(*words)

        killed._api.patch = patch
        with suppress(ActuatorFailed):
            await killed.apply(shed(6000), NOW)
        with suppress(ActuatorFailed):
            await killed.apply(Schedule(), LATER)
        assert await agent().release(NOW) == (), "it is not over"
        cluster.lasts = set()
        await agent().release(LATER, everything=True)
        assert cluster.quota() == "8"
        assert [cluster.pods(name) for name in ("a", "b", "plain", "theirs")] == [2, 2, 2, 2]


async def test_pods_that_do_not_go_are_not_said_to_be_gone(cluster: Cluster, agent: Any) -> None:
    actuator = agent()
    cluster.lasts = {"a"}
    await actuator.apply(shed(4000), NOW)
    assert (await actuator.observe(NOW)).shed_w == 2000
    cluster.lasts = set()
    cluster.settle()
    assert (await actuator.observe(NOW)).shed_w == 4000


async def test_what_is_refused_is_told_and_others_take_its_place(cluster: Cluster, agent: Any) -> None:
    actuator = agent()
    cluster.forbidden = {"job-a"}
    with pytest.raises(ActuatorFailed, match=r"PATCH .*/workloads/job-a: 403 job-a is forbidden"):
        await actuator.apply(shed(4000), NOW)
    assert (await actuator.observe(NOW)).shed_w == 4000, "b, and the one without Kueue"
    assert cluster.quota() == "6"
    cluster.forbidden = {"site"}
    with pytest.raises(ActuatorFailed, match=r"PATCH .*/clusterqueues/site: 403"):
        await actuator.apply(shed(6000), NOW)
    assert (await actuator.observe(NOW)).shed_w == 4000, "whose quota can't be lowered is not paused"


async def test_a_second_agent_is_refused_until_the_first_is_silent(cluster: Cluster, agent: Any) -> None:
    first, second = agent(), agent("another")
    await first.apply(shed(2000), NOW)
    for elapsed_s in (10, 45, 45):
        cluster.now += elapsed_s
        with pytest.raises(ActuatorFailed, match="expected to be the only agent here, got another that is at work"):
            await second.apply(shed(4000), NOW)
        await first.apply(shed(2000), NOW)
    assert [name for method, name in cluster.changes if method == "PUT"] == [next(iter(cluster.rows[LEASES]))] * 2
    cluster.now += 61
    await second.apply(shed(4000), NOW)
    with pytest.raises(ActuatorFailed, match="another that is at work"):
        await first.apply(shed(2000), NOW)


async def test_a_job_that_waits_is_held_and_let_go_of(cluster: Cluster, agent: Any) -> None:
    a_job(cluster, "next", gpus=2, hold="yes")
    actuator = agent()
    await actuator.apply(shed(2000), NOW)
    assert cluster.rows[WORKLOADS]["job-next"]["spec"]["active"] is False
    assert cluster.quota() == "6", "it had no quota"
    await actuator.apply(Schedule(), LATER)
    assert cluster.rows[WORKLOADS]["job-next"]["spec"]["active"] is True


async def test_a_right_that_is_missing_is_named(cluster: Cluster, agent: Any) -> None:
    cluster.forbidden = {"clusterqueues"}
    with pytest.raises(ActuatorFailed, match=r"expected the right to list clusterqueues \(kueue.x-k8s.io\), got none"):
        await agent().check(NOW)
    cluster.forbidden = {WORKLOADS}
    with pytest.raises(ActuatorFailed, match="403"):
        await agent().observe(NOW)


async def test_a_note_that_somebody_else_wrote_moves_nothing_and_is_named(cluster: Cluster, agent: Any) -> None:
    """Made up, or copied from a Job that the agent has paused: whoever may write a Job may write both."""
    await agent().apply(shed(6000), NOW)
    copied = [cluster.rows[WORKLOADS]["job-a"], cluster.rows[JOBS]["plain"]]
    made_up = '{"since":"2024-05-12T17:00:00Z","until":"2024-05-12T19:00:00Z","for":"x","pods":20000,"pod_w":1000,'
    made_up += '"queue":"site","usage":{"gpu|nvidia.com/gpu":"NaN"}}'
    for at, note in enumerate([made_up, *(row["metadata"]["annotations"][PAUSED] for row in copied)]):
        a_job(cluster, f"forged-{at}")
        forged = cluster.rows[JOBS][f"forged-{at}"]
        forged["metadata"]["annotations"][PAUSED] = note
        forged["metadata"]["labels"][PAUSED] = "yes"
        forged["spec"]["suspend"] = True
    cluster.settle()
    actuator = agent()
    for asked_w, quota in ((6000, "4"), (2000, "6"), (0, "8")):
        await actuator.apply(shed(asked_w) if asked_w else Schedule(), NOW)
        assert ((await actuator.observe(NOW)).shed_w, cluster.quota()) == (asked_w, quota)
        assert (await actuator.check(NOW)).count("/forged-") == 3
    assert await agent("elsewhere").release(LATER, everything=True) == ()
    assert not [name for _, name in cluster.changes if "forged" in name]


async def test_without_the_cluster_s_time_nobody_takes_a_lease(cluster: Cluster, agent: Any) -> None:
    actuator, cluster.tells_time = agent(), False
    for _ in range(2):  # a first Lease, and one that is there
        with pytest.raises(ActuatorFailed, match="expected an answer with a Date, got none"):
            await actuator.apply(shed(2000), NOW)
        assert (await actuator.observe(NOW)).shed_w == 0
        assert not cluster.changes
        cluster.put(LEASES, {"metadata": {"name": "gridsignal-agent"}, "spec": {}})


async def test_a_secret_without_a_key_is_named(cluster: Cluster, agent: Any) -> None:
    cluster.put(SECRETS, {"metadata": {"name": "gridsignal-agent"}, "data": {"key": "c2hvcnQ="}})
    with pytest.raises(ActuatorFailed, match="the Secret gridsignal-agent: expected key of 32 bytes or more, got 5"):
        await agent().apply(shed(2000), NOW)
    assert not cluster.changes
