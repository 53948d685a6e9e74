"""What is shipped to start from is right."""

from __future__ import annotations

from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from gridsignal.agent.actuators.kubernetes import KUEUE_RIGHTS, RIGHTS
from gridsignal.agent.config import config_of

ROOT = Path(__file__).parents[3]
CLUSTER = list(yaml.safe_load_all((ROOT / "deploy" / "agent" / "kubernetes.yaml").read_text("utf-8")))


@pytest.mark.parametrize("name", ["site.toml", "slurm.toml"])
def test_a_shipped_configuration_is_one(name: str) -> None:
    file = ROOT / "deploy" / "agent" / name
    assert config_of(file.read_bytes(), file.name).site == "fra-1"


def test_the_manifest_for_kubernetes_is_one_and_has_a_configuration() -> None:
    for each in CLUSTER:
        kubernetes_validate.validate(each, "1.34", strict=True)
    (told,) = (each["data"]["site.toml"] for each in CLUSTER if each["kind"] == "ConfigMap")
    assert config_of(told.encode(), "site.toml").actuator.kind == "kubernetes"


def test_the_agent_may_what_it_asks_for_and_no_more() -> None:
    rules = [rule for each in CLUSTER if each["kind"] in ("Role", "ClusterRole") for rule in each["rules"]]
    given = {
        (verb, group, kind) for r in rules for verb in r["verbs"] for group in r["apiGroups"] for kind in r["resources"]
    }
    assert given == {*RIGHTS, *KUEUE_RIGHTS}
