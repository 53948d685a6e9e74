"""US operators' emergency signals without a key: PJM's emergency postings (XML) and ERCOT's grid condition (JSON).

PJM posts drills at the highest level: they are marked, and so are tests. A message names several regions: one alert
each. `applicable` is when it holds, `effective` when the posting is up; the former counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from gridsignal_schemas.messages import GridAlert, Record
from gridsignal_services.ingest.elements import each
from gridsignal_services.ingest.feed import (
    Ask,
    Call,
    FeedAnswer,
    Malformed,
    Provider,
    Signal,
    Unsupported,
    refuse_status,
)
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
_LEVELS = {"action": 3, "directive": 3, "declaration": 3, "warning": 2, "event": 2, "alert": 1, "advisory": 0}
_CANCELLED = re.compile(r"\b(?:cancel|terminat)\w*|\bended\b")
_SHEDDING = ("load dump", "load shed", "load management", "demand response", "voltage reduction")
_EMERGENCY = (*_SHEDDING, "emergency", "eea", "load relief", "capacity", "reserve", "deploy all", "curtail")
_VOLTAGE = ("high system voltage", "high voltage", "voltage schedule", "light load voltage")
"""Too much voltage at light load: nobody's shortage, whatever its priority."""
_TRUTHS = {"true": True, "1": True, "y": True, "yes": True, "false": False, "0": False, "n": False, "no": False}
_STEPS = {"1": 1, "2": 2, "3": 3, "one": 1, "two": 2, "three": 3}
_EEA = re.compile(r"\b(?:eea|energy emergency alert)[\s()-]*(?:eea[\s()-]*)?(?:level[\s-]*)?([123]|one|two|three)\b")
_STEP = re.compile(r"(?:eea ?)?([123])(?:\.0)?")
_DRILL = re.compile(
    r"\bthis is (?:only )?an? (?:\w+ ){0,3}(?:drill|test|exercise)\b"
    r"|^\W*(?:drill|exercise|test)\b\s*(?:[:!.\u2013-]|drill\b|$)",
    re.IGNORECASE,
)
_SHED_NOW = re.compile(r"(?<!no )\b(?:load[ -]?shed|rotating outage|controlled outage|rolling blackout)")
_NORMAL = re.compile(r"(?<!not )\bnormal\b")
_CONDITIONS = (
    ("weather", ("WEATHER", 1, "INFORM")),
    ("conservation", ("FLEX_ALERT", 1, "INFORM")),
    ("emergency", ("GRID_EMERGENCY", 2, "PREPARE")),
    ("eea", ("GRID_EMERGENCY", 2, "PREPARE")),
    ("watch", ("RESERVE_SHORTFALL", 1, "INFORM")),
    ("advisory", ("RESERVE_SHORTFALL", 1, "INFORM")),
    ("operating condition notice", ("RESERVE_SHORTFALL", 1, "INFORM")),
    ("ocn", ("RESERVE_SHORTFALL", 1, "INFORM")),
)
"""ERCOT's conditions below its emergency levels, by the first word of theirs that is there; then normal is normal."""


def request(ask: Ask) -> Call:
    """The postings of a window, or the condition now."""
    if ask.zone == ERCOT:
        return Call(ask.settings.get("ercot_address", ERCOT_ADDRESS), headers={"Accept": "application/json"})
    if ask.zone != PJM:
        raise Unsupported(f"expected {PJM} or {ERCOT}, got {ask.zone}")
    starts_at, ends_at = ask.window()
    days = {"start": starts_at.strftime("%m-%d-%Y"), "stop": ends_at.strftime("%m-%d-%Y")}
    return Call(ask.settings.get("pjm_address", PJM_ADDRESS), days, headers={"Accept": "application/xml"})


def parse(answer: FeedAnswer, ask: Ask) -> list[Record]:
    """A GridAlert per PJM message and region, or one for ERCOT's condition. No message is good news: an empty list."""
    refuse_status(answer)
    if answer.body.lstrip()[:1] == b"{":
        return [_condition(object_of(json_of(answer.body), "the answer"), ask)]
    root = xml_of(answer.body)
    if local_name(root) != "EmergencyProcedures":
        raise Malformed(f"expected EmergencyProcedures, got {local_name(root):.40}")
    found: dict[str, GridAlert] = {}
    messages = [element for element in root.iter() if local_name(element) == "EmergencyMessage"]
    if not messages and len(root):
        raise Malformed(f"expected EmergencyMessage, got {local_name(root[0]):.40}")
    for alerts in each(messages, "message", lambda message: list(_alerts(message, ask)), ask):
        for alert in alerts:
            known = found.setdefault(alert.alert_id, alert)
            if known != alert:  # who is warned twice in two ways is warned the harder way
                ask.left_out.add(f"two messages {alert.alert_id}")
                found[alert.alert_id] = max((known, alert), key=lambda one: (one.issued_at, one.level))
    return list(found.values())


def _alerts(message: Element, ask: Ask) -> Iterator[GridAlert]:
    fields = {local_name(child): (child.text or "").strip() for child in message if not len(child)}
    names = [(n.text or "").strip() for n in message.iter() if local_name(n) == "regionName"] or [""]
    number, kind = _plain(fields.get("messageId", "")), fields.get("messageType", "")
    if not number:
        raise Malformed("expected a messageId, got none")
    if not any(names):  # of PJM's zone, and of no part of it that we know
        ask.left_out.add(f"message {number}: expected a regionName, got none")
    drill = fields.get("pjmDrill", "").lower()
    if drill not in _TRUTHS:
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
                "is_drill": _TRUTHS[drill] or _is_drill(kind, fields.get("message", "")),
                "text": words(f"{kind}: {fields.get('message', '')}"),
                "provider": "us_emergency",
            }
        )


def _is_drill(kind: str, text: str) -> bool:
    """Whether the words say so: a posting's mark is set by hand."""
    words_of_kind = kind.lower().split()
    return words_of_kind == ["test"] or "drill" in words_of_kind or bool(_DRILL.search(text))


def _plain(area: str) -> str:
    return "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in area)[:40]


def _times(fields: dict[str, str]) -> tuple[datetime, datetime | None]:
    begin = fields.get("applicableStartTime") or fields.get("effectiveStartTime") or fields.get("postedTimestamp")
    end = fields.get("applicableEndTime") or fields.get("effectiveEndTime")
    cancelled = fields.get("canceledTimestamp")
    starts_at, ends_at = instant(begin), instant(end) if end else None
    if ends_at is not None and ends_at <= starts_at and not fields.get("applicableEndTime"):
        ends_at = None  # when the posting goes says nothing of what begins later
    if cancelled:
        over_at = instant(cancelled)
        ends_at = over_at if ends_at is None else min(ends_at, over_at)
        starts_at = min(starts_at, ends_at)
    return starts_at, ends_at


def _meaning(kind: str, priority: str) -> tuple[int, str, str]:
    """(level, kind, action) of a message; the name of a message ends with its priority."""
    said = kind.lower()
    if _CANCELLED.search(said):
        return 0, _meaning(_CANCELLED.sub("", said), priority)[1], "INFORM"
    if step := _EEA.search(said):
        return _emergency(_STEPS[step[1]])
    named = priority.strip().lower()
    words_of = [named, *reversed(re.findall("[a-z]+", said))]  # the name of a message ends with its priority
    level = next((_LEVELS[word] for word in words_of if word in _LEVELS), 0)
    action = ("INFORM", "INFORM", "PREPARE", "PREPARE")[level]
    if any(word in said for word in _VOLTAGE) and "heavy load" not in said:
        return min(level, 1), "OTHER", "INFORM"
    if "geomagnetic" in said:
        return level, "OTHER", action
    if "weather" in said or "storm" in said or "hurricane" in said:
        return level, "WEATHER", action
    if "light load" in said or "minimum generation" in said:
        return level, "MINIMUM_LOAD", "RAISE" if level == 3 else action
    if level == 3 and any(word in said for word in _SHEDDING):
        action = "SHED"
    if "reserve" in said and level < 3:
        return level, "RESERVE_SHORTFALL", action
    return level, "GRID_EMERGENCY" if any(word in said for word in _EMERGENCY) else "OTHER", action


def _emergency(step: int) -> tuple[int, str, str]:
    """(level, kind, action) of an energy emergency alert, which are alike for every operator."""
    return min(3, step + 1), "GRID_EMERGENCY", "SHED" if step == 3 else "PREPARE"


def _condition_in(said: str) -> tuple[str, int, str] | None:
    """(kind, level, action) of the first condition that words name."""
    if _SHED_NOW.search(said):
        return "GRID_EMERGENCY", 3, "SHED"
    if found := next((meaning for word, meaning in _CONDITIONS if word in said), None):
        return found
    return ("OTHER", 0, "INFORM") if _NORMAL.search(said) else None


def _ercot_meaning(current: dict[str, Any]) -> tuple[str, str, int, str]:
    """(state, kind, level, action) of a condition: its state says it, else its title."""
    state, title = _plain_words(current.get("state")), _plain_words(current.get("title"))
    said = state or title
    meaning = _condition_in(said)
    # a state of emergency, or one we don't know, leaves the step of an alert to the title
    texts = (said, title, f"{title} {said}") if meaning is None or meaning[0] == "GRID_EMERGENCY" else (said,)
    step_named = _STEP.fullmatch(_plain_words(current.get("eea_level")))
    if step := step_named or next((found for text in texts if (found := _EEA.search(text))), None):
        level, kind, action = _emergency(3 if _SHED_NOW.search(said) else _STEPS[step[1]])
        return f"eea{_STEPS[step[1]]}", kind, level, action
    spelt_out = _condition_in(title) if meaning is None or meaning[0] == "GRID_EMERGENCY" else None
    if spelt_out is not None and (meaning is None or spelt_out[1] > meaning[1]) and spelt_out[1] > 0:
        meaning = spelt_out
    if meaning is None:
        raise Malformed(f"expected a condition such as normal, got {said!r:.30}")
    return said, *meaning


def _plain_words(text: object) -> str:
    return " ".join(str(text or "").lower().replace("_", " ").split())


def _condition(body: dict[str, Any], ask: Ask) -> GridAlert:
    current = object_of(body.get("current_condition"), "current_condition")
    state, kind, level, action = _ercot_meaning(current)
    try:
        since = datetime.fromtimestamp(epoch_s(current.get("datetime")), UTC)
    except Malformed as fault:
        if not level:
            raise
        # an emergency is none the less one: since now at the latest
        ask.left_out.add(f"datetime of current_condition: {fault}")
        since = ask.now
    return GridAlert.model_validate(
        {
            "alert_id": "ercot-condition",
            "revision": 1,
            "zone": ERCOT,
            "kind": kind,
            "level": level,
            "action": action,
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
