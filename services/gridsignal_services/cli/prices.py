"""`gridsignal prices`: prices and carbon of a period, as they are known or were."""

from __future__ import annotations

import argparse
from datetime import datetime, timedelta, tzinfo
from typing import Any

from gridsignal.__main__ import OK
from gridsignal.cli.arguments import Arguments, moment
from gridsignal.cli.grid_time import grid_now
from gridsignal.cli.tables import market_time, period, show_rows
from gridsignal_services.cli.api import add_options, answer, door, exit_code, rfc, show_json, show_sheet

EXAMPLE = """\
examples:
  gridsignal prices --zone DE-LU
  gridsignal prices --zone DE-LU --from -1d
  gridsignal prices --zone DE-LU --from 2024-05-01 --to 2024-06-01 --csv > prices.csv
  gridsignal prices --zone DE-LU --carbon --csv > carbon.csv
"""
_DAY = timedelta(days=1)


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal prices",
        description="Show what is known of a zone's prices, or of its carbon intensity, over a month at most.",
        epilog=EXAMPLE,
    )
    arguments.add_argument("--zone", required=True)
    arguments.add_argument("--carbon", action="store_true", help="carbon intensity instead of prices")
    arguments.add_argument(
        "--from", dest="since", type=moment, metavar="TIME", help="from here on (default: the present day)"
    )
    arguments.add_argument("--to", dest="until", type=moment, metavar="TIME", help="to here (default: a day later)")
    arguments.add_argument("--as-of", type=moment, metavar="TIME", help="what was known then (default: now)")
    add_options(arguments, sheet=True)
    return arguments


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    return exit_code(_run, args)


def _run(args: argparse.Namespace) -> int:
    since, until = period_around(args.since, args.until, grid_now(), market_time(args.zone))
    asked = {"zone": args.zone, "from": rfc(since), "to": rfc(until)}
    asked |= {"as_of": rfc(args.as_of)} if args.as_of else {}
    path = "/v1/carbon" if args.carbon else "/v1/prices"
    with door(args) as http:
        if args.csv:
            show_sheet(http, path, asked)
            return OK
        curves = answer(http.get(path, params=asked))["curves"]
    if args.json:
        for curve in curves:
            show_json(curve)
        return OK
    unit, heading = ("grams_per_kwh", "g/kWh") if args.carbon else ("price_per_mwh", "per MWh")
    rows = [_row(curve, point, unit) for curve in curves for point in curve["points"]]
    show_rows(args.zone, ("from", "to", heading, "basis", "status", "source"), rows)
    return OK


def period_around(
    since: datetime | None, until: datetime | None, now: datetime, zone_time: tzinfo
) -> tuple[datetime, datetime]:
    """A day, where it is not said otherwise, by the zone's clock: one of 23 or 25 hours, too."""
    today = now.astimezone(zone_time).replace(hour=0, minute=0, second=0, microsecond=0)
    begins = since or (min(today, until.astimezone(zone_time) - _DAY) if until else today)
    return begins, until or begins.astimezone(zone_time) + _DAY


def _row(curve: dict[str, Any], point: dict[str, Any], unit: str) -> tuple[str, ...]:
    starts_at, ends_at = (datetime.fromisoformat(point[name]) for name in ("starts_at", "ends_at"))
    basis = f"{curve['product']}, {curve['currency']}" if unit == "price_per_mwh" else curve["accounting"]
    source = f"{curve['provider']}: {curve['dataset']}"
    return (
        *period(starts_at, ends_at, curve["zone"]),
        "gap" if point[unit] is None else point[unit],
        basis,
        point["status"],
        source,
    )
