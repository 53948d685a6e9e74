"""Lists for a spreadsheet: CSV of what the door answers, one row each."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any

_FORMULA = re.compile(r"(?:^|(?<=[;\t\r\n]))(\"*)(?=[=+\-@\t\r\uff1d\uff0b\uff0d\uff20])")
"""Where a cell would begin that is computed: spreadsheets of many countries split at a semicolon, some at a tab, and
some take the wide signs for the narrow ones."""
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def show_csv(rows: Sequence[Mapping[str, Any]], *, record: str = "", without: Collection[str] = ()) -> None:
    """Prints rows under the columns of them all; nothing without rows, for their columns are not known then."""
    flat = [flattened(row, record, without) for row in rows]
    if flat:
        columns = list(dict.fromkeys(name for row in flat for name in row))
        writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(flat)


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
