"""WattTime v3: marginal operating emissions (MOER), every five minutes, forecasts with a real vintage.

Login by name and password brings a token for 30 minutes; an expired one is answered with nginx's HTML 403, a missing
subscription with a JSON 403. Values are pounds per MWh. The signal index is a percentile: another thing altogether,
kept apart and never published as grams. A new model date is a break in the series, hence part of the dataset's name.
"""

from __future__ import annotations

import re
from base64 import b64encode
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from gridsignal_schemas.messages import CarbonIntensity, Record
from gridsignal_services.ingest.curves import Curve, Value, by_day, clipped, so_far
from gridsignal_services.ingest.elements import each, figure
from gridsignal_services.ingest.feed import (
    Ask,
    Call,
    FeedAnswer,
    Malformed,
    NotYetAvailable,
    Provider,
    Refused,
    Signal,
    Unsupported,
    refuse_status,
)
from gridsignal_services.ingest.figures import instant, json_of, list_of, name, object_of
from gridsignal_services.ingest.schedule import Cadence
from gridsignal_services.ingest.stamps import of_step

ADDRESS = "https://api.watttime.org"
GRAMS_PER_KWH_PER_POUND_PER_MWH = Decimal("0.45359237")
LICENCE = "WattTime: for the account's owner, no redistribution"
_POUNDS = re.compile("LBS?_?(?:CO2(?:EQ?)?)?(?:_PER_|/|PER)MWH")
_USUAL_STEP_S = 300
_TOKEN_FOR = timedelta(minutes=30)
_ACCOUNTING = {"co2_moer": "MARGINAL", "co2_aoer": "AVERAGE"}
_DAY = ZoneInfo("UTC")


def login(ask: Ask) -> Call:
    """Basic authentication; the token comes back in the body."""
    pair = f"{ask.settings.get('user', '')}:{ask.settings.get('password', '')}"
    basic = b64encode(pair.encode()).decode()
    return Call(f"{ask.settings.get('address', ADDRESS)}/login", headers={"Authorization": f"Basic {basic}"})


def token(answer: FeedAnswer, ask: Ask) -> tuple[str, datetime]:
    """The token, and when it expires."""
    if answer.status in (401, 403):
        raise Refused("watttime refuses the user name and password")
    refuse_status(answer)
    text = object_of(json_of(answer.body), "the login").get("token")
    if not isinstance(text, str) or not text:
        raise Malformed("expected a token from the login, got none")
    return text, ask.now + _TOKEN_FOR


def request(ask: Ask) -> Call:
    """MOER history or forecast of a region."""
    if ask.zone is None:
        raise Unsupported("expected a region to ask for, got none")
    address = ask.settings.get("address", ADDRESS)
    params = {"region": _region(ask), "signal_type": ask.settings.get("signal_type", "co2_moer")}
    headers = {"Authorization": f"Bearer {ask.token or ''}"}
    if ask.signal is Signal.FORECAST:
        return Call(f"{address}/v3/forecast", {**params, "horizon_hours": "24"}, headers=headers)
    starts_at, ends_at = ask.window()
    last = min(ends_at, ask.now) - timedelta(seconds=1)  # their end is inclusive
    times = {"start": starts_at.strftime("%Y-%m-%dT%H:%M:%SZ"), "end": last.strftime("%Y-%m-%dT%H:%M:%SZ")}
    return Call(f"{address}/v3/historical", {**params, **times}, headers=headers)


def _region(ask: Ask) -> str:
    return ask.settings.get(f"region.{ask.zone}", ask.zone or "")


def parse(answer: FeedAnswer, ask: Ask) -> list[Record]:
    """One CarbonIntensity per forecast vintage, or per UTC day of history."""
    _raise_refusal(answer)
    body = object_of(json_of(answer.body), "the answer")
    if "error" in body:
        raise Unsupported(f"watttime: {str(body['error'])[:120]}")
    meta = object_of(body.get("meta"), "meta")
    _check_signal(meta)
    rows = list_of(body.get("data"), "points")
    if not rows:
        raise NotYetAvailable("watttime has no points for this window yet")
    if any(isinstance(row, dict) and "forecast" in row for row in rows):
        found_rows = each(rows, "forecast", lambda row: _forecast(object_of(row, "a forecast"), meta, ask), ask)
        found = [record for records in found_rows for record in records]
        if not found:
            raise NotYetAvailable("watttime's forecasts are empty")
        return found
    if meta.get("generated_at"):
        return _forecast({"generated_at": meta["generated_at"], "forecast": rows}, meta, ask) or _nothing()
    return _history(rows, meta, ask)


def _nothing() -> list[Record]:
    raise NotYetAvailable("watttime's forecast is empty")


def _raise_refusal(answer: FeedAnswer) -> None:
    text = answer.body.lstrip()[:200]
    if answer.status in (401, 403) or b"403 Forbidden" in answer.body[:400] or b"Invalid scope" in answer.body[:400]:
        if answer.status != 401 and text.startswith(b"{"):
            raise Refused("watttime: no subscription for this region or signal")
        raise Refused("watttime refuses the token: expired", expired=True)
    if answer.status == 404 and text.startswith(b"{"):
        raise Unsupported("watttime does not cover this region")
    if answer.status == 400:
        raise Malformed("watttime does not take the question (status 400)")
    refuse_status(answer)


def _check_signal(meta: dict[str, Any]) -> None:
    units = meta.get("units")
    if units == "percentile":
        raise Unsupported("a percentile is not a carbon intensity: kept apart, not published")
    if meta.get("signal_type") not in _ACCOUNTING:
        raise Unsupported(f"expected co2_moer or co2_aoer, got {meta.get('signal_type')!r:.30}")


def _must_be_pounds(row: dict[str, Any], meta: dict[str, Any]) -> None:
    """Checks the units of a point: its own, else those of all."""
    units = row.get("units") or meta.get("units")
    if not _POUNDS.fullmatch("".join(str(units).upper().split())):
        raise Malformed(f"expected lbs_co2_per_mwh, got {units!r:.30}")


def _curve(rows: list[Any], meta: dict[str, Any], ask: Ask) -> Curve:
    points = each(rows, "point", lambda row: _point(object_of(row, "a point"), meta, ask), ask)
    stamps, values = [stamp for stamp, _ in points], [grams for _, grams in points]
    step_s = meta.get("data_point_period_seconds")
    if step_s is None:
        step_s = min((after - before for before, after in pairwise(sorted(set(stamps)))), default=_USUAL_STEP_S)
    if isinstance(step_s, bool) or not isinstance(step_s, int) or not 60 <= step_s <= 3600 or 3600 % step_s:
        raise Malformed(f"expected a data_point_period_seconds that divides an hour, got {step_s!r:.20}")
    return of_step(stamps, values, step_s, ask.left_out)


def _point(row: dict[str, Any], meta: dict[str, Any], ask: Ask) -> tuple[int, Value]:
    _must_be_pounds(row, meta)
    pounds = figure(row.get("value"), f"value of {row.get('point_time')}", ask)
    grams = None if pounds is None else (pounds * GRAMS_PER_KWH_PER_POUND_PER_MWH).quantize(Decimal("0.0001"))
    return int(instant(row.get("point_time")).timestamp()), grams


def _forecast(row: dict[str, Any], meta: dict[str, Any], ask: Ask) -> list[Record]:
    points = list_of(row.get("forecast"), "points")
    curve = so_far(_curve(points, meta, ask)) if points else None
    if curve is None:
        return []
    return [_record(curve, meta, ask, "FORECAST", [], instant(row.get("generated_at")))]


def _history(rows: list[Any], meta: dict[str, Any], ask: Ask) -> list[Record]:
    asked = clipped(_curve(rows, meta, ask), *ask.span)
    imputed = any(isinstance(row, dict) and row.get("imputed_data_used") is True for row in rows)
    days = [day for part in (by_day(asked, _DAY) if asked else []) if (day := so_far(part))]
    if not days:
        raise NotYetAvailable("watttime has no points for this window yet")
    return [_record(day, meta, ask, "MEASURED", ["imputed"] if imputed else [], None) for day in days]


def _record(
    curve: Curve, meta: dict[str, Any], ask: Ask, status: str, flags: list[str], issued_at: datetime | None
) -> CarbonIntensity:
    signal, region = str(meta["signal_type"]), str(meta.get("region") or "")
    model = meta.get("model")
    vintage = name(model.get("date") or "unknown", 40) if isinstance(model, dict) else "unknown"
    zone = ask.zone if ask.zone is not None and _region(ask) == region else region
    return CarbonIntensity.model_validate(
        {
            "zone": zone,
            "accounting": _ACCOUNTING[signal],
            "scope": "DIRECT",
            "mix": "PRODUCTION",
            "starts_at": curve.starts_at,
            "resolution_s": curve.resolution_s,
            "grams_per_kwh": list(curve.values),
            "status": status,
            "flags": flags + (["gap"] if None in curve.values else []),
            "provider": "watttime",
            "dataset": f"{signal}@{vintage}",
            "licence": LICENCE,
            "issued_at": issued_at,
            "observed_at": ask.now,
            "revision": 1,
        }
    )


_FIVE_MINUTES = Cadence(period_s=300, after_s=30, days_back=1, days_ahead=1, stale_after_s=3600)
PROVIDER = Provider(
    request=request,
    parse=parse,
    cadence={Signal.CARBON: _FIVE_MINUTES, Signal.FORECAST: _FIVE_MINUTES},
    needs=("user", "password"),
    per_minute=100,
    days=_DAY,
    window_days=30,
    login=login,
    token=token,
)
