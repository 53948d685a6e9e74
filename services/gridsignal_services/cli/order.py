"""`gridsignal order`: orders, what was delivered of them, and their end."""

from __future__ import annotations

import argparse
from datetime import datetime
from decimal import Decimal
from typing import Any

import httpx2

from gridsignal.__main__ import OK
from gridsignal.cli.arguments import Arguments, give_examples, moment
from gridsignal.cli.tables import in_mwh, show_rows, when
from gridsignal_services.cli.api import (
    add_options,
    add_period,
    answer,
    below,
    door,
    exit_code,
    pages,
    period_asked,
    period_of,
    rfc,
    show_json,
    show_sheet,
)

EXAMPLE = """\
examples:
  gridsignal order list --request REQUEST_ID
  gridsignal order list --from -1d --state completed
  gridsignal order list --from 2024-05-01 --to 2024-06-01 --csv > orders.csv
  gridsignal order show ORDER_ID
  gridsignal order extend ORDER_ID --end +1h --reason "the peak lasts longer"
  gridsignal order release ORDER_ID --reason "the peak is over"
  gridsignal order cancel ORDER_ID --reason "the line is back"
"""
WORDS = {
    "": "ORDER_ID",
    "order_id": "ORDER_ID",
    "revision": "ORDER_ID",
    "state": "ORDER_ID",
    "power_w": "ORDER_ID",
    "starts_at": "ORDER_ID",
    "ends_at": "--end",
    "reason": "--reason",
}
"""What says each field of a change."""
_LISTED = "Orders that you may see. Those on requests that have been over for a day need --from, --to or --request."


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal order",
        description="Orders that you may see, with what was delivered; let them end later or earlier, or not begin.",
        epilog=EXAMPLE,
    )
    actions = arguments.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="orders you may see", description=_LISTED)
    listing.add_argument("--request", metavar="REQUEST_ID")
    listing.add_argument("--state", type=str.upper, help="such as ACTIVE")
    add_period(listing, "orders")
    add_options(listing, sheet=True)
    for action, summary in (
        ("show", "one order"),
        ("extend", "let it end later"),
        ("release", "let it end now or earlier"),
        ("cancel", "take it back before it begins; it is ordered elsewhere only if you clear the request again"),
    ):
        one = actions.add_parser(action, help=summary)
        one.add_argument("order_id", metavar="ORDER_ID")
        if action == "extend":
            one.add_argument(
                "--end", type=moment, required=True, metavar="TIME", help="the new end, as far as `order show` says"
            )
        if action == "release":
            one.add_argument("--end", type=moment, metavar="TIME", help="the new end (default: now)")
        if action != "show":
            one.add_argument("--reason", default="", help="why, for the record")
        add_options(one)
    give_examples(actions, EXAMPLE)
    return arguments


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    return exit_code(_run, args)


def _run(args: argparse.Namespace) -> int:
    with door(args) as http:
        if args.action == "list":
            wanted = {"request_id": args.request, "state": args.state} | period_asked(args)
            if args.csv:
                show_sheet(http, "/v1/orders", wanted)
                return OK
            views = pages(http, "orders", wanted)
        else:
            views = [_one(http, args)]
    if args.json:
        for view in views:
            show_json(view)
        return OK
    _show(views)
    if args.action == "show":
        _show_limit(views[0])
        _show_metered(views[0])
    return OK


def _one(http: httpx2.Client, args: argparse.Namespace) -> Any:
    path = below("orders", args.order_id)
    if args.action == "show":
        return answer(http.get(path))
    end = getattr(args, "end", None)
    body = {"reason": args.reason} | ({"ends_at": rfc(end)} if end else {})
    return answer(http.post(f"{path}/{args.action}", json=body), WORDS)


def _show(views: list[Any]) -> None:
    rows = []
    for view in views:
        order = view["order"]
        accepted = "" if view["accepted_w"] is None else f"{view['accepted_w'] / 1e6:g} MW"
        rows.append(
            (
                order["order_id"],
                view["state"],
                order["site"],
                _ordered(order),
                accepted,
                *period_of(order),
                _delivered(view),
                "" if view["amount"] is None else f"{Decimal(view['amount']):.2f} {view['currency']}",
            )
        )
    show_rows("orders", ("id", "state", "site", "ordered", "accepted", "from", "to", "delivered", "amount"), rows)


def _ordered(order: dict[str, Any]) -> str:
    limit_w = order.get("import_limit_w")
    limit = "" if limit_w is None else f", at most {limit_w / 1e6:g} MW"
    return f"{order['power_w'] / 1e6:g} MW{limit}"


def _show_limit(view: dict[str, Any]) -> None:
    order, until = view["order"], view["extendable_until"]
    if until is None:
        return
    if datetime.fromisoformat(until) <= datetime.fromisoformat(order["ends_at"]):
        print("can't be extended: its site offered no longer")
    else:
        print(f"can be extended until {when(datetime.fromisoformat(until), order['zone'])}")


def _delivered(view: dict[str, Any]) -> str:
    if view["delivered_wh"] is not None:
        return f"{in_mwh(view['delivered_wh'])} MWh"
    return "nothing to deliver" if view["ordered_wh"] == 0 else "not metered yet"


def _show_metered(view: dict[str, Any]) -> None:
    zone = view["order"]["zone"]
    names = ("baseline_w", "actual_w", "ordered_w", "delivered_w", "deficiency_w")
    rows = [
        (
            when(datetime.fromisoformat(interval["starts_at"]), zone),
            *("-" if interval[name] is None else f"{interval[name] / 1e6:.3f}" for name in names),
        )
        for interval in view["metered"]
    ]
    if not rows:
        return  # the order itself says that nothing is metered yet
    show_rows("metered, MW", ("from", "baseline", "actual", "ordered", "delivered", "missing"), rows)
