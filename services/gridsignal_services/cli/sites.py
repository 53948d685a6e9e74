"""`gridsignal sites`: connection points that you may see."""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import Any

from gridsignal.__main__ import OK
from gridsignal.cli.arguments import Arguments
from gridsignal.cli.tables import show_rows, when
from gridsignal_services.cli.api import add_options, answer, door, exit_code, pages, show_json, show_sheet

EXAMPLE = """\
examples:
  gridsignal sites
  gridsignal sites --contact
  gridsignal sites --token-file acme.token --json
"""
_OWN = ("site", "zone", "capacity", "minimum load", "participant")
_SEEN = ("site", "zone", "capacity", "baseline until")
"""Of sites in an operator's zones."""


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal sites",
        description="List the connection points that you may see: yours, or those in an operator's zones.",
        epilog=EXAMPLE,
    )
    arguments.add_argument(
        "--contact", action="store_true", help="those with a failsafe profile: heard, silent, in failsafe"
    )
    add_options(arguments, sheet=True)
    return arguments


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    return exit_code(_run, args)


def _run(args: argparse.Namespace) -> int:
    with door(args) as http:
        if args.csv:
            show_sheet(http, "/v1/contacts" if args.contact else "/v1/sites", {})
            return OK
        if args.contact:
            return _show_contacts(pages(http, "contacts", {}), as_json=args.json)
        sites = answer(http.get("/v1/sites"))
    if args.json:
        for site in sites:
            show_json(site)
        return OK
    seen = any("baseline_until" in site for site in sites)
    show_rows("sites", _SEEN if seen else _OWN, [_row(site) for site in sites])
    return OK


def _row(site: dict[str, Any]) -> tuple[str, ...]:
    """A site of one's own has an owner and a minimum load, one in an operator's zones how far its baseline reaches."""
    connection = site["site"], site["zone"], f"{site['capacity_w'] / 1e6:g} MW"
    if "baseline_until" not in site:
        return *connection, f"{site['minimum_load_w'] / 1e6:g} MW", site["participant"]
    until = site["baseline_until"]
    return *connection, when(datetime.fromisoformat(until), site["zone"]) if until else "none"


def _show_contacts(views: list[Any], *, as_json: bool) -> int:
    if as_json:
        for view in views:
            show_json(view)
        return OK
    rows = [
        (
            view["site"],
            view["zone"],
            f"{view['contact']}{', silent' if view['is_silent'] else ''}",
            _moment(view["heard_at"], view["zone"]),
            _moment(view["until"], view["zone"]),
            f"{view['failsafe']['limit_w'] / 1e6:g} MW",
        )
        for view in views
    ]
    show_rows("contacts", ("site", "zone", "contact", "heard", "failsafe until", "failsafe limit"), rows)
    return OK


def _moment(at: str | None, zone: str) -> str:
    return when(datetime.fromisoformat(at) if at else None, zone, seconds=True)
