"""`gridsignal totals`: what was asked, offered, ordered, delivered and paid, added up."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from gridsignal.__main__ import OK
from gridsignal.cli.arguments import Arguments, moment
from gridsignal.cli.grid_time import grid_now
from gridsignal.cli.tables import in_mwh, show_rows
from gridsignal_services.cli.api import add_options, answer, door, exit_code, rfc, show_json, show_sheet

EXAMPLE = """\
examples:
  gridsignal totals
  gridsignal totals --by day --from 2024-05-01 --to 2024-06-01 --csv
  gridsignal totals --by site --zone DE-LU --json
"""
_HEADINGS = ("requests", "asked", "offered", "orders", "ordered", "delivered", "metered", "amount")
_MONTH = timedelta(days=31)


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal totals",
        description="Add up what was asked, offered, ordered, delivered and paid: on your requests, or on your offers."
        " Dry runs take no part.",
        epilog=EXAMPLE,
    )
    lines = ("request", "site", "day")
    arguments.add_argument("--by", choices=lines, default=lines[0], help="one line for each (%(default)s)")
    arguments.add_argument("--zone", help="only this zone")
    since = "requests that touch this period (default: the 31 days before its end)"
    arguments.add_argument("--from", dest="since", type=moment, metavar="TIME", help=since)
    until = "its end (default: 31 days later, or now)"
    arguments.add_argument("--to", dest="until", type=moment, metavar="TIME", help=until)
    add_options(arguments, sheet=True)
    return arguments


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    return exit_code(_run, args)


def _run(args: argparse.Namespace) -> int:
    since, until = _period(args.since, args.until, grid_now())
    asked = {"by": args.by, "from": rfc(since), "to": rfc(until)} | ({"zone": args.zone} if args.zone else {})
    with door(args) as http:
        if args.csv:
            show_sheet(http, "/v1/totals", asked)
            return OK
        totals = answer(http.get("/v1/totals", params=asked))["totals"]
    if args.json:
        for total in totals:
            show_json(total)
    else:
        show_rows("totals, MWh", (args.by, *_HEADINGS), [_row(total) for total in totals])
    return OK


def _period(since: datetime | None, until: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """What is not said is a month around what is; an end a second from now takes in what has just been asked."""
    if until is None:
        until = since + _MONTH if since else now.astimezone(UTC) + timedelta(seconds=1)
    return since or until - _MONTH, until


def _row(total: dict[str, Any]) -> tuple[str, ...]:
    metered = f"{total['metered_s'] / total['ordered_s']:.0%}" if total["ordered_s"] else ""
    return (
        total["key"],
        str(total["requests"]),
        _mwh(total["asked_wh"]),
        _mwh(total["offered_wh"]),
        str(total["orders"]),
        _mwh(total["ordered_wh"]),
        _mwh(total["delivered_wh"]),
        metered,
        "" if total["amount"] is None else f"{Decimal(total['amount']):.2f} {total['currency']}",
    )


def _mwh(energy_wh: int | None) -> str:
    return "" if energy_wh is None else in_mwh(energy_wh)
