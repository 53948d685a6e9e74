"""Hourly prices and carbon from a file, in the columns that `gridsignal replay` reads. Pure: lines in, series out.

`zone, start_utc, price, currency_per_mwh, ci_lca_g_per_kwh`; other columns are left alone. An hour without a price or
without a carbon intensity keeps the value of the hour before it, and is counted.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

COLUMNS = ("zone", "start_utc", "price", "currency_per_mwh", "ci_lca_g_per_kwh")
MAX_HOURS = 100_000
HOUR = timedelta(hours=1)


class WrongSeries(ValueError):
    """A file that can't be read: says which line, what was expected and what was got."""


@dataclass(frozen=True, slots=True)
class Series:
    """A zone's hours without a gap, from `starts_at` on."""

    zone: str
    starts_at: datetime
    currency: str
    prices: tuple[float, ...]
    """Per MWh."""
    carbon: tuple[float, ...]
    """g/kWh, life-cycle average."""
    filled: int
    """Hours whose price or carbon is that of the hour before."""

    def slots(self, values: tuple[float, ...], start: datetime, count: int) -> list[float]:
        """The values of quarter hours from `start` on; beyond its ends the nearest day's."""
        first = int((start - self.starts_at) / HOUR * 4)
        found = list[float]()
        for slot in range(first, first + count):
            hour = slot // 4
            while hour >= len(values):
                hour -= 24
            while hour < 0:
                hour += 24
            found.append(values[hour])
        return found


def series_of(lines: Iterable[str], zone: str) -> Series:
    """A zone's series. Raises WrongSeries."""
    rows = csv.DictReader(lines, restkey="", skipinitialspace=True, strict=True)
    columns = [name.strip() for name in rows.fieldnames or ()]
    if missing := [name for name in COLUMNS if name not in columns]:
        raise WrongSeries(f"line 1: expected the columns {', '.join(COLUMNS)}, got none called {missing[0]}")
    rows.fieldnames = columns
    starts_at, currency, filled = None, "", 0
    prices, carbon = list[float](), list[float]()
    for row in rows:
        if row["zone"] != zone:
            continue
        at, line = _hour(rows.line_num, row["start_utc"]), rows.line_num
        starts_at, currency = starts_at or at, currency or row["currency_per_mwh"]
        due = starts_at + len(prices) * HOUR
        if at < due or len(prices) >= MAX_HOURS:
            raise WrongSeries(
                f"line {line}: expected each hour once, in order, {MAX_HOURS} at most, got {at:%Y-%m-%d %H}"
            )
        price, grams = _number(line, "price", row["price"]), _number(line, "ci_lca_g_per_kwh", row["ci_lca_g_per_kwh"])
        hours = int((at - due) / HOUR)
        filled += hours + (price is None or grams is None)
        if hours and not prices:
            raise WrongSeries(f"line {line}: expected hours without a gap, got {hours} missing")
        prices += prices[-1:] * hours + [prices[-1] if price is None and prices else price or 0.0]
        carbon += carbon[-1:] * hours + [carbon[-1] if grams is None and carbon else grams or 0.0]
    if starts_at is None or filled > len(prices) // 10:
        raise WrongSeries(f"expected hours with price and carbon for {zone}, got {len(prices) - filled}")
    return Series(zone, starts_at, currency, tuple(prices), tuple(carbon), filled)


def _hour(line: int, text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        at = None
    if at is None or at.tzinfo is None or at.minute or at.second:
        raise WrongSeries(f"line {line}: start_utc: expected an hour such as 2024-05-12T13:00:00Z, got {text!r:.40}")
    return at.astimezone(UTC)


def _number(line: int, column: str, text: str | None) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise WrongSeries(f"line {line}: {column}: expected a number such as 65.49, got {text!r:.40}")
    return value
