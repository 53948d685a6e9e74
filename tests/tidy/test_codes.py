"""The table of codes is whole: each code that is given has its row, and no row is one that nobody gives."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import gridsignal.errors
import gridsignal_protocol
import gridsignal_schemas
import gridsignal_services
from gridsignal_schemas.codes import CODES, why_lost, why_rejected

PACKAGES = (gridsignal, gridsignal_protocol, gridsignal_schemas, gridsignal_services)
GIVERS = frozenset({"fault", "_fault", "bad_request", "Reason"})
"""Functions whose first argument is a code."""
SHAPES = frozenset({"Detail", "Error", "Refused", "Refusal"})
ANSWERS = frozenset({"refused", "_error"})
"""Functions whose second argument is a code."""


def given_by(call: ast.Call) -> Iterator[ast.expr]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in GIVERS:
        yield from call.args[:1]
    elif name in ANSWERS:
        yield from call.args[1:2]
    elif name in SHAPES:
        yield from (keyword.value for keyword in call.keywords if keyword.arg == "code")


class Stands(NamedTuple):
    """What stands in a file: the codes where a code is given, and all words."""

    file: str
    codes: set[str]
    words: set[str]


@cache
def files() -> list[Stands]:
    found = []
    for file in sorted(file for package in PACKAGES for root in package.__path__ for file in Path(root).rglob("*.py")):
        stands = Stands(file.name, set(), set())
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                stands.words.add(node.value.upper())
            for code in given_by(node) if isinstance(node, ast.Call) else ():
                if isinstance(code, ast.Constant) and isinstance(code.value, str):
                    stands.codes.add(code.value.upper())
        found.append(stands)
    return found


def test_each_code_that_is_given_has_its_row() -> None:
    assert len(set().union(*(each.codes for each in files()))) > 100
    unknown = {each.file: each.codes - CODES.keys() for each in files()}
    assert {file: codes for file, codes in unknown.items() if codes} == {}


def test_codes_in_details_are_in_capitals_as_the_protocol_says() -> None:
    given = [
        (file.name, keyword.value.value)
        for package in PACKAGES
        for root in package.__path__
        for file in sorted(Path(root).rglob("*.py"))
        for call in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Detail"
        for keyword in call.keywords
        if keyword.arg == "code" and isinstance(keyword.value, ast.Constant)
    ]
    assert len(given) > 10
    assert [(file, code) for file, code in given if code not in CODES] == []


def test_no_row_is_of_a_code_that_nobody_gives() -> None:
    words = set().union(*(each.words for each in files() if each.file != "codes.py"))
    assert CODES.keys() - words == set()


def test_a_row_says_where_it_is_met_and_what_it_means() -> None:
    for code in CODES.values():
        assert re.fullmatch(r"[A-Z][A-Z_]+", code.name)
        assert bool(code.places) == bool(code.meaning), code.name
        assert code.meaning or code.lost, code.name
        assert not re.search(r"[.;] *$", code.meaning + code.lost + code.remedy), code.name


def test_each_refusal_is_raised_as_what_the_table_says() -> None:
    for code in CODES.values():
        raised = gridsignal.errors.refusal(code.wire, (), what="the offer")
        assert type(raised) is getattr(gridsignal.errors, code.error)
        assert raised.retriable == code.retriable


def test_a_code_of_a_newer_version_speaks_for_itself() -> None:
    assert type(gridsignal.errors.refusal("of_tomorrow", (), what="the offer")) is gridsignal.errors.Refused
    assert why_lost(["OF_TOMORROW"]) == why_rejected(["OF_TOMORROW"]) == "OF_TOMORROW"
