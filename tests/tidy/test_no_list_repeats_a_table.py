"""What records.toml says of each record is listed nowhere in the code."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gridsignal_schemas.records import DELIVERED, RECORD_OF_FRAME, ROWS
from tests.tidy.sources import PRODUCT, assert_none, sources


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


def test_no_list_in_the_code_repeats_what_the_table_says() -> None:
    of_ledger = [name for name in DELIVERED if ROWS[name].stream == "dispatch"]
    kept = [name for name, row in ROWS.items() if row.newest_until]
    facts = {frozenset(fact) for fact in (DELIVERED, of_ledger, kept, RECORD_OF_FRAME, RECORD_OF_FRAME.values())}
    assert_none(
        f"{source.name}:{line}"
        for source in sources(*PRODUCT, "docs", "benchmarks")
        if not source.name.endswith("client/messages.py")  # for type checkers; held to the table by a test
        for line, names in _lists(source.tree)
        if names in facts
    )
