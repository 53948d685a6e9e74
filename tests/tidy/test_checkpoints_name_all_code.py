"""A checkpoint is read by the code that wrote it: its hash covers every module that makes the state out of the log."""

from __future__ import annotations

import ast
from pathlib import Path

from gridsignal_services.checkpoints.code import PARTS
from tests.tidy.sources import ROOT, Source, sources

SERVICES = ROOT / "services" / "gridsignal_services"
BESIDE = {"gridsignal_services.telemetry", "gridsignal_services.supervised", "gridsignal_services.settings"}
BESIDE |= {"gridsignal_services.work", "gridsignal_services.timeouts", "gridsignal_services.case_files"}
"""What writes our own log lines, keeps a task going, says how a broker is reached, counts what a caller's answer costs,
ends a wait, reads a file that is no log: no state is made of it."""


def test_everything_that_makes_the_state_is_in_the_hash() -> None:
    covered = [SERVICES / part for part in PARTS]
    assert all(path.exists() for path in covered)
    inside = [source for source in sources("services") if is_in(source.path, covered)]
    missing = {
        name for source in inside for name in imported(source) if not any(is_in(path, covered) for path in paths(name))
    }
    assert {name for name in missing - BESIDE if name.startswith("gridsignal_services.")} == set()


def test_whoever_writes_in_its_form_is_in_the_hash() -> None:
    """What is kept beside the checkpoints is gone on with by the same code alone, too."""
    covered = [SERVICES / part for part in PARTS]
    writers = [each for each in sources("services") if "gridsignal_services.checkpoints.lines" in imported(each)]
    assert SERVICES / "dispatch" / "parts.py" in [each.path for each in writers]
    assert [each.path for each in writers if not is_in(each.path, covered)] == []


def paths(name: str) -> list[Path]:
    """Where a module may lie."""
    place = SERVICES.parent.joinpath(*name.split("."))
    return [place.with_suffix(".py"), place / "__init__.py"]


def is_in(path: Path, covered: list[Path]) -> bool:
    return any(path == each or each in path.parents for each in covered)


def imported(source: Source) -> set[str]:
    return {node.module for node in ast.walk(source.tree) if isinstance(node, ast.ImportFrom) and node.module}
