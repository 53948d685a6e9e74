"""`gridsignal settle verify` and `run`: settlements computed from the log alone, as they are and as they would be."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from gridsignal.__main__ import OK
from gridsignal.cli.tables import when
from gridsignal_schemas.messages import SettledInterval, Settlement
from gridsignal_schemas.values import rfc3339, text_of_decimal
from gridsignal_services.audit.previewing import Preview
from gridsignal_services.audit.settling_again import SettledAgain
from gridsignal_services.cli.audit_said import NOT_PROVEN, say
from gridsignal_services.cli.whole_log import whole_log

_PREVIEW = "a preview: nothing was written, and what meters say by then may change it"
_FIELDS = [name for name in SettledInterval.model_fields if name not in ("starts_at", "ends_at")]
_BY_TIME = ("intervals", "missing")

_Place = tuple[datetime, datetime]


def verify(args: argparse.Namespace) -> int:
    """0 where every line agrees, 1 where one differs or can't be computed, or what was named is not there."""
    found = list[SettledAgain]()

    def take(again: SettledAgain) -> None:
        if args.id in (None, *_names(again.settlement)):
            found.append(again)

    with whole_log(args) as whole:
        checked = whole.checked(zone=args.zone, settled=take)
    faults = [f"partition {each.partition}: {fault}" for each in checked for fault in each.faults]
    rows = [_row(each) for each in found]
    agrees = bool(rows or args.id is None) and all(row["agrees"] for row in rows) and not faults
    lines = [line for row in rows for line in _lines_of(row)] + [f"not proven: {fault}" for fault in faults]
    if not rows:
        whose = "" if args.id is None else f" of {args.id}"
        lines.append(f"there is no settlement{whose} on this log, or none that counts")
    say(args, {"agrees": agrees, "faults": faults, "settlements": rows}, lines)
    return OK if agrees else NOT_PROVEN


def run(args: argparse.Namespace) -> int:
    """0 where there is something to show, 1 where an order is not over or gets no other version."""
    with whole_log(args) as whole:
        found = whole.previews(args.zone, args.id)
    shown = [each for each in found if args.id is not None or each.settlement is not None or each.why]
    rows = [_plain(each) for each in shown]
    lines = [line for each in shown for line in _preview_lines(each)]
    if not shown and args.id is not None:
        lines = [f"order {args.id} is not over on this log, or gets no other version"]
    elif not shown:
        lines = ["no order waits for another version"]
    say(args, {"preview": True, "settlements": rows}, [*lines, _PREVIEW] if shown else lines)
    return OK if shown or args.id is None else NOT_PROVEN


def _names(settlement: Settlement) -> tuple[str, str]:
    return settlement.order_id, settlement.settlement_id


def _row(each: SettledAgain) -> dict[str, Any]:
    settlement, again = each.settlement, each.again
    why = "" if each.is_same else each.why or "readings that it is from are not kept any more"
    return {
        "order_id": settlement.order_id,
        "settlement_id": settlement.settlement_id,
        "version": settlement.version,
        "status": settlement.status,
        "offset": each.offset,
        "agrees": each.is_same,
        "lines": len(settlement.intervals),
        "total": settlement.total,
        "computed_total": None if again is None else again.total,
        "currency": settlement.currency,
        "why": why,
        "differs": [] if again is None else list(_differing(settlement, again)),
    }


def _differing(theirs: Settlement, ours: Settlement) -> Iterator[dict[str, Any]]:
    """What is on the log and what was computed: line by line, then what is said of the whole."""
    for place, name, left, right in _by_time(theirs, ours):
        if left != right:
            starts_at, ends_at = map(rfc3339, place)
            yield {"starts_at": starts_at, "ends_at": ends_at, "field": name, "logged": left, "computed": right}
    left_of, right_of = (each.model_dump(exclude=set(_BY_TIME)) for each in (theirs, ours))
    for name in left_of:
        if left_of[name] != right_of[name]:
            yield {"field": name, "logged": left_of[name], "computed": right_of[name]}


def _by_time(theirs: Settlement, ours: Settlement) -> Iterator[tuple[_Place, str, Any, Any]]:
    """Each field of each line, and why a time has no figures, of both."""
    logged, computed = _lines(theirs), _lines(ours)
    for place in sorted(logged.keys() | computed.keys()):
        left, right = logged.get(place), computed.get(place)
        for name in _FIELDS:
            yield place, name, getattr(left, name, None), getattr(right, name, None)
    gaps, others = ({(each.starts_at, each.ends_at): each.code for each in of.missing} for of in (theirs, ours))
    for place in sorted(gaps.keys() | others.keys()):
        yield place, "missing", gaps.get(place), others.get(place)


def _lines(settlement: Settlement) -> dict[_Place, SettledInterval]:
    return {(each.starts_at, each.ends_at): each for each in settlement.intervals}


def _lines_of(row: dict[str, Any]) -> Iterator[str]:
    which = f"order {row['order_id']}, version {row['version']} ({row['status']})"
    if row["agrees"]:
        yield f"{which}: all {row['lines']} lines agree, {_text(row['total'])} {row['currency']}"
        return
    yield f"{which}: {row['why']}"
    for each in row["differs"]:
        place = f"{each['starts_at']} to {each['ends_at']}, " if "starts_at" in each else ""
        yield f"  {place}{each['field']}: {_text(each['logged'])} on the log, {_text(each['computed'])} computed"


def _text(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return text_of_decimal(value)
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _plain(each: Preview) -> dict[str, Any]:
    settlement = each.settlement
    return {
        "order_id": each.order_id,
        "version_on_the_log": None if each.newest is None else each.newest.version,
        "total_on_the_log": None if each.newest is None else each.newest.total,
        "settlement": None if settlement is None else settlement.model_dump(mode="json"),
        "why": each.why,
    }


def _preview_lines(each: Preview) -> Iterator[str]:
    settlement, newest = each.settlement, each.newest
    before = "nothing on the log so far" if newest is None else f"{_text(newest.total)} {newest.currency} on the log"
    if settlement is None:
        yield f"order {each.order_id}: {each.why or 'another version would change nothing'}; {before}"
        return
    yield (
        f"order {each.order_id}: version {settlement.version} would be {settlement.status},"
        f" {_text(settlement.total)} {settlement.currency}; {before}"
    )
    yield from _previewed(settlement.intervals, settlement.zone)
    for missing in settlement.missing:
        yield f"  {when(missing.starts_at, settlement.zone)}: {missing.code}"


def _previewed(intervals: Sequence[SettledInterval], zone: str) -> Iterator[str]:
    for each in intervals:
        if each.amount is not None:
            yield (
                f"  {when(each.starts_at, zone)}: {each.delivered_wh} Wh delivered of {each.ordered_wh},"
                f" {each.deficiency_wh} short: {_text(each.amount)}"
            )
