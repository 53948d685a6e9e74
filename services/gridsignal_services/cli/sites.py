"""`gridsignal sites`: connection points that you may see."""

from __future__ import annotations

import argparse

from gridsignal.__main__ import OK
from gridsignal.cli.arguments import Arguments
from gridsignal.cli.tables import show_rows
from gridsignal_services.cli.api import add_options, answer, door, exit_code, show_json

EXAMPLE = """\
examples:
  gridsignal sites
  gridsignal sites --token-file acme.token --json
"""


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal sites",
        description="List the connection points that you may see: yours, or those in an operator's zones.",
        epilog=EXAMPLE,
    )
    add_options(arguments)
    return arguments


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    return exit_code(_run, args)


def _run(args: argparse.Namespace) -> int:
    with door(args) as http:
        sites = answer(http.get("/v1/sites"))
    if args.json:
        for site in sites:
            show_json(site)
        return OK
    rows = [
        (
            site["site"],
            site["participant"],
            site["zone"],
            f"{site['capacity_w'] / 1e6:g} MW",
            f"{site['minimum_load_w'] / 1e6:g} MW",
        )
        for site in sites
    ]
    show_rows("sites", ("site", "participant", "zone", "capacity", "minimum load"), rows)
    return OK
