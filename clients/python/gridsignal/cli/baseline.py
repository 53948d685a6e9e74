"""`gridsignal baseline`: what a site would draw if nobody asked for anything."""

from __future__ import annotations

import argparse
import json

from gridsignal.__main__ import OK
from gridsignal.cli.arguments import Arguments, give_examples, power_w
from gridsignal.cli.connection import add_options, exit_code, open_grid
from gridsignal.cli.grid_time import grid_now

EXAMPLE = """\
examples:
  gridsignal baseline declare --site fra-1 --power 36MW --days 7
"""
_DAY_S = 86_400
_LONGEST_DAYS = 366


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal baseline",
        description="Declare a flat baseline, to try things with; a program declares its own curve with the SDK.",
        epilog=EXAMPLE,
    )
    actions = arguments.add_subparsers(dest="action", required=True, metavar="ACTION")
    declare = actions.add_parser("declare", help="the same power for some days from today's midnight, UTC")
    declare.add_argument("--power", type=power_w, required=True, metavar="POWER", help="at the meter, such as 36MW")
    declare.add_argument("--days", type=_days, default=7, metavar="N", help="how long it holds (default: 7)")
    add_options(declare, site=True)
    give_examples(actions, EXAMPLE)
    return arguments


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= _LONGEST_DAYS):
        raise argparse.ArgumentTypeError(f"expected 1 to {_LONGEST_DAYS} days, got {text!r:.60}")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    return exit_code(_declare(args), args)


async def _declare(args: argparse.Namespace) -> int:
    starts_at = grid_now().replace(hour=0, minute=0, second=0, microsecond=0)
    async with open_grid(args, for_site=True) as grid:
        receipt = await grid.declare_baseline(starts_at, [args.power] * args.days, resolution_s=_DAY_S, method="flat")
    told = receipt.model_dump(mode="json", exclude_none=True)
    print(json.dumps(told) if args.json else f"the log has it: {args.power} W for {args.days} days from {starts_at:%F}")
    return OK
