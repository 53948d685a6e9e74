"""Electricity Maps: average carbon intensity, worldwide, by the hour. Token in a header; no redistribution.

`latest` is practically always an estimate; the measured value of the same hour appears in `history` one to three
hours later. So history (24 hours) is polled and each hour is a series of its own: estimated, then measured.
Stamps are interval starts.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import pairwise
from typing import Any

from gridsignal_schemas.messages import CarbonIntensity, Record
from gridsignal_schemas.values import rfc3339
from gridsignal_services.ingest.curves import Curve, Value, so_far
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
from gridsignal_services.ingest.figures import decimal_or_gap, instant, is_grams_per_kwh, json_of, list_of, object_of
from gridsignal_services.ingest.schedule import Cadence
from gridsignal_services.ingest.stamps import of_step

ADDRESS = "https://api.electricitymaps.com/v3"
LICENCE = "Electricity Maps: for the token's owner, no redistribution"
_SCOPES = {"lifecycle": "LIFECYCLE", "direct": "DIRECT"}
_STEPS_S = {"hourly": 3600, "15_minutes": 900, "5_minutes": 300}


def request(ask: Ask) -> Call:
    """The last 24 hours, or the forecast, of a zone."""
    if ask.zone is None:
        raise Unsupported("expected a zone to ask for, got none")
    route = "forecast" if ask.signal is Signal.FORECAST else "history"
    address = ask.settings.get("address", ADDRESS)
    headers = {"auth-token": ask.settings.get("token", "")}
    return Call(f"{address}/carbon-intensity/{route}", {"zone": ask.zone}, headers=headers)


def parse(answer: FeedAnswer, ask: Ask) -> list[Record]:
    """One CarbonIntensity an hour, ESTIMATED or MEASURED; of a forecast one curve with the vintage of the answer."""
    if answer.status == 404:
        raise NotYetAvailable("electricitymaps has no figures for this zone (status 404)")
    refuse_status(answer)
    body = object_of(json_of(answer.body), "the answer")
    if "status" in body and not any(isinstance(body.get(name), list) for name in ("history", "data", "forecast")):
        return _legacy(body)
    if "forecast" in body:
        return _forecast(body, ask)
    single = [body] if "carbonIntensity" in body else None
    rows = list_of(body.get("history", body.get("data", single)), "hours")
    hours = each(rows, "hour", lambda row: _hour(object_of(row, "an hour"), body, ask), ask)
    for step_s in {hour.resolution_s for hour in hours if hour}:
        _must_fit([hour.starts_at for hour in hours if hour and hour.resolution_s == step_s], step_s)
    known = sorted((hour for hour in hours if hour and _asked(hour, ask)), key=lambda hour: hour.starts_at)
    if not known:
        raise NotYetAvailable("electricitymaps has no figures for this window yet")
    return list(known)


def _step_s(row: dict[str, Any], body: dict[str, Any]) -> int:
    """The granularity that an interval says, else the answer, else an hour."""
    named = row.get("temporalGranularity") or body.get("temporalGranularity") or "hourly"
    if (step_s := _STEPS_S.get(str(named).lower())) is None:
        raise Malformed(f"expected a granularity of {', '.join(_STEPS_S)}, got {named!r:.30}")
    return step_s


def _must_fit(starts: Iterable[datetime], step_s: int) -> None:
    """Raises Malformed where most intervals are nearer to each other than they are long: that would be a guess."""
    pairs = list(pairwise(sorted(set(starts))))
    near = [(one, other) for one, other in pairs if (other - one).total_seconds() < step_s]
    if near and 2 * len(near) > len(pairs):
        got = " and ".join(rfc3339(when) for when in near[0])
        raise Malformed(f"expected intervals of {step_s} s, got {got}: temporalGranularity says it")


def _legacy(body: dict[str, Any]) -> list[Record]:
    if body["status"] == "no-data":
        raise NotYetAvailable("electricitymaps: no-data")
    if body["status"] == "error":
        raise Malformed("electricitymaps answers an error")
    raise Unsupported(f"the legacy answer (status {body['status']!r:.30}) disagrees with v3 and is not read")


def _asked(record: CarbonIntensity, ask: Ask) -> bool:
    if ask.starts_at is not None and record.starts_at < ask.starts_at:
        return False
    return ask.ends_at is None or record.ends_at <= ask.ends_at


def _forecast(body: dict[str, Any], ask: Ask) -> list[Record]:
    step_s = _step_s({}, body)
    rows = each(list_of(body["forecast"], "hours"), "hour", lambda row: _point(object_of(row, "an hour"), ask), ask)
    stamps, values = [stamp for stamp, _ in rows], [value for _, value in rows]
    curve = so_far(of_step(stamps, values, step_s, ask.left_out)) if rows else None
    if curve is None:
        raise NotYetAvailable("electricitymaps has no forecast for this zone yet")
    if (issued_at := _vintage(body)) is None:
        raise Malformed(f"expected updatedAt of the forecast, got {body.get('updatedAt')!r:.30}")
    marks = {"status": "FORECAST", "issued_at": issued_at, "flags": []}
    return [_intensity(curve, body, body, ask, marks)]


def _point(row: dict[str, Any], ask: Ask) -> tuple[int, Value]:
    stamp = row.get("datetime")
    if "carbonIntensity" not in row:
        raise Malformed(f"expected carbonIntensity, got {', '.join(sorted(row))[:80]}")
    return int(instant(stamp).timestamp()), figure(row["carbonIntensity"], f"carbonIntensity of {stamp}", ask)


def _hour(row: dict[str, Any], body: dict[str, Any], ask: Ask) -> CarbonIntensity | None:
    step_s = _step_s(row, body)
    value = _grams(row)
    if value is None:
        return None
    estimated = row.get("isEstimated")
    if estimated is None:  # not said: what names a method was estimated by it
        estimated = bool(row.get("estimationMethod"))
    if not isinstance(estimated, bool):
        raise Malformed(f"expected isEstimated as true or false, got {estimated!r:.20}")
    method = str(row.get("estimationMethod") or "").lower()[:32]
    marks = {
        "status": "ESTIMATED" if estimated else "MEASURED",
        "issued_at": _vintage(row),
        "flags": [method] if estimated and method.replace("_", "").isalnum() else [],
    }
    return _intensity(Curve(instant(row.get("datetime")), step_s, (value,)), row, body, ask, marks)


def _vintage(row: dict[str, Any]) -> datetime | None:
    """When it was told; None where that can't be read: the figure is none the worse."""
    try:
        return instant(row.get("updatedAt"))
    except Malformed:
        return None


def _grams(row: dict[str, Any]) -> Value:
    if "carbonIntensity" not in row:
        raise Malformed(f"expected carbonIntensity in each hour, got {', '.join(sorted(row))[:80]}")
    return decimal_or_gap(row["carbonIntensity"])


def _intensity(
    curve: Curve, row: dict[str, Any], body: dict[str, Any], ask: Ask, marks: dict[str, Any]
) -> CarbonIntensity:
    factors = str(row.get("emissionFactorType") or body.get("emissionFactorType") or "lifecycle")
    unit = next((one[name] for one in (row, body) for name in ("unit", "units") if one.get(name)), None)
    if unit is not None and not is_grams_per_kwh(unit):
        raise Malformed(f"expected the unit gCO2eq/kWh, got {unit!r:.30}")
    if factors not in _SCOPES:
        raise Malformed(f"expected lifecycle or direct factors, got {factors!r:.30}")
    return CarbonIntensity.model_validate(
        {
            "zone": row.get("zone") or body.get("zone") or ask.zone,
            "accounting": "AVERAGE",
            "scope": _SCOPES[factors],
            "mix": "CONSUMPTION",
            "starts_at": curve.starts_at,
            "resolution_s": curve.resolution_s,
            "grams_per_kwh": list(curve.values),
            "provider": "electricitymaps",
            "dataset": "carbon-intensity",
            "licence": LICENCE,
            "observed_at": ask.now,
            "revision": 1,
        }
        | marks
    )


_HOURLY = Cadence(period_s=300, after_s=20, days_back=1, days_ahead=1, stale_after_s=3 * 3600)
PROVIDER = Provider(
    request=request,
    parse=parse,
    cadence={Signal.CARBON: _HOURLY, Signal.FORECAST: Cadence(period_s=3600, after_s=120, days_ahead=4)},
    needs=("token",),
    per_minute=30,
    window_days=31,
)
