"""The wheel a data center installs: two dependencies, the contract inside, nothing of the server needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from gridsignal_schemas.messages import RECORDS

ROOT = Path(__file__).parents[2]
PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input")
OFFLINE = ("Failed to establish a new connection", "Temporary failure in name resolution", "No matching distribution")
PROGRAM = """
import json, sys
import gridsignal
from gridsignal_schemas.catalog import avro_schema, TOPICS
from gridsignal_schemas.messages import RECORDS
for record in RECORDS:
    avro_schema(record)
print(json.dumps({"topics": len(TOPICS), "modules": sorted({name.split(".")[0] for name in sys.modules})}))
"""


def run(*command: str | Path, cwd: Path) -> str:
    """What a command printed; the test fails with its error otherwise."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=cwd, env=environment)
    if done.returncode != 0 and any(sign in done.stderr for sign in OFFLINE):
        pytest.skip("needs a package index that answers")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as a release builds it."""
    target = tmp_path_factory.mktemp("wheel")
    run(sys.executable, *PIP, "wheel", "--quiet", "--no-deps", "--wheel-dir", target, ROOT, cwd=target)
    (built,) = target.glob("*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_holds_four_packages_and_the_whole_contract(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    roots = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert roots == {"gridsignal", "gridsignal_protocol", "gridsignal_schemas", "gridsignal_services"}
    for record in RECORDS:
        assert f"gridsignal_schemas/avro/{record}.avsc" in names
        assert f"gridsignal_schemas/examples/{record}.ordinary.json" in names
    typed = ("gridsignal", "gridsignal_protocol", "gridsignal_schemas")
    assert {f"{package}/py.typed" for package in typed} <= set(names)
    assert "gridsignal_schemas/topics.toml" in names


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment's folder of programs, with the base install and nothing else."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder, with_pip=True)
    run(folder / "bin" / "python", *PIP, "install", "--quiet", wheel, cwd=folder)
    return folder / "bin"


@pytest.mark.slow
def test_a_clean_environment_with_the_base_install_imports_the_sdk(clean: Path, tmp_path: Path) -> None:
    told = json.loads(run(clean / "python", "-W", "error", "-c", PROGRAM, cwd=tmp_path))
    assert told["topics"] == 7
    assert "gridsignal_services" not in told["modules"]
    listed = json.loads(run(clean / "python", *PIP, "list", "--format=json", cwd=tmp_path))
    installed = {row["name"].lower() for row in listed}
    assert {"gridsignal", "pydantic", "websockets"} <= installed
    assert installed.isdisjoint({"fastapi", "fastavro", "uvicorn", "rich", "structlog", "joserfc", "cryptography"})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "extra"),
    [("watch", ".[cli]"), ("key", ".[cli,signing]"), ("up", ".[server]")],
)
def test_a_command_whose_extra_is_missing_names_it(clean: Path, tmp_path: Path, command: str, extra: str) -> None:
    done = subprocess.run(
        [clean / "gridsignal", command], capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path
    )
    assert done.returncode == 2, done.stderr
    assert extra in done.stderr
    assert "Traceback" not in done.stderr
