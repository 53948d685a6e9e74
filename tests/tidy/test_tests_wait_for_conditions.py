"""A test waits for what it needs, with a bound; it never sleeps, and it passes collaborators instead of patching."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.tidy.sources import ROOT, Source, assert_none, called, sources

PATCHES = {"mock.patch", "patch", "mock.patch.object", "patch.object", "monkeypatch.setattr", "MagicMock", "AsyncMock",
           "Mock", "mock.Mock", "mock.MagicMock", "mock.AsyncMock"}  # fmt: skip


PATIENCE = "tests.patience"


def sleeps(node: ast.AST) -> bool:
    """A sleep that lasts; `sleep(0)` only lets others run."""
    if called(node).split(".")[-1] != "sleep" or not isinstance(node, ast.Call):
        return False
    return not (node.args and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0)


def impatient(node: ast.AST, patience: set[str]) -> bool:
    """A bound on a wait that is a number of its own, or a name for one that is not among these."""
    if called(node) != "asyncio.timeout" or not isinstance(node, ast.Call):
        return False
    (bound,) = node.args
    names = [part.id for part in ast.walk(bound) if isinstance(part, ast.Name) and part.id.isupper()]
    return isinstance(bound, ast.Constant) or not patience.issuperset(names)


def imported(source: Source) -> set[str]:
    """What it takes from tests.patience."""
    taken = (node for node in ast.walk(source.tree) if isinstance(node, ast.ImportFrom) and node.module == PATIENCE)
    return {name.name for node in taken for name in node.names}


def faults(source: Source) -> Iterator[str]:
    patience = imported(source)
    for node in ast.walk(source.tree):
        if impatient(node, patience):
            yield f"{source.where(node)} waits by a clock of its own: take the bound from {PATIENCE}"
        if sleeps(node):
            yield f"{source.where(node)} sleeps: wait for an event with asyncio.timeout as the bound"
        if called(node) in PATCHES:
            yield f"{source.where(node)} {called(node)}: make the collaborator an argument"


def test_no_test_sleeps_or_patches() -> None:
    assert_none(fault for source in sources("tests") for fault in faults(source))


def test_the_check_sees_a_bound_of_its_own() -> None:
    text = "from tests.patience import SOON_S\nasyncio.timeout(SOON_S)\nasyncio.timeout(left)\n"
    text += "asyncio.timeout(3 * SOON_S)\nasyncio.timeout(10)\nasyncio.timeout(SHORT_S)\nasyncio.timeout(2 * LONG_S)\n"
    hasty = Source(ROOT / "tests" / "test_x.py", text, ast.parse(text))
    assert [fault.split()[0] for fault in faults(hasty)] == [f"tests/test_x.py:{line}" for line in (5, 6, 7)]


def test_the_check_sees_a_test_that_sleeps_or_patches() -> None:
    text = "await asyncio.sleep(0)\nawait asyncio.sleep(0.1)\ntime.sleep(delay)\nmonkeypatch.setattr(ledger, 'x', 1)\n"
    acting = Source(ROOT / "tests" / "test_x.py", text, ast.parse(text))
    assert sorted(fault.split()[:2] for fault in faults(acting)) == [
        ["tests/test_x.py:2", "sleeps:"],
        ["tests/test_x.py:3", "sleeps:"],
        ["tests/test_x.py:4", "monkeypatch.setattr:"],
    ]
