"""The zones we know: their market's time, currency, area codes and price limits, each with the day since when it holds.

These are defaults. A feeds file's [markets] table changes them or adds to them: a zone that joins, a limit that a
regulator moves, another currency need no release. Any zone that nobody describes is taken for the coupled market's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

from gridsignal_services.ingest.schedule import MARKET_TIME

_ALWAYS = date.min


@dataclass(frozen=True, slots=True)
class Bounds:
    """The values a zone's product may take (in its own unit)."""

    lowest: Decimal
    highest: Decimal


@dataclass(frozen=True, slots=True)
class PriceLimit:
    """Bounds of a product, in one currency, from a market day on."""

    since: date
    bounds: Bounds
    currency: str
    product: str = "DAY_AHEAD"


@dataclass(frozen=True, slots=True)
class Market:
    """A zone's market: whose midnight starts its day, what it trades in, which auction is the day-ahead one."""

    timezone: ZoneInfo
    currency: str
    dataset: str
    limits: tuple[PriceLimit, ...]
    """The newest that has begun holds."""

    def bounds(self, product: str, currency: str, day: date) -> Bounds:
        """What a price may be. A currency without a limit of its own gets another's at a generous rate of exchange."""
        begun = sorted((one for one in self.limits if one.since <= day), key=lambda one: one.since)
        of_product = [one for one in begun if one.product == product] or begun
        limits = [one for one in of_product if one.currency == currency] or of_product
        if not limits:
            return _ANYTHING
        factor = _per_euro(currency) / _per_euro(limits[-1].currency)
        return Bounds(limits[-1].bounds.lowest * factor, limits[-1].bounds.highest * factor)


PER_EURO = {
    currency: Decimal(rate)
    for currency, rate in {
        "EUR": "1", "ALL": "130", "AUD": "2.2", "BAM": "2", "BGN": "2", "BRL": "8", "CAD": "2", "CHF": "1.3",
        "CNY": "10", "CZK": "30", "DKK": "8", "GBP": "1", "GEL": "4", "HRK": "8", "HUF": "500", "INR": "130",
        "ISK": "180", "JPY": "220", "KRW": "2000", "MDL": "25", "MKD": "65", "MXN": "30", "NOK": "15", "NZD": "2.5",
        "PLN": "5.5", "RON": "6", "RSD": "125", "SEK": "15", "SGD": "2", "TRY": "80", "UAH": "70", "USD": "1.5",
        "ZAR": "30",
    }.items()
}  # fmt: skip
"""Rates of exchange on the generous side: what tells a slip of a unit from a price need not be exact."""
_DEAREST = Decimal(2000)
"""For a currency that is not listed."""


def _per_euro(currency: str) -> Decimal:
    return PER_EURO.get(currency, _DEAREST)


def _limit(
    lowest: str, highest: str, currency: str = "EUR", since: date = _ALWAYS, product: str = "DAY_AHEAD"
) -> PriceLimit:
    return PriceLimit(since, Bounds(Decimal(lowest), Decimal(highest)), currency, product)


_ANYTHING = Bounds(Decimal(-1_000_000), Decimal(1_000_000))

COUPLED = Market(
    MARKET_TIME,
    "EUR",
    "SDAC",
    (
        # harmonised limits of the coupled auction: the ceiling is 4000, raised by 1000 after spikes (one step of room);
        # the floor was lowered with the delivery day 29 May 2026
        _limit("-500", "5000"),
        _limit("-600", "5000", since=date(2026, 5, 29)),
        _limit("-9999", "9999", product="INTRADAY"),
        _limit("-15000", "15000", product="REAL_TIME"),
    ),
)
# the market price cap rises every July (about 20,300 in 2025-26); the floor has been -1000 from the start
_NEM = Market(ZoneInfo("Etc/GMT-10"), "AUD", "NEM", (_limit("-1000", "25000", "AUD"),))
_GB = Market(
    ZoneInfo("Europe/London"),
    "GBP",
    "N2EX",
    (_limit("-500", "6000", "GBP"), _limit("-9999", "9999", "GBP", product="REAL_TIME")),
)
# each province has limits of its own, some below zero: here is room for all of them, a feeds file says one's own
_CHINA = Market(ZoneInfo("Asia/Shanghai"), "CNY", "SPOT", (_limit("-1000", "10000", "CNY"),))


def _us(timezone: str, lowest: str, highest: str) -> Market:
    return Market(ZoneInfo(timezone), "USD", "DAM", (_limit(lowest, highest, "USD"),))


_CURRENCIES: dict[str, tuple[tuple[date, str], ...]] = {
    "BG": ((date(1999, 7, 5), "BGN"), (date(2026, 1, 1), "EUR")),
    "HR": ((date(1994, 5, 30), "HRK"), (date(2023, 1, 1), "EUR")),
}
"""Lands that changed their currency, and when."""
_COUPLED_LANDS = frozenset({
    "AL", "AT", "BA", "BE", "BG", "CH", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT",
    "LT", "LU", "LV", "MD", "ME", "MK", "MT", "NL", "NO", "PL", "PT", "RO", "RS", "SE", "SI", "SK", "UA", "XK",
})  # fmt: skip

_BY_ZONE = {
    "AU": _NEM,
    "CN": _CHINA,
    "GB": _GB,
    "US-CAL-CISO": _us("America/Los_Angeles", "-500", "5000"),
    "US-NY-NYIS": _us("America/New_York", "-1000", "5000"),
    "US-MIDA-PJM": _us("America/New_York", "-1000", "5000"),
    "US-TEX-ERCO": _us("America/Chicago", "-500", "9500"),
    **dict.fromkeys(_COUPLED_LANDS, COUPLED),
}
"""A zone, or the land of several: AU is the market of AU-NSW too."""


@dataclass(frozen=True, slots=True)
class Markets:
    """What is known of zones: the defaults, and before them what the operator of this service says."""

    own: Mapping[str, Market] = field(default_factory=dict)
    coupled: Market = COUPLED
    """The rules of every zone that nobody describes."""
    areas: Mapping[str, str] = field(default_factory=dict)
    """Zone -> its Energy Identification Code, where ours differ or lack it."""
    currencies: Mapping[str, tuple[tuple[date, str], ...]] = field(default_factory=dict)
    """Zone -> from which market day on it trades in which currency."""

    def of(self, zone: str) -> Market:
        """The market of a zone; European rules where nothing else is known."""
        return self._known(zone) or self.coupled

    def timezone(self, zone: str) -> ZoneInfo | None:
        """The market's time of a zone; None for a zone whose market we do not know."""
        market = self._known(zone)
        return market.timezone if market else None

    def changes_to(self, currency: str, zone: str, day: date) -> bool:
        """Whether a zone trades in a currency on a day by a change of a known date."""
        codes = self.currencies.get(zone) or _CURRENCIES.get(zone.split("-")[0], ())
        begun = sorted(change for change in codes if change[0] <= day)
        return bool(begun) and begun[-1][1] == currency

    def _known(self, zone: str) -> Market | None:
        land = zone.split("-")[0]
        found = next((table[key] for table in (self.own, _BY_ZONE) for key in (zone, land) if key in table), None)
        return self.coupled if found is COUPLED else found


DEFAULTS = Markets()


def timezone_of(zone: str) -> ZoneInfo | None:
    """The market's time of a zone, by the defaults; None for a zone whose market we do not know."""
    return DEFAULTS.timezone(zone)


def market_of(zone: str) -> Market:
    """The market of a zone, by the defaults."""
    return DEFAULTS.of(zone)
