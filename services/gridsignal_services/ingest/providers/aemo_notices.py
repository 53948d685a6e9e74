"""AEMO's market notices, free text with a number and a type, as GridAlerts.

Lack of reserve LOR1, LOR2, LOR3 and minimum system load MSL1, MSL2, MSL3 are levels 1, 2, 3 (LOR3 sheds load). The
title, in the JSON answer a field of its own, says most shortly what it is about and where. One notice may name several
windows and regions, each beside the other; it may update or cancel an older one, named by its number. Dates are local
(+10:00) and day-first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gridsignal_schemas.messages import GridAlert
from gridsignal_services.ingest.feed import Ask, Malformed
from gridsignal_services.ingest.figures import decimal_of, instant, words
from gridsignal_services.ingest.providers.aemo_parts import (
    REGIONS,
    Part,
    all_over,
    by_zone,
    called_off,
    part_of,
    parts,
    regions_in,
)
from gridsignal_services.ingest.providers.aemo_times import (
    MARKET_TIME,
    Window,
    condition,
    ends_near,
    forecast_day,
    trading_intervals,
    windows,
)

ZONE_OF_REGION = {"NSW1": "AU-NSW", "QLD1": "AU-QLD", "SA1": "AU-SA", "TAS1": "AU-TAS", "VIC1": "AU-VIC"}
LONGEST = 50_000
"""Characters of one notice; theirs have a few thousand."""
_RESERVE = "RESERVE_SHORTFALL"
_ACTIONS = ("INFORM", "INFORM", "PREPARE", "SHED")
_STEPS = {"1": 1, "2": 2, "3": 3, "one": 1, "two": 2, "three": 3, "i": 1, "ii": 2, "iii": 3}
_STEP = r"([123]|one|two|three|i{1,3})\b"
_BETWEEN = r"[\s,-]*(?:\(?(?:LOR|MSL|LRC)\)?\s*)?(?:condition\s*)?(?:level[\s-]*)?"


def _condition_named(short: str, long: str) -> re.Pattern[str]:
    """A condition with its level, in its short or long name, the level before or behind.

    Not the thresholds of a list: "MSL2 - 1365 MW" says where the level begins, not that it is there.
    """
    return re.compile(
        rf"\b{short}[\s.-]*(?:condition\s*)?(?:level[\s-]*)?{_STEP}(?!\s*[-\u2013:=]\s*\d)"
        rf"|\b{long}{_BETWEEN}{_STEP}|\blevel[\s-]*{_STEP}[\s-]*(?:{long}|{short}\b)",
        re.IGNORECASE,
    )


_LOR = _condition_named(r"(?:L\.?O\.?R|LRC)", r"(?:Lack Of Reserve|Low Reserve)")
_MSL = _condition_named("MSL", "Minimum System Load")
_LOR_AT_ALL = re.compile(r"\bLOR\b|\b(?:lack of|low) reserve\b", re.IGNORECASE)
_REFERS = re.compile(r"\b(?:Market\s+Notice|Notice|MN)\s*(?:No\.?|Number|#)?[:\s]*(\d{4,7})\b", re.IGNORECASE)
_PLACE = re.compile(
    r"\b(?:in|for|of|affecting)\s+(?:all\s+of\s+)?(?:the\s+)?"
    r"([^.\n]{2,80}?\s+regions?\b(?:\s*(?:,|and|&|/)\s*(?:and\s+)?(?:the\s+)?[^.,\n]{2,20}?\s+regions?\b)*)",
    re.IGNORECASE,
)
_EVERYWHERE = re.compile(
    r"\b(?:all|every|each)\s+(?:of\s+the\s+)?(?:NEM\s+|mainland\s+)*regions?\b|\bmainland\s+(?:NEM\s+)?regions\b"
    r"|\b(?:entire|whole) NEM\b|\bNEM[ -]wide\b",
    re.IGNORECASE,
)
_BUT = re.compile(r",?\s*(?:except|excluding|other than|apart from|but)\b(?: for)?([^.\n;]{2,60})", re.IGNORECASE)
_SHEDDING = re.compile(
    r"\b(?:direct|instruct|commenc|initiat|start|order)\w*\b[^.]{0,80}\bload[ -]?shed|\bload[ -]?shed\w*\b[^.]{0,40}"
    r"\b(?:directed|instructed|commenced|initiated|started|ordered|under ?way|in progress)\b",
    re.IGNORECASE,
)
_HEAD = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4}) (\d{2}):(\d{2}):(\d{2}) (AM|PM)")


@dataclass(frozen=True, slots=True)
class _Notice:
    """One notice: its title says most shortly what it is about; its text may begin with the title."""

    number: int
    kind: str
    issued_at: datetime
    title: str
    text: str

    @property
    def whole(self) -> str:
        return f"{self.title}\n{self.text}"


def from_row(row: dict[str, Any], ask: Ask) -> Iterator[GridAlert]:
    """The alerts of a notice in the JSON answer."""
    issued_at = instant(row.get("EFFECTIVEDATE"), zone=MARKET_TIME)
    kind, title, text = (str(row.get(name) or "") for name in ("TYPEID", "EXTERNALREFERENCE", "REASON"))
    number = decimal_of(row.get("NOTICEID"))
    if number <= 0 or number % 1:
        raise Malformed(f"expected a NOTICEID as a whole number, got {number}")
    yield from _alerts(_Notice(int(number), kind, issued_at, title, text), ask)


def from_text(text: str, ask: Ask) -> Iterator[GridAlert]:
    """The alerts of a notice file: number, type, local time, then the title and the notice."""
    lines = [line.strip() for line in text.strip().splitlines()]
    filled = [at for at, line in enumerate(lines) if line]
    head = _HEAD.fullmatch(lines[filled[2]]) if len(filled) > 3 else None
    if head is None or not lines[0].isdigit():
        raise Malformed("expected a notice: its number, type and time, then its text")
    when = datetime.strptime(head[0], "%d/%m/%Y %I:%M:%S %p").replace(tzinfo=MARKET_TIME)
    title = lines[filled[3]] if len(filled) > 4 else ""
    body = "\n".join(lines[filled[3] :])
    yield from _alerts(_Notice(int(lines[0]), lines[filled[1]], when.astimezone(UTC), title, body), ask)


def reviewed(row: dict[str, Any], ask: Ask) -> tuple[bool, list[datetime]]:
    """Whether a notice puts prices under review or says that they stand, and the ends of their trading intervals.

    Of a review that does not say which, all about the time of the notice: none of them is final.
    """
    kind = str(row.get("TYPEID") or "").upper()
    under_review = "SUBJECT TO REVIEW" in kind
    if not under_review and "PRICES UNCHANGED" not in kind:
        return False, []
    title, text = str(row.get("EXTERNALREFERENCE") or ""), str(row.get("REASON") or "")
    try:
        return under_review, trading_intervals(f"{text}\n\n{title}")
    except Malformed as fault:
        if not under_review:
            raise
        ask.left_out.add(f"notice {str(row.get('NOTICEID')).removesuffix('.0'):.20}: {fault}")
        return True, ends_near(instant(row.get("EFFECTIVEDATE"), zone=MARKET_TIME))


def _alerts(notice: _Notice, ask: Ask) -> Iterator[GridAlert]:
    if (length := len(notice.whole)) > LONGEST:
        raise Malformed(f"expected a notice of at most {LONGEST} characters, got {length}")
    zones = _zones(notice.title, notice.text)
    if not zones and _meaning(notice.kind, notice.title, notice.whole)[0]:
        raise Malformed(f"expected a region in notice {notice.number}, got none: {notice.title or notice.text:.60}")
    found_parts = parts(notice.text)
    named = windows(notice.text, notice.whole, notice.issued_at, ask, f"notice {notice.number}, window")
    whole_over = all_over(notice.title, notice.text)
    some_over = whole_over or any(part.over for part in found_parts)
    own = by_zone(zones, named, notice.text, found_parts)
    for zone in zones:
        gone = whole_over or called_off(zone, zones, found_parts, named)
        kept = [window for window in own[zone] if _holds(part_of(window, found_parts), gone=gone)]
        if not kept and not gone and not own[zone]:
            kept = _unnamed(notice, found_parts) if not named else []
            if not kept and not some_over and not named:
                on_a_day = forecast_day(notice.whole, notice.issued_at)
                kept = [on_a_day or Window(notice.issued_at, None, 0, len(notice.text))]
            if not kept:
                expected = f"expected a time beside the name of {zone}, got none"
                ask.left_out.add(f"notice {notice.number}: {expected}")
                continue
        meanings = [
            _of_window(window, named, notice, found_parts, some_over=some_over, over=whole_over) for window in kept
        ]
        if not kept:
            over = Window(notice.issued_at, notice.issued_at, 0, len(notice.text))
            kept, meanings = [over], [(0, _meaning(notice.kind, notice.title, notice.whole)[1], "INFORM")]
        for i, (window, meaning) in enumerate(zip(kept, meanings, strict=True), 1):
            yield _alert(notice, zone, i, window, meaning, _replaces(notice, zone, zones, found_parts))


def _holds(part: Part, *, gone: bool) -> bool:
    """Whether a window in a sentence is in force: the rest of what is called off only where it says so."""
    return not part.over and (part.stands or not gone)


def _unnamed(notice: _Notice, all_parts: Sequence[Part]) -> list[Window]:
    """Since when and until when a condition is there that has no window, from what is not called off."""
    text = "".join(part.text for part in all_parts if not part.over)
    found = condition(text, notice.whole, notice.issued_at)
    return [found] if found else []


def _replaces(notice: _Notice, zone: str, zones: Sequence[str], all_parts: Sequence[Part]) -> str | None:
    """The older notice that this one tells of: beside the name of the zone, else anywhere."""
    beside = "\n".join(part.text for part in all_parts if zone in regions_in(part.text, zones))
    numbers = (found for text in (beside, notice.whole) for found in _REFERS.findall(text))
    return next((f"aemo-{found}" for found in numbers if int(found) != notice.number), None)


def _alert(
    notice: _Notice, zone: str, count: int, window: Window, meaning: tuple[int, str, str], replaces: str | None
) -> GridAlert:
    level, kind, action = meaning
    return GridAlert.model_validate(
        {
            "alert_id": f"aemo-{notice.number}" + (f"-{count}" if count > 1 else ""),
            "revision": 1,
            "zone": zone,
            "kind": kind,
            "level": level,
            "action": action,
            "issued_at": notice.issued_at,
            "starts_at": window.starts_at,
            "ends_at": window.ends_at,
            "is_drill": False,
            "text": words(notice.text if not notice.title or notice.title in notice.text else notice.whole),
            "provider": "aemo",
            "supersedes": replaces,
        }
    )


def _of_window(
    window: Window, named: Sequence[Window], notice: _Notice, all_parts: Sequence[Part], *, some_over: bool, over: bool
) -> tuple[int, str, str]:
    """(level, kind, action) of a window: what its own words tell, where the title does not tell one level for all.

    What is called off tells nothing of what stands.
    """
    title = "" if over else notice.title
    standing = "".join(part.text for part in all_parts if not part.over)
    level, kind, action = _meaning(notice.kind, title, f"{title}\n{standing}")
    if not level:
        level, kind, action = _meaning(notice.kind, title, notice.whole)
    pattern = {_RESERVE: _LOR, "MINIMUM_LOAD": _MSL}.get(kind)
    if pattern is None or (not some_over and (len(named) < 2 or len(_levels(pattern, title)) == 1)):
        return level, kind, action
    since = max((other.stops for other in named if other.stops <= window.begins), default=0)
    edges = ((max(since, part.begins), min(part.ends, window.begins)) for part in all_parts if not part.over)
    levels = _levels(pattern, "\n".join(notice.text[begins:ends] for begins, ends in edges if begins < ends))
    if len(levels) == 1:
        level = levels.pop()
    return level, kind, _ACTIONS[level] if kind == _RESERVE else action


def _zones(title: str, text: str) -> list[str]:
    """The regions a notice is about: those of its title, else those it speaks of as regions, else those it names.

    All of them only where it says so; where nothing says whom it concerns it concerns nobody we know.
    """
    for where in (title, text):
        if everywhere := _EVERYWHERE.search(where):
            but = _BUT.match(where, everywhere.end())
            out = regions_in(but[1], REGIONS) if but else ["AU-TAS"] if "mainland" in everywhere[0].lower() else []
            return [zone for zone in REGIONS if zone not in out]
        if where == title and regions_in(title, REGIONS):
            break
    for where in (title, "\n".join(_PLACE.findall(text)), text):
        if named := [zone for zone, name in REGIONS.items() if name.search(where)]:
            return named
    return []


def _levels(pattern: re.Pattern[str], text: str) -> set[int]:
    return {_STEPS[next(filter(None, found)).lower()] for found in pattern.findall(text)}


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
    if not lor and not msl and "RESERVE" in kind and _LOR_AT_ALL.search(whole):
        return 1, _RESERVE, _ACTIONS[1]  # a level that we can't read: the lowest, not none
    if msl or "MINIMUM SYSTEM LOAD" in kind or "MINIMUM SYSTEM LOAD" in said:
        return msl or 1, "MINIMUM_LOAD", "RAISE"
    if _SHEDDING.search(whole):
        return 3, "GRID_EMERGENCY", "SHED"
    if "LOAD SHED" in kind or "POWER SYSTEM EVENTS" in kind:
        return 2, "GRID_EMERGENCY", "PREPARE"
    return 0, "OTHER", "INFORM"
