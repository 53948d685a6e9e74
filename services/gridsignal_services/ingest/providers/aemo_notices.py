"""AEMO's market notices, free text with a number and a type, as GridAlerts.

Lack of reserve LOR1, LOR2, LOR3 and minimum system load MSL1, MSL2, MSL3 are levels 1, 2, 3 (LOR3 sheds load). The
title, in the JSON answer a field of its own, says most shortly what it is about and where. One notice may name several
windows and regions, each beside the other; it may update or cancel an older one, named by its number. Dates are local
(+10:00) and day-first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from gridsignal_schemas.messages import GridAlert
from gridsignal_services.ingest.feed import Ask, Malformed
from gridsignal_services.ingest.figures import instant, words
from gridsignal_services.ingest.providers.aemo_times import MARKET_TIME, Window, trading_intervals, windows

ZONE_OF_REGION = {"NSW1": "AU-NSW", "QLD1": "AU-QLD", "SA1": "AU-SA", "TAS1": "AU-TAS", "VIC1": "AU-VIC"}
_RESERVE = "RESERVE_SHORTFALL"
_ACTIONS = ("INFORM", "INFORM", "PREPARE", "SHED")
_STEPS = {"1": 1, "2": 2, "3": 3, "one": 1, "two": 2, "three": 3}
_STEP = "([123]|one|two|three)"
_LOR = re.compile(
    rf"\bLOR[ -]?(?:Level[ -]?)?{_STEP}\b|\bLack Of Reserve,?\s*(?:\(?LOR\)?\s*)?(?:Level\s*)?{_STEP}\b", re.IGNORECASE
)
_MSL = re.compile(
    rf"\bMSL[ -]?(?:Level[ -]?)?{_STEP}\b(?!\s*[-\u2013:=]\s*\d)"
    rf"|\bMinimum System Load,?\s*(?:\(?MSL\)?\s*)?(?:Level\s*)?{_STEP}\b",
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
    r"\b(?:in|for|of|affecting)\s+(?:all\s+of\s+)?(?:the\s+)?"
    r"([^.\n]{2,80}?\s+regions?\b(?:\s*(?:,|and|&|/)\s*(?:and\s+)?(?:the\s+)?[^.,\n]{2,20}?\s+regions?\b)*)",
    re.IGNORECASE,
)
_EVERYWHERE = re.compile(
    r"\b(?:all|every|each)\s+(?:NEM\s+|mainland\s+)?regions?\b|\b(?:entire|whole) NEM\b|\bNEM[ -]wide\b", re.IGNORECASE
)
_OVER = re.compile(
    r"(?<!not )(?<!not been )\b(?:cancel(?:led|ed|s|lation)?|withdrawn|rescinded|revoked|lifted|ceased"
    r"|(?:has|have) (?:now )?ended|is over|no longer (?:forecast|exists?|appl(?:y|ies|icable)|in force|required))\b",
    re.IGNORECASE,
)
_CONDITION = re.compile(
    r"\b(?:LOR|MSL|Lack Of Reserve|Minimum System Load|condition|notice|declaration|direction|load shed)", re.IGNORECASE
)
_PERHAPS = re.compile(r"\b(?:will|may|might|could|would|should|can|if|unless|until|when)\b", re.IGNORECASE)
_SENTENCES = re.compile(r"(?<=[\w)\]])[.;]\s+(?=[A-Z\[])|\n\s*\n")
_SHEDDING = re.compile(
    r"\b(?:direct|instruct|commenc|initiat|start|order)\w*\b[^.]{0,80}\bload[ -]?shed|\bload[ -]?shed\w*\b[^.]{0,40}"
    r"\b(?:directed|instructed|commenced|initiated|started|ordered|under ?way|in progress)\b",
    re.IGNORECASE,
)
_RESTORED = re.compile(
    r"\brestor\w*\b[^.]{0,20}\ball\b[^.]{0,20}\bload|\ball\b[^.]{0,20}\bload\b[^.]{0,40}\brestored", re.IGNORECASE
)
_JOINED = re.compile(r"(?:\s|[,/&+()]|\b(?:and|or|the|in|for|regions?)\b)*", re.IGNORECASE)
_HEAD = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4}) (\d{2}):(\d{2}):(\d{2}) (AM|PM)")


def from_row(row: dict[str, Any], ask: Ask) -> Iterator[GridAlert]:
    """The alerts of a notice in the JSON answer."""
    number, text = int(row["NOTICEID"]), str(row.get("REASON") or "")
    issued_at = instant(row.get("EFFECTIVEDATE"), zone=MARKET_TIME)
    title = str(row.get("EXTERNALREFERENCE") or "")
    yield from _alerts(number, str(row.get("TYPEID") or ""), issued_at, title, text)


def from_text(text: str, ask: Ask) -> Iterator[GridAlert]:
    """The alerts of a notice file: number, type, local time, then the title and the notice."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    head = _HEAD.fullmatch(lines[2]) if len(lines) > 3 else None
    if head is None or not lines[0].isdigit():
        raise Malformed("expected a notice: its number, type and time, then its text")
    when = datetime.strptime(lines[2], "%d/%m/%Y %I:%M:%S %p").replace(tzinfo=MARKET_TIME)
    title = lines[3] if len(lines) > 4 else ""
    yield from _alerts(int(lines[0]), lines[1], when.astimezone(UTC), title, "\n".join(lines[3:]))


def reviewed(row: dict[str, Any]) -> tuple[bool, list[datetime]]:
    """Whether a notice puts prices under review or says that they stand, and the ends of their trading intervals."""
    kind = str(row.get("TYPEID") or "").upper()
    under_review = "SUBJECT TO REVIEW" in kind
    if not under_review and "PRICES UNCHANGED" not in kind:
        return False, []
    return under_review, trading_intervals(str(row.get("REASON") or ""))


def _alerts(number: int, kind: str, issued_at: datetime, title: str, text: str) -> Iterator[GridAlert]:
    whole = f"{title}\n{text}"
    is_over = _is_over(title, text)
    refers = [found for found in _REFERS.findall(whole) if int(found) != number]
    level, alert_kind, action = _meaning(kind, title, whole)
    zones = _zones(title, text)
    if not zones and level:
        raise Malformed(f"expected a region in notice {number}, got none: {title or text:.60}")
    named = [Window(issued_at, issued_at, 0, len(text))] if is_over else windows(text, whole, issued_at)
    for zone, own in _by_zone(zones, named, text).items():
        for i, window in enumerate(own, 1):
            told = level if is_over else _level_of(window, named, alert_kind, title, text) or level
            yield GridAlert.model_validate(
                {
                    "alert_id": f"aemo-{number}" + (f"-{i}" if i > 1 else ""),
                    "revision": 1,
                    "zone": zone,
                    "kind": alert_kind,
                    "level": 0 if is_over else told,
                    "action": "INFORM" if is_over else _ACTIONS[told] if alert_kind == _RESERVE else action,
                    "issued_at": issued_at,
                    "starts_at": window.starts_at,
                    "ends_at": window.ends_at,
                    "is_drill": False,
                    "text": words(text if not title or title in text else whole),
                    "provider": "aemo",
                    "supersedes": f"aemo-{refers[0]}" if refers else None,
                }
            )


def _is_over(title: str, text: str) -> bool:
    """Whether the condition itself is called off; not a line's outage, and not what may come."""
    if _OVER.search(title) or _RESTORED.search(text):
        return True
    for sentence in _SENTENCES.split(text):
        over = _OVER.search(sentence)
        if over and _CONDITION.search(sentence) and not _PERHAPS.search(sentence, 0, over.start()):
            return True
    return False


def _by_zone(zones: list[str], named: list[Window], text: str) -> dict[str, list[Window]]:
    """The windows of each region: those that stand beside its name; all of them for one that has none of its own."""
    own: dict[str, list[Window]] = {zone: [] for zone in zones}
    if len(zones) > 1 and len(named) > 1:
        follow = not _last_named(text[: named[0].begins], zones)
        edges = [0, *(window.stops for window in named[:-1])]
        last: list[str] = []
        for i, window in enumerate(named):
            after = text[window.stops : named[i + 1].begins if i + 1 < len(named) else len(text)]
            last = _last_named(after if follow else text[edges[i] : window.begins], zones, first=follow) or last
            for zone in last:
                own[zone].append(window)
    return {zone: windows_of or named for zone, windows_of in own.items()}


def _last_named(text: str, zones: list[str], *, first: bool = False) -> list[str]:
    """The regions named last (or first) in a text, several where they are named in one breath."""
    found = sorted((match.start(), match.end(), zone) for zone in zones for match in _REGIONS[zone].finditer(text))
    if not found:
        return []
    groups = [[found[0]]]
    for mention in found[1:]:
        if _JOINED.fullmatch(text, groups[-1][-1][1], mention[0]):
            groups[-1].append(mention)
        else:
            groups.append([mention])
    return list(dict.fromkeys(zone for _, _, zone in groups[0 if first else -1]))


def _level_of(window: Window, named: list[Window], kind: str, title: str, text: str) -> int:
    """The level that is told just before a window, where the title does not tell one for all of them; 0 for none."""
    pattern = {_RESERVE: _LOR, "MINIMUM_LOAD": _MSL}.get(kind)
    if pattern is None or len(named) < 2 or len(_levels(pattern, title)) == 1:
        return 0
    since = max((other.stops for other in named if other.stops <= window.begins), default=0)
    told = _levels(pattern, text[since : window.begins])
    return told.pop() if len(told) == 1 else 0


def _zones(title: str, text: str) -> list[str]:
    """The regions a notice is about: those of its title, else those it speaks of as regions, else those it names.

    All of them only where it says so; where nothing says whom it concerns it concerns nobody we know.
    """
    for where in (title, "\n".join(_PLACE.findall(text)), text):
        if named := [zone for zone, name in _REGIONS.items() if name.search(where)]:
            return named
    return list(_REGIONS) if _EVERYWHERE.search(f"{title}\n{text}") else []


def _levels(pattern: re.Pattern[str], text: str) -> set[int]:
    return {_STEPS[(a or b).lower()] for a, b in pattern.findall(text)}


def _level(pattern: re.Pattern[str], title: str, whole: str) -> int:
    """The highest level that the title tells, else the text; 0 for none."""
    for where in (title, whole):
        if levels := _levels(pattern, where):
            return max(levels)
    return 0


def _meaning(kind: str, title: str, whole: str) -> tuple[int, str, str]:
    """(level, kind, action) of a notice."""
    kind, said = kind.upper(), whole.upper()
    lor, msl = _level(_LOR, title, whole), _level(_MSL, title, whole)
    if lor and ("RESERVE" in kind or "LOAD SHED" in kind or _LOR.search(title)):
        return lor, _RESERVE, _ACTIONS[lor]
    if msl or "MINIMUM SYSTEM LOAD" in kind or "MINIMUM SYSTEM LOAD" in said:
        return msl or 1, "MINIMUM_LOAD", "RAISE"
    if _SHEDDING.search(whole):
        return 3, "GRID_EMERGENCY", "SHED"
    if "LOAD SHED" in kind or "POWER SYSTEM EVENTS" in kind:
        return 2, "GRID_EMERGENCY", "PREPARE"
    return 0, "OTHER", "INFORM"
