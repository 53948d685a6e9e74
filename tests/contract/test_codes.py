"""The table of codes is whole: each code that is given has its row, and no row is one that nobody gives."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import gridsignal.errors
import gridsignal_schemas
import gridsignal_services
from gridsignal_schemas.codes import CODES, why_lost, why_rejected

PACKAGES = (gridsignal, gridsignal_schemas, gridsignal_services)
GIVERS = frozenset({"fault", "_fault", "bad_request", "Reason"})
"""Functions whose first argument is a code."""
SHAPES = frozenset({"Detail", "Error", "Refused", "Refusal"})
ANSWERS = frozenset({"refused", "_error"})
"""Functions whose second argument is a code."""


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for package in PACKAGES:
        (root,) = package.__path__
        for file in sorted(Path(root).rglob("*.py")):
            yield file, ast.parse(file.read_text("utf-8"))


def given_by(call: ast.Call) -> Iterator[ast.expr]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in GIVERS:
        yield from call.args[:1]
    elif name in ANSWERS:
        yield from call.args[1:2]
    elif name in SHAPES:
        yield from (keyword.value for keyword in call.keywords if keyword.arg == "code")


def given() -> dict[str, str]:
    """Every code that stands where a code is given, and the file in which it does."""
    found: dict[str, str] = {}
    for file, tree in trees():
        for node in ast.walk(tree):
            for code in given_by(node) if isinstance(node, ast.Call) else ():
                if isinstance(code, ast.Constant) and isinstance(code.value, str):
                    found[code.value.upper()] = file.name
    return found


def test_each_code_that_is_given_has_its_row() -> None:
    codes = given()
    assert len(codes) > 100
    assert {code: file for code, file in codes.items() if code not in CODES} == {}


def test_no_row_is_of_a_code_that_nobody_gives() -> None:
    words: set[str] = set()
    for file, tree in trees():
        if file.name != "codes.py":
            constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
            words.update(word.upper() for word in constants if isinstance(word, str))
    assert CODES.keys() - words == set()


def test_a_row_says_where_it_is_met_and_what_it_means() -> None:
    for code in CODES.values():
        assert re.fullmatch(r"[A-Z][A-Z_]+", code.name)
        assert bool(code.told) == bool(code.meaning), code.name
        assert code.meaning or code.lost, code.name
        assert not re.search(r"[.;] *$", code.meaning + code.lost + code.remedy), code.name


def test_each_refusal_is_raised_as_what_the_table_says() -> None:
    for code in CODES.values():
        raised = gridsignal.errors.refusal(code.wire, (), what="the offer")
        assert type(raised) is getattr(gridsignal.errors, code.error)
        assert not raised.retriable or code.retriable


def test_a_code_of_a_newer_version_speaks_for_itself() -> None:
    assert type(gridsignal.errors.refusal("of_tomorrow", (), what="the offer")) is gridsignal.errors.Refused
    assert why_lost(["OF_TOMORROW"]) == why_rejected(["OF_TOMORROW"]) == "OF_TOMORROW"
