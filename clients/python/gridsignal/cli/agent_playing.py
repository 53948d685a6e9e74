"""The arguments of `gridsignal agent study` and `simulate`: what plays them needs numpy, and their help does not."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from gridsignal.agent.cluster import Cluster, cluster_of
from gridsignal.agent.curves import DEFAULT_CARBON_PRICE
from gridsignal.agent.mixes import MIXES
from gridsignal.cli.arguments import identifier, price, whole

EXAMPLES = """\
  gridsignal agent study series.csv --zone DE-LU --days 1 --months 6 --mix training
  gridsignal agent simulate --zone DE-LU --days 1 --cluster 32xH100"""
_MOST_DAYS = 31


def add_study(actions: Any) -> None:
    """The action's arguments."""
    study = actions.add_parser("study", help="what planning is worth, on prices and carbon of a file")
    study.add_argument("file", type=Path, metavar="SERIES.csv", help="hours in the columns of docs/agent.md")
    study.add_argument("--zone", action="append", required=True, metavar="ZONE", help="which zone; several times")
    study.add_argument("--mix", action="append", choices=MIXES, help="which jobs; several times (default: all four)")
    study.add_argument("--seeds", type=whole(1, 100), default=1, metavar="COUNT", help="draws of jobs (default: 1)")
    help_days = "days played of each month, from its second on (default: 7)"
    study.add_argument("--days", type=whole(1, _MOST_DAYS), default=7, metavar="DAYS", help=help_days)
    study.add_argument("--months", type=whole(1, 12), nargs="+", default=list(range(1, 13)), metavar="MONTH")
    of_carbon = f"currency per tonne of CO2 (default: {DEFAULT_CARBON_PRICE:g})"
    study.add_argument("--carbon-price", type=price, default=DEFAULT_CARBON_PRICE, metavar="PRICE", help=of_carbon)
    study.add_argument("--json", action="store_true", help="one JSON object a line")
    study.add_argument("--progress", action="store_true", help="say on stderr how far it is, a line for each span")


def add_simulation(actions: Any) -> None:
    """The action's arguments."""
    simulation = actions.add_parser("simulate", help="a simulated cluster over some days, and a page that shows them")
    simulation.add_argument("--zone", type=identifier, required=True, metavar="ZONE")
    help_days = "days on which jobs come (default: 30); a day and a half more is played, in which they end"
    simulation.add_argument("--days", type=whole(1, 366), default=30, metavar="DAYS", help=help_days)
    simulation.add_argument("--cluster", type=_cluster, default=_cluster("256xH100"), metavar="COUNTxGPU")
    series = "hours of prices and carbon in the columns of docs/agent.md (default: a synthetic curve, no market's)"
    simulation.add_argument("--series", type=Path, metavar="SERIES.csv", help=series)
    simulation.add_argument("--seed", type=whole(0, 1_000_000), default=0, metavar="SEED", help="of jobs and curves")
    out = "the page (default: agent-simulation.html)"
    simulation.add_argument("--out", type=Path, default=Path("agent-simulation.html"), metavar="FILE.html", help=out)


def _cluster(text: str) -> Cluster:
    try:
        return cluster_of(text)
    except ValueError as wrong:
        raise argparse.ArgumentTypeError(str(wrong)) from None
