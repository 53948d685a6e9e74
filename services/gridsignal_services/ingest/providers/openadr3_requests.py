"""Alerts and requests for power out of OpenADR 3.1 events.

A setpoint or an import limit is absolute, a request is a difference: it needs `reference_kw`, the load that the VTN's
figures are measured against. Without it, without an end, or too late for an auction, the event is told as an alert:
it is never dropped. Targets are the VTN's names: `target.<name>` says which participant each is; a name that nobody
gave a participant is heard by nobody.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from gridsignal_schemas.messages import DispatchRequest, GridAlert
from gridsignal_services.ingest.elements import each
from gridsignal_services.ingest.feed import Ask, Malformed
from gridsignal_services.ingest.figures import decimal_of, list_of, name, words
from gridsignal_services.ingest.markets import market_of
from gridsignal_services.ingest.providers.openadr3_event import OpenAdrEvent, Payload, number
from gridsignal_services.ingest.providers.openadr3_timeline import Span

_ALERTS = {
    "ALERT_GRID_EMERGENCY": ("GRID_EMERGENCY", 3, "PREPARE"),
    "ALERT_BLACK_START": ("GRID_EMERGENCY", 3, "RESTORE_FORBIDDEN"),
    "ALERT_POSSIBLE_OUTAGE": ("GRID_EMERGENCY", 1, "PREPARE"),
    "ALERT_FLEX_ALERT": ("FLEX_ALERT", 2, "SHED"),
    "ALERT_FIRE": ("WEATHER", 1, "INFORM"),
    "ALERT_FREEZING": ("WEATHER", 1, "INFORM"),
    "ALERT_WIND": ("WEATHER", 1, "INFORM"),
    "ALERT_TSUNAMI": ("WEATHER", 2, "INFORM"),
    "ALERT_AIR_QUALITY": ("WEATHER", 1, "INFORM"),
}
_ANY_ALERT = ("OTHER", 1, "INFORM")
_SIMPLE = (("FLEX_ALERT", "INFORM"), ("FLEX_ALERT", "SHED"), ("FLEX_ALERT", "SHED"), ("GRID_EMERGENCY", "SHED"))
"""Normal operation, moderate, high and emergency load shed."""
_ABSOLUTE = frozenset({"DISPATCH_SETPOINT", "IMPORT_CAPACITY_LIMIT"})
_RELATIVE = frozenset({"DISPATCH_SETPOINT_RELATIVE"})
_TOLD_ONLY = frozenset({"CONTROL_SETPOINT", "DISPATCH_INSTRUCTION"})


def asked(event: OpenAdrEvent, zone: str, ask: Ask) -> list[DispatchRequest | GridAlert]:
    """What an event asks of sites: a GridAlert or DispatchRequest for each interval that asks something."""
    name = f"event {event.key:.60}, payload"
    read = each(event.payloads, name, lambda one: _asked(event, one, zone, ask), ask, some=False)
    return [found for found in read if found is not None]


def _asked(event: OpenAdrEvent, payload: Payload, zone: str, ask: Ask) -> DispatchRequest | GridAlert | None:
    kind, values = payload.kind, list_of(payload.values, "values")
    if kind.startswith("ALERT_"):
        return _alert(event, payload, _ALERTS.get(kind, _ANY_ALERT), _words(values), zone, ask)
    if kind == "SIMPLE":
        return _alert(event, payload, _simple(values), event.name, zone, ask)
    if kind in _TOLD_ONLY:
        return _alert(event, payload, ("OTHER", 1, "PREPARE"), f"{kind} {_words(values)}", zone, ask)
    if kind in _ABSOLUTE or kind in _RELATIVE:
        change_w = _change_w(event, payload, values, ask)
        return _power(event, payload, change_w, values, zone, ask) if change_w != 0 else None
    return None


def _words(values: list[Any]) -> str:
    return "; ".join(str(value) for value in values)


def _simple(values: list[Any]) -> tuple[str, int, str]:
    level = int(number_given := number(values, "SIMPLE"))
    if not 0 <= level <= 3 or level != number_given:
        raise Malformed(f"expected a SIMPLE level from 0 to 3, got {number_given}")
    kind, action = _SIMPLE[level]
    return kind, level, action


def _change_w(event: OpenAdrEvent, payload: Payload, values: list[Any], ask: Ask) -> int | None:
    """The change of load in watts, less is negative; None where it can't be told."""
    number(values, payload.kind)
    if event.units_unknown and not payload.unit:
        return None
    wanted_w = payload.watts(values[0])
    if payload.kind in _RELATIVE:
        return wanted_w
    if "reference_kw" not in ask.settings:
        return None
    change_w = wanted_w - int(decimal_of(ask.settings["reference_kw"]) * 1000)
    return min(0, change_w) if payload.kind == "IMPORT_CAPACITY_LIMIT" else change_w


def _power(
    event: OpenAdrEvent, payload: Payload, change_w: int | None, values: list[Any], zone: str, ask: Ask
) -> DispatchRequest | GridAlert:
    span, text = payload.span, _setpoint(event, payload, values)
    if change_w is None or span.ends_at is None:
        return _alert(event, payload, ("FLEX_ALERT", 2, "PREPARE"), text, zone, ask)
    gate, deadline = _deadlines(span.starts_at, ask)
    if (event.issued_at or ask.now) >= gate:
        action = "SHED" if change_w < 0 else "RAISE"
        return _alert(event, payload, ("FLEX_ALERT", 2, action), text, zone, ask)
    return _request(event, span, change_w, (gate, deadline), zone, ask)


def _setpoint(event: OpenAdrEvent, payload: Payload, values: list[Any]) -> str:
    unit = payload.unit or ("in an unknown unit" if event.units_unknown else "KW")
    return f"{payload.kind} {_words(values)} {unit}: {event.name}"


def _alert(
    event: OpenAdrEvent, payload: Payload, meaning: tuple[str, int, str], text: str, zone: str, ask: Ask
) -> GridAlert:
    alert_kind, level, action = meaning
    return GridAlert.model_validate(
        {
            "alert_id": event.unique(payload.span, payload.kind),
            "revision": 1,
            "zone": zone,
            "area": name(", ".join(event.targets)) or None,
            "kind": alert_kind,
            "level": level,
            "action": action,
            "issued_at": min(event.issued_at or ask.now, ask.now),
            "starts_at": payload.span.starts_at,
            "ends_at": payload.span.ends_at,
            "is_drill": False,
            "text": words(text or event.name or payload.kind),
            "provider": "openadr3",
        }
    )


def _seconds(ask: Ask, name: str, usual: int) -> int:
    return int(decimal_of(ask.settings.get(name, str(usual))))


def _deadlines(starts_at: datetime, ask: Ask) -> tuple[datetime, datetime]:
    """Gate closure and decision deadline, counted back from the start."""
    deadline = starts_at - timedelta(
        seconds=_seconds(ask, "full_activation_s", 300) + _seconds(ask, "respond_within_s", 60)
    )
    return deadline - timedelta(seconds=_seconds(ask, "decision_s", 60)), deadline


def _request(
    event: OpenAdrEvent, span: Span, change_w: int, deadlines: tuple[datetime, datetime], zone: str, ask: Ask
) -> DispatchRequest:
    settings = ask.settings
    heard = [settings[f"target.{target}"] for target in event.targets if f"target.{target}" in settings]
    cap = settings.get("price_cap_per_mwh")
    return DispatchRequest.model_validate(
        {
            "zone": zone,
            "request_id": event.unique(span, "request"),
            "revision": 1,
            "operator": settings.get("operator", "openadr3"),
            "product": settings.get("product", event.program),
            "purpose": settings.get("purpose", "BALANCING"),
            "text": event.name,
            "direction": "LOAD_DECREASE" if change_w < 0 else "LOAD_INCREASE",
            "visibility": "LISTED" if event.targets else "PUBLIC",
            "audience": heard,
            "starts_at": span.starts_at,
            "ends_at": span.ends_at,
            "power_w": abs(change_w),
            "min_quantity_w": 0,
            "price_cap_per_mwh": None if cap is None else Decimal(decimal_of(cap)),
            "currency": settings.get("currency") or market_of(zone).currency,
            "pricing": settings.get("pricing", "PAY_AS_BID"),
            "firmness": settings.get("firmness", "VOLUNTARY"),
            "max_notice_s": _seconds(ask, "full_activation_s", 300),
            "full_activation_s": _seconds(ask, "full_activation_s", 300),
            "gate_closure_at": deadlines[0],
            "decision_deadline": deadlines[1],
            "respond_within_s": _seconds(ask, "respond_within_s", 60),
            "clearing_mode": "AUTOMATIC",
            "run_mode": settings.get("run_mode", "LIVE"),
        }
    )
