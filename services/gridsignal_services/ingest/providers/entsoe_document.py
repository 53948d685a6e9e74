"""A document of the Transparency Platform as plain values: series, periods, points; acknowledgements as errors."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from gridsignal_schemas.values import rfc3339
from gridsignal_services.ingest.curves import Curve, Value, contradicted
from gridsignal_services.ingest.elements import each, figure
from gridsignal_services.ingest.feed import (
    Ask,
    Banned,
    FeedAnswer,
    Malformed,
    NotYetAvailable,
    Outage,
    Refused,
    TooLarge,
    Unsupported,
    refuse_status,
)
from gridsignal_services.ingest.figures import Element, instant, local_name, xml_of
from gridsignal_services.ingest.said import Cause, cause_in

_ROOTS = ("Publication_MarketDocument", "GL_MarketDocument")
_GENERATION = "A75"
STORAGE = frozenset({"B10", "B25"})
_ACKNOWLEDGEMENT = "Acknowledgement_MarketDocument"
_DURATION = re.compile(r"P(?:(\d{1,2})D)?(?:T(?:(\d{1,2})H)?(?:(\d{1,4})M)?(?:(\d{1,5})S)?)?")
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+")
_BANNED_S = 600.0
_LONGEST_PERIOD = timedelta(days=400)
_MOST_POINTS = 400_000


@dataclass(frozen=True, slots=True)
class Series:
    """One TimeSeries: its plain fields by local name, and its curves (one a period)."""

    fields: Mapping[str, str]
    curves: tuple[Curve, ...]
    filled: bool
    """A03 positions were repeated."""


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed document."""

    name: str
    kind: str
    series: tuple[Series, ...]


def document(body: bytes, ask: Ask) -> Document:
    """Parses one document; series, periods and points of prices that can't be read are left out.

    Raises what an acknowledgement says, Malformed for anything that is no document.
    """
    root = xml_of(body)
    name = local_name(root)
    if name == _ACKNOWLEDGEMENT:
        _raise_acknowledgement(root)
    if not name.endswith("_MarketDocument") or name not in _ROOTS:
        raise Malformed(f"expected one of {', '.join(_ROOTS)}, got {name:.60}")
    kind = next((child.text or "" for child in root if local_name(child) == "type"), "").strip()
    time_series = [child for child in root if local_name(child) == "TimeSeries"]
    usual = _fields(root)
    if kind == _GENERATION:  # a mix without one of its types would be another mix
        series = tuple(
            _series(child, usual, ask) for child in time_series if not _is_storage(child) and _has_points(child)
        )
    else:
        series = tuple(each(time_series, "series", lambda child: _series(child, usual, ask), ask))
    if not series:
        raise NotYetAvailable(f"the {kind} document holds no series")
    return Document(name, kind, series)


def raise_refusal(answer: FeedAnswer) -> None:
    """What statuses and bodies that are no document mean at this platform."""
    text = answer.body[:4000].decode("utf-8", "replace")
    if answer.status == 429 or "Max allowed requests per minute" in text:
        raise Banned(
            "entsoe: more than 400 requests a minute, banned for ten minutes", answer.retry_after_s or _BANNED_S
        )
    if answer.status == 401:
        raise Refused("entsoe refuses the token (status 401)")
    if text.strip() == "404 page not found":
        raise Outage("entsoe: page not found, as during its migrations")
    if answer.status in (200, 400, 503) and _ACKNOWLEDGEMENT in text:
        return
    if "502 Bad Gateway" in text:
        raise Outage("entsoe answers 502 Bad Gateway")
    refuse_status(answer)


def _raise_acknowledgement(root: Element) -> None:
    texts = [(e.text or "").strip() for e in root.iter() if local_name(e) == "text"]
    text = " ".join(texts)[:300] or "no reason given"
    said = text.lower()
    if "no matching data" in said:
        raise NotYetAvailable(f"entsoe: {text}")
    if "exceeds" in said and ("allowed" in said or "maximum" in said):
        raise TooLarge(f"entsoe: {text}")
    cause = cause_in(text)
    if cause is Cause.TOO_OFTEN:
        raise Banned(f"entsoe: {text}", _BANNED_S)
    if cause is Cause.AWAY or "unexpected error" in said or "timeout" in said:
        raise Outage(f"entsoe: {text}")
    if cause is Cause.NOT_ENTITLED or "security token" in said or "authentication" in said:
        raise Refused(f"entsoe: {text}")
    if "not valid for this area" in said or "dependency tables" in said:
        raise Unsupported(f"entsoe: {text}")
    raise Malformed(f"entsoe does not take the question: {text}")


def _fields(element: Element) -> dict[str, str]:
    """The plain fields of an element, by local name, and those of what it is about."""
    found = {local_name(child): (child.text or "").strip() for child in element if not len(child)}
    for kind in (child for child in element if local_name(child) == "MktPSRType"):
        found |= {local_name(child): (child.text or "").strip() for child in kind}
    return found


def _is_storage(series: Element) -> bool:
    """Whether it is left out of every mix: what it gives it took before."""
    return _fields(series).get("psrType") in STORAGE


def _has_points(series: Element) -> bool:
    return any(local_name(child) == "Point" for child in series.iter())


def _series(element: Element, usual: Mapping[str, str], ask: Ask) -> Series:
    """A TimeSeries; `usual` is what the document says of all of them, which their own fields and periods overrule."""
    periods = [child for child in element if local_name(child) == "Period"]
    own = _fields(element)
    common = list(map(_fields, periods)) or [{}]
    agreed = {name: value for name, value in common[0].items() if all(field.get(name) == value for field in common)}
    fields = {**usual, **own, **agreed}
    if (kind := fields.get("curveType", "A01")) not in ("A01", "A03"):
        raise Malformed(f"expected curveType A01 or A03, got {kind:.10}")
    read = each(periods, "period", lambda period: _curve(period, fields, ask, repeats=kind == "A03"), ask)
    return Series(fields, tuple(curve for curve, _ in read), any(filled for _, filled in read))


def _curve(period: Element, usual: Mapping[str, str], ask: Ask, *, repeats: bool) -> tuple[Curve, bool]:
    starts_at, ends_at, step = _frame(period, usual)
    count, rest = divmod(ends_at - starts_at, step)
    if count <= 0 or rest or ends_at - starts_at > _LONGEST_PERIOD or count > _MOST_POINTS:
        span = f"{rfc3339(starts_at)} to {rfc3339(ends_at)}"
        raise Malformed(f"expected a period of whole steps of {step}, got {span}")
    values: list[Value] = [None] * count
    unknown: set[int] = set()
    for position, text in _points(period, ask, repeats=repeats):
        if not 1 <= position <= count:
            if repeats and count < position <= count + 4:
                continue  # beyond the declared end: the next period's business
            raise Malformed(f"expected a position from 1 to {count}, got {position}")
        when, known = starts_at + (position - 1) * step, values[position - 1]
        value = figure(text, f"position {position} from {rfc3339(starts_at)}", ask) if text is not None else None
        if text is None:
            ask.left_out.add(f"expected a position and a value in each point, got no value for {rfc3339(when)}")
        if known is not None and value is not None and known != value:
            contradicted(when, known, value, ask.left_out)
        if value is None or known not in (None, value):
            unknown.add(position - 1)
        values[position - 1] = value if known is None else known
    for index in unknown:
        values[index] = None
    filled = _repeat(values, unknown) if repeats else False
    return Curve(starts_at, step // timedelta(seconds=1), tuple(values)), filled


def _frame(period: Element, usual: Mapping[str, str]) -> tuple[datetime, datetime, timedelta]:
    interval = next((child for child in period if local_name(child) == "timeInterval"), None)
    if interval is None:
        raise Malformed("expected a timeInterval in the period, got none")
    ends = {local_name(child): child.text for child in interval}
    resolution = _fields(period).get("resolution") or usual.get("resolution", "")
    return instant(ends.get("start")), instant(ends.get("end")), duration(resolution)


def duration(text: str) -> timedelta:
    """An ISO 8601 duration of days down to seconds: PT15M, PT60M and PT1H alike."""
    match = _DURATION.fullmatch(text.strip())
    if not match or not any(match.groups()):
        raise Malformed(f"expected a resolution such as PT15M, got {text!r:.20}")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    length = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    if not timedelta(seconds=60) <= length <= timedelta(days=1):
        raise Malformed(f"expected a resolution from a minute to a day, got {text:.20}")
    return length


def _points(period: Element, ask: Ask, *, repeats: bool) -> Iterator[tuple[int, str | None]]:
    """Positions and the texts of their values.

    A Point without a position is left out; where positions that are not there repeat others, it refuses the period.
    """
    namespace = period.tag.removesuffix("Period")
    points = list(period.iterchildren(f"{namespace}Point"))
    # by name through the whole period: lxml does that in C, three times as fast as looking into each point
    positions = list(period.iter(f"{namespace}position"))
    values = list(period.iter(f"{namespace}price.amount", f"{namespace}quantity"))
    triples = zip(points, positions, values, strict=False)
    if len(points) == len(positions) == len(values) and all(
        position.getparent() is point is value.getparent() for point, position, value in triples
    ):
        both = zip(positions, values, strict=True)
        texts: list[tuple[str, str | None]] = [(position.text or "", value.text or "") for position, value in both]
    else:
        texts = [_point(point) for point in points]
    if repeats:
        yield from ((_position(position), value) for position, value in texts)
    else:
        yield from each(texts, "point", lambda text: (_position(text[0]), text[1]), ask)


def _point(point: Element) -> tuple[str, str | None]:
    """A Point's position and value; what it lacks, or has twice, is no text."""
    children = [(local_name(child), child.text or "") for child in point]
    positions = [text for name, text in children if name == "position"]
    values = [text for name, text in children if name in ("price.amount", "quantity")]
    return positions[0] if len(positions) == 1 else "", values[0] if len(values) == 1 else None


def _position(text: str) -> int:
    plain = text if text.isdigit() else text.strip()
    if _THOUSANDS.fullmatch(plain):  # seen
        plain = plain.replace(",", "")
    if not (plain.isascii() and plain.isdigit() and len(plain) <= 7):
        raise Malformed(f"expected a position, got {text!r:.20}")
    return int(plain)


def _repeat(values: list[Value], unknown: Collection[int]) -> bool:
    """Curve A03: an omitted position repeats the one before it, up to the period's declared end.

    One that is there and can't be read is not omitted, and what repeats it is not known either.
    """
    last: Value = None
    filled = False
    for i, value in enumerate(values):
        if value is None and last is not None and i not in unknown:
            values[i] = last
            filled = True
        last = values[i]
    return filled
