"""GB Carbon Intensity API (NESO): national figures and 14 regions plus England, Scotland, Wales. No key, CC BY 4.0.

Half hours in UTC, start-stamped. National answers carry a forecast and, about 30 minutes after the period, an actual;
both are revised for a day. Regions have forecasts only. Beyond the horizon: 200 with an empty list, or `{}`.
The index bands move every year and are not read. Includes imports and counts the stack only.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from gridsignal_schemas.messages import CarbonIntensity, Record
from gridsignal_schemas.values import rfc3339
from gridsignal_services.ingest.curves import Curve, Value, by_day, clipped, so_far
from gridsignal_services.ingest.elements import each, figure
from gridsignal_services.ingest.feed import (
    Ask,
    Call,
    FeedAnswer,
    Malformed,
    NotYetAvailable,
    Outage,
    Provider,
    Signal,
    Unsupported,
    refuse_status,
)
from gridsignal_services.ingest.figures import instant, json_of, list_of, object_of
from gridsignal_services.ingest.schedule import Cadence
from gridsignal_services.ingest.stamps import of_step

ADDRESS = "https://api.carbonintensity.org.uk"
LICENCE = "CC BY 4.0, Carbon Intensity API, National Energy System Operator"
HALF_HOUR = timedelta(minutes=30)
_DAY = ZoneInfo("UTC")
_REGIONAL = frozenset({"shortname", "dnoregion", "postcode"})
_REGION = re.compile(r"GB-REG-([1-9]|1[0-7])")


def request(ask: Ask) -> Call:
    """The half hours of a window: of the nation (zone GB) or of a region (GB-REG-1 to GB-REG-17)."""
    starts_at, ends_at = (when.strftime("%Y-%m-%dT%H:%MZ") for when in ask.window())
    address = ask.settings.get("address", ADDRESS)
    if ask.zone == "GB":
        return Call(f"{address}/intensity/{starts_at}/{ends_at}", headers={"Accept": "application/json"})
    region = _REGION.fullmatch(ask.zone or "")
    if not region:
        raise Unsupported(f"expected the zone GB or GB-REG-1 to GB-REG-17, got {ask.zone}")
    path = f"{address}/regional/intensity/{starts_at}/{ends_at}/regionid/{region[1]}"
    return Call(path, headers={"Accept": "application/json"})


def parse(answer: FeedAnswer, ask: Ask) -> list[Record]:
    """Per zone and UTC day one CarbonIntensity of forecasts and one of actuals, each with revisions of its own."""
    body = _body(answer)
    if "data" not in body or not body["data"]:
        raise NotYetAvailable("gb_carbon has no figures for this window yet")
    found: list[Record] = []
    for zone, rows in _by_zone(body["data"], ask).items():
        found.extend(_zone_records(zone, rows, ask))
    if not found:
        raise NotYetAvailable("gb_carbon answers with half hours but without figures")
    return found


def _body(answer: FeedAnswer) -> dict[str, Any]:
    if answer.status in (200, 400, 404, 500) and answer.body.lstrip().startswith(b"{"):
        body = object_of(json_of(answer.body), "the answer")
        _raise_error(body)
        if answer.status == 200:
            return body
    refuse_status(answer)
    return object_of(json_of(answer.body), "the answer")


def _raise_error(body: dict[str, Any]) -> None:
    error = body.get("error")
    if not isinstance(error, dict):
        if "data" not in body and body:
            raise Malformed(f"expected data, got {', '.join(sorted(body))[:80]}")
        return
    code, message = str(error.get("code", "")), str(error.get("message", ""))[:160]
    if code.startswith("5"):
        raise Outage(f"gb_carbon answers {code}: {message}")
    raise Malformed(f"gb_carbon refuses the question with {code}: {message}")


def _by_zone(rows: object, ask: Ask) -> dict[str, list[Any]]:
    """The half hours of each zone, whichever of the three nestings the route uses."""
    # a regional route with one region answers an object instead of a list
    half_hours = list_of([rows] if isinstance(rows, dict) else rows, "half hours")
    zones: dict[str, list[Any]] = {}
    for some in each(half_hours, "half hour", lambda row: _zones_of(row, ask), ask):
        for zone, row in some:
            zones.setdefault(zone, []).append(row)
    return zones


def _zones_of(row: object, ask: Ask) -> list[tuple[str, Any]]:
    row = object_of(row, "a half hour")
    if "regions" in row:
        moment = {"from": row.get("from"), "to": row.get("to")}
        regions = each(list_of(row["regions"], "regions"), "region", lambda region: (_zone(region), region), ask)
        return [(zone, moment | {"intensity": region.get("intensity")}) for zone, region in regions]
    if "data" in row:
        return [(_zone(row), inner) for inner in list_of(row["data"], "half hours")]
    return [(_zone(row), row)]


def _zone(row: dict[str, Any]) -> str:
    region = object_of(row, "a region").get("regionid")
    if region is None and not row.keys() & _REGIONAL:
        return "GB"
    if isinstance(region, str) and region.isascii() and region.isdigit():
        region = int(region)
    if isinstance(region, bool) or not isinstance(region, int) or not 1 <= region <= 18:
        raise Malformed(f"expected a region from 1 to 17, got {region!r:.20}: {row.get('shortname', '')!s:.40}")
    return "GB" if region == 18 else f"GB-REG-{region}"


_FIGURES = ("forecast", "actual")


def _zone_records(zone: str, rows: list[Any], ask: Ask) -> list[Record]:
    half_hours = each(rows, f"{zone} half hour", lambda row: _half_hour(row, ask), ask, some=False)
    if not half_hours:
        return []
    stamps = [stamp for stamp, _ in half_hours]
    return [
        _intensity(zone, day, name, ask)
        for i, name in enumerate(_FIGURES)
        if (asked := clipped(of_step(stamps, [row[i] for _, row in half_hours], 1800, ask.left_out), *ask.span))
        for part in by_day(asked, _DAY)
        if (day := so_far(part))
    ]


def _half_hour(row: object, ask: Ask) -> tuple[int, list[Value]]:
    row = object_of(row, "a half hour")
    starts_at, ends_at = instant(row["from"]), instant(row["to"])
    if ends_at - starts_at != HALF_HOUR:
        raise Malformed(f"expected half an hour from {rfc3339(starts_at)}, got {ends_at - starts_at}")
    intensity = object_of(row["intensity"], "intensity")
    figures = [figure(intensity.get(name), f"{name} of {rfc3339(starts_at)}", ask) for name in _FIGURES]
    return int(starts_at.timestamp()), figures


def _intensity(zone: str, curve: Curve, name: str, ask: Ask) -> CarbonIntensity:
    values = list(curve.values)
    return CarbonIntensity.model_validate(
        {
            "zone": zone,
            "accounting": "AVERAGE",
            "scope": "DIRECT",
            "mix": "CONSUMPTION",
            "starts_at": curve.starts_at,
            "resolution_s": curve.resolution_s,
            "grams_per_kwh": values,
            "status": "MEASURED" if name == "actual" else "FORECAST",
            "flags": ["gap"] if None in values else [],
            "provider": "gb_carbon",
            "dataset": f"{'national' if zone == 'GB' else 'regional'}-{name}",
            "licence": LICENCE,
            "observed_at": ask.now,
            "revision": 1,
        }
    )


PROVIDER = Provider(
    request=request,
    parse=parse,
    cadence={Signal.CARBON: Cadence(period_s=1800, after_s=120, days_back=1, days_ahead=3, stale_after_s=2 * 3600)},
    per_minute=20,
    days=_DAY,
    window_days=13,
    one_year=True,
)
