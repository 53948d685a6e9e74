"""Readings as a CSV has them: `starts_at, ends_at, import_w`, and where there are any `export_w, register_wh, quality,
seq, meter`.

Bounded: 2,000,000 lines. When longer: WrongRow. Conflates: nothing.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from fractions import Fraction
from typing import NoReturn

from gridsignal_schemas.messages import Quality
from gridsignal_schemas.rules.readings import LONGEST_READING
from gridsignal_schemas.values import EXACT_MAX, as_utc
from gridsignal_services.settlement.energy import Exact
from gridsignal_services.settlement.said import Said

NEEDED = ("starts_at", "ends_at", "import_w")
OPTIONAL = ("export_w", "register_wh", "quality", "seq", "meter")
_NUMBER = re.compile(r"[0-9]{1,14}(\.[0-9]{1,9})?")
_MOST = 2_000_000


class WrongRow(ValueError):
    """A line that can't be read: says which line and column, what was expected and what was got."""


def readings(lines: Iterable[str]) -> Iterator[Said]:
    """The readings of a CSV with a head line, one a row; empty lines say nothing. Raises WrongRow."""
    rows = csv.DictReader(lines, restkey="", strict=True, skipinitialspace=True)
    try:
        columns = [name.strip().lstrip("\ufeff") for name in rows.fieldnames or ()]
        if missing := [name for name in NEEDED if name not in columns]:
            raise WrongRow(f"line 1: expected the columns {', '.join(NEEDED)}, got none named {' or '.join(missing)}")
        if unknown := [name for name in columns if name not in {*NEEDED, *OPTIONAL}]:
            raise WrongRow(f"line 1: expected no columns but {', '.join(NEEDED + OPTIONAL)}, got {unknown[0]!r:.60}")
        rows.fieldnames = columns
        for number, row in enumerate(rows):
            if number == _MOST:
                raise WrongRow(f"line {rows.line_num}: expected at most {_MOST:,} readings")
            yield _Row(rows.line_num, row).reading()
    except csv.Error as broken:
        line = rows.reader.line_num
        raise WrongRow(f"line {line}: expected a row of CSV, got one that can't be read: {broken}") from None


class _Row:
    """One line's cells by column."""

    def __init__(self, line: int, cells: Mapping[str, str | list[str] | None]) -> None:
        self._line = line
        if cells.get("") is not None:
            raise WrongRow(f"line {line}: expected as many cells as columns, got more")
        self._cells = {name: cell.strip() for name, cell in cells.items() if isinstance(cell, str)}

    def reading(self) -> Said:
        """What it says."""
        starts_at, ends_at = self._time("starts_at"), self._time("ends_at")
        if not starts_at < ends_at <= starts_at + LONGEST_READING:
            self._wrong("ends_at", "a time after starts_at, a day at most")
        import_w, export_w = self._number("import_w"), self._number("export_w")
        register_wh, quality = self._whole("register_wh"), self._quality()
        if import_w is None and register_wh is None:
            import_w, quality = 0, Quality.MISSING if export_w is None else quality
        meter = self._cells.get("meter") or "main"
        seq = self._whole("seq") or 0
        return Said(meter, starts_at, ends_at, import_w, export_w or 0, register_wh, quality, seq)

    def _quality(self) -> Quality:
        try:
            return Quality((self._cells.get("quality") or Quality.OK).upper())
        except ValueError:
            self._wrong("quality", f"one of {', '.join(Quality)}")

    def _time(self, column: str) -> datetime:
        try:
            return as_utc(datetime.fromisoformat(self._cells[column]))
        except (KeyError, ValueError):
            self._wrong(column, "a time with its offset such as 2030-05-12T18:00+02:00")

    def _number(self, column: str) -> Exact | None:
        if not (text := self._cells.get(column, "")):
            return None
        if not _NUMBER.fullmatch(text):
            self._wrong(column, "a number such as 24000000, not below 0, with nine decimal places at most")
        return Fraction(text) if "." in text else int(text)

    def _whole(self, column: str) -> int | None:
        if not (text := self._cells.get(column, "")):
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= EXACT_MAX):
            self._wrong(column, f"a whole number from 0 to {EXACT_MAX}")
        return int(text)

    def _wrong(self, column: str, expected: str) -> NoReturn:
        got = repr(self._cells[column])[:60] if self._cells.get(column) else "nothing"
        raise WrongRow(f"line {self._line}, column {column}: expected {expected}, got {got}")
