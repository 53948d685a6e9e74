"""A computed baseline as a command shows it: as JSON, or as a table with bars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, tzinfo
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from typing import Any

from gridsignal.cli.tables import bar, show_rows
from gridsignal_schemas.values import rfc3339
from gridsignal_services.settlement.baseline_said import Adjustment, Baseline, Event, LeftOut, NoBaseline
from gridsignal_services.settlement.baselines import mean_w
from gridsignal_services.settlement.figures import FACTOR_PLACES, POWER_PLACES, figure
from gridsignal_services.settlement.methods import Method
from gridsignal_services.settlement.quiet_days import Compared


def as_json(method: Method, event: Event, found: Baseline, metered_w: Sequence[Fraction | None]) -> dict[str, Any]:
    """The answer of `gridsignal baseline study --json`."""
    return {
        "method": method.name,
        "version": method.version,
        "sha256": method.sha256,
        "parameters": method.written,
        "changed": list(method.changed),
        "day": event.day.isoformat(),
        "starts_at": [rfc3339(slot.starts_at) for slot in found.slots],
        "ends_at": [rfc3339(slot.ends_at) for slot in found.slots],
        "days": [day.isoformat() for day in found.days],
        "left_out": [{"day": day.isoformat(), "why": why} for day, why in found.left_out],
        "history_w": list(map(figure, found.history_w)),
        "adjustment": {"kind": found.adjustment.kind, "value": _value(found.adjustment)},
        "baseline_w": list(map(figure, found.baseline_w)),
        "metered_w": [None if power_w is None else figure(power_w) for power_w in metered_w],
        "notes": list(found.notes),
    }


def _value(adjustment: Adjustment) -> int | float | None:
    if adjustment.value is None:
        return None
    return figure(adjustment.value, FACTOR_PLACES if adjustment.kind == "SCALAR" else POWER_PLACES)


def comparison_as_json(compared: Compared, event: Event) -> dict[str, Any]:
    """One line of `gridsignal baseline compare --json`."""
    method, found, errors = compared
    said: dict[str, Any] = {"method": method.name, "version": method.version, "day": event.day.isoformat()}
    if isinstance(found, NoBaseline):
        said |= {"days": [], "history_w": None, "adjustment": None, "baseline_w": None, "why": str(found)}
    else:
        said |= {
            "days": [day.isoformat() for day in found.days],
            "history_w": list(map(figure, found.history_w)),
            "adjustment": {"kind": found.adjustment.kind, "value": _value(found.adjustment)},
            "baseline_w": list(map(figure, found.baseline_w)),
            "why": None,
        }
    return said | {
        "quiet_days": errors.days,
        "bias": None if errors.bias is None else figure(errors.bias),
        "rrmse": None if errors.rrmse is None else figure(Fraction(errors.rrmse)),
    }


def show_comparison(event: Event, compared: Sequence[Compared], quiet: int) -> None:
    """Prints the methods side by side for people."""
    means = [None if isinstance(each.found, NoBaseline) else mean_w(each.found) for each in compared]
    most = Decimal(max((abs(float(power_w)) for power_w in means if power_w is not None), default=0))
    rows = [
        (
            each.method.name,
            "-" if power_w is None else str(figure(power_w)),
            "-" if isinstance(each.found, NoBaseline) else _adjusted(each.found.adjustment),
            _per_cent(each.errors.bias, "+"),
            _per_cent(each.errors.rrmse, ""),
            str(each.errors.days),
            "" if power_w is None else bar(Decimal(float(power_w)), most),
        )
        for each, power_w in zip(compared, means, strict=True)
    ]
    headings = ("method", "mean baseline, W", "adjusted", "bias", "RRMSE", "on days", "")
    show_rows(f"{event.day}, and what would have been said of the last {quiet} quiet days", headings, rows)
    for each in compared:
        if isinstance(each.found, NoBaseline):
            print(f"note       {each.found}")


def _per_cent(share: Fraction | Decimal | None, sign: str) -> str:
    return "-" if share is None else f"{float(share):{sign}.1%}"


def show(
    method: Method, event: Event, found: Baseline, metered_w: Sequence[Fraction | None], zone_time: tzinfo
) -> None:
    """Prints it for people."""
    most = Decimal(max(map(abs, map(float, found.baseline_w))))
    rows = [
        (
            f"{slot.starts_at.astimezone(zone_time):%H:%M%z}",
            f"{slot.ends_at.astimezone(zone_time):%H:%M%z}",
            str(figure(history_w)),
            str(figure(power_w)),
            "-" if met_w is None else str(figure(met_w)),
            bar(Decimal(float(power_w)), most),
        )
        for slot, history_w, power_w, met_w in zip(
            found.slots, found.history_w, found.baseline_w, metered_w, strict=True
        )
    ]
    said = f" with {', '.join(f'{name} {method.written[name]}' for name in method.changed)}" if method.changed else ""
    title = f"{method.name} version {method.version}{said}, {event.day}, in watts"
    show_rows(title, ("from", "to", "history", "baseline", "metered", ""), rows)
    print(f"mean of    {', '.join(map(str, found.days))}")
    for why, days in _by_reason(found.left_out):
        print(f"left out   {_days(days)}: {why}")
    print(f"adjusted   {_adjusted(found.adjustment)}")
    for note in found.notes:
        print(f"note       {note}")


def _by_reason(left_out: Sequence[LeftOut]) -> Iterator[tuple[str, list[date]]]:
    """Days that follow each other and were left out for one reason, together."""
    for why, group in groupby(left_out, key=lambda each: each.why):
        yield why, [each.day for each in group]


def _days(days: Sequence[date]) -> str:
    return str(days[0]) if len(days) == 1 else f"{len(days)} days from {days[-1]} to {days[0]}"


def _adjusted(adjustment: Adjustment) -> str:
    if adjustment.value is None:
        return "no"
    way = "times" if adjustment.kind == "SCALAR" else "plus"
    return f"{adjustment.kind}: {way} {_value(adjustment)}{'' if way == 'times' else ' W'}"
