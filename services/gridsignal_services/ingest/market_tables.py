"""The [markets] table of a feeds file: what an operator knows of zones and limits that our defaults don't.

[markets.SDAC]                  # every zone of the coupled market
limits = [{ since = 2027-03-01, lowest = -700, highest = 5000 }]

[markets.UA]                    # one zone, or all of a land
timezone = "Europe/Kyiv"
currency = "UAH"
area = "10Y1001C--00003F"       # its Energy Identification Code
limits = [{ lowest = 0, highest = 16000, product = "DAY_AHEAD", currency = "UAH" }]
currencies = [{ since = 2027-01-01, currency = "EUR" }]
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gridsignal_schemas.messages import PriceProduct
from gridsignal_services.ingest.markets import COUPLED, DEFAULTS, Bounds, Market, Markets, PriceLimit

_KEYS = ("timezone", "currency", "dataset", "area", "limits", "currencies")
_AREA = re.compile(r"[0-9A-Z-]{16}")
_CURRENCY = re.compile(r"[A-Z]{3}")
_PRODUCTS = tuple(product.value for product in PriceProduct if product.value != "UNKNOWN")


class _Wrong(ValueError):
    """A value of the table that can't be used."""


def markets_of(tables: Mapping[str, Any]) -> tuple[Markets, list[str]]:
    """The markets that a table describes, on top of the defaults, and what is wrong with it."""
    faults: list[str] = []
    own: dict[str, Market] = {}
    areas: dict[str, str] = {}
    currencies: dict[str, tuple[tuple[date, str], ...]] = {}
    coupled = COUPLED
    for name, table in sorted(tables.items(), key=lambda item: item[0] != COUPLED.dataset):
        try:
            if not isinstance(table, dict):
                raise _Wrong("expected a table")
            if strange := sorted(table.keys() - set(_KEYS)):
                raise _Wrong(f"expected {', '.join(_KEYS)}, got {', '.join(strange)[:80]}")
            if name == COUPLED.dataset:
                coupled = _market(table, coupled)
                continue
            own[name] = _market(table, Markets(coupled=coupled).of(name))
            if "area" in table:
                areas[name] = _matching(table["area"], _AREA, "an area code of 16 characters")
            if "currencies" in table:
                currencies[name] = tuple(_change(row) for row in _rows(table["currencies"], "currencies"))
        except _Wrong as wrong:
            faults.append(f"markets.{name:.60}: {wrong}")
    return replace(DEFAULTS, own=own, coupled=coupled, areas=areas, currencies=currencies), faults


def _market(table: Mapping[str, Any], usual: Market) -> Market:
    currency = _matching(table.get("currency", usual.currency), _CURRENCY, "a currency such as EUR")
    limits = tuple(_limit(row, currency) for row in _rows(table.get("limits", []), "limits"))
    # from its first day on a table's word counts, also before a default that begins later
    begun: dict[tuple[str, str], date] = {}
    for limit in limits:
        key = limit.product, limit.currency
        begun[key] = min(limit.since, begun.get(key, date.max))
    kept = (one for one in usual.limits if one.since < begun.get((one.product, one.currency), date.max))
    return Market(
        timezone=_timezone(table["timezone"]) if "timezone" in table else usual.timezone,
        currency=currency,
        dataset=str(table.get("dataset", usual.dataset)),
        limits=(*kept, *limits),
    )


def _rows(value: object, name: str) -> Iterator[Mapping[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise _Wrong(f"{name}: expected a list of tables")
    yield from value


def _limit(row: Mapping[str, Any], currency: str) -> PriceLimit:
    bounds = Bounds(_number(row, "lowest"), _number(row, "highest"))
    if bounds.lowest >= bounds.highest:
        raise _Wrong(f"limits: expected lowest below highest, got {bounds.lowest} and {bounds.highest}")
    product = str(row.get("product", "DAY_AHEAD"))
    if product not in _PRODUCTS:
        raise _Wrong(f"limits: expected a product of {', '.join(_PRODUCTS)}, got {product:.30}")
    code = _matching(row.get("currency", currency), _CURRENCY, "a currency such as EUR")
    return PriceLimit(_day(row.get("since", date.min)), bounds, code, product)


def _change(row: Mapping[str, Any]) -> tuple[date, str]:
    return _day(row.get("since")), _matching(row.get("currency"), _CURRENCY, "a currency such as EUR")


def _number(row: Mapping[str, Any], name: str) -> Decimal:
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not Decimal(value).is_finite():
        raise _Wrong(f"limits: expected {name} as a number, got {value!r:.30}")
    return Decimal(value)


def _day(value: object) -> date:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise _Wrong(f"expected since as a day such as 2026-05-29, got {value!r:.30}") from None
    if not isinstance(value, date) or isinstance(value, datetime):
        raise _Wrong(f"expected since as a day such as 2026-05-29, got {value!r:.30}")
    return value


def _matching(value: object, pattern: re.Pattern[str], expected: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise _Wrong(f"expected {expected}, got {value!r:.30}")
    return value


def _timezone(name: object) -> ZoneInfo:
    try:
        return ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _Wrong(f"expected a time zone such as Europe/Kyiv, got {name!r:.40}") from None
