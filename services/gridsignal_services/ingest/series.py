"""Recorded days as a CSV file: read exactly, turned into what is published when.

Columns: zone, start_utc, price, currency_per_mwh, price_flag, ci_lca_g_per_kwh, ci_direct_g_per_kwh, ci_estimated.
Rows are hours of UTC; an empty field is a gap. A year of eight zones has the same shape as one day of two.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from gridsignal_schemas.messages import CarbonIntensity, Record, SpotPrice
from gridsignal_schemas.values import rfc3339
from gridsignal_services.ingest.feed import Malformed
from gridsignal_services.ingest.figures import decimal_of, instant
from gridsignal_services.ingest.markets import market_of
from gridsignal_services.ingest.schedule import day_starts_at, market_day

COLUMNS = [
    "zone",
    "start_utc",
    "price",
    "currency_per_mwh",
    "price_flag",
    "ci_lca_g_per_kwh",
    "ci_direct_g_per_kwh",
    "ci_estimated",
]
PROVIDER = "replay"
PUBLISHED_AT = time(12, 57)
"""Market time, on the day before: when the coupled auction's results usually come out."""
CARBON_DATASET = "electricity-maps-hourly"
CARBON_LICENCE = "ODbL 1.0, Electricity Maps"
HOUR = timedelta(hours=1)
LARGEST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Hour:
    """One row: what was true in one zone for one hour."""

    zone: str
    starts_at: datetime
    price: Decimal | None
    currency: str
    price_flag: str
    lifecycle: Decimal | None
    direct: Decimal | None
    estimated: bool


@dataclass(frozen=True, slots=True)
class Publication:
    """A record and the grid time at which it becomes public."""

    at: datetime
    record: Record

    @property
    def order(self) -> tuple[datetime, str, str, str]:
        """Moments first; at one moment by kind and zone, so that every run says the same in the same order."""
        return self.at, self.record.record_name, getattr(self.record, "zone", ""), getattr(self.record, "scope", "")


def hours(text: str) -> list[Hour]:
    """All rows of a file. Raises Malformed naming the line and what was expected."""
    if len(text) > LARGEST_BYTES:
        raise Malformed(f"expected at most {LARGEST_BYTES} characters, got {len(text)}")
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    if rows.fieldnames is None or missing_columns(rows.fieldnames):
        raise Malformed(f"expected the columns {','.join(COLUMNS)}, got {','.join(rows.fieldnames or [])[:200]}")
    read = [_hour(row, line) for line, row in enumerate(rows, 2)]
    seen: set[tuple[str, datetime]] = set()
    for row in read:
        if (row.zone, row.starts_at) in seen:
            raise Malformed(f"two rows for {row.zone} at {rfc3339(row.starts_at)}")
        seen.add((row.zone, row.starts_at))
    return read


def missing_columns(names: Iterable[str]) -> list[str]:
    """The columns that a file of this shape has and this one lacks."""
    present = set(names)
    return [column for column in COLUMNS if column not in present]


def _hour(row: dict[str, str | None], line: int) -> Hour:
    try:
        return Hour(
            zone=_text(row["zone"]),
            starts_at=instant(row["start_utc"]),
            price=_figure(row["price"]),
            currency=(row["currency_per_mwh"] or "").strip(),
            price_flag=(row["price_flag"] or "").strip(),
            lifecycle=_figure(row["ci_lca_g_per_kwh"]),
            direct=_figure(row["ci_direct_g_per_kwh"]),
            estimated=_truth(row["ci_estimated"]),
        )
    except Malformed as fault:
        raise Malformed(f"line {line}: {fault}") from None


def _text(value: str | None) -> str:
    if not value or not value.strip():
        raise Malformed("expected a zone, got nothing")
    return value.strip()


def _figure(value: str | None) -> Decimal | None:
    return None if value is None or not value.strip() else decimal_of(value)


def _truth(value: str | None) -> bool:
    text = (value or "").strip().lower()
    if text not in ("", "true", "false"):
        raise Malformed(f"expected true, false or nothing, got {text!r:.20}")
    return text == "true"


def publications(rows: Iterable[Hour], keep: Callable[[str, date], bool] = lambda zone, day: True) -> list[Publication]:
    """What is published when, in order: each day's prices at 12:57 market time the day before, carbon hour by hour.

    `keep(zone, market_day)` selects. Carbon is history, so each hour is published when it ends.
    """
    days: dict[tuple[str, date], list[Hour]] = {}
    for row in rows:
        days.setdefault((row.zone, market_day(row.starts_at, market_of(row.zone).timezone)), []).append(row)
    wanted = [(zone, day, part) for (zone, day), part in days.items() if keep(zone, day)]
    found: list[Publication] = []
    for zone, day, part in wanted:
        found.extend(_prices(zone, day, part))
        found.extend(_carbon(part))
    return sorted(found, key=lambda p: p.order)


def _prices(zone: str, day: date, rows: list[Hour]) -> Iterator[Publication]:
    priced = {row.starts_at: row for row in rows if row.price is not None}
    if not priced:
        return
    market = market_of(zone)
    currencies = {row.currency for row in priced.values()}
    if len(currencies) > 1:
        raise Malformed(f"expected one currency for {zone} on {day}, got {', '.join(sorted(currencies))}")
    start, end = (day_starts_at(day + timedelta(days=n), market.timezone) for n in (0, 1))
    count = (end - start) // HOUR
    published = datetime.combine(day - timedelta(days=1), PUBLISHED_AT, market.timezone)
    at = instant(published.isoformat())
    prices = [priced[start + i * HOUR].price if start + i * HOUR in priced else None for i in range(count)]
    yield Publication(
        at,
        SpotPrice.model_validate(
            {
                "zone": zone,
                "product": "DAY_AHEAD",
                "dataset": market.dataset,
                "currency": currencies.pop(),
                "starts_at": start,
                "resolution_s": 3600,
                "prices_per_mwh": prices,
                "status": "FINAL",
                "flags": ["replayed", *sorted({row.price_flag for row in rows if row.price_flag})],
                "provider": PROVIDER,
                "issued_at": at,
                "observed_at": at,
                "revision": 1,
            }
        ),
    )


def _carbon(rows: list[Hour]) -> Iterator[Publication]:
    for row in rows:
        for scope, value in (("LIFECYCLE", row.lifecycle), ("DIRECT", row.direct)):
            if value is not None:
                yield Publication(row.starts_at + HOUR, _intensity(row, scope, value))


def _intensity(row: Hour, scope: str, value: Decimal) -> CarbonIntensity:
    return CarbonIntensity.model_validate(
        {
            "zone": row.zone,
            "accounting": "AVERAGE",
            "scope": scope,
            "mix": "CONSUMPTION",
            "starts_at": row.starts_at,
            "resolution_s": 3600,
            "grams_per_kwh": [value],
            "status": "ESTIMATED" if row.estimated else "MEASURED",
            "flags": ["replayed"],
            "provider": PROVIDER,
            "dataset": CARBON_DATASET,
            "licence": CARBON_LICENCE,
            "observed_at": row.starts_at + HOUR,
            "revision": 1,
        }
    )
