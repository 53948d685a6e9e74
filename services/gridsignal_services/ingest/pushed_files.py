"""Files that are pushed: CSV as markets without a machine interface hand it out, or JSON bodies as the door takes them.

A CSV has one row an interval: `price_per_mwh` or `grams_per_kwh`, and `starts_at` or `ends_at` (Chinese provincial
markets stamp the end, 00:15 to 24:00). Times carry their offset, or are local in the time zone that is given with the
file. What is the same in every row (zone, dataset, currency, ...) may be given with the file instead.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from gridsignal_schemas.values import text_of_decimal
from gridsignal_services.ingest.curves import Curve, by_day, from_stamps, of_step
from gridsignal_services.ingest.feed import Malformed
from gridsignal_services.ingest.figures import decimal_of, instant, object_of
from gridsignal_services.ingest.markets import market_of

VALUES = {"price_per_mwh": "prices", "grams_per_kwh": "carbon"}
_NAMES = {
    "prices": {"zone": "", "dataset": "", "currency": "", "product": "DAY_AHEAD", "status": "FINAL"},
    "carbon": {
        "zone": "", "dataset": "", "accounting": "AVERAGE", "scope": "", "mix": "CONSUMPTION", "status": "MEASURED"
    },
}  # fmt: skip
"""What says which series a row belongs to; those with a default may be left out."""
_OTHER_COLUMNS = {"starts_at", "ends_at", "resolution_s"}
_MIDNIGHT = re.compile(r"(\d{4}-\d\d-\d\d)[T ]24:00(?::00)?(.*)")
LARGEST_CHARACTERS = 16 << 20


@dataclass(frozen=True, slots=True)
class Body:
    """What is posted, and to which of the door's routes: prices, carbon or alerts."""

    signal: str
    content: Mapping[str, Any]

    @property
    def name(self) -> str:
        """For people: which series, from when."""
        what = self.content.get("dataset") or self.content.get("alert_id") or self.signal
        return f"{self.content.get('zone')} {what} {self.content.get('starts_at')}"


def bodies(text: str, given: Mapping[str, str], timezone: ZoneInfo | None) -> list[Body]:
    """What a file says, a body for each series and market day. Raises Malformed naming the line."""
    if len(text) > LARGEST_CHARACTERS:
        raise Malformed(f"expected at most {LARGEST_CHARACTERS} characters, got {len(text)}")
    text = text.removeprefix("\ufeff")
    return _of_json(text) if text.lstrip()[:1] in ("{", "[") else list(_of_csv(text, given, timezone))


def _of_json(text: str) -> list[Body]:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise Malformed(f"expected JSON, got something else: {fault!s:.80}") from None
    contents = [object_of(content, "each body") for content in (told if isinstance(told, list) else [told])]
    return [Body(_signal_of(content), content) for content in contents]


def _signal_of(content: Mapping[str, Any]) -> str:
    for key, signal in (("prices_per_mwh", "prices"), ("grams_per_kwh", "carbon"), ("alert_id", "alerts")):
        if key in content:
            return signal
    raise Malformed(f"expected prices_per_mwh, grams_per_kwh or alert_id, got {', '.join(content)[:80]}")


Row = tuple[datetime, Decimal | None]


def _of_csv(text: str, given: Mapping[str, str], timezone: ZoneInfo | None) -> Iterator[Body]:
    rows = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    column, stamp = _columns(rows.fieldnames or [], given)
    names = _NAMES[VALUES[column]]
    series: dict[tuple[str, ...], list[Row]] = {}
    steps: dict[tuple[str, ...], str] = {}
    for line, row in enumerate(rows, 2):
        try:
            key = tuple(_named(name, usual, row, given) for name, usual in names.items())
            when = _time(row.get(stamp) or "", timezone)
            series.setdefault(key, []).append((when, _value(row.get(column))))
            steps[key] = row.get("resolution_s") or given.get("resolution_s", "")
        except Malformed as fault:
            raise Malformed(f"line {line}: {fault}") from None
    if not series:
        raise Malformed("expected at least one row, got none")
    for key, told in series.items():
        named = dict(zip(names, key, strict=True))
        market_time = timezone or market_of(named["zone"]).timezone
        for curve in _curves(told, steps[key], ends=stamp == "ends_at"):
            for day in by_day(curve, market_time):
                yield Body(VALUES[column], named | _figures(column, day))


def _columns(columns: Any, given: Mapping[str, str]) -> tuple[str, str]:
    """The column of values and the column of times. Raises Malformed for unknown and missing columns."""
    values = [name for name in VALUES if name in columns]
    stamps = [name for name in ("starts_at", "ends_at") if name in columns]
    if len(values) != 1 or len(stamps) != 1:
        expected = "one of price_per_mwh and grams_per_kwh, and one of starts_at and ends_at"
        raise Malformed(f"expected the columns {expected}, got {', '.join(columns)[:120]}")
    names = _NAMES[VALUES[values[0]]]
    if strange := [name for name in columns if name not in {*names, *_OTHER_COLUMNS, values[0]}]:
        raise Malformed(f"expected the columns {', '.join(names)}, got {', '.join(map(str, strange))[:120]}")
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
            raise Malformed(f"expected an offset: {text!r:.40} is no time, or two, on the day the clocks change")
    return instant(when.isoformat())


def _curves(rows: list[Row], step: str, *, ends: bool) -> list[Curve]:
    stamps, values = [int(when.timestamp()) for when, _ in rows], [value for _, value in rows]
    if step:
        step_s = int(decimal_of(step))
        if step_s < 1:
            raise Malformed(f"expected resolution_s from 1 on, got {step_s}")
        found = [of_step(stamps, values, step_s)]
    else:
        found = from_stamps(stamps, values)
    if ends and len(found) > 1:
        raise Malformed("expected one step throughout, or resolution_s, with ends_at")
    back = timedelta(seconds=found[0].resolution_s if ends else 0)
    return [Curve(curve.starts_at - back, curve.resolution_s, curve.values) for curve in found]


def _figures(column: str, curve: Curve) -> dict[str, Any]:
    values = [None if value is None else text_of_decimal(value) for value in curve.values]
    return {
        "starts_at": curve.starts_at.isoformat().replace("+00:00", "Z"),
        "resolution_s": curve.resolution_s,
        "prices_per_mwh" if column == "price_per_mwh" else "grams_per_kwh": values,
    }
