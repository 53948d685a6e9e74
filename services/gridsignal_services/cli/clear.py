"""`gridsignal clear`: zones and periods of a file, cleared together and without any service."""

from __future__ import annotations

import argparse
import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

from gridsignal.__main__ import OK, UNAVAILABLE, USAGE
from gridsignal.cli import paths
from gridsignal.cli.arguments import Arguments, give_examples
from gridsignal.cli.tables import bar, printable, show_rows
from gridsignal_services.case_files import CaseFault
from gridsignal_services.joint.case import Case
from gridsignal_services.joint.clearing import DEFAULT_TIME_LIMIT_S, Cleared, clear
from gridsignal_services.joint.program import NoAnswer

EXAMPLE = """\
examples:
  gridsignal clear study market.json
  gridsignal clear study market.json --time-limit 60 --json

The file says who would supply and draw how much in which zone and period, and what load can move between them.
docs/clearing.md says what it holds, and what the answer means.
"""
_LONGEST_S = 3600.0


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal clear",
        description="Clear several zones and periods at once, with load that moves between them.",
        epilog=EXAMPLE,
    )
    actions = arguments.add_subparsers(dest="action", required=True, metavar="ACTION")
    study = actions.add_parser("study", help="what a case file comes to: prices, who is cleared, what moves")
    study.add_argument("file", type=Path, metavar="CASE.json")
    limit = f"how long to look for the best answer (default: {DEFAULT_TIME_LIMIT_S:g})"
    study.add_argument("--time-limit", type=_seconds, default=DEFAULT_TIME_LIMIT_S, metavar="SECONDS", help=limit)
    study.add_argument("--json", action="store_true", help="one JSON object")
    give_examples(actions, EXAMPLE)
    return arguments


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= _LONGEST_S:
        raise argparse.ArgumentTypeError(f"expected seconds such as 10, at most {_LONGEST_S:g}, got {text!r:.60}")
    return seconds


def run(args: argparse.Namespace) -> int:
    """0 cleared, 2 the file is no case or can't be read, 3 no answer in time."""
    try:
        case = Case.parse(args.file.read_bytes())
        found = clear(case, args.time_limit)
    except OSError as unreadable:
        return _say(paths.code(unreadable), paths.sentence(unreadable))
    except CaseFault as wrong:
        for fault in wrong.faults:
            _say(USAGE, f"{args.file}: {fault.pointer or '/'}: {fault.message}")
        return USAGE
    except NoAnswer as none:
        return _say(UNAVAILABLE, f"{none}; give it more with --time-limit")
    if args.json:
        print(json.dumps(_as_json(case, found)))
    else:
        _show(case, found)
    return OK


def _say(code: int, message: str) -> int:
    print(f"gridsignal: {printable(message)}", file=sys.stderr)
    return code


def _as_json(case: Case, found: Cleared) -> dict[str, Any]:
    return {
        "welfare": found.welfare,
        "prices": [{"zone": zone, "period": period, "price": price} for (zone, period), price in found.prices.items()],
        "cleared": [
            {"zone": bid.zone, "period": bid.period, "quantity_mw": power_mw}
            for bid, power_mw in zip(case.demand, found.cleared, strict=True)
        ],
        "supplied": [
            {"zone": bid.zone, "period": bid.period, "quantity_mw": power_mw}
            for bid, power_mw in zip(case.supply, found.supplied, strict=True)
        ],
        "shifts": [
            {
                "from": {"zone": link.from_.zone, "period": link.from_.period},
                "to": {"zone": link.to.zone, "period": link.to.period},
                "quantity_mw": power_mw,
            }
            for link, power_mw in zip(case.links, found.shifts, strict=True)
        ],
        "flows": [
            {"from": case.lines[line].from_, "to": case.lines[line].to, "period": period, "quantity_mw": power_mw}
            for (line, period), power_mw in found.flows.items()
        ],
        "uplift": found.uplift,
        "status": found.status,
        "gap": found.gap,
    }


def _show(case: Case, found: Cleared) -> None:
    supplied = dict.fromkeys(found.prices, 0.0)
    cleared = dict.fromkeys(found.prices, 0.0)
    for total, bids, powers in ((supplied, case.supply, found.supplied), (cleared, case.demand, found.cleared)):
        for bid, power_mw in zip(bids, powers, strict=True):
            total[bid.zone, bid.period] += power_mw
    loads = cleared.copy()
    for link, power_mw in zip(case.links, found.shifts, strict=True):
        loads[link.from_.zone, link.from_.period] -= power_mw
        loads[link.to.zone, link.to.period] += power_mw
    most = Decimal(max(loads.values(), default=0.0))
    rows = [
        (
            place[0],
            str(place[1]),
            f"{price:,.2f}",
            f"{supplied[place]:,.3f}",
            f"{cleared[place]:,.3f}",
            f"{loads[place]:,.3f}",
            bar(Decimal(max(0.0, loads[place])), most),
        )
        for place, price in found.prices.items()
    ]
    headings = ("zone", "period", "price", "supplied, MW", "cleared, MW", "drawn, MW", "")
    show_rows("prices, and what is drawn after load has moved", headings, rows)
    moved = [
        (f"{link.from_.zone} {link.from_.period}", f"{link.to.zone} {link.to.period}", f"{power_mw:,.3f}")
        for link, power_mw in zip(case.links, found.shifts, strict=True)
        if power_mw
    ]
    if moved:
        show_rows("what moves", ("from", "to", "MW"), moved)
    flows = [
        (case.lines[line].from_, case.lines[line].to, str(period), f"{power_mw:,.3f}")
        for (line, period), power_mw in found.flows.items()
        if power_mw
    ]
    if flows:
        show_rows("what the lines carry", ("from", "to", "period", "MW"), flows)
    print(f"welfare    {found.welfare:,.2f}")
    if found.uplift:
        print(f"uplift     {found.uplift:,.2f}")
    gap = "" if not found.gap else f", at most {found.gap:.2%} from the best"
    print(f"status     {found.status}{gap}")
