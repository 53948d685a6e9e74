"""Lists for a spreadsheet: CSV of what the door answers, one row each."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

_FORMULA = re.compile(r"[=+\-@\t\r]")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def show_csv(rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints rows under the columns of them all; nothing without rows, for their columns are not known then."""
    flat = [flattened(row) for row in rows]
    if flat:
        columns = list(dict.fromkeys(name for row in flat for name in row))
        writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(flat)


def flattened(row: Mapping[str, Any]) -> dict[str, str]:
    """A record beside what is said of it, as cells; lists of records are left out.

    Where both have a name, it is the record's, and what is said of it has `now_` before it.
    """
    cells: dict[str, str] = {}
    records = [value for value in row.values() if isinstance(value, dict)]
    for record in records:
        cells |= {name: _cell(value) for name, value in record.items() if not isinstance(value, dict)}
    for name, value in row.items():
        if not isinstance(value, dict) and not _holds_records(value):
            cells[f"now_{name}" if name in cells else name] = _cell(value)
    return cells


def _holds_records(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(one, dict) for one in value)


def _cell(value: Any) -> str:
    """A value as text; one that a spreadsheet would take for a formula is marked as text."""
    if value is None:
        return ""
    if isinstance(value, list):
        value = " ".join(map(str, value))
    text = str(value)
    return f"'{text}" if isinstance(value, str) and _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text
