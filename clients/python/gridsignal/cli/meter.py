"""`gridsignal meter`: reports what a meter showed, by hand; a program reports with the SDK."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime, timedelta

from gridsignal.__main__ import OK
from gridsignal.cli.arguments import Arguments, give_examples, moment, power_w, span
from gridsignal.cli.connection import add_options, exit_code, open_grid
from gridsignal.cli.grid_time import grid_now

EXAMPLE = """\
examples:
  gridsignal meter report --site fra-1 --import 24MW
  gridsignal meter report --site muc-1 --from 2024-05-12T18:00+02:00 --for 15m --export 2MW --meter battery
"""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal meter",
        description="Report the mean power of one interval at the site's connection point.",
        epilog=EXAMPLE,
    )
    actions = arguments.add_subparsers(dest="action", required=True, metavar="ACTION")
    report = actions.add_parser("report", help="one interval's mean power")
    report.add_argument(
        "--from", dest="starts_at", type=moment, metavar="TIME", help="its start (default: of the last whole one)"
    )
    report.add_argument("--for", dest="length", type=span, default=span("15m"), metavar="SPAN", help="its length (15m)")
    way = report.add_mutually_exclusive_group(required=True)
    way.add_argument("--import", dest="import_w", type=power_w, metavar="POWER", help="taken from the grid")
    way.add_argument("--export", dest="export_w", type=power_w, metavar="POWER", help="given to the grid")
    report.add_argument("--meter", default="main", metavar="NAME", help="the meter (%(default)s)")
    add_options(report, site=True)
    give_examples(actions, EXAMPLE)
    return arguments


def _last(length: timedelta, now: datetime) -> datetime:
    """The start of the last interval of this length that is over, counted from 1970 on."""
    return now - (now - _EPOCH) % length - length


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    return exit_code(_report(args), args)


async def _report(args: argparse.Namespace) -> int:
    length: timedelta = args.length
    starts_at = args.starts_at or _last(length, grid_now())
    async with open_grid(args, for_site=True) as grid:
        receipt = await grid.meter(
            meter=args.meter,
            starts_at=starts_at,
            ends_at=starts_at + length,
            import_w=args.import_w or 0,
            export_w=args.export_w or 0,
        )
    if args.json:
        print(json.dumps(receipt.model_dump(mode="json", exclude_none=True)))
    else:
        print(f"reading of {args.meter} received at {receipt.received_at:%Y-%m-%d %H:%M:%S}Z")
    return OK
