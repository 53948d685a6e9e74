"""AEMO's market notices, free text with a number and a type, as GridAlerts.

Lack of reserve LOR1, LOR2, LOR3 and minimum system load MSL1, MSL2, MSL3 are levels 1, 2, 3 (LOR3 sheds load). The
title, in the JSON answer a field of its own, says most shortly what it is about and where. One notice may name several
windows and regions; it may update or cancel an older one, named by its number. Dates are local (+10:00) and day-first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from gridsignal_schemas.messages import GridAlert
from gridsignal_schemas.values import rfc3339
from gridsignal_services.ingest.feed import Ask, Malformed
from gridsignal_services.ingest.figures import instant, words

ZONE_OF_REGION = {"NSW1": "AU-NSW", "QLD1": "AU-QLD", "SA1": "AU-SA", "TAS1": "AU-TAS", "VIC1": "AU-VIC"}
_MARKET_TIME = timezone(timedelta(hours=10))
_DATE = r"\d{1,2}/\d{1,2}/\d{4}|\d{1,2}[ -][A-Za-z]{3,9}[ -]\d{4}"
_DAY = rf"(?:,?\s+(?:on\s+)?(?:[A-Za-z]{{3,6}}day,?\s+)?({_DATE}))?"
_TIME = r"(\d{1,2}:?\d{2})\s*(?:hrs?\b|hours\b)?"
_HOURS = r"(\d{1,2}:?\d{2})\s*(?:hrs?|hours)\b"
_WINDOW = re.compile(
    rf"(?:(?:from|between)\s+{_TIME}{_DAY}|{_HOURS}{_DAY})\s*(?:to|until|till|and|-|\u2013)\s*{_HOURS}{_DAY}",
    re.IGNORECASE,
)
_SINCE = re.compile(rf"(?:from|since|at)\s+{_HOURS}{_DAY}", re.IGNORECASE)
_UNTIL = re.compile(rf"(?:until|till)\s+{_HOURS}{_DAY}", re.IGNORECASE)
_ANY_DAY = re.compile(rf"\b({_DATE})\b")
_LOR = re.compile(r"\bLOR[ -]?([123])\b|\bLack Of Reserve,?\s*(?:\(?LOR\)?\s*)?(?:Level\s*)?([123])\b", re.IGNORECASE)
_MSL = re.compile(
    r"\bMSL[ -]?([123])\b(?!\s*[-\u2013:=]\s*\d)|\bMinimum System Load,?\s*(?:\(?MSL\)?\s*)?(?:Level\s*)?([123])\b",
    re.IGNORECASE,
)
"""Not the thresholds of a list: "MSL2 - 1365 MW" says where the level begins, not that it is there."""
_REFERS = re.compile(r"\b(?:Market\s+Notice|Notice|MN)\s*(?:No\.?|Number|#)?[:\s]*(\d{4,7})\b", re.IGNORECASE)
_REGIONS = {
    "AU-NSW": re.compile(r"(?<![\w-])(?:NSW1?|New South Wales)(?![\w-])", re.IGNORECASE),
    "AU-QLD": re.compile(r"(?<![\w-])(?:QLD1?|Queensland)(?![\w-])", re.IGNORECASE),
    "AU-SA": re.compile(r"(?<![\w-])(?:SA1?|(?i:South Australian?))(?![\w-])|(?i:\bsa\s+region)"),
    "AU-TAS": re.compile(r"(?<![\w-])(?:TAS1?|Tasmanian?)(?![\w-])", re.IGNORECASE),
    "AU-VIC": re.compile(r"(?<![\w-])(?:VIC1?|Victorian?)(?![\w-])", re.IGNORECASE),
}
_PLACE = re.compile(
    r"\b(?:in|for|of|affecting)\s+(?:all\s+of\s+)?(?:the\s+)?([^.\n]{2,80}?)\s+regions?\b", re.IGNORECASE
)
_EVERYWHERE = re.compile(
    r"\b(?:all|every|each)\s+(?:NEM\s+|mainland\s+)?regions?\b|\b(?:entire|whole) NEM\b|\bNEM[ -]wide\b", re.IGNORECASE
)
_OVER = re.compile(
    r"(?<!not )(?<!not been )\b(?:cancel(?:led|ed|s|lation)?|withdrawn|ceased operating|has (?:now )?ended|is over"
    r"|no longer (?:forecast|exists?|applies|in force))\b",
    re.IGNORECASE,
)
_REVIEWED = re.compile(r"trading interval\s+(\d{1,2}-[A-Za-z]{3}-\d{4} \d{2}:\d{2})", re.IGNORECASE)
_HEAD = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4}) (\d{2}):(\d{2}):(\d{2}) (AM|PM)")


def from_row(row: dict[str, Any], ask: Ask) -> Iterator[GridAlert]:
    """The alerts of a notice in the JSON answer."""
    number, text = int(row["NOTICEID"]), str(row.get("REASON") or "")
    issued_at = instant(row.get("EFFECTIVEDATE"), zone=_MARKET_TIME)
    title = str(row.get("EXTERNALREFERENCE") or "")
    yield from _alerts(number, str(row.get("TYPEID") or ""), issued_at, title, text)


def from_text(text: str, ask: Ask) -> Iterator[GridAlert]:
    """The alerts of a notice file: number, type, local time, then the title and the notice."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    head = _HEAD.fullmatch(lines[2]) if len(lines) > 3 else None
    if head is None or not lines[0].isdigit():
        raise Malformed("expected a notice: its number, type and time, then its text")
    when = datetime.strptime(lines[2], "%d/%m/%Y %I:%M:%S %p").replace(tzinfo=_MARKET_TIME)
    title = lines[3] if len(lines) > 4 else ""
    yield from _alerts(int(lines[0]), lines[1], when.astimezone(UTC), title, "\n".join(lines[3:]))


def reviewed(row: dict[str, Any]) -> list[datetime]:
    """The ends of the trading intervals whose prices a notice puts under review."""
    if "SUBJECT TO REVIEW" not in str(row.get("TYPEID") or "").upper():
        return []
    found = _REVIEWED.findall(str(row.get("REASON") or ""))
    return [datetime.strptime(text, "%d-%b-%Y %H:%M").replace(tzinfo=_MARKET_TIME).astimezone(UTC) for text in found]


def _alerts(number: int, kind: str, issued_at: datetime, title: str, text: str) -> Iterator[GridAlert]:
    whole = f"{title}\n{text}"
    is_over = bool(_OVER.search(whole))
    refers = [found for found in _REFERS.findall(whole) if int(found) != number]
    level, alert_kind, action = _meaning(kind, title, whole)
    zones = _zones(title, text)
    if not zones and level:
        raise Malformed(f"expected a region in notice {number}, got none: {title or text:.60}")
    windows = [(issued_at, issued_at)] if is_over else _windows(text, whole, issued_at)
    for zone in zones:
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
                    "text": words(text if not title or title in text else whole),
                    "provider": "aemo",
                    "supersedes": f"aemo-{refers[0]}" if refers else None,
                }
            )


def _zones(title: str, text: str) -> list[str]:
    """The regions a notice is about: those of its title, else those it speaks of as regions, else those it names.

    All of them only where it says so; where nothing says whom it concerns it concerns nobody we know.
    """
    for where in (title, "\n".join(_PLACE.findall(text)), text):
        if named := [zone for zone, name in _REGIONS.items() if name.search(where)]:
            return named
    return list(_REGIONS) if _EVERYWHERE.search(f"{title}\n{text}") else []


def _windows(text: str, whole: str, issued_at: datetime) -> list[tuple[datetime, datetime | None]]:
    """Every window a notice names; else from when on and until when an actual condition is there."""
    days = set(_ANY_DAY.findall(whole))
    today = days.pop() if len(days) == 1 else f"{issued_at.astimezone(_MARKET_TIME):%d/%m/%Y}"
    found: list[tuple[datetime, datetime | None]] = []
    for begin, begin_day, hours, hours_day, end, end_day in _WINDOW.findall(text):
        begin, begin_day = begin or hours, begin_day or hours_day
        starts_at, ends_at = _local(begin_day or end_day or today, begin), _local(end_day or begin_day or today, end)
        if ends_at <= starts_at and not (begin_day and end_day):
            starts_at, ends_at = _over_midnight(starts_at, ends_at, is_end_told=bool(end_day))
        if ends_at <= starts_at:
            raise Malformed(f"a notice's window ends at {end} before it starts at {begin}")
        found.append((starts_at, ends_at))
    return found or [_condition(text, issued_at, today)]


def _over_midnight(starts_at: datetime, ends_at: datetime, *, is_end_told: bool) -> tuple[datetime, datetime]:
    day = timedelta(days=1)
    return (starts_at - day, ends_at) if is_end_told else (starts_at, ends_at + day)


def _condition(text: str, issued_at: datetime, today: str) -> tuple[datetime, datetime | None]:
    since, until = _SINCE.search(text), _UNTIL.search(text)
    starts_at = _local(since[2] or today, since[1]) if since else issued_at
    ends_at = _local(until[2] or today, until[1]) if until else None
    if ends_at is not None and until is not None and ends_at <= starts_at and not until[2]:
        ends_at += timedelta(days=1)
    if ends_at is not None and ends_at <= starts_at:
        raise Malformed(f"a notice's condition ends at {rfc3339(ends_at)} before it starts")
    return starts_at, ends_at


def _local(day: str, hours: str) -> datetime:
    date = re.sub(r"[ -]", " ", day)
    form = "%d/%m/%Y" if "/" in date else "%d %b %Y" if len(date.split()[1]) == 3 else "%d %B %Y"
    midnight = datetime.strptime(date, form).replace(tzinfo=_MARKET_TIME)
    plain = hours.replace(":", "").zfill(4)
    hour, minute = int(plain[:2]), int(plain[2:])
    if hour > 24 or minute > 59:
        raise Malformed(f"expected a time of day, got {hours}")
    return (midnight + timedelta(hours=hour, minutes=minute)).astimezone(UTC)


def _level(pattern: re.Pattern[str], title: str, whole: str) -> int:
    """The highest level that the title tells, else the text; 0 for none."""
    for where in (title, whole):
        if levels := [int(a or b) for a, b in pattern.findall(where)]:
            return max(levels)
    return 0


def _meaning(kind: str, title: str, whole: str) -> tuple[int, str, str]:
    """(level, kind, action) of a notice."""
    kind, said = kind.upper(), whole.upper()
    lor, msl = _level(_LOR, title, whole), _level(_MSL, title, whole)
    if lor and ("RESERVE" in kind or "LOAD SHED" in kind or _LOR.search(title)):
        return lor, "RESERVE_SHORTFALL", ("INFORM", "PREPARE", "SHED")[lor - 1]
    if msl or "MINIMUM SYSTEM LOAD" in kind or "MINIMUM SYSTEM LOAD" in said:
        return msl or 1, "MINIMUM_LOAD", "RAISE"
    if "LOAD SHED" in kind or "POWER SYSTEM EVENTS" in kind:
        return 2, "GRID_EMERGENCY", "PREPARE"
    return 0, "OTHER", "INFORM"
