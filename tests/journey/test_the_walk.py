"""docs/walk.md: each step of its walks is a function of the file that it names, and is taken in that order."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.patience import LONG_S
from tests.tidy.sources import ROOT

PAGE = ROOT / "docs" / "walk.md"
_STEP = re.compile(r"^\d+\. \[`(?P<name>[\w.]+)`\]\((?P<file>[^)]+)\)", re.MULTILINE)
_NAMED = re.compile(r"\[`(?P<name>[\w.]+)`\]\((?P<file>[^)]+\.py)\)")


class Step(NamedTuple):
    """A function, by its file from the root and its qualified name."""

    file: str
    name: str


def steps_of(title: str) -> list[Step]:
    """The steps of one walk of the page."""
    (section,) = re.findall(
        rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    return [Step(_from_root(found["file"]), found["name"]) for found in _STEP.finditer(section)]


def _from_root(link: str) -> str:
    return (PAGE.parent / link).resolve().relative_to(ROOT).as_posix()


def first_not_taken(steps: Sequence[Step], taken: Sequence[Step]) -> Step | None:
    """The first step that does not come after those before it; None where all are taken in their order."""
    rest = iter(taken)
    return next((step for step in steps if step not in rest), None)


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Step]]:
    """Of each walk the functions of ours that were called."""
    line = [sys.executable, "-m", "tests.journey.walk_through", str(tmp_path_factory.mktemp("walk"))]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=LONG_S)
    assert done.returncode == 0, done.stderr[-2000:]
    taken = json.loads(done.stdout.splitlines()[-1])
    return {title: [Step(*step) for step in steps] for title, steps in taken.items()}


@pytest.mark.parametrize("title", ["A price", "An offer", "An order", "What it is worth"])
def test_everything_goes_the_way_that_the_page_tells(walks: dict[str, list[Step]], title: str) -> None:
    steps = steps_of(title)
    assert steps
    missing = first_not_taken(steps, walks[title])
    assert missing is None, f"{missing} is not taken" + " in its turn" * (missing in walks[title])


def test_every_function_that_the_page_names_is_in_its_file() -> None:
    lacking = []
    for found in _NAMED.finditer(PAGE.read_text("utf-8")):
        file = _from_root(found["file"])
        names = {Path(file).name}
        for node in ast.walk(ast.parse((ROOT / file).read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                names |= {f"{node.name}.{part.name}" for part in node.body if isinstance(part, _FUNCTIONS)}
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                names.add(node.name)
        if found["name"] not in names:
            lacking.append(f"{file}: {found['name']}")
    assert not lacking


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def test_a_step_that_is_missing_or_out_of_turn_is_told() -> None:
    one, two, three = (Step("a.py", name) for name in ("one", "two", "three"))
    assert first_not_taken([one, three], [one, two, three]) is None
    assert first_not_taken([one, three], [one, two]) == three
    assert first_not_taken([two, one], [one, two]) == one
