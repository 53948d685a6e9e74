"""What a feed gave, told to a person in a line or to a program in JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from gridsignal_schemas.messages import CarbonIntensity, DispatchRequest, GridAlert, Record, SpotPrice
from gridsignal_schemas.values import text_of_decimal
from gridsignal_services.ingest.intake import Intake
from gridsignal_services.ingest.markets import timezone_of
from gridsignal_services.ingest.quarantine import FeedLimits, QuarantinedRecord

_WIDE = 12


def show(
    records: Iterable[Record], *, asked_zone: str | None, now: datetime, as_json: bool, limits: FeedLimits | None = None
) -> int:
    """Prints what would be published and what is set aside: 0, or 1 where anything is."""
    intake = Intake(limits)
    code = 0
    for record in records:
        verdict = intake.judge(record, asked_zone, now)
        if isinstance(verdict, QuarantinedRecord):
            code = 1
            print(_set_aside_json(verdict) if as_json else _set_aside(verdict))
            continue
        if verdict.outliers is not None:
            code = 1
            print(_set_aside_json(verdict.outliers) if as_json else _set_aside(verdict.outliers))
        if verdict.publish is not None:
            intake.learn(verdict.publish)
            print(verdict.publish.model_dump_json() if as_json else line(verdict.publish))
    return code


def _set_aside_json(aside: QuarantinedRecord) -> str:
    reasons = [{"code": reason.code, "text": reason.text} for reason in aside.reasons]
    return json.dumps({"quarantined": json.loads(aside.record.model_dump_json()), "reasons": reasons})


def _set_aside(aside: QuarantinedRecord) -> str:
    return f"SET ASIDE {line(aside.record)}: {'; '.join(reason.text for reason in aside.reasons)}"


def line(record: Record) -> str:
    """A record for a person: market time with its offset, UTC where the zone's market is not known."""
    match record:
        case SpotPrice() | CarbonIntensity():
            return _series(record)
        case GridAlert():
            drill = " DRILL" if record.is_drill else ""
            level = f"{record.kind} level {record.level}{drill} {record.action}"
            return f"{record.zone:{_WIDE}} {level} {_span(record)} {record.area or ''} {record.text[:60]!r}"
        case DispatchRequest():
            power = f"{record.direction} {record.power_w / 1_000_000:g} MW"
            gate = f"gate {_local(record.gate_closure_at, record.zone)}"
            return f"{record.zone:{_WIDE}} {power} {_span(record)} {gate} {record.product} {record.text[:60]!r}"
    return record.model_dump_json()


def _series(record: SpotPrice | CarbonIntensity) -> str:
    values = [value for _, _, value in record.intervals()]
    known = [value for value in values if value is not None]
    unit = f"{record.currency}/MWh" if isinstance(record, SpotPrice) else "g/kWh"
    text = f"{text_of_decimal(min(known))}..{text_of_decimal(max(known))} {unit}" if known else "nothing but gaps"
    gaps = f", {len(values) - len(known)} gaps" if len(known) < len(values) else ""
    step = timedelta(seconds=record.resolution_s)
    basis = "" if isinstance(record, SpotPrice) else f" {record.scope.lower()}"
    what = f"{record.dataset + basis:24} {record.status:11} {_local(record.starts_at, record.zone)}"
    return f"{record.zone:{_WIDE}} {what} {len(values):4} x {step}  {text}{gaps}"


def _span(record: GridAlert | DispatchRequest) -> str:
    end = "open" if record.ends_at is None else _local(record.ends_at, record.zone)
    return f"{_local(record.starts_at, record.zone)} to {end}"


def _local(when: datetime, zone: str) -> str:
    return f"{when.astimezone(timezone_of(zone) or ZoneInfo('UTC')):%Y-%m-%d %H:%M%z}"


_HEAD = ("feed", "zone", "signal", "last success", "newest until", "next due", "news", "revised", "set aside", "")


def table(feeds: Iterable[Mapping[str, Any]], now: datetime) -> str:
    """Feeds as a running door tells them, a line each; ages seen from `now`."""
    rows = [_HEAD, *(_row(feed, now) for feed in feeds)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _row(feed: Mapping[str, Any], now: datetime) -> tuple[str, ...]:
    last, newest = _moment(feed["last_success_at"]), _moment(feed["newest_ends_at"])
    until = "" if newest is None else _local(newest, feed["zone"])
    due = _moment(feed["next_due_at"]) or now
    state = "STALE " if feed["stale"] else ""
    counts = (str(feed[name]) for name in ("published", "revisions", "quarantined"))
    in_ = f"in {_length(due - now)}"
    ago = "never" if last is None else f"{_length(now - last)} ago"
    return (
        feed["provider"],
        feed["zone"],
        feed["signal"],
        ago,
        until,
        in_,
        *counts,
        f"{state}{feed['trouble'] or _left_out(feed)}",
    )


def _left_out(feed: Mapping[str, Any]) -> str:
    return f"left out: {feed['left_out']}" if feed["left_out"] else ""


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _length(span: timedelta) -> str:
    """A length of time in its largest unit: 45s, 12m, 3h, 2d."""
    seconds = max(0, int(span.total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"
