"""US operators' emergency signals without a key: PJM's emergency postings (XML) and ERCOT's grid condition (JSON).

PJM posts drills at the highest level: they are marked, and so are tests. A message names several regions: one alert
each. `applicable` is when it holds, `effective` when the posting is up; the former counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from gridsignal_schemas.messages import GridAlert, Record
from gridsignal_services.ingest.feed import Answer, Ask, Call, Malformed, Provider, Signal, Unsupported, refuse_status
from gridsignal_services.ingest.figures import (
    Element,
    epoch_s,
    instant,
    json_of,
    local_name,
    name,
    object_of,
    words,
    xml_of,
)
from gridsignal_services.ingest.schedule import Cadence

PJM, ERCOT = "US-MIDA-PJM", "US-TEX-ERCO"
PJM_ADDRESS = "https://emergencyprocedures.pjm.com/ep/rest/public/posting"
ERCOT_ADDRESS = "https://www.ercot.com/api/1/services/read/dashboards/daily-prc.json"
_LEVELS = {"action": 3, "warning": 2, "alert": 1}
_SHEDDING = ("load dump", "load shed", "load management", "demand response", "voltage reduction")
_STATES = {"normal": 0, "watch": 1, "advisory": 1, "eea1": 2, "eea2": 3, "eea3": 3}


def request(ask: Ask) -> Call:
    """The postings of a window, or the condition now."""
    if ask.zone == ERCOT:
        return Call(ask.settings.get("ercot_address", ERCOT_ADDRESS), headers={"Accept": "application/json"})
    if ask.zone != PJM:
        raise Unsupported(f"expected {PJM} or {ERCOT}, got {ask.zone}")
    starts_at, ends_at = ask.window()
    days = {"start": starts_at.strftime("%m-%d-%Y"), "stop": ends_at.strftime("%m-%d-%Y")}
    return Call(ask.settings.get("pjm_address", PJM_ADDRESS), days, headers={"Accept": "application/xml"})


def parse(answer: Answer, ask: Ask) -> list[Record]:
    """A GridAlert per PJM message and region, or one for ERCOT's condition. No message is good news: an empty list."""
    refuse_status(answer)
    if answer.body.lstrip()[:1] == b"{":
        return [_condition(object_of(json_of(answer.body), "the answer"))]
    root = xml_of(answer.body)
    if local_name(root) != "EmergencyProcedures":
        raise Malformed(f"expected EmergencyProcedures, got {local_name(root):.40}")
    found: dict[str, GridAlert] = {}
    for message in root:
        for alert in _alerts(message):
            if found.setdefault(alert.alert_id, alert) != alert:
                raise Malformed(f"two messages {alert.alert_id}")
    return list(found.values())


def _alerts(message: Element) -> Iterator[GridAlert]:
    fields = {local_name(child): (child.text or "").strip() for child in message if not len(child)}
    regions = [child for child in message if local_name(child) == "Region"]
    names = [(n.text or "").strip() for r in regions for n in r if local_name(n) == "regionName"] or ["PJM-RTO"]
    number, kind = fields["messageId"], fields.get("messageType", "")
    drill = fields.get("pjmDrill", "").lower()
    if drill not in ("true", "false"):
        raise Malformed(f"expected pjmDrill as true or false, got {drill!r:.20}")
    level, alert_kind, action = _meaning(kind, fields.get("priority", ""))
    starts_at, ends_at = _times(fields)
    for area in dict.fromkeys(map(name, names)):
        yield GridAlert.model_validate(
            {
                "alert_id": f"pjm-{number}-{_plain(area)}",
                "revision": 1,
                "zone": PJM,
                "area": area or None,
                "kind": alert_kind,
                "level": level,
                "action": action,
                "issued_at": instant(fields.get("postedTimestamp")),
                "starts_at": starts_at,
                "ends_at": ends_at,
                "is_drill": drill == "true" or kind.strip().lower() == "test",
                "text": words(f"{kind}: {fields.get('message', '')}"),
                "provider": "us_emergency",
            }
        )


def _plain(area: str) -> str:
    return "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in area)[:40]


def _times(fields: dict[str, str]) -> tuple[datetime, datetime | None]:
    begin = fields.get("applicableStartTime") or fields.get("effectiveStartTime") or fields.get("postedTimestamp")
    end = fields.get("applicableEndTime") or fields.get("effectiveEndTime")
    cancelled = fields.get("canceledTimestamp")
    starts_at, ends_at = instant(begin), instant(end) if end else None
    if cancelled:
        over_at = instant(cancelled)
        ends_at = over_at if ends_at is None else min(ends_at, over_at)
        starts_at = min(starts_at, ends_at)
    return starts_at, ends_at


def _meaning(kind: str, priority: str) -> tuple[int, str, str]:
    """(level, kind, action) of a message."""
    level, said = _LEVELS.get(priority.strip().lower(), 0), kind.lower()
    action = ("INFORM", "INFORM", "PREPARE", "PREPARE")[level]
    if level == 3 and any(word in said for word in _SHEDDING):
        action = "SHED"
    if "weather" in said:
        return level, "WEATHER", action
    if "light load" in said or "minimum generation" in said:
        return level, "MINIMUM_LOAD", "RAISE" if level == 3 else action
    if "reserve" in said and level < 3:
        return level, "RESERVE_SHORTFALL", action
    if "emergency" in said or "eea" in said or "load" in said or "reserve" in said:
        return level, "GRID_EMERGENCY", action
    return level, "OTHER", action


def _condition(body: dict[str, Any]) -> GridAlert:
    current = object_of(body.get("current_condition"), "current_condition")
    state = str(current.get("state") or "").strip().lower().replace(" ", "")
    eea = current.get("eea_level")
    if isinstance(eea, int) and not isinstance(eea, bool) and 1 <= eea <= 3:
        state = f"eea{eea}"
    if state not in _STATES:
        raise Malformed(f"expected a condition such as normal, got {state!r:.30}")
    since = datetime.fromtimestamp(epoch_s(current.get("datetime")), UTC)
    level = _STATES[state]
    return GridAlert.model_validate(
        {
            "alert_id": "ercot-condition",
            "revision": 1,
            "zone": ERCOT,
            "kind": "GRID_EMERGENCY" if level >= 2 else "OTHER" if level == 0 else "RESERVE_SHORTFALL",
            "level": level,
            "action": "SHED" if state == "eea3" else "PREPARE" if level >= 2 else "INFORM",
            "issued_at": since,
            "starts_at": since,
            "is_drill": False,
            "text": words(f"{state}: {current.get('title') or ''}"),
            "provider": "us_emergency",
        }
    )


PROVIDER = Provider(
    request=request,
    parse=parse,
    cadence={Signal.ALERT: Cadence(period_s=30, days_back=1, days_ahead=1, stale_after_s=600)},
    per_minute=6,
)
