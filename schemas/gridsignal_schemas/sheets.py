"""Lists as CSV, of a door and of a command: one row each, and no formula that somebody else has written."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
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
        """A sheet whose rows have the fields of these shapes, the record's first; `without`: names between spaces."""
        left_out = frozenset({*without.split(), record, parts})
        fields = [[name for name in shape.model_fields if name not in left_out] for shape in shapes]
        if record:
            fields[0] = [_of_record(record, name, fields[1]) for name in fields[0]]
        return cls(rows, tuple(dict.fromkeys(chain.from_iterable(fields))), record, parts, left_out)

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

    A column means what the field of its name means in JSON: where both have a name, the record's has the name of its
    field in the row before it, as in `order_state`, what an order was issued with. Which cells there are does not
    depend on what is in them.
    """
    said = {name: value for name, value in row.items() if name != record and name not in without}
    cells = {_of_record(record, name, said): _cell(value) for name, value in row[record].items()} if record else {}
    return cells | {name: _cell(value) for name, value in said.items()}


def _of_record(record: str, name: str, said: Collection[str]) -> str:
    return f"{record}_{name}" if name in said else name


def _cell(value: Any) -> str:
    """A value as text: plain ones side by side, what holds more as JSON.

    What a spreadsheet would take for a formula, wherever it splits the line, is marked as text.
    """
    if isinstance(value, dict | list):
        held = list(value.values()) if isinstance(value, dict) else value
        if any(isinstance(each, dict | list) for each in held):
            text = json.dumps(value, ensure_ascii=False)
        elif isinstance(value, dict):
            text = " ".join(f"{name}={_plain(each)}" for name, each in value.items())
        else:
            text = " ".join(map(_plain, value))
        return _FORMULA.sub(r"\1'", text)
    text = _plain(value)
    return text if _NUMBER.fullmatch(text) else _FORMULA.sub(r"\1'", text)


def _plain(value: Any) -> str:
    """As JSON has it, without quotes; empty for null."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
