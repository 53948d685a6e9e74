"""AEMO's market notices, free text with a number and a type, as GridAlerts.

Lack of reserve LOR1, LOR2, LOR3 are levels 1, 2, 3 (3 sheds load). One notice may name several windows; it may update
or cancel an older one, named by its number in the text. Dates are local (+10:00) and day-first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from gridsignal_schemas.messages import GridAlert
from gridsignal_services.ingest.feed import Ask, Malformed
from gridsignal_services.ingest.figures import instant, words

ZONE_OF_REGION = {"NSW1": "AU-NSW", "QLD1": "AU-QLD", "SA1": "AU-SA", "TAS1": "AU-TAS", "VIC1": "AU-VIC"}
_MARKET_TIME = timezone(timedelta(hours=10))
_DAY = r"(?:\s+(?:on\s+)?(\d{1,2}/\d{1,2}/\d{4}))?"
_WINDOW = re.compile(rf"from\s+(\d{{4}})\s*hrs?{_DAY}\s+to\s+(\d{{4}})\s*hrs?{_DAY}", re.IGNORECASE)
_SINCE = re.compile(rf"(?:from|since)\s+(\d{{4}})\s*hrs?{_DAY}", re.IGNORECASE)
_UNTIL = re.compile(rf"until\s+(\d{{4}})\s*hrs?{_DAY}", re.IGNORECASE)
_LOR = re.compile(r"\bLOR\s?([123])\b|Lack Of Reserve Level\s?([123])", re.IGNORECASE)
_REFERS = re.compile(r"(?:Market Notice(?:\s+No\.?)?|market notice)[:\s]*(\d{4,7})", re.IGNORECASE)
_REGION = re.compile(r"\b(NSW|QLD|SA|TAS|VIC)1?\b")
_OVER = re.compile(r"\bcancel(?:led|lation)?\b|has been cancelled|ceased operating", re.IGNORECASE)
_REVIEWED = re.compile(r"trading interval\s+(\d{1,2}-[A-Za-z]{3}-\d{4} \d{2}:\d{2})", re.IGNORECASE)
_HEAD = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4}) (\d{2}):(\d{2}):(\d{2}) (AM|PM)")


def from_row(row: dict[str, Any], ask: Ask) -> Iterator[GridAlert]:
    """The alerts of a notice in the JSON answer."""
    number, text = int(row["NOTICEID"]), str(row.get("REASON") or "")
    issued_at = instant(row.get("EFFECTIVEDATE"), zone=_MARKET_TIME)
    yield from _alerts(number, str(row.get("TYPEID") or ""), issued_at, text, ask)


def from_text(text: str, ask: Ask) -> Iterator[GridAlert]:
    """The alerts of a notice file: number, type, local time, then the notice."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    head = _HEAD.fullmatch(lines[2]) if len(lines) > 3 else None
    if head is None or not lines[0].isdigit():
        raise Malformed("expected a notice: its number, type and time, then its text")
    when = datetime.strptime(lines[2], "%d/%m/%Y %I:%M:%S %p").replace(tzinfo=_MARKET_TIME)
    yield from _alerts(int(lines[0]), lines[1], when.astimezone(UTC), "\n".join(lines[3:]), ask)


def reviewed(row: dict[str, Any]) -> list[datetime]:
    """The ends of the trading intervals whose prices a notice puts under review."""
    if "SUBJECT TO REVIEW" not in str(row.get("TYPEID") or "").upper():
        return []
    found = _REVIEWED.findall(str(row.get("REASON") or ""))
    return [datetime.strptime(text, "%d-%b-%Y %H:%M").replace(tzinfo=_MARKET_TIME).astimezone(UTC) for text in found]


def _alerts(number: int, kind: str, issued_at: datetime, text: str, ask: Ask) -> Iterator[GridAlert]:
    is_over = bool(_OVER.search(text))
    refers = [found for found in _REFERS.findall(text) if int(found) != number]
    windows = [(issued_at, issued_at)] if is_over else _windows(text, issued_at)
    level, alert_kind, action = _meaning(kind, text)
    for zone in _zones(text, ask):
        for i, (starts_at, ends_at) in enumerate(windows, 1):
            yield GridAlert.model_validate(
                {
                    "alert_id": f"aemo-{number}" + (f"-{i}" if i > 1 else ""),
                    "revision": 1,
                    "zone": zone,
                    "kind": alert_kind,
                    "level": 0 if is_over else level,
                    "action": "INFORM" if is_over else action,
                    "issued_at": issued_at,
                    "starts_at": starts_at,
                    "ends_at": ends_at,
                    "is_drill": False,
                    "text": words(text),
                    "provider": "aemo",
                    "supersedes": f"aemo-{refers[0]}" if refers else None,
                }
            )


def _zones(text: str, ask: Ask) -> list[str]:
    """The regions a notice names; where it names none it concerns them all."""
    named = sorted({f"AU-{region}" for region in _REGION.findall(text)})
    return named or sorted(ZONE_OF_REGION.values())


def _windows(text: str, issued_at: datetime) -> list[tuple[datetime, datetime | None]]:
    """Every window a notice names; else from when on and until when an actual condition is there."""
    today = f"{issued_at.astimezone(_MARKET_TIME):%d/%m/%Y}"
    found: list[tuple[datetime, datetime | None]] = []
    for begin, begin_day, end, end_day in _WINDOW.findall(text):
        starts_at, ends_at = _local(begin_day or end_day or today, begin), _local(end_day or begin_day or today, end)
        if ends_at <= starts_at:
            raise Malformed(f"a notice's window ends at {end} before it starts at {begin}")
        found.append((starts_at, ends_at))
    return found or [_condition(text, issued_at, today)]


def _condition(text: str, issued_at: datetime, today: str) -> tuple[datetime, datetime | None]:
    since, until = _SINCE.search(text), _UNTIL.search(text)
    starts_at = _local(since[2] or today, since[1]) if since else issued_at
    ends_at = _local(until[2] or today, until[1]) if until else None
    if ends_at is not None and ends_at <= starts_at:
        raise Malformed(f"a notice's condition ends at {ends_at.isoformat()} before it starts")
    return starts_at, ends_at


def _local(day: str, hours: str) -> datetime:
    midnight = datetime.strptime(day, "%d/%m/%Y").replace(tzinfo=_MARKET_TIME)
    hour, minute = int(hours[:2]), int(hours[2:])
    if hour > 24 or minute > 59:
        raise Malformed(f"expected a time of day, got {hours}")
    return (midnight + timedelta(hours=hour, minutes=minute)).astimezone(UTC)


def _meaning(kind: str, text: str) -> tuple[int, str, str]:
    """(level, kind, action) of a notice."""
    kind = kind.upper()
    found = [int(a or b) for a, b in _LOR.findall(text)]
    if (found and "RESERVE" in kind) or (found and "LOAD SHED" in kind):
        level = max(found)
        return level, "RESERVE_SHORTFALL", ("INFORM", "PREPARE", "SHED")[level - 1]
    if "MINIMUM SYSTEM LOAD" in kind or "MINIMUM SYSTEM LOAD" in text.upper():
        return 1, "MINIMUM_LOAD", "RAISE"
    if "LOAD SHED" in kind or "POWER SYSTEM EVENTS" in kind:
        return 2, "GRID_EMERGENCY", "PREPARE"
    return 0, "OTHER", "INFORM"
