"""Lists as CSV, of a door and of a command: one row each, and no formula that somebody else has written."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, Self

from pydantic import BaseModel

_FORMULA = re.compile(r"(?:^|(?<=[;\t\r\n]))(\"*)(?=[=+\-@\t\r\uff1d\uff0b\uff0d\uff20])")
"""Where a cell would begin that is computed: spreadsheets of many countries split at a semicolon, some at a tab, and
some take the wide signs for the narrow ones."""
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


class Sheet(NamedTuple):
    """How a list is written as CSV."""

    rows: str
    """The name of the list in the answer; empty: the answer is the list."""
    columns: tuple[str, ...]
    record: str = ""
    """The field of a row whose fields come first."""
    parts: str = ""
    """The field of a row that is a list: each of its parts is a row, with what the row says of them all."""
    without: frozenset[str] = frozenset()

    @classmethod
    def of(cls, rows: str, *shapes: type[BaseModel], record: str = "", parts: str = "", without: str = "") -> Self:
        """A sheet whose rows have the fields of these shapes; `without`: names with spaces between."""
        left_out = frozenset({*without.split(), record, parts})
        columns: dict[str, None] = {}
        for shape in shapes:
            for name in shape.model_fields:
                if name not in left_out:
                    columns[f"now_{name}" if name in columns else name] = None
        return cls(rows, tuple(columns), record, parts, left_out)

    def text(self, rows: Sequence[Mapping[str, Any]]) -> str:
        """The CSV of these rows, with a head line."""
        spread = rows if not self.parts else [row | part for row in rows for part in row[self.parts]]
        flat = [flattened(row, self.record, self.without) for row in spread]
        written = io.StringIO(newline="")
        # a field that an older record has, and no shape of today
        columns = dict.fromkeys([*self.columns, *(name for row in flat for name in row)])
        writer = csv.DictWriter(written, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(flat)
        return written.getvalue()


def flattened(row: Mapping[str, Any], record: str = "", without: Collection[str] = ()) -> dict[str, str]:
    """A row as cells: the fields of the record that it holds, then what is said of it, but for the fields `without`.

    Where both have a name, it is the record's, and what is said of it has `now_` before it. Which cells there are does
    not depend on what is in them.
    """
    cells = {name: _cell(value) for name, value in row[record].items()} if record else {}
    for name, value in row.items():
        if name != record and name not in without:
            cells[f"now_{name}" if name in cells else name] = _cell(value)
    return cells


def _cell(value: Any) -> str:
    """A value as text; what a spreadsheet would take for a formula, wherever it splits the line, is marked as text."""
    if value is None:
        return ""
    if isinstance(value, dict):
        value = [f"{name}={held}" for name, held in value.items()]
    if isinstance(value, list):
        value = " ".join(map(str, value))
    if not isinstance(value, str) or _NUMBER.fullmatch(value):
        return str(value)
    return _FORMULA.sub(r"\1'", value)
