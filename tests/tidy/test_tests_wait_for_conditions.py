"""A test waits for what it needs, with a bound; it never sleeps, and it passes collaborators instead of patching."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.tidy.sources import ROOT, Source, assert_none, called, sources

PATCHES = {"mock.patch", "patch", "mock.patch.object", "patch.object", "monkeypatch.setattr", "MagicMock", "AsyncMock",
           "Mock", "mock.Mock", "mock.MagicMock", "mock.AsyncMock"}  # fmt: skip


def sleeps(node: ast.AST) -> bool:
    """A sleep that lasts; `sleep(0)` only lets others run."""
    if called(node).split(".")[-1] != "sleep" or not isinstance(node, ast.Call):
        return False
    return not (node.args and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0)


def faults(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if sleeps(node):
            yield f"{source.where(node)} sleeps: wait for an event with asyncio.timeout as the bound"
        if called(node) in PATCHES:
            yield f"{source.where(node)} {called(node)}: make the collaborator an argument"


def test_no_test_sleeps_or_patches() -> None:
    assert_none(fault for source in sources("tests") for fault in faults(source))


def test_the_check_sees_a_test_that_sleeps_or_patches() -> None:
    text = "await asyncio.sleep(0)\nawait asyncio.sleep(0.1)\ntime.sleep(delay)\nmonkeypatch.setattr(ledger, 'x', 1)\n"
    acting = Source(ROOT / "tests" / "test_x.py", text, ast.parse(text))
    assert sorted(fault.split()[:2] for fault in faults(acting)) == [
        ["tests/test_x.py:2", "sleeps:"],
        ["tests/test_x.py:3", "sleeps:"],
        ["tests/test_x.py:4", "monkeypatch.setattr:"],
    ]
