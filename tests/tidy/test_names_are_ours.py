"""The same noun everywhere, and none of the words that say nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.tidy.sources import ALL, Source, assert_none, sources, words

NOT_OURS = {
    "manager", "handler", "helper", "helpers", "util", "utils", "common", "base", "core", "misc", "data", "info",
}  # fmt: skip
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
OURS = {("data", "center"), ("data", "centers")}  # the people we build this for
FOREIGN = {
    "__get_pydantic_core_schema__": "pydantic's name",
    "data_received": "asyncio.Protocol's name",
    "process_redirect": "the name in websockets",
    "timeout_keep_alive_handler": "uvicorn's name",
}


def names(source: Source) -> Iterator[tuple[ast.AST, str]]:
    """Every module, class and function that we named."""
    yield source.tree, source.path.stem
    for node in ast.walk(source.tree):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node, node.name


def empty_words(name: str, *, verb: bool = True) -> set[str]:
    """The words in a name that say nothing; `verb` where it names something done."""
    parts = words(name)
    if (verb and parts[:1] in (["process"], ["handle"])) or (parts[:1] == ["do"] and len(parts) > 1):
        return {parts[0]}
    domain = {part for pair in OURS for at in range(len(parts)) if tuple(parts[at : at + 2]) == pair for part in pair}
    return set(parts) & NOT_OURS - domain


def test_no_name_says_nothing() -> None:
    assert_none(
        f"{source.where(node)} {name}: {', '.join(sorted(found))}"
        for source in sources(*ALL)
        for node, name in names(source)
        if name not in FOREIGN and not name.startswith("test_")
        if (found := empty_words(name, verb=isinstance(node, FUNCTIONS)))
    )


@pytest.mark.parametrize("name", ["SessionManager", "handle_offer", "utils", "HTTPHandler", "do_it", "base_url_info"])
def test_the_check_sees_an_empty_name(name: str) -> None:
    assert empty_words(name)


@pytest.mark.parametrize("name", ["baseline_w", "data_center", "DataCenter", "handled", "score", "Database"])
def test_the_check_knows_our_own_words(name: str) -> None:
    assert not empty_words(name)


def test_an_operating_systems_process_may_be_called_one() -> None:
    assert not empty_words("Process", verb=False)
    assert empty_words("process", verb=True)


def test_every_test_is_named_by_a_sentence() -> None:
    short = [
        f"{source.where(node)} {name}"
        for source in sources("tests")
        for node, name in names(source)
        if name.startswith("test_")
        and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and len(words(name)) < 4
    ]
    assert short == [], "a test's name says what holds: test_a_late_offer_is_refused"
