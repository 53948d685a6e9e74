"""The zones we know: their market's time, currency and sensible price bounds. Any other zone gets the defaults."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from zoneinfo import ZoneInfo

from gridsignal_services.ingest.schedule import MARKET_TIME


@dataclass(frozen=True, slots=True)
class Market:
    """A zone's market: whose midnight starts its day, what it trades in, which auction is the day-ahead one."""

    timezone: ZoneInfo
    currency: str
    dataset: str
    lowest_per_mwh: Decimal
    highest_per_mwh: Decimal


def _market(timezone: ZoneInfo, currency: str, dataset: str, lowest: str, highest: str) -> Market:
    return Market(timezone, currency, dataset, Decimal(lowest), Decimal(highest))


# harmonised limits of the coupled auction: -500 to +4000, raised in steps after spikes; 5000 leaves one step of room
COUPLED = _market(MARKET_TIME, "EUR", "SDAC", "-500", "5000")
# the market price cap rises every July (about 20,300 in 2025-26); the floor has been -1000 from the start
NEM = _market(ZoneInfo("Etc/GMT-10"), "AUD", "NEM", "-1000", "25000")

_OTHERS = {
    "GB": _market(ZoneInfo("Europe/London"), "GBP", "N2EX", "-500", "6000"),
    "US-CAL-CISO": _market(ZoneInfo("America/Los_Angeles"), "USD", "DAM", "-500", "5000"),
    "US-NY-NYIS": _market(ZoneInfo("America/New_York"), "USD", "DAM", "-1000", "5000"),
    "US-MIDA-PJM": _market(ZoneInfo("America/New_York"), "USD", "DAM", "-1000", "5000"),
    "US-TEX-ERCO": _market(ZoneInfo("America/Chicago"), "USD", "DAM", "-500", "9500"),
}


_COUPLED_LANDS = frozenset({
    "AT", "BE", "BG", "CH", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LV", "ME",
    "MK", "NL", "NO", "PL", "PT", "RO", "RS", "SE", "SI", "SK",
})  # fmt: skip


def timezone_of(zone: str) -> ZoneInfo | None:
    """The market's time of a zone; None for a zone whose market we do not know."""
    land = zone.split("-")[0]
    known = zone in _OTHERS or land in _COUPLED_LANDS or zone.startswith("AU-")
    return _OTHERS["GB"].timezone if land == "GB" else market_of(zone).timezone if known else None


def market_of(zone: str) -> Market:
    """The market of a zone; European rules where nothing else is known."""
    if zone.startswith("AU-"):
        return NEM
    return _OTHERS.get(zone, COUPLED)
