"""Energy-Charts (Fraunhofer ISE): day-ahead prices of some 45 zones and the CO2 of some countries. No key.

Parallel arrays of start stamps (unix seconds) and values; 15 minutes since October 2025, hours before. 404 means
"nothing there". Two requests a second are documented; the licence text travels with the answer and differs per zone.
It partly feeds from ENTSO-E: a fallback for its outages, not an independent source.
"""

from __future__ import annotations

import re
from typing import Any

from gridsignal_schemas.messages import CarbonIntensity, Record, SpotPrice
from gridsignal_services.ingest.curves import Curve, by_day, clipped, so_far
from gridsignal_services.ingest.elements import each, figure
from gridsignal_services.ingest.feed import (
    Ask,
    Call,
    FeedAnswer,
    Malformed,
    NotYetAvailable,
    Provider,
    Signal,
    Unsupported,
    refuse_status,
)
from gridsignal_services.ingest.figures import epoch_s, is_grams_per_kwh, json_of, list_of, object_of, words
from gridsignal_services.ingest.schedule import DAY_AHEAD, MARKET_TIME, Cadence
from gridsignal_services.ingest.stamps import from_stamps

ADDRESS = "https://api.energy-charts.info"

# our zone -> theirs, where they differ
_BIDDING_ZONES = {
    "IT-CALA": "IT-Calabria",
    "IT-NO": "IT-North",
    "IT-CNO": "IT-Centre-North",
    "IT-CSO": "IT-Centre-South",
    "IT-SO": "IT-South",
    "IT-SAR": "IT-Sardinia",
    "IT-SIC": "IT-Sicily",
    **{
        f"{land}-{area}{n}": f"{land}{n}"
        for land, area, top in (("DK", "DK", 2), ("NO", "NO", 5), ("SE", "SE", 4))
        for n in range(1, top + 1)
    },
}


def request(ask: Ask) -> Call:
    """Prices of a bidding zone, or the CO2 of the country around it, for a window."""
    starts_at, ends_at = ask.window()
    if ask.zone is None:
        raise Unsupported("expected a zone to ask for, got none")
    times = {"start": str(int(starts_at.timestamp())), "end": str(int(ends_at.timestamp()) - 1)}
    address = ask.settings.get("address", ADDRESS)
    if ask.signal is Signal.CARBON:
        country = ask.settings.get(f"country.{ask.zone}", ask.zone.split("-")[0].lower())
        return Call(f"{address}/co2eq", {"country": country, **times})
    return Call(f"{address}/price", {"bzn": _bidding_zone(ask), **times})


def _bidding_zone(ask: Ask) -> str:
    zone = ask.zone or ""
    return ask.settings.get(f"bzn.{zone}") or _BIDDING_ZONES.get(zone, zone)


def parse(answer: FeedAnswer, ask: Ask) -> list[Record]:
    """One SpotPrice per market day, or one CarbonIntensity per day for history and one for the forecast."""
    if answer.status == 404:
        raise NotYetAvailable("energy_charts has no content for this window (status 404)")
    refuse_status(answer)
    body = object_of(json_of(answer.body), "the answer")
    stamps = list_of(body.get("unix_seconds"), "unix_seconds")
    if not stamps:
        raise NotYetAvailable("energy_charts answers with empty lists")
    if len(stamps) > 400_000:
        raise Malformed(f"expected a few thousand stamps, got {len(stamps)}")
    if ask.zone is None:
        raise Unsupported("an answer of energy_charts does not name its zone: expected one, got none")
    named = [name for name, signal in _SIGNALS.items() if ask.signal in (None, signal)]
    if not any(name in body for name in named):
        raise Malformed(f"expected {' or '.join(named)}, got {', '.join(sorted(body))[:120]}")
    if "price" in named and "price" in body:
        if body["price"] is None:
            raise NotYetAvailable("energy_charts has no prices for this window yet")
        return [_spot_price(day, body, ask) for day in _days(stamps, body, "price", ask)]
    if _unit(body) and not is_grams_per_kwh(_unit(body)):
        raise Malformed(f"expected the unit g/kWh, got {body['unit']!r:.40}")
    names = [name for name in _CARBON if body.get(name) is not None]
    read = each(
        names, "series", lambda name: [_intensity(day, body, ask, name) for day in _days(stamps, body, name, ask)], ask
    )
    found: list[Record] = [record for records in read for record in records]
    if not found:
        raise NotYetAvailable("energy_charts has no carbon figures for this window yet")
    return found


def _days(stamps: list[Any], body: dict[str, Any], name: str, ask: Ask) -> list[Curve]:
    values = list_of(body[name], name)
    if len(values) != len(stamps):
        raise Malformed(f"expected as many values of {name} as stamps ({len(stamps)}), got {len(values)}")
    rows = list(zip(stamps, values, strict=True))
    points = each(rows, "stamp", lambda row: (epoch_s(row[0]), figure(row[1], f"{name} at {row[0]}", ask)), ask)
    curves = from_stamps([stamp for stamp, _ in points], [value for _, value in points], ask.left_out, MARKET_TIME)
    asked = [clipped(curve, *ask.span) for curve in curves]
    days = [day for curve in asked if curve for day in by_day(curve, MARKET_TIME)]
    known = [day for curve in days if (day := so_far(curve)) is not None]
    if not known and name == "price":
        raise NotYetAvailable("energy_charts has no prices for this window yet")
    return known


def _unit(body: dict[str, Any]) -> str:
    unit = "".join(str(body.get("unit") or "").upper().split()).replace("PERMWH", "/MWH")
    unit = unit.replace("\u20ac", "EUR").replace("EURO/", "EUR/")
    return "" if unit == "NOUNIT" else unit  # sent for years


def _currency(body: dict[str, Any]) -> str:
    match = _PER_MWH.fullmatch(_unit(body) or "EUR/MWH")
    if not match:
        raise Malformed(f"expected the unit EUR/MWh, got {body['unit']!r:.40}")
    return match[1]


_CARBON = {"co2eq": "MEASURED", "co2eq_forecast": "FORECAST"}
_SIGNALS = {"price": Signal.PRICE, **dict.fromkeys(_CARBON, Signal.CARBON)}
_PER_MWH = re.compile(r"([A-Z]{3})/MWH")


def _spot_price(curve: Curve, body: dict[str, Any], ask: Ask) -> SpotPrice:
    values = list(curve.values)
    return SpotPrice.model_validate(
        {
            "zone": ask.zone,
            "product": "DAY_AHEAD",
            "dataset": "SDAC",
            "currency": _currency(body),
            "starts_at": curve.starts_at,
            "resolution_s": curve.resolution_s,
            "prices_per_mwh": values,
            "status": "FINAL",
            "flags": [*(["gap"] if None in values else []), *([] if _unit(body) else ["currency_assumed"])],
            "provider": "energy_charts",
            "licence": _licence(body),
            "observed_at": ask.now,
            "revision": 1,
        }
    )


def _intensity(curve: Curve, body: dict[str, Any], ask: Ask, name: str) -> CarbonIntensity:
    values = list(curve.values)
    return CarbonIntensity.model_validate(
        {
            "zone": ask.zone,
            "accounting": "AVERAGE",
            "scope": "LIFECYCLE",
            "mix": "PRODUCTION",
            "starts_at": curve.starts_at,
            "resolution_s": curve.resolution_s,
            "grams_per_kwh": values,
            "status": _CARBON[name],
            "flags": ["gap"] if None in values else [],
            "provider": "energy_charts",
            "dataset": name,
            "licence": _licence(body),
            "observed_at": ask.now,
            "revision": 1,
        }
    )


def _licence(body: dict[str, Any]) -> str | None:
    text = body.get("license_info")
    return words(text) if isinstance(text, str) and text else None


PROVIDER = Provider(
    request=request,
    parse=parse,
    cadence={
        Signal.PRICE: DAY_AHEAD,
        Signal.CARBON: Cadence(period_s=900, after_s=120, busy_from=None, stale_after_s=4 * 3600),
    },
    names_zone=False,
    per_minute=60,
)
