"""`gridsignal agent study`: what planning is worth on a year of prices and carbon from a file."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from gridsignal.__main__ import OK, USAGE
from gridsignal.agent.mixes import MIXES
from gridsignal.agent.series import WrongSeries, series_of
from gridsignal.agent.study import POLICIES, Outcome, Setting, bound, play, spans
from gridsignal.cli import paths
from gridsignal.cli.connection import tell
from gridsignal.cli.tables import show_rows

_PLAN_S = 1.0


def run(args: argparse.Namespace) -> int:
    """0 done, 2 the file can't be read."""
    for zone in args.zone:
        try:
            with args.file.open(encoding="utf-8-sig", newline="") as lines:
                series = series_of(lines, zone)
        except OSError as unreadable:
            tell(paths.sentence(unreadable))
            return paths.code(unreadable)
        except (WrongSeries, UnicodeDecodeError) as wrong:
            tell(f"{args.file}: {wrong}")
            return USAGE
        starts = tuple(spans(series, args.days, args.months))
        if not starts:
            tell(f"{args.file}: expected {args.days} days from the second of a month on, got none of {zone}")
            return USAGE
        for mix in args.mix or MIXES:
            for seed in range(args.seeds):
                setting = Setting(series, mix, seed, float(args.carbon_price), starts, timedelta(days=args.days))
                _one(setting, args.json, args.progress)
    return OK


def clock() -> Callable[[], float]:
    """Seconds of work left for one plan."""
    began_s = time.process_time()
    return lambda: _PLAN_S - (time.process_time() - began_s)


def _one(setting: Setting, as_json: bool, says_progress: bool) -> None:
    least = bound(setting)
    began_s = time.monotonic()

    def played_so_far(name: str, spans: int) -> None:
        if says_progress:
            since_s = time.monotonic() - began_s
            tell(f"{setting.name}: {name}, {spans} of {len(setting.starts)} spans, {since_s:.0f} s")

    played = {name: play(setting, name, clock, partial(played_so_far, name)) for name in POLICIES}
    if as_json:
        print(json.dumps(_as_json(setting, played, least)), flush=True)
        return
    first = played["at once"].objective
    rows = [
        (
            name,
            f"{each.cost:,.0f}",
            f"{each.carbon_kg / 1_000:,.1f}",
            f"{each.objective:,.0f}",
            f"{1 - each.objective / first:.1%}",
            str(each.misses),
            f"{_gap(each):.2%}" if any(each.gaps) else "-",
        )
        for name, each in played.items()
    ]
    rows.append(("LP bound", "", "", f"{least.objective:,.0f}", f"{1 - least.objective / first:.1%}", "", ""))
    days = len(setting.starts) * setting.span.days
    filled = f", {setting.series.filled} hours of the file filled" if setting.series.filled else ""
    title = f"{setting.name}: {played['plan'].jobs} jobs in {days} days, {setting.series.currency}{filled}"
    show_rows(title, ("", "cost", "CO2, t", "objective", "saved", "late", "gap, median"), rows)
    print()
    sys.stdout.flush()


def _gap(outcome: Outcome) -> float:
    return statistics.median(outcome.gaps)


def _as_json(setting: Setting, played: dict[str, Outcome], least: Outcome) -> dict[str, Any]:
    return {
        "zone": setting.series.zone,
        "mix": setting.mix,
        "seed": setting.seed,
        "currency": setting.series.currency,
        "days": len(setting.starts) * setting.span.days,
        "filled_hours": setting.series.filled,
        "policies": {
            name: {
                "cost": round(each.cost, 2),
                "carbon_kg": round(each.carbon_kg, 1),
                "objective": round(each.objective, 2),
                "jobs": each.jobs,
                "late": each.misses,
                "gap_median": round(_gap(each), 6),
            }
            for name, each in played.items()
        },
        "lp_bound": round(least.objective, 2),
    }
