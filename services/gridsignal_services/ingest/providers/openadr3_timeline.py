"""When the intervals of an OpenADR 3.1 event are: defaults, followers, "now", "for ever", cut and repeated.

An event's intervalPeriod is the default, an interval's own overrides it, and one without a start follows the one before
it. A start in the year 0 or 1 is "now"; a duration of thousands of years is "until cancelled". Without a duration (or
with one of nothing, which is the same) an interval lasts until the next one begins, and the last one until the event's
own duration is over, or until cancelled. That duration cuts the intervals, too, or repeats them until it is over.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from gridsignal_services.ingest.elements import each
from gridsignal_services.ingest.feed import Ask, Malformed
from gridsignal_services.ingest.figures import instant, list_of, object_of

MOST_SPANS = 10_000
_NOW = re.compile(r"000[01]-\d\d-\d\d(T.*)?")
_DURATION = re.compile(
    r"P(?=[\dT])(?:(\d{1,4})Y)?(?:(\d{1,4})M)?(?:(\d{1,4})W)?(?:(\d{1,5})D)?"
    r"(?:T(?=\d)(?:(\d{1,5})H)?(?:(\d{1,6})M)?(?:(\d{1,8})(?:\.\d+)?S)?)?"
)
_NOTHING = "PT0S"
"""The default: at once, or until something else is said."""
_FOR_EVER_YEARS = 100
_REPEATED_FOR = timedelta(days=2)
"""How far ahead intervals that repeat for ever are told, from the last midnight (UTC) on."""


@dataclass(frozen=True, slots=True)
class Span:
    """One interval of an event: [starts_at, ends_at), open while ends_at is None, with its payloads."""

    index: int
    starts_at: datetime
    ends_at: datetime | None
    payloads: tuple[object, ...]
    """As they came."""
    randomized: bool = False
    """The VTN wants starts spread around starts_at."""
    descriptors: object = None
    """What the interval itself says of its payloads, as it came."""


def spans(event: dict[str, Any], issued_at: datetime | None, ask: Ask) -> list[Span]:
    """All intervals of an event, in order; one that can't be read is left out. `issued_at` is what "now" means."""
    name = f"event {event.get('id') or event.get('eventName') or event.get('programID')!s:.60}, interval"
    own = _lasting(_own_spans(event, name, issued_at or ask.now, ask), name, ask)
    if not own or not event.get("duration"):
        return own
    begin = min(span.starts_at for span in own)
    end = after(begin, str(event["duration"]))
    if end is None and own[-1].ends_at is None:
        return own
    if end is not None and own[-1].ends_at is None:
        return [replace(span, ends_at=min(span.ends_at or end, end)) for span in own if span.starts_at < end]
    return list(_for_the_duration(own, begin, end, ask.now))


def _own_spans(event: dict[str, Any], name: str, meant_now: datetime, ask: Ask) -> list[Span]:
    """The intervals as they are told; `ends_at` is `starts_at` for one without a duration."""
    default = _period(event, "the event's intervalPeriod")
    intervals = list_of(event.get("intervals") or [], "intervals")
    if len(intervals) > MOST_SPANS:
        raise Malformed(f"expected at most {MOST_SPANS} intervals, got {len(intervals)}")
    follows = _start(default, meant_now)

    def read(numbered: tuple[int, Any]) -> Span:
        nonlocal follows
        begins, follows = follows, None  # what follows one that can't be read begins nobody knows when
        interval = object_of(numbered[1], "an interval")
        period = _period(interval, "an interval's intervalPeriod")
        starts_at = _start(period, meant_now) or begins
        if starts_at is None:
            raise Malformed("expected a start of its own or of the event, or a duration of the one before it, got none")
        ends_at = after(starts_at, str(period.get("duration") or default.get("duration") or _NOTHING))
        follows = ends_at if ends_at != starts_at else None  # until the next one begins, which has to say when
        payloads = tuple(list_of(interval.get("payloads"), "payloads"))
        randomized = bool(period.get("randomizeStart") or default.get("randomizeStart"))
        return Span(numbered[0], starts_at, ends_at, payloads, randomized, interval.get("payloadDescriptors"))

    return each(enumerate(intervals), name, read, ask)


def _lasting(own: list[Span], name: str, ask: Ask) -> list[Span]:
    """Each interval without a duration until the next one begins; the last one is open."""
    found: list[Span] = []
    for span, following in zip(own, [*own[1:], None], strict=False):
        if span.ends_at is None and following is not None:
            raise Malformed("expected no interval after one without end")
        if span.ends_at != span.starts_at:
            found.append(span)
        elif following is None or following.index > span.index + 1:  # one between them could not be read
            found.append(replace(span, ends_at=None))
        elif following.starts_at > span.starts_at:
            found.append(replace(span, ends_at=following.starts_at))
        else:
            ask.left_out.add(f"{name} {span.index + 1}: expected a duration, or a later interval after it, got neither")
    return found


def _period(holder: dict[str, Any], name: str) -> dict[str, Any]:
    return object_of(holder.get("intervalPeriod") or {}, name)


def _start(period: dict[str, Any], meant_now: datetime) -> datetime | None:
    start = period.get("start")
    if start is None:
        return None
    return meant_now if _NOW.fullmatch(str(start)) else instant(start)


def after(starts_at: datetime, duration: str) -> datetime | None:
    """The end of an ISO 8601 duration; None for one that means for ever."""
    match = _DURATION.fullmatch(duration)
    if match is None:
        raise Malformed(f"expected a duration such as PT1H, got {duration!r:.30}")
    years, months, weeks, days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    if years >= _FOR_EVER_YEARS:
        return None
    later = _months_later(starts_at, 12 * years + months)
    ends_at = later + timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    return None if ends_at.year >= starts_at.year + _FOR_EVER_YEARS else ends_at


def _months_later(when: datetime, months: int) -> datetime:
    year, month = divmod(12 * when.year + when.month - 1 + months, 12)
    return when.replace(year=year, month=month + 1, day=min(when.day, calendar.monthrange(year, month + 1)[1]))


def _for_the_duration(own: list[Span], begin: datetime, end: datetime | None, now: datetime) -> Iterator[Span]:
    """The intervals again and again until `end`, the last one cut; those that repeat for ever a few days of them."""
    last = max(span.ends_at for span in own if span.ends_at is not None)
    length = last - begin
    if not length:
        yield from own
        return
    midnight = datetime(now.year, now.month, now.day, tzinfo=UTC)
    first = max(0, (midnight - begin) // length) if end is None else 0
    end = end or max(last, midnight + _REPEATED_FOR)
    if (end - begin - first * length) / length * len(own) > MOST_SPANS:
        raise Malformed(f"expected at most {MOST_SPANS} intervals, got more in {end - begin}")
    shift = first * length
    while begin + shift < end:
        for span in own:
            assert span.ends_at is not None, "open spans do not repeat"
            if span.starts_at + shift < end:
                ends_at = min(span.ends_at + shift, end)
                yield replace(span, starts_at=span.starts_at + shift, ends_at=ends_at)
        shift += length
