"""`gridsignal agent simulate`: a simulated cluster over some days, and a page that shows what happened."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from gridsignal.__main__ import OK, USAGE
from gridsignal.agent.cluster import Cluster, Cut, cut
from gridsignal.agent.curves import DEFAULT_CARBON_PRICE
from gridsignal.agent.report import days_shown, page
from gridsignal.agent.series import WrongSeries, series_of
from gridsignal.agent.simulation import DRAINED_H, simulate, synthetic
from gridsignal.agent.words import counted
from gridsignal.cli import paths
from gridsignal.cli.agent_study import clock
from gridsignal.cli.connection import tell

_START = datetime(2030, 6, 3, tzinfo=UTC)
_CLASSES = {"none": 0.0, "10 %": 0.1, "25 %": 0.25, "50 %": 0.5}
"""Classes by the slow-down that they tolerate, as in the field trial of Phoenix (arXiv 2507.00909)."""
_HOUR_S = 3_600.0


def run(args: argparse.Namespace) -> int:
    """0 done, 2 a file that can't be read or written."""
    try:
        if args.series is None:
            series, source = (
                synthetic(args.zone, _START, args.days, args.seed),
                "SYNTHETIC, a made-up curve, no market's",
            )
        else:
            with args.series.open(encoding="utf-8-sig", newline="") as lines:
                series, source = series_of(lines, args.zone), f"{args.series.name}, as published"
        played = simulate(args.cluster, series, args.days, args.seed, DEFAULT_CARBON_PRICE, clock)
        cuts = cuts_of(args.cluster)
        args.out.write_text(page(args.cluster, args.zone, played, cuts, source, series.currency), "utf-8")
    except OSError as failed:
        tell(paths.sentence(failed))
        return paths.code(failed)
    except (WrongSeries, UnicodeDecodeError) as wrong:
        tell(f"{args.series}: {wrong}")
        return USAGE
    ours, theirs = played.money(played.load_w) - played.earned, played.money(played.at_once_w)
    days = counted(args.days, "day", "days")
    print(f"{days_shown(played)}, prices and carbon: {source}")
    print(f"jobs                 {played.jobs} that come within {days}, and {DRAINED_H} h more in which they end")
    print(f"energy less orders   {ours:,.0f} {series.currency}; at once {theirs:,.0f}")
    kept, plain = played.carbon_kg(played.load_w) / 1e3, played.carbon_kg(played.at_once_w) / 1e3
    print(f"CO2                  {kept:,.1f} t; at once {plain:,.1f}")
    print(f"jobs late            {played.late}; at once {played.late_at_once}")
    held = sum(each.delivered_w >= each.power_w for each in played.orders)
    print(
        f"orders               {len(played.orders)}, {held} delivered in full, {played.earned:,.0f} {series.currency}"
    )
    for name, each in cuts:
        kept_by = sum(one.slowdown <= one.tolerated + 1e-9 for one in each.qualities)
        print(
            f"{name:<20} {each.reached:.1%} reached, {each.after_30_s:.1%} after 30 s, kept by {kept_by} of 4 classes"
        )
    print(f"the page             {args.out}")
    return OK


def cuts_of(cluster: Cluster) -> list[tuple[str, Cut]]:
    """The two cuts that field trials have shown."""
    return [
        ("-25 % for 3 h", cut(cluster, _CLASSES, 0.25, 3 * _HOUR_S, 3 * _HOUR_S)),
        ("-30 % for 10 min", cut(cluster, _CLASSES, 0.30, 600.0, 3 * _HOUR_S)),
    ]
