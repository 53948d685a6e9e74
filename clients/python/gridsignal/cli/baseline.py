"""`gridsignal baseline declare` and `show`: what a site says that it would draw if nobody asked for anything."""

from __future__ import annotations

import argparse
import json
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

import gridsignal
from gridsignal.__main__ import OK
from gridsignal.cli.arguments import identifier, moment, power_w, whole
from gridsignal.cli.connection import add_api, add_options, archive, exit_code, open_grid
from gridsignal.cli.grid_time import grid_now
from gridsignal.cli.tables import period, printable, show_rows, when
from gridsignal.history import BaselineStretch
from gridsignal_schemas.messages import BaselineFixed
from gridsignal_schemas.sheets import Sheet

EXAMPLE = """\
  gridsignal baseline declare --site fra-1 --power 36MW --days 7
  gridsignal baseline show --site fra-1
  gridsignal baseline fixed REQUEST_ID
  gridsignal baseline show --site fra-1 --from 2030-05-12 --to 2030-05-13 --csv > baseline.csv
"""
WORDS = {
    "power_w": "--power",
    "starts_at": "--days",
    "resolution_s": "--days",
    "method": "--power",
    "site": "--site",
}
"""What says each field of a declaration."""
_DAY_S = 86_400
_LONGEST_DAYS = 366
_AHEAD = timedelta(days=7)
_LONGEST = timedelta(days=_LONGEST_DAYS)


def add_actions(actions: Any) -> None:
    """What is done about declarations, as actions of the command."""
    declare = actions.add_parser("declare", help="the same power for some days from today's midnight, UTC")
    declare.add_argument("--power", type=power_w, required=True, metavar="POWER", help="at the meter, such as 36MW")
    days = whole(1, _LONGEST_DAYS)
    declare.add_argument("--days", type=days, default=7, metavar="N", help="how long it holds (default: 7)")
    add_options(declare, site=True)
    look = actions.add_parser("show", help="what is declared: the newest word for each moment")
    look.add_argument("--from", dest="since", type=moment, metavar="TIME", help="from here on (default: now)")
    look.add_argument("--to", dest="until", type=moment, metavar="TIME", help="to here (default: seven days later)")
    add_options(look, site=True, address=add_api, sheet=True)
    fixed = actions.add_parser("fixed", help="what your sites would draw by a request's method: fixed at its gate")
    fixed.add_argument("request_id", metavar="REQUEST_ID", type=identifier)
    add_options(fixed, site=False, address=add_api)


def run(args: argparse.Namespace) -> int:
    """Runs one of these actions."""
    return exit_code({"declare": _declare, "show": _show, "fixed": _fixed}[args.action](args), args, WORDS)


async def _declare(args: argparse.Namespace) -> int:
    starts_at = grid_now().replace(hour=0, minute=0, second=0, microsecond=0)
    async with open_grid(args, for_site=True) as grid:
        receipt = await grid.declare_baseline(starts_at, [args.power] * args.days, resolution_s=_DAY_S, method="flat")
    answer = receipt.model_dump(mode="json", exclude_none=True)
    power, days = f"{args.power / gridsignal.MW:g} MW", "1 day" if args.days == 1 else f"{args.days} days"
    print(json.dumps(answer) if args.json else f"the log has it: {power} for {days} from {when(starts_at, '')}")
    return OK


async def _show(args: argparse.Namespace) -> int:
    since = args.since or grid_now().replace(microsecond=0)
    until = args.until or since + _AHEAD
    if not since < until <= since + _LONGEST:
        raise gridsignal.UsageError(f"--to: expected after --from and at most {_LONGEST_DAYS} days later")
    found = await archive(args).baseline(args.site, since, until)
    if args.json:
        for stretch in found:
            print(json.dumps(stretch, separators=(",", ":")))
    elif args.csv:
        print(Sheet("", tuple(field.name for field in fields(BaselineStretch))).text(found), end="")
    else:
        show_rows(f"baseline of {args.site}", ("from", "to", "power", "method", "declared"), list(map(_row, found)))
    return OK


async def _fixed(args: argparse.Namespace) -> int:
    found = await archive(args).fixed_baselines(args.request_id)
    if args.json:
        for each in found:
            print(each.model_dump_json())
        return OK
    show_rows("fixed baselines", ("site", "from", "to", "power", "method", "of days"), list(map(_fixed_row, found)))
    for each in found:
        if each.reason:
            print(printable(f"{each.site}: {each.reason}"))
    return OK


def _fixed_row(fixed: BaselineFixed) -> tuple[str, ...]:
    ends_at = fixed.starts_at + len(fixed.power_w) * timedelta(seconds=fixed.resolution_s)
    mean_w = sum(fixed.power_w) / len(fixed.power_w) if fixed.power_w else 0
    power = f"{mean_w / gridsignal.MW:g} MW" if fixed.power_w else "what is declared"
    ends = period(fixed.starts_at, ends_at if fixed.power_w else None, fixed.zone)
    return fixed.site, *ends, power, f"{fixed.method.name} {fixed.method.version}", str(len(fixed.days))


def _row(stretch: dict[str, Any]) -> tuple[str, ...]:
    starts_at, ends_at, declared_at = (
        datetime.fromisoformat(stretch[name]) for name in ("starts_at", "ends_at", "declared_at")
    )
    ends = period(starts_at, ends_at, "")
    return *ends, f"{stretch['power_w'] / gridsignal.MW:g} MW", stretch["method"], period(declared_at, None, "")[0]
