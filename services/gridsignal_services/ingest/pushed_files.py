"""Files that are pushed: CSV as markets without a machine interface hand it out, or JSON bodies as the door takes them.

A CSV has one row an interval: `price_per_mwh` or `grams_per_kwh`, and `starts_at` or `ends_at` (Chinese provincial
markets stamp the end, 00:15 to 24:00). Times carry their offset, or are local in the time zone that is given with the
file. What is the same in every row (zone, dataset, currency, ...) may be given with the file instead.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from gridsignal_schemas.values import rfc3339, text_of_decimal
from gridsignal_services.ingest.curves import Curve, by_day, joined
from gridsignal_services.ingest.feed import Malformed
from gridsignal_services.ingest.figures import decimal_of, foreign_kind, instant
from gridsignal_services.ingest.left_out import LeftOutRows
from gridsignal_services.ingest.markets import market_of
from gridsignal_services.ingest.pushed_json import Body, few, of_json
from gridsignal_services.ingest.schedule import market_day
from gridsignal_services.ingest.stamps import from_stamps, of_step

VALUES = {"price_per_mwh": "prices", "grams_per_kwh": "carbon"}
_NAMES = {
    "prices": {"zone": "", "dataset": "", "currency": "", "product": "DAY_AHEAD", "status": "FINAL"},
    "carbon": {
        "zone": "", "dataset": "", "accounting": "AVERAGE", "scope": "", "mix": "CONSUMPTION", "status": "MEASURED"
    },
}  # fmt: skip
"""What says which series a row belongs to; those with a default may be left out."""
_OTHER_COLUMNS = {"starts_at", "ends_at", "resolution_s"}
_OFFSET = re.compile(r"(?:Z|[+-]\d\d:?\d\d(?::?\d\d)?)$", re.IGNORECASE)
LONGEST_S = 86_400
_MIDNIGHT = re.compile(r"(\d{4}-\d\d-\d\d)[T ]24:00(?::00)?(.*)")
LARGEST_CHARACTERS = 16 << 20
ROWS_A_FAULT = 10
"""Of so many rows one may be unreadable: then it is a gap, with more the file is refused."""


def text_of(content: bytes) -> str:
    """The text of a file. Raises Malformed naming what it is instead of UTF-8 text."""
    if kind := foreign_kind(content):
        raise Malformed(f"expected a CSV or JSON file, got {kind}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as broken:
        line = content.count(b"\n", 0, broken.start) + 1
        raise Malformed(f"expected UTF-8 text, got something else in line {line}") from None


def bodies(
    text: str, given: Mapping[str, str], timezone: ZoneInfo | None, left_out: LeftOutRows | None = None
) -> list[Body]:
    """What a file says, a body for each series and market day. Raises Malformed naming the line.

    With `left_out` a line that can't be read is a gap and told there, as long as they are few; without it, or with many
    of them, the file is refused.
    """
    if len(text) > LARGEST_CHARACTERS:
        raise Malformed(f"expected at most {LARGEST_CHARACTERS} characters, got {len(text)}")
    text = text.removeprefix("\ufeff")
    if text.lstrip()[:1] in ("{", "["):
        return of_json(text, left_out)
    try:
        return _of_csv(text, given, timezone, left_out)
    except csv.Error as broken:
        raise Malformed(f"expected a CSV file, got: {broken!s:.80}") from None


Row = tuple[datetime, Decimal | None]


_Steps = dict[str, list[Row]]
"""The rows of one series by the step that is given with each."""


def _of_csv(text: str, given: Mapping[str, str], timezone: ZoneInfo | None, left_out: LeftOutRows | None) -> list[Body]:
    rows = csv.DictReader(io.StringIO(text, newline=None), skipinitialspace=True)
    rows.fieldnames = [name.strip() for name in rows.fieldnames or []]
    column, stamp = _columns(rows.fieldnames, given)
    names = _NAMES[VALUES[column]]
    found: list[Body] = []
    odd: list[str] = []
    count, series_of = _read(rows, column, stamp, given, timezone, left_out)
    for key, series in series_of.items():
        named = dict(zip(names, key, strict=True))
        market_time = timezone or market_of(named["zone"]).timezone
        try:
            ends = stamp == "ends_at"
            curves = [
                one for step, own in series.items() for one in _curves(own, step, left_out, market_time, ends=ends)
            ]
            days = [day for curve in curves for day in by_day(curve, market_time)]
            if len(series) > 1:
                days = _one_a_day(days, market_time, left_out)
        except Malformed as fault:
            odd += [f"{' '.join(key)}: {fault}"] * sum(map(len, series.values()))  # as if each of them were unreadable
        else:
            found += [Body(VALUES[column], named | _figures(column, day)) for day in days]
    few(odd, count, left_out, most=count // ROWS_A_FAULT)
    return found


def _read(
    rows: csv.DictReader[str],
    column: str,
    stamp: str,
    given: Mapping[str, str],
    timezone: ZoneInfo | None,
    left_out: LeftOutRows | None,
) -> tuple[int, dict[tuple[str, ...], _Steps]]:
    """How many rows there are, and those of each series."""
    found: dict[tuple[str, ...], _Steps] = {}
    with_offset: set[bool] = set()
    faults: list[str] = []
    comma, either = "", ""
    count = 0
    for row in rows:
        if not any(str(cell or "").strip() for cell in row.values()):
            continue  # a spreadsheet's empty row
        count += 1
        try:
            _must_fit(row, rows.fieldnames or [])
            key = tuple(_named(name, usual, row, given) for name, usual in _NAMES[VALUES[column]].items())
            when = _time(row[stamp], timezone)
            with_offset.add(bool(_OFFSET.search(row[stamp].strip())))
            if len(with_offset) > 1:
                raise _Confused("expected an offset in every time or in none, got both")
            step = str(row.get("resolution_s") or given.get("resolution_s", "")).strip()
            series = found.setdefault(key, {}).setdefault(step, [])
            series.append((when, None))  # a value that can't be read is a gap at a known time
            value = str(row[column]).strip()
            comma = comma or (f"line {rows.line_num}" if _DECIMAL_COMMA.fullmatch(value) else "")
            either = either or (f"line {rows.line_num}: {value!r}" if _EITHER.fullmatch(value) else "")
            series[-1] = when, _value(row[column])
        except _Confused as fault:
            raise Malformed(f"line {rows.line_num}: {fault}") from None
        except Malformed as fault:
            faults.append(f"line {rows.line_num}: {fault}")
    if comma and either:
        raise Malformed(f"{either} is thousands or decimals: {comma} has a decimal comma, expected points throughout")
    few(faults, count, left_out, most=count // ROWS_A_FAULT)
    if not found:
        raise Malformed("expected at least one row, got none")
    return count, found


_DECIMAL_COMMA = re.compile(r"[+-]?\d+(?:\.\d{3})*,\d+")
_EITHER = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}")
"""What is thousands in a file with decimal commas, and decimals in any other."""


class _Confused(Malformed):
    """What spoils more than its own row: a local time that is none or two, a quote that is never closed."""


def _must_fit(row: Mapping[str | None, Any], columns: Sequence[str]) -> None:
    if any("\n" in str(cell) for cell in row.values()):
        raise _Confused("expected each row on a line of its own, got a quote that is not closed before the line's end")
    if None in row:
        got = f"{len(columns) + len(row[None])}"
        raise Malformed(f"expected {len(columns)} columns, got {got}: a decimal comma cuts a number in two")
    if missing := [name for name in columns if row[name] is None]:
        raise Malformed(f"expected {len(columns)} columns, got none for {', '.join(missing)[:80]}")


def _columns(columns: Sequence[str], given: Mapping[str, str]) -> tuple[str, str]:
    """The column of values and the column of times. Raises Malformed for unknown and missing columns."""
    if columns and columns[0].startswith(("sep=", "#", "<?xml")):
        raise Malformed(f"line 1: expected the names of the columns, got {columns[0]!r:.60}")
    if len(columns) == 1 and (mark := next((mark for mark in _OTHER_MARKS if mark in columns[0]), None)):
        got = f"{_OTHER_MARKS[mark]} as separator in {columns[0]!r:.80}"
        raise Malformed(f"expected commas between the columns and decimal points in numbers, got the {got}")
    if len(set(columns)) < len(columns):
        raise Malformed(f"expected each column once, got {', '.join(columns)[:120]}")
    values = [name for name in VALUES if name in columns]
    stamps = [name for name in ("starts_at", "ends_at") if name in columns]
    if len(values) != 1 or len(stamps) != 1:
        expected = "one of price_per_mwh and grams_per_kwh, and one of starts_at and ends_at"
        got = ", ".join(f"{name:.30}" for name in columns)  # it may be another file, and none for everybody's eyes
        raise Malformed(f"expected the columns {expected}, got {got[:120]}")
    names = _NAMES[VALUES[values[0]]]
    if strange := [name for name in columns if name not in {*names, *_OTHER_COLUMNS, values[0]}]:
        got = ", ".join(name or "one without a name" for name in strange)
        raise Malformed(f"expected the columns {', '.join(names)}, got {got[:120]}")
    if strange := sorted(given.keys() - names.keys() - _OTHER_COLUMNS):
        raise Malformed(f"expected no {', '.join(strange)} with {values[0]}")
    return values[0], stamps[0]


def _named(name: str, usual: str, row: Mapping[str, Any], given: Mapping[str, str]) -> str:
    value = str(row.get(name) or given.get(name) or usual).strip()
    if not value:
        raise Malformed(f"expected a {name}, in a column or given with the file")
    return value


def _value(text: object) -> Decimal | None:
    return decimal_of(text) if isinstance(text, str) and text.strip() else None


_OTHER_MARKS = {";": "semicolon", "\t": "tab", "|": "vertical bar"}


def _time(text: str, timezone: ZoneInfo | None) -> datetime:
    """An instant; 24:00 is 00:00 of the next day. A local time that is none, or two, is refused."""
    text = text.strip()
    midnight = _MIDNIGHT.fullmatch(text)
    if midnight:
        text = f"{midnight[1]}T00:00{midnight[2]}"
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise Malformed(f"expected a time such as 2026-01-05T00:15+08:00, got {text!r:.40}") from None
    when += timedelta(days=1 if midnight else 0)
    if when.tzinfo is None and timezone is not None:
        when = when.replace(tzinfo=timezone)
        if when.utcoffset() != when.replace(fold=1).utcoffset():
            raise _Confused(f"expected an offset: {text!r:.40} is no time, or two, on the day the clocks change")
    return instant(when.isoformat())


def _one_a_day(days: Sequence[Curve], market_time: ZoneInfo, left_out: LeftOutRows | None) -> list[Curve]:
    """Curves of several steps, of which no two cover the same time."""
    by_date: dict[date, list[Curve]] = {}
    for day in days:
        by_date.setdefault(market_day(day.starts_at, market_time), []).append(day)
    return [curve for same in by_date.values() for curve in joined(same, left_out)]


def _curves(
    rows: Sequence[Row], step: str, left_out: LeftOutRows | None, market_time: ZoneInfo, *, ends: bool
) -> list[Curve]:
    """The curves of rows with one step, which is read from their stamps where none is given."""
    stamps, values = [int(when.timestamp()) for when, _ in rows], [value for _, value in rows]
    if step:
        if not (step.isascii() and step.isdigit() and 0 < (step_s := int(step)) <= LONGEST_S):
            raise Malformed(f"expected resolution_s as whole seconds from 1 to {LONGEST_S}, got {step!r:.20}")
        found = [of_step(stamps, values, step_s, left_out)]
    else:
        found = from_stamps(stamps, values, left_out, market_time)
    if ends and len(found) > 1:
        raise Malformed("expected one step throughout, or resolution_s, with ends_at")
    back = timedelta(seconds=found[0].resolution_s if ends else 0)
    return [Curve(curve.starts_at - back, curve.resolution_s, curve.values) for curve in found]


def _figures(column: str, curve: Curve) -> dict[str, Any]:
    values = [None if value is None else text_of_decimal(value) for value in curve.values]
    return {
        "starts_at": rfc3339(curve.starts_at),
        "resolution_s": curve.resolution_s,
        "prices_per_mwh" if column == "price_per_mwh" else "grams_per_kwh": values,
    }
