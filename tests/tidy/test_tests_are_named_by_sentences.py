"""A test's name is a sentence: what it proves is read in the list of tests."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.tidy.sources import Source, sources, words


def names(source: Source) -> Iterator[tuple[ast.AST, str]]:
    """Every function of a file."""
    for node in ast.walk(source.tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node, node.name


def test_every_test_is_named_by_a_sentence() -> None:
    short = [
        f"{source.where(node)} {name}"
        for source in sources("tests")
        for node, name in names(source)
        if name.startswith("test_") and len(words(name)) < 4
    ]
    assert short == [], "a test's name says what holds: test_a_late_offer_is_refused"
