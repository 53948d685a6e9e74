"""`gridsignal respond`: answers an order by hand, and reports how it goes."""

from __future__ import annotations

import argparse
import json

import gridsignal
from gridsignal.__main__ import FAILED, OK
from gridsignal.cli.arguments import Arguments, code, give_examples, identifier, power_w, words
from gridsignal.cli.connection import add_doors, add_options, archive, current, exit_code, open_grid, tell
from gridsignal.cli.tables import when
from gridsignal_schemas.rules.lifecycle import ORDER_OVER

EXAMPLE = """\
examples:
  gridsignal respond accept 018f6b3c-7a00-7000-8000-000000000003 --site fra-1
  gridsignal respond accept 018f6b3c-7a00-7000-8000-000000000003 --site fra-1 --power 8MW
  gridsignal respond refuse 018f6b3c-7a00-7000-8000-000000000003 --site fra-1 --code MAINTENANCE
  gridsignal respond started 018f6b3c-7a00-7000-8000-000000000003 --site fra-1
  gridsignal respond sustaining 018f6b3c-7a00-7000-8000-000000000003 --site fra-1
  gridsignal respond unavailable 018f6b3c-7a00-7000-8000-000000000003 --site fra-1 --power 5MW --reason "too hot"
  gridsignal respond unavailable 018f6b3c-7a00-7000-8000-000000000003 --site fra-1 --reason "fire alarm"
  gridsignal respond completed 018f6b3c-7a00-7000-8000-000000000003 --site fra-1
"""
_ACTIONS = {
    "accept": "accept an order, or a part of it",
    "refuse": "refuse an order: the next in merit order is asked",
    "started": "the power has begun to change",
    "sustaining": "the power is held",
    "unavailable": "from now on less is possible than was accepted, or nothing",
    "completed": "the load is back",
}
_POWERS = {
    "accept": "what is possible, such as 8MW (default: all of it)",
    "unavailable": "what is still possible, such as 8MW (default: nothing, and the order ends)",
}
WORDS = {
    "": "ORDER_ID",
    "order_id": "ORDER_ID",
    "revision": "ORDER_ID",
    "response": "ORDER_ID",
    "response_id": "ORDER_ID",
    "request_id": "ORDER_ID",
    "site": "--site",
    "accepted_w": "--power",
    "available_w": "--power",
    "reason_code": "--code",
    "reason": "--reason",
}
"""What says each field of an answer."""
_ENDS = {"refuse": "REFUSED", "completed": "COMPLETED"}
"""Where an action leads that ends an order."""


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal respond",
        description="Answer an order, and report how it goes. Start only when accept has answered.",
        epilog=EXAMPLE,
    )
    actions = arguments.add_subparsers(dest="action", required=True, metavar="ACTION")
    for action, summary in _ACTIONS.items():
        one = actions.add_parser(action, help=summary)
        one.add_argument(
            "order_id", type=identifier, metavar="ORDER_ID", help="as `gridsignal watch dispatch` shows it"
        )
        if action in _POWERS:
            one.add_argument("--power", type=power_w, metavar="POWER", help=_POWERS[action])
        one.add_argument("--code", type=code, default="", help="a reason for machines")
        one.add_argument("--reason", type=words, default="", help="a reason for people")
        add_options(one, site=True, address=add_doors)
    give_examples(actions, EXAMPLE)
    return arguments


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    return exit_code(_respond(args), args, WORDS)


async def _respond(args: argparse.Namespace) -> int:
    async with open_grid(args, for_site=True) as grid:
        found = {m.order_id: m for m in await current(args, "dispatch") if isinstance(m, gridsignal.DispatchOrder)}
        order = found.get(args.order_id)
        if order is None:
            return await _over(grid, args)
        receipt = await _answer(grid, order, args)
        state = (await grid.query(order_ids=[args.order_id])).orders.get(args.order_id)
    became = state.state if state else None
    if args.json:
        print(json.dumps(receipt.model_dump(mode="json", exclude_none=True) | {"state": became}))
    else:
        received = when(receipt.received_at, order.zone, seconds=True)
        print(f"order {args.order_id}: {became}, {args.action} received at {received}")
    return OK


async def _over(grid: gridsignal.Grid, args: argparse.Namespace) -> int:
    """The answer to an order that is over, or that is none: what is so already is no failure, however long it is so."""
    known = (await grid.query(order_ids=[args.order_id])).orders.get(args.order_id)
    state = await _long_over(args) if known is None else known.state
    if state not in ORDER_OVER:
        tell(f"No order {args.order_id!r:.80} for {args.site}, or you may not see it.")
        return FAILED
    if state != _ENDS.get(args.action):
        tell(f"order {args.order_id} is {state}: it takes no answer any more")
        return FAILED
    print(json.dumps({"state": state}) if args.json else f"order {args.order_id}: {state} already")
    return OK


async def _long_over(args: argparse.Namespace) -> str | None:
    """Where an order stands that the gateway has let go of, as far as the dispatch door tells of it."""
    try:
        shown = await archive(args).order(args.order_id)
        return str(shown["state"]) if shown["order"]["site"] == args.site else None
    except (gridsignal.GridsignalError, KeyError, TypeError):
        return None


async def _answer(
    grid: gridsignal.Grid, order: gridsignal.DispatchOrder, args: argparse.Namespace
) -> gridsignal.Receipt:
    match args.action:
        case "accept":
            return await grid.accept(order, args.power)
        case "refuse":
            return await grid.refuse(order, args.code, args.reason)
        case "started":
            return await grid.report(order, "STARTED", reason_code=args.code, reason=args.reason)
        case "sustaining":
            return await grid.report(order, "SUSTAINING", reason_code=args.code, reason=args.reason)
        case "unavailable":
            return await grid.report(
                order, "UNAVAILABLE", available_w=args.power or 0, reason_code=args.code, reason=args.reason
            )
    return await grid.report(order, "COMPLETED", reason_code=args.code, reason=args.reason)
