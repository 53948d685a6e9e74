"""Electricity Maps: average carbon intensity, worldwide, by the hour. Token in a header; no redistribution.

`latest` is practically always an estimate; the measured value of the same hour appears in `history` one to three
hours later. So history (24 hours) is polled and each hour is a series of its own: estimated, then measured.
Stamps are interval starts.
"""

from __future__ import annotations

from typing import Any

from gridsignal_schemas.messages import CarbonIntensity, Record
from gridsignal_services.ingest.feed import (
    Answer,
    Ask,
    Call,
    Malformed,
    NotYetAvailable,
    Provider,
    Signal,
    Unsupported,
    refuse_status,
)
from gridsignal_services.ingest.figures import decimal_or_gap, instant, json_of, list_of, object_of
from gridsignal_services.ingest.schedule import Cadence

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


def parse(answer: Answer, ask: Ask) -> list[Record]:
    """One CarbonIntensity an hour: ESTIMATED, MEASURED, or FORECAST with the vintage of the answer."""
    if answer.status == 404:
        raise NotYetAvailable("electricitymaps has no figures for this zone (status 404)")
    refuse_status(answer)
    body = object_of(json_of(answer.body), "the answer")
    if "status" in body and "history" not in body:
        return _legacy(body)
    if "forecast" in body:
        rows, vintage = list_of(body["forecast"], "hours"), instant(body.get("updatedAt"))
    else:
        single = [body] if "carbonIntensity" in body else None
        rows, vintage = list_of(body.get("history", body.get("data", single)), "hours"), None
    step_s = _STEPS_S.get(str(body.get("temporalGranularity") or "hourly"))
    if step_s is None:
        raise Malformed(f"expected a granularity we know, got {body['temporalGranularity']!r:.30}")
    found = [_intensity(object_of(row, "an hour"), body, ask, step_s, vintage) for row in rows]
    known = [record for record in found if record is not None and _asked(record, ask)]
    if not known:
        raise NotYetAvailable("electricitymaps has no figures for this window yet")
    return _once(known)


def _legacy(body: dict[str, Any]) -> list[Record]:
    if body["status"] == "no-data":
        raise NotYetAvailable("electricitymaps: no-data")
    raise Unsupported(f"the legacy answer (status {body['status']!r:.30}) disagrees with v3 and is not read")


def _asked(record: CarbonIntensity, ask: Ask) -> bool:
    if ask.starts_at is not None and record.starts_at < ask.starts_at:
        return False
    return ask.ends_at is None or record.ends_at <= ask.ends_at


def _once(records: list[CarbonIntensity]) -> list[Record]:
    seen: dict[str, CarbonIntensity] = {}
    for record in records:
        other = seen.setdefault(record.series_id, record)
        if other != record:
            raise Malformed(f"two values for {record.starts_at.isoformat()}")
    return [seen[key] for key in sorted(seen, key=lambda key: seen[key].starts_at)]


def _intensity(
    row: dict[str, Any], body: dict[str, Any], ask: Ask, step_s: int, vintage: Any
) -> CarbonIntensity | None:
    value = decimal_or_gap(row.get("carbonIntensity"))
    if value is None:
        return None
    scope = _SCOPES.get(str(row.get("emissionFactorType") or body.get("emissionFactorType") or "lifecycle"))
    if scope is None:
        raise Malformed(f"expected lifecycle or direct factors, got {row['emissionFactorType']!r:.30}")
    estimated = row.get("isEstimated", False)
    if not isinstance(estimated, bool):
        raise Malformed(f"expected isEstimated as true or false, got {estimated!r:.20}")
    status = "FORECAST" if vintage else "ESTIMATED" if estimated else "MEASURED"
    method = str(row.get("estimationMethod") or "").lower()[:32]
    return CarbonIntensity.model_validate(
        {
            "zone": row.get("zone") or body.get("zone") or ask.zone,
            "accounting": "AVERAGE",
            "scope": scope,
            "mix": "CONSUMPTION",
            "starts_at": instant(row.get("datetime")),
            "resolution_s": step_s,
            "grams_per_kwh": [value],
            "status": status,
            "flags": [method] if estimated and method.replace("_", "").isalnum() else [],
            "provider": "electricitymaps",
            "dataset": "carbon-intensity",
            "licence": LICENCE,
            "issued_at": vintage or (instant(row["updatedAt"]) if row.get("updatedAt") else None),
            "observed_at": ask.now,
            "revision": 1,
        }
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
