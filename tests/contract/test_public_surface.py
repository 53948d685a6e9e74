"""What others may rest on: the SDK's names, and what importing it costs."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BASE = {"pydantic", "websockets"}

SHOWN = "import sys, json; {code}; print(json.dumps(sorted(sys.modules)))"


def loaded_by(code: str) -> set[str]:
    """The modules a fresh interpreter has loaded after running this code."""
    run = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", SHOWN.format(code=code)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return set(json.loads(run.stdout.splitlines()[-1]))


def optional_modules() -> set[str]:
    """The import names of everything that pyproject.toml lists under an extra."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    wanted = {re.split(r"[\[<>=~! ]", line, maxsplit=1)[0].lower() for lines in extras.values() for line in lines}
    wanted.discard("gridsignal")
    found = {
        module
        for module, distributions in packages_distributions().items()
        if wanted & {name.lower() for name in distributions}
    }
    assert {"fastavro", "fastapi", "rich", "pytest"} <= found, "the list of extras can't be read any more"
    return found


@pytest.mark.parametrize("module", ["gridsignal", "gridsignal_schemas.messages", "gridsignal_schemas.frames"])
def test_the_base_install_loads_nothing_of_the_server(module: str) -> None:
    loaded = {name.split(".")[0] for name in loaded_by(f"import {module}")}
    assert loaded & (optional_modules() | {"gridsignal_services"}) == set()


def test_the_command_line_loads_nothing_heavy_before_it_knows_what_to_do() -> None:
    loaded = {name.split(".")[0] for name in loaded_by("import gridsignal.__main__")}
    assert loaded & (optional_modules() | BASE | {"gridsignal_services", "asyncio", "sqlite3"}) == set()


@pytest.mark.parametrize("package", ["gridsignal", "gridsignal_schemas.messages"])
def test_all_says_exactly_what_there_is(package: str) -> None:
    module = importlib.import_module(package)
    assert len(module.__all__) == len(set(module.__all__))
    assert all(hasattr(module, name) for name in module.__all__)


def test_the_sdk_offers_what_the_readme_promises() -> None:
    sdk = importlib.import_module("gridsignal")
    promised = {"connect", "Grid", "MW", "KW", "SpotPrice", "CarbonIntensity", "GridAlert", "DispatchRequest",
                "DispatchOrder", "OfferDecision", "FlexOffer"}  # fmt: skip
    assert promised <= set(sdk.__all__)


def test_importing_the_sdk_starts_nothing() -> None:
    code = "import threading, gridsignal; assert threading.active_count() == 1"
    loaded_by(code)
