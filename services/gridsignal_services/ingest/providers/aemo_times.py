"""When: the days, hours and trading intervals that AEMO's notices name in words.

Market time is +10:00 all year, also in summer; a notice that says AEDT means an hour less. Dates are day-first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from gridsignal_schemas.values import rfc3339
from gridsignal_services.ingest.elements import each
from gridsignal_services.ingest.feed import Ask, Malformed

MARKET_TIME = timezone(timedelta(hours=10))
_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
_DATE = (
    r"\d{1,2}/\d{1,2}/(?:\d{4}|\d{2})\b|\d{1,2}(?:st|nd|rd|th)?[ -][A-Za-z]{3,9}[ -]\d{4}|\d{4}-\d{2}-\d{2}"
    rf"|\d{{1,2}}(?:st|nd|rd|th)?[ -]{_MONTH}\b(?![ -]\d)"
)
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAY = rf"{_DATE}|today|tomorrow|{'|'.join(_WEEKDAYS)}"
_FORMS = ("%d/%m/%Y", "%d/%m/%y", "%d %b %Y", "%d %B %Y", "%Y-%m-%d")


def _moment(name: str) -> str:
    """A time of day as people write it, and perhaps its day: 1800 hrs, 18:00, 6:30 pm AEST on Thursday, 12/05/2024."""
    first = rf"(?:(?:on\s+)?(?P<{name}_first>{_DATE}),?\s+(?:at\s+)?)?"
    clock = (
        rf"(?<![\d/:.-])(?P<{name}>\d{{1,2}}:?\d{{2}}|\d{{1,2}}\.\d{{2}}(?=\s*[ap]\.?m)|\d{{1,2}}(?=\s*[ap]\.?m))"
        rf"(?:\s*(?P<{name}_unit>[ap]\.?m\.?|hrs?|hours|h)(?![A-Za-z]))?"
    )
    day = rf"(?:,?\s+(?:on\s+)?(?:[A-Za-z]{{3,6}}day,?\s+(?={_DATE}))?(?P<{name}_day>{_DAY}))?"
    return rf"{first}{clock}(?:\s*(?P<{name}_zone>AES?T|AEDT)\b)?{day}"


_WINDOW = re.compile(
    r"(?:(?P<opening>\b(?:from|between|commencing|starting|beginning|start|begins?)\b:?(?:\s+at\b)?)\s*)?"
    rf"{_moment('begin')}\s*,?\s*"
    r"(?:(?:and\s+|,\s*)?(?:ending|ends?|finish(?:ing)?)\b:?(?:\s+at\b)?|(?:through\s+)?(?:to|until|till)\b:?|and\b|-|\u2013)"
    rf"\s*{_moment('end')}",
    re.IGNORECASE,
)
_SINCE = re.compile(rf"(?:from|since|at)\s+{_moment('begin')}", re.IGNORECASE)
_UNTIL = re.compile(rf"(?:until|till)\s+{_moment('end')}", re.IGNORECASE)
_ANY_DAY = re.compile(rf"(?<![\d/])({_DATE})")
_STAMP = re.compile(
    rf"(?:({_DATE}),?[ T]+)?(\d{{1,2}}[:.]\d{{2}}(?=(?::00)?(?![:.]?\d))|\d{{4}}(?=\s*h(?:(?:ou)?rs?)?\b))"
    rf"(?::00)?(?:\s*h(?:(?:ou)?rs?)?\b)?(?:\s+on\s+({_DATE}))?(\s*(?:to|until|-|\u2013)\s*)?",
    re.IGNORECASE,
)
_INTERVALS = re.compile(
    r"\b(?:(?:trading|dispatch|pricing)\s+)?(?:intervals?|DIs?)\b(.*?)(?:\.(?=\s)|\n\s*\n|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_FIVE_MINUTES = timedelta(minutes=5)
_FORECAST = re.compile(r"\bforecast\b", re.IGNORECASE)
_LONGEST_AGO = timedelta(days=180)
_LONGEST_REVIEW = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Window:
    """[starts_at, ends_at), and where the words that say so begin and end in their text."""

    starts_at: datetime
    ends_at: datetime | None
    begins: int
    stops: int


def windows(text: str, whole: str, issued_at: datetime, ask: Ask, name: str) -> list[Window]:
    """Every window a notice names; one that can't be read is left out, where another can."""
    today = _today(whole, issued_at)
    matches = [match for match in _WINDOW.finditer(text) if _is_window(match)]
    return each(matches, name, lambda match: _window(match, today, issued_at), ask)


def _today(whole: str, issued_at: datetime) -> str:
    """The one day a notice names, else that of its issue."""
    days = _days_in(whole, issued_at)
    return f"{days.pop() if len(days) == 1 else issued_at.astimezone(MARKET_TIME):%d/%m/%Y}"


def _days_in(whole: str, issued_at: datetime) -> set[datetime]:
    found: set[datetime] = set()
    for day in _ANY_DAY.findall(whole):
        with suppress(Malformed):  # what looks like a day and is none
            found.add(_midnight(day, issued_at))
    return found


def forecast_day(whole: str, issued_at: datetime) -> Window | None:
    """The one day for which a notice without any time of day forecasts something; None where it names none."""
    days = _days_in(whole, issued_at)
    if len(days) != 1 or not _FORECAST.search(whole):
        return None
    starts_at = days.pop().astimezone(UTC)
    ends_at = starts_at + timedelta(days=1)
    return Window(max(starts_at, issued_at), ends_at, 0, len(whole)) if issued_at < ends_at else None


def _is_time(match: re.Match[str], name: str) -> bool:
    """Whether a number is said to be a time of day, not megawatts or a year."""
    marks = (match[f"{name}_{part}"] for part in ("unit", "zone", "day", "first"))
    return any(marks) or ":" in match[name]


def _is_window(match: re.Match[str]) -> bool:
    return bool(match["opening"] or match["begin_unit"] or match["end_unit"]) and _is_time(match, "end")


def _window(match: re.Match[str], today: str, issued_at: datetime) -> Window:
    begin_day, end_day = (match[f"{name}_day"] or match[f"{name}_first"] for name in ("begin", "end"))
    starts_at = _instant(match, "begin", begin_day or end_day or today, issued_at)
    ends_at = _instant(match, "end", end_day or begin_day or today, issued_at)
    if ends_at <= starts_at and not (begin_day and end_day):  # over midnight
        day = timedelta(days=1)
        starts_at, ends_at = (starts_at - day, ends_at) if end_day else (starts_at, ends_at + day)
    if ends_at <= starts_at:
        raise Malformed(f"a notice's window ends at {match['end']} before it starts at {match['begin']}")
    return Window(starts_at, ends_at, match.start(), match.end())


def condition(text: str, whole: str, issued_at: datetime) -> Window | None:
    """From when on and until when a condition is there that has no window; None where neither is told."""
    since = next((match for match in _SINCE.finditer(text) if _is_time(match, "begin")), None)
    until = next((match for match in _UNTIL.finditer(text) if _is_time(match, "end")), None)
    if since is None and until is None:
        return None
    today = _today(whole, issued_at)
    begin_day, end_day = (
        match and (match[f"{name}_day"] or match[f"{name}_first"]) for match, name in ((since, "begin"), (until, "end"))
    )
    starts_at = _instant(since, "begin", begin_day or today, issued_at) if since else issued_at
    ends_at = _instant(until, "end", end_day or today, issued_at) if until else None
    if ends_at is not None and ends_at <= starts_at and not end_day:
        ends_at += timedelta(days=1)
    if ends_at is not None and ends_at <= starts_at:
        raise Malformed(f"a notice's condition ends at {rfc3339(ends_at)} before it starts")
    return Window(starts_at, ends_at, 0, len(text))


def _instant(match: re.Match[str], name: str, day: str, issued_at: datetime) -> datetime:
    unit = (match[f"{name}_unit"] or "").lower().replace(".", "")
    zone, clock = (match[f"{name}_zone"] or "").upper(), match[name].replace(".", ":")
    plain = clock.replace(":", "") if ":" in clock or len(clock) > 2 else f"{clock}00"
    hour, minute = int(plain[:-2]), int(plain[-2:])
    if unit in ("am", "pm"):
        if not 1 <= hour <= 12:
            raise Malformed(f"expected a time of day, got {clock} {unit}")
        hour = hour % 12 + (12 if unit == "pm" else 0)
    if hour > 24 or minute > 59:
        raise Malformed(f"expected a time of day, got {clock}")
    summer = timedelta(hours=1 if zone == "AEDT" else 0)
    return (_midnight(day, issued_at) + timedelta(hours=hour, minutes=minute) - summer).astimezone(UTC)


def _midnight(day: str, issued_at: datetime | None = None) -> datetime:
    """A day's begin; what is told without a year, or by its name, is the one next to the notice's issue."""
    today = issued_at and issued_at.astimezone(MARKET_TIME).replace(hour=0, minute=0, second=0, microsecond=0)
    if today and (name := day.lower()) in ("today", "tomorrow", *_WEEKDAYS):
        ahead = (_WEEKDAYS.index(name) - today.weekday()) % 7 if name in _WEEKDAYS else int(name == "tomorrow")
        return today + timedelta(days=ahead)
    plain = re.sub(r"^(\d{1,2})(?:st|nd|rd|th)?[ -](?=[A-Za-z])|(?<=[A-Za-z])-", r"\1 ", day)
    for form in _FORMS:
        try:
            return datetime.strptime(plain, form).replace(tzinfo=MARKET_TIME)
        except ValueError:
            continue
    for year in (today.year, today.year + 1) if today else ():
        for form in ("%d %b %Y", "%d %B %Y"):
            with suppress(ValueError):
                when = datetime.strptime(f"{plain} {year}", form).replace(tzinfo=MARKET_TIME)
                if today and when > today - _LONGEST_AGO:
                    return when
    raise Malformed(f"expected a day such as 12/05/2024, got {day}")


def trading_intervals(text: str) -> list[datetime]:
    """The ends of the trading intervals that a notice names, one by one or from one to another. Raises Malformed."""
    found = [when for match in _INTERVALS.findall(text) for when in _ends(match)]
    if not found:
        raise Malformed(f"expected trading intervals such as 12-May-2024 10:35, got {text.strip():.60}")
    return found


def _ends(text: str) -> Iterator[datetime]:
    stamps = _STAMP.findall(text)
    since = None
    day = next((before or behind for before, _, behind, _ in stamps if before or behind), "")
    for before, clock, behind, to in stamps:
        if not (day := before or behind or day):
            continue
        plain = clock.replace(":", "").replace(".", "")
        when = (_midnight(day) + timedelta(hours=int(plain[:-2]), minutes=int(plain[-2:]))).astimezone(UTC)
        if since is not None:
            if not since < when <= since + _LONGEST_REVIEW:
                raise Malformed(f"expected trading intervals in order, got {text:.60}")
            yield from (since + n * _FIVE_MINUTES for n in range(1, (when - since) // _FIVE_MINUTES))
        yield when
        since = when if to else None


def ends_near(when: datetime) -> list[datetime]:
    """The ends of the intervals of an hour before and after a moment."""
    first = datetime.fromtimestamp(when.timestamp() // 300 * 300, UTC)
    return [first + n * _FIVE_MINUTES for n in range(-12, 14)]
