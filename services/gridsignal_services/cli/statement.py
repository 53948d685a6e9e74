"""`gridsignal statement`: what the orders of a month came to, for their participant and for their operator."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2

from gridsignal.__main__ import FAILED, OK
from gridsignal.cli.arguments import Arguments
from gridsignal.cli.tables import in_mwh, show_rows
from gridsignal_services.cli.api import (
    Failed,
    add_options,
    answer,
    door,
    exit_code,
    period_of,
    show_json,
    show_sheet,
)
from gridsignal_services.dispatch.statement import Month

EXAMPLE = """\
examples:
  gridsignal statement 2024-05
  gridsignal statement 2024-05 --site fra-1 --csv > may.csv
  gridsignal statement 2024-05 --page may.html
  gridsignal statement 2024-05 --zone DE-LU --json

docs/settlement.md says what the columns of the CSV are.
"""
_MOST = "500"
_TOTALS = ("currency", "orders", "ordered", "delivered", "short", "no figures", "fees", "total")
_CARBON = ("accounting", "zone", "basis", "kg emitted", "kg avoided", "of MWh", "unknown MWh")
_ORDERS = ("order", "from", "to", "site", "state", "version", "total")


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal statement",
        description="What the orders that began in a month came to, by the newest version of each settlement: of your"
        " orders, or of those on your requests. Months are those of each order's zone.",
        epilog=EXAMPLE,
    )
    arguments.add_argument("month", type=month, metavar="MONTH", help="such as 2024-05")
    arguments.add_argument("--site", help="only this site")
    arguments.add_argument("--zone", help="only this zone")
    arguments.add_argument("--order", metavar="ORDER_ID", help="only this order")
    forms = add_options(arguments, sheet=True)
    page = "a page to print; what does not fit in one goes to FILE with -2, -3 and so on in its name"
    forms.add_argument("--page", type=Path, metavar="FILE", help=page)
    return arguments


def run(args: argparse.Namespace) -> int:
    """0 shown, 1 refused, 2 a wrong month or an unknown filter, 3 the door is away."""
    return exit_code(_run, args)


def _run(args: argparse.Namespace) -> int:
    path = f"/v1/statements/{args.month}"
    filters = {"site": args.site, "zone": args.zone, "order_id": args.order, "limit": _MOST}
    asked = {name: value for name, value in filters.items() if value is not None}
    with door(args) as http:
        if args.csv:
            show_sheet(http, path, asked)
            return OK
        if args.page is not None:
            for file in _write_pages(http, path, asked, args.page):
                print(file)
            return OK
        statement = _whole(http, path, asked)
    if args.json:
        show_json(statement)
    else:
        _show(statement)
    return OK


def month(text: str) -> Month:
    """Reads a month such as 2024-05."""
    try:
        return Month.parse(text)
    except ValueError as wrong:
        raise argparse.ArgumentTypeError(str(wrong)) from None


def _whole(http: httpx2.Client, path: str, asked: dict[str, str]) -> dict[str, Any]:
    """The first page with the orders of all."""
    statement: dict[str, Any] = answer(http.get(path, params=asked))
    while statement["next"] is not None:
        page = answer(http.get(path, params=asked | {"after": statement["next"]}))
        statement["orders"] += page["orders"]
        statement["next"] = page["next"]
    return statement


def _write_pages(http: httpx2.Client, path: str, asked: dict[str, str], file: Path) -> Iterator[Path]:
    """Each page's file, once it is written. Raises Failed."""
    url, params, number = path, dict(asked) or None, 1
    while url:
        response = http.get(url, params=params, headers={"Accept": "text/html"})
        written = file if number == 1 else file.with_stem(f"{file.stem}-{number}")
        written.write_bytes(page_of(response))
        yield written
        following = response.links.get("next", {}).get("url", "")
        url, params, number = following and path + following, None, number + 1


def page_of(response: httpx2.Response) -> bytes:
    """A page of the door. Raises Failed for anything else."""
    if not (response.is_success and response.headers.get("content-type", "").startswith("text/html")):
        answer(response)
        raise Failed(FAILED, "expected a page of the dispatch door, got something else")
    return response.content


def _show(statement: dict[str, Any]) -> None:
    show_rows(f"{statement['month']}, MWh", _TOTALS, [_total(total) for total in statement["totals"]])
    if statement["unsettled"]:
        print(f"{statement['unsettled']} of {statement['count']} orders are over and not settled so far")
    print()
    if statement["carbon"]:
        show_rows("CO2, as known when the orders ended", _CARBON, [_carbon(total) for total in statement["carbon"]])
        print()
    show_rows("orders", _ORDERS, [_order(order) for order in statement["orders"]])


def _carbon(total: dict[str, Any]) -> tuple[str, ...]:
    basis = total["basis"]
    named = "none known" if basis is None else f"{basis['scope']} {basis['provider']} {basis['dataset']}"
    grams = (total[name] for name in ("emitted_grams", "avoided_grams"))
    kilograms = ("-" if each is None else f"{each / 1000:.1f}" for each in grams)
    energies = (in_mwh(total[name]) for name in ("known_wh", "unknown_wh"))
    return (total["accounting"], total["zone"], named, *kilograms, *energies)


def _total(total: dict[str, Any]) -> tuple[str, ...]:
    energies = (in_mwh(total[name]) for name in ("ordered_wh", "delivered_wh", "deficiency_wh"))
    return (
        total["currency"],
        str(total["orders"]),
        *energies,
        str(total["missing"]),
        total["activation_fees"],
        total["total"],
    )


def _order(order: dict[str, Any]) -> tuple[str, ...]:
    settlement = order["settlement"]
    came_to = ("-", "-") if settlement is None else (str(settlement["version"]), _total_of(settlement))
    period = period_of(order | {"ends_at": order["ended_at"]})
    return (order["order_id"], *period, order["site"], order["state"], *came_to)


def _total_of(settlement: dict[str, Any]) -> str:
    return f"{settlement['total']} {settlement['currency']}"
