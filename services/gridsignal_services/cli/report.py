"""`gridsignal report`: what a month's energy was matched by, hour by hour, for its participant."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any

from gridsignal.__main__ import OK
from gridsignal.cli.arguments import Arguments, give_examples
from gridsignal.cli.tables import in_mwh, show_rows
from gridsignal_services.cli.api import add_options, answer, door, exit_code, period_of, show_json, show_sheet
from gridsignal_services.cli.statement import month, page_of

EXAMPLE = """\
examples:
  gridsignal report matching --month 2024-05
  gridsignal report matching --month 2024-05 --site fra-1 --csv > may.csv
  gridsignal report matching --month 2024-05 --site fra-1 --page may.html
  gridsignal report matching --month 2024-05 --zone DE-LU --json

docs/carbon.md says what the columns of the CSV are.
"""
_TOTALS = ("site", "hours", "no figures", "not covered", "consumed", "certified", "matched", "uncovered", "share")
_CARBON = ("accounting", "zone", "basis", "kg", "of it uncovered", "of MWh", "unknown MWh")
_HOURS = ("site", "from", "to", "uncovered")
_UNCOUNTED = ("site", "certificate", "from", "to", "why")
_MOST = 24
"""Rows that are listed."""


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal report",
        description="What a month's energy was matched by, hour by hour: by certificates, and by the zone's carbon as"
        " average and as marginal. Of your own sites.",
        epilog=EXAMPLE,
    )
    actions = arguments.add_subparsers(dest="action", required=True, metavar="ACTION")
    matching = actions.add_parser("matching", help="consumption by the hour, what covers it, and what does not")
    matching.add_argument("--month", type=month, required=True, metavar="MONTH", help="such as 2024-05")
    matching.add_argument("--site", help="only this site")
    matching.add_argument("--zone", help="only this zone")
    forms = add_options(matching, sheet=True)
    forms.add_argument("--page", type=Path, metavar="FILE", help="a page to print")
    give_examples(actions, EXAMPLE)
    return arguments


def run(args: argparse.Namespace) -> int:
    """0 shown, 1 refused, 2 a wrong month or an unknown filter, 3 the door is away."""
    return exit_code(_run, args)


def _run(args: argparse.Namespace) -> int:
    path = f"/v1/reports/matching/{args.month}"
    asked = {name: value for name, value in (("site", args.site), ("zone", args.zone)) if value is not None}
    with door(args) as http:
        if args.csv:
            show_sheet(http, path, asked)
            return OK
        if args.page is not None:
            args.page.write_bytes(page_of(http.get(path, params=asked, headers={"Accept": "text/html"})))
            print(args.page)
            return OK
        report = answer(http.get(path, params=asked))
    if args.json:
        show_json(report)
    else:
        _show(report)
    return OK


def _show(report: dict[str, Any]) -> None:
    sites = report["sites"]
    lines = [_total(site["site"], site["totals"]) for site in sites]
    show_rows(f"{report['month']}, MWh", _TOTALS, [*lines, _total("all", report["totals"])])
    print()
    show_rows("carbon", _CARBON, list(map(_carbon, report["carbon"])))
    print()
    uncovered = list(_uncovered(sites))
    show_rows("hours that are not covered", _HOURS, list(islice(uncovered, _MOST)))
    if len(uncovered) > _MOST:
        print(f"and {len(uncovered) - _MOST} more: --csv has all")
    if uncounted := _uncounted(sites):
        print()
        show_rows("certificates that count for nothing", _UNCOUNTED, uncounted[:_MOST])
        if len(uncounted) > _MOST:
            print(f"and {len(uncounted) - _MOST} more: --json has all")


def _total(name: str, total: dict[str, Any]) -> tuple[str, ...]:
    counts = (str(total[each]) for each in ("hours", "hours_missing", "hours_uncovered"))
    energies = (in_mwh(total[each]) for each in ("consumed_wh", "certified_wh", "matched_wh", "uncovered_wh"))
    return (name, *counts, *energies, total["matched_share"] or "-")


def _carbon(total: dict[str, Any]) -> tuple[str, ...]:
    basis = total["basis"]
    named = "none known" if basis is None else f"{basis['scope']} {basis['provider']} {basis['dataset']}"
    kilograms = (f"{total[name] / 1000:.1f}" for name in ("grams", "uncovered_grams"))
    return (
        total["accounting"],
        total["zone"],
        named,
        *kilograms,
        in_mwh(total["known_wh"]),
        in_mwh(total["unknown_wh"]),
    )


def _uncovered(sites: list[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    """Each hour of which something is not covered; hours without figures that follow one another are one row."""
    for site in sites:
        for missing, hours in groupby(site["hours"], key=itemgetter("missing")):
            found = list(hours)
            if missing is not None:
                found = [found[0] | {"ends_at": found[-1]["ends_at"]}]
            for hour in found:
                if hour["uncovered_wh"] != 0:
                    why = missing or in_mwh(hour["uncovered_wh"])
                    yield (site["site"], *period_of(hour | {"zone": site["zone"]}), why)


def _uncounted(sites: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    return [
        (site["site"], each["certificate_id"], *period_of(each | {"zone": site["zone"]}), each["why"])
        for site in sites
        for each in site["uncounted"]
    ]
