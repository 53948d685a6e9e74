"""records.toml: a row for each record, facts about fields that the record has, and no list elsewhere repeats one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import get_args

import pytest

from gridsignal_protocol.client.messages import Delivered
from gridsignal_schemas.catalog import TOPICS
from gridsignal_schemas.codes import CODES
from gridsignal_schemas.frames import CLIENT_FRAMES, Received, Refused
from gridsignal_schemas.messages import RECORDS
from gridsignal_schemas.records import DELIVERED, RECORD_OF_FRAME, ROWS
from tests.tidy.sources import PRODUCT, assert_none, sources

_NEEDED = {
    "participant": {"participant"},
    "operator": {"request_id"},
    "zone": {"zone"},
    "invited": {"zone", "request_id"},
    "site": {"zone", "participant", "site", "request_id"},
    "day": {"zone", "ends_at"},
    "end": {"ends_at"},
}


@pytest.mark.parametrize("name", sorted(ROWS))
def test_a_row_speaks_of_fields_that_its_record_has(name: str) -> None:
    row, record = ROWS[name], RECORDS[name]
    needed = {*row.identity, *row.named_by, *([row.facet] if row.facet else [])}
    for fact in (row.word_of, row.seen_by, row.newest_until):
        needed |= _NEEDED.get(fact or "", set())

    assert {field for field in needed if not hasattr(record, field)} <= record.model_fields.keys()  # or a property
    assert row.stream in TOPICS
    assert row.unknown in CODES
    assert row.newest_until is None or row.identity


@pytest.mark.parametrize("name", sorted(RECORD_OF_FRAME))
def test_a_write_is_a_frame_with_a_body_and_the_fields_that_name_its_record(name: str) -> None:
    fields = CLIENT_FRAMES[name].model_fields

    named_by = ROWS[RECORD_OF_FRAME[name]].named_by
    assert {"id", "body", *named_by} <= fields.keys()
    for answer in (Received, Refused):
        assert {"id", *named_by} <= answer.model_fields.keys()


def test_every_frame_with_a_body_is_a_write_of_whose_word_the_record_is() -> None:
    with_body = {name for name, frame in CLIENT_FRAMES.items() if "body" in frame.model_fields}

    assert with_body == RECORD_OF_FRAME.keys()
    assert {ROWS[record].word_of for record in RECORD_OF_FRAME.values()} == {"participant"}


def _lists(tree: ast.AST) -> Iterator[tuple[int, frozenset[str]]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            parts: list[ast.expr] = node.elts
        elif isinstance(node, ast.Dict):
            parts = [key for key in node.keys if key is not None]
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            parts = list(_sides(node))
        else:
            continue
        yield node.lineno, frozenset(name for part in parts if (name := _name(part)))


def _sides(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        yield from _sides(node.left)
        yield from _sides(node.right)
    else:
        yield node


def _name(part: ast.expr) -> str | None:
    match part:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.Constant(value=str(name)):
            return name
        case _:
            return None


def test_the_types_of_what_is_delivered_are_those_of_the_table() -> None:
    assert {record.__name__ for record in get_args(Delivered)} == set(DELIVERED)


def test_no_list_in_the_code_repeats_what_the_table_says() -> None:
    of_ledger = [name for name in DELIVERED if ROWS[name].stream == "dispatch"]
    kept = [name for name, row in ROWS.items() if row.newest_until]
    facts = {frozenset(fact) for fact in (DELIVERED, of_ledger, kept, RECORD_OF_FRAME, RECORD_OF_FRAME.values())}
    assert_none(
        f"{source.name}:{line}"
        for source in sources(*PRODUCT, "docs", "benchmarks")
        if not source.name.endswith("client/messages.py")  # for type checkers, see above
        for line, names in _lists(source.tree)
        if names in facts
    )
