"""`gridsignal area`: parts of the grid that you run, and what is committed in them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from gridsignal.__main__ import OK
from gridsignal.cli.arguments import Arguments, give_examples
from gridsignal.cli.tables import show_rows, when
from gridsignal_services.cli.api import add_options, answer, below, door, exit_code, show_json, show_sheet

EXAMPLE = """\
examples:
  gridsignal area list
  gridsignal area show substation-east
  gridsignal area show substation-east --json
"""
_LIMITS = {
    "falls_w_per_min": "max_ramp_down_w_per_min",
    "rises_w_per_min": "max_ramp_up_w_per_min",
    "falls_w": "max_change_w",
    "rises_w": "max_change_w",
}
_HEAD = ("from", "falls MW/min", "rises MW/min", "falls MW", "rises MW", "above baseline MW")


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal area",
        description="The areas of the grid that you run: their limits, and what the orders of all requests come to.",
        epilog=EXAMPLE,
    )
    actions = arguments.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="the areas, in each zone its share of their limits")
    add_options(listing, sheet=True)
    showing = actions.add_parser("show", help="what is committed in one over the next day, against its limits")
    showing.add_argument("area", metavar="AREA", help="its name in the registry")
    add_options(showing)
    give_examples(actions, EXAMPLE)
    return arguments


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    return exit_code(_list if args.action == "list" else _show, args)


def _list(args: argparse.Namespace) -> int:
    with door(args) as http:
        if args.csv:
            show_sheet(http, "/v1/areas", {})
            return OK
        areas = answer(http.get("/v1/areas"))
    if args.json:
        for area in areas:
            show_json(area)
        return OK
    head = ("area", "zone", "sites", "share", "down MW/min", "up MW/min", "change", "import MW")
    show_rows("areas", head, [_line(area) for area in areas])
    return OK


def _line(area: dict[str, Any]) -> tuple[str, ...]:
    change = "-" if area["max_change_w"] is None else f"{_mw(area['max_change_w'])} MW in {area['window_s']} s"
    ramps = _mw(area["max_ramp_down_w_per_min"]), _mw(area["max_ramp_up_w_per_min"])
    share = f"{area['share_ppm'] / 10_000:g} %"
    sites = str(len(area["sites"]))
    return area["area"], area["zone"], sites, share, *ramps, change, _mw(area["max_import_w"])


def _mw(power_w: int | None) -> str:
    return "-" if power_w is None else f"{power_w / 1e6:g}"


def _show(args: argparse.Namespace) -> int:
    with door(args) as http:
        curve = answer(http.get(f"{below('areas', args.area)}/curve"))
    if args.json:
        show_json(curve)
        return OK
    for zone in curve["zones"]:
        show_rows("steps", _HEAD, list(_steps(zone)))
    return OK


def _steps(zone: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """The limits above, then each step."""
    limits = zone["limits"]
    most_w = limits["max_import_w"]
    above = "-" if most_w is None else _mw(max(0, most_w - zone["baseline_w"]))
    yield f"{limits['zone']} allows", *(_mw(limits[name]) for name in _LIMITS.values()), above
    for step in zone["steps"]:
        at = when(datetime.fromisoformat(step["starts_at"]), limits["zone"])
        yield at, *(_mw(step[name]) for name in _LIMITS), _mw(step["above_baseline_w"])
