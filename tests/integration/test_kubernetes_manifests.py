"""deploy/kubernetes, built as kubectl does: Kubernetes knows it, doors start with it, it says what compose says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from gridsignal.__main__ import COMMANDS
from gridsignal_services.gateway.gauges import Gauges
from gridsignal_services.gateway.settings import GatewaySettings
from gridsignal_services.registry import example_registry_text
from gridsignal_services.serving import DOORS, checks
from gridsignal_services.settings import ServerSettings
from tests.certificates import Authority

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "deploy" / "kubernetes"
PAGE = (ROOT / "docs" / "kubernetes.md").read_text("utf-8")
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
OVERLAYS = sorted(path.name for path in (MANIFESTS / "overlays").iterdir())
Manifest = dict[str, Any]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Manifest]]:
    """What each overlay comes to, by kustomize's own library."""
    if (go := shutil.which("go")) is None:
        pytest.skip("needs Go 1.26 or newer, for kustomize")
    program = tmp_path_factory.mktemp("kustomize") / "kustomize"
    source, environment = ROOT / "tests" / "services" / "kustomize", os.environ | {"CGO_ENABLED": "0"}
    subprocess.run(
        [go, "build", "-buildvcs=false", "-o", str(program), "."], cwd=source, env=environment, check=True, timeout=600
    )
    found = {}
    for name in OVERLAYS:
        text = subprocess.check_output([program, MANIFESTS / "overlays" / name], timeout=60)
        found[name] = list(yaml.safe_load_all(text))
    return found


@pytest.fixture(params=OVERLAYS)
def manifests(request: pytest.FixtureRequest, built: dict[str, list[Manifest]]) -> list[Manifest]:
    return built[request.param]


def of_kind(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    return {one["metadata"]["name"]: one for one in manifests if one["kind"] == kind}


def pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    """The pod of each door, and of what sets up."""
    return {
        name: one["spec"]["template"]["spec"]
        for kind in ("Deployment", "Job")
        for name, one in of_kind(manifests, kind).items()
    }


def door_of(manifests: list[Manifest], door: str) -> Manifest:
    (container,) = pods(manifests)[door]["containers"]
    return container


def given_to(manifests: list[Manifest], container: Manifest) -> dict[str, str]:
    """A container's environment."""
    maps = of_kind(manifests, "ConfigMap")
    shared = [maps[one["configMapRef"]["name"]]["data"] for one in container["envFrom"] if "configMapRef" in one]
    return {key: value for data in shared for key, value in data.items()} | {
        one["name"]: one["value"] for one in container["env"]
    }


@pytest.mark.parametrize("version", ["1.30", "1.37"])
def test_kubernetes_knows_all_of_it(version: str, manifests: list[Manifest]) -> None:
    for one in manifests:
        kubernetes_validate.validate(one, version, strict=True)
    assert set(of_kind(manifests, "Deployment")) == set(DOORS)


@pytest.mark.parametrize("door", DOORS)
def test_a_door_starts_with_what_it_is_given(door: str, manifests: list[Manifest], tmp_path: Path) -> None:
    """Every setting is one, files and passwords beside."""
    certificate = str(Authority(tmp_path).certificate("door"))
    (tmp_path / "word").write_text("redis://cache:6379/0" if door != "dispatch" else "a word")
    (tmp_path / "sites.toml").write_text(example_registry_text(), "utf-8")
    files = {"TLS_CERTIFICATE": certificate, "TLS_KEY": certificate, "KAFKA_CA": certificate}
    files |= {"REGISTRY": str(tmp_path / "sites.toml"), "FEEDS": str(ROOT / "deploy" / "feeds.toml")}
    files |= {"KAFKA_PASSWORD_FILE": str(tmp_path / "word"), "REDIS_FILE": str(tmp_path / "word")}
    given = given_to(manifests, door_of(manifests, door))
    here = {f"GRIDSIGNAL_{key}": value for key, value in files.items() if f"GRIDSIGNAL_{key}" in given}
    settings = ServerSettings.from_environment(given | here, *checks(door))
    assert (settings.host, settings.ops_host, settings.kafka_username) == ("0.0.0.0", "0.0.0.0", door)
    asked = next(one for one in door_of(manifests, door)["ports"] if one["name"] == "door")["containerPort"]
    assert asked == getattr(ServerSettings(), f"{door}_port")
    assert {one["containerPort"] for one in door_of(manifests, door)["ports"]} == {
        asked,
        settings.ops_port_beside(asked),
    }


@pytest.mark.parametrize("door", DOORS)
def test_a_door_is_that_of_the_compose_stack(door: str, manifests: list[Manifest]) -> None:
    container, there = door_of(manifests, door), COMPOSE[door]
    assert container["args"] == there["command"]
    assert container["securityContext"]["readOnlyRootFilesystem"] == there["read_only"]
    assert container["securityContext"]["capabilities"]["drop"] == there["cap_drop"]
    secrets = {key for key in there["environment"] if key.endswith("_FILE")}
    given = given_to(manifests, container)
    assert {key: given[key] for key in secrets} == {key: there["environment"][key] for key in secrets}


def test_the_trial_has_the_memory_and_settings_of_the_compose_stack(built: dict[str, list[Manifest]]) -> None:
    for door in DOORS:
        most = door_of(built["trial"], door)["resources"]["limits"]["memory"]
        assert most.removesuffix("Mi") == COMPOSE[door]["mem_limit"].removesuffix("m")
    given, there = given_to(built["trial"], door_of(built["trial"], "gateway")), COMPOSE["gateway"]["environment"]
    said = {key: re.sub(r"\$\{\w+:-(.*)\}", r"\1", value) for key, value in there.items()}
    of_the_place = {"GRIDSIGNAL_GATEWAY_ORIGINS", "GRIDSIGNAL_LOG_LEVEL"}
    assert {key: given.get(key) for key in said.keys() - of_the_place} == {
        key: value for key, value in said.items() if key not in of_the_place
    }


def test_no_pod_may_more_than_it_needs(manifests: list[Manifest]) -> None:
    user = int(re.findall(r"useradd --uid (\d+)", (ROOT / "deploy" / "Dockerfile").read_text("utf-8"))[0])
    for pod in pods(manifests).values():
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["runAsUser"] == user
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            rights = container["securityContext"]
            assert (rights["allowPrivilegeEscalation"], rights["readOnlyRootFilesystem"]) == (False, True)
            assert rights["capabilities"] == {"drop": ["ALL"]}
            assert container["args"][0] in COMMANDS


def test_what_is_not_here_the_page_names(manifests: list[Manifest]) -> None:
    rows = re.findall(r"^\| (.*?) \|", PAGE, re.MULTILINE)
    named = {word for row in rows for word in re.findall(r"`([a-z-]+)`", row)}
    for pod in pods(manifests).values():
        wanted = {one["secret"]["secretName"] for one in pod["volumes"] if "secret" in one}
        wanted |= {one["configMap"]["name"] for one in pod["volumes"] if "configMap" in one}
        assert wanted <= named
    assert not of_kind(manifests, "Secret")


def test_no_door_has_the_keys_of_another(manifests: list[Manifest]) -> None:
    claims = {
        door: {one["persistentVolumeClaim"]["claimName"] for one in pod["volumes"] if "persistentVolumeClaim" in one}
        for door, pod in pods(manifests).items()
    }
    there = of_kind(manifests, "PersistentVolumeClaim")
    assert claims == {"gateway": {"gateway-keys"}, "dispatch": {"dispatch-keys"}, "ingest": set(), "setup": set()}
    assert set(there) == {"gateway-keys", "dispatch-keys"}
    assert all(f"`{name}`" in PAGE for name in there)
    for door in DOORS:
        mounted = {one["name"]: one["mountPath"] for one in door_of(manifests, door)["volumeMounts"]}
        assert mounted["keys"] == given_to(manifests, door_of(manifests, door))["GRIDSIGNAL_DIRECTORY"]


def test_a_gateway_has_the_time_to_send_its_clients_elsewhere(built: dict[str, list[Manifest]]) -> None:
    pod = pods(built["production"])["gateway"]
    scaler = of_kind(built["production"], "HorizontalPodAutoscaler")["gateway"]
    metric = scaler["spec"]["metrics"][0]["pods"]
    most = int(metric["target"]["averageValue"].replace("k", "000"))
    waits_s = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain = GatewaySettings(data_directory=Path())
    assert "replicas" not in of_kind(built["production"], "Deployment")["gateway"]["spec"], "its scaler says how many"
    needs_s = waits_s + drain.drain_spread_s + most / drain.drain_per_s
    assert needs_s < pod["terminationGracePeriodSeconds"]
    assert f"needs {needs_s:.0f} of its {pod['terminationGracePeriodSeconds']} seconds" in PAGE
    assert metric["metric"]["name"] in {one.name for one in Gauges().registry.collect()}


def test_every_selector_finds_its_pods(manifests: list[Manifest]) -> None:
    labels = {
        name: one["spec"]["template"]["metadata"]["labels"] for name, one in of_kind(manifests, "Deployment").items()
    }
    for kind in ("Service", "PodDisruptionBudget"):
        for name, one in of_kind(manifests, kind).items():
            selector = one["spec"]["selector"]
            wanted = selector.get("matchLabels", selector)
            assert [door for door, has in labels.items() if wanted.items() <= has.items()] == [name]
