"""`gridsignal settle`: what orders came to, disputes and their answers; and a case file computed without a service."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from gridsignal.__main__ import OK, USAGE
from gridsignal.cli import connection
from gridsignal.cli.arguments import Arguments, a_code, a_reason, give_examples, identifier, words
from gridsignal.cli.tables import period, printable, show_rows, when
from gridsignal_schemas.messages import RunMode, SettlementStatus
from gridsignal_schemas.rules.lifecycle import SettlementState
from gridsignal_schemas.values import rfc3339, text_of_decimal
from gridsignal_services.case_files import CaseFault
from gridsignal_services.cli import settle_again
from gridsignal_services.cli.api import (
    add_options,
    add_period,
    answer,
    below,
    door,
    exit_code,
    pages,
    period_asked,
    show_json,
    show_sheet,
)
from gridsignal_services.cli.failing import REPORTED, failed
from gridsignal_services.settlement.case_file import Case, CaseOrder
from gridsignal_services.settlement.settled_case import SettledCase
from gridsignal_services.settlement.settling import Line, Settled

EXAMPLE = """\
examples:
  gridsignal settle study case.json
  gridsignal settle study case.json --json
  gridsignal settle list --from -7d --csv > settlements.csv
  gridsignal settle show ORDER_ID
  gridsignal settle verify ORDER_ID
  gridsignal settle verify --zone DE-LU --json
  gridsignal settle run --zone DE-LU
  gridsignal settle dispute ORDER_ID --site fra-1 --code readings --text "the meter was exchanged" --claim 900
  gridsignal settle reject ORDER_ID --code readings --reason "the exchange is in the readings already"

`verify` and `run` read the log itself, in a folder or on the cluster that the settings name: `verify` computes every
line again from what the settlement says that it is from; `run` shows what orders that are over would come to now, and
writes nothing. Exit codes of `verify`: 0 every line agrees, 1 one differs or can't be computed.
docs/settlement.md says what a case file holds, and how each figure is computed.
"""
_HEADINGS = ("from", "to", "baseline", "actual", "ordered", "delivered", "short", "amount", "readings")


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal settle",
        description="What orders came to, disputed by the participant, answered by the operator; or orders of a file.",
        epilog=EXAMPLE,
    )
    actions = arguments.add_subparsers(dest="action", required=True, metavar="ACTION")
    study = actions.add_parser("study", help="what the orders of a case file come to")
    study.add_argument("file", type=Path, metavar="CASE.json")
    study.add_argument("--json", action="store_true", help="one JSON object")
    _add_doors(actions)
    verifying = actions.add_parser("verify", help="compute settlements again from the log, and say which lines differ")
    verifying.add_argument("id", nargs="?", metavar="ORDER_OR_SETTLEMENT_ID", help="which (default: all)")
    running = actions.add_parser("run", help="a preview of what orders that are over would come to now")
    running.add_argument("id", nargs="?", metavar="ORDER_ID", help="which (default: all that may get another version)")
    for action in (verifying, running):
        action.add_argument("--zone", type=identifier, metavar="ZONE", help="of this zone alone")
        action.add_argument("--directory", type=Path, metavar="DIR", help="the log's (default: gridsignal-data)")
        action.add_argument("--json", action="store_true", help="one object")
    give_examples(actions, EXAMPLE)
    return arguments


def _add_doors(actions: Any) -> None:
    listing = actions.add_parser("list", help="settlements you may see, the newest version of each")
    listing.add_argument("--request", metavar="REQUEST_ID")
    *states, last = SettlementState
    told = f"{', '.join(states)} or {last}; DISPUTED is every one with an open dispute, PROVISIONAL or not"
    listing.add_argument("--state", type=str.upper, help=told)
    add_period(listing, "orders")
    add_options(listing, sheet=True)
    show = actions.add_parser("show", help="what one order came to, line by line")
    dispute = actions.add_parser("dispute", help="hold the newest version to be wrong, as the participant")
    reject = actions.add_parser("reject", help="let it stand against a dispute, as the operator")
    for one in (show, dispute, reject):
        one.add_argument("order_id", metavar="ORDER_ID", type=identifier)
    for one in (dispute, reject):
        one.add_argument("--code", required=True, type=a_code, help="the reason for machines: one dispute for each")
    dispute.add_argument("--text", default="", type=words, help="the reason for people")
    dispute.add_argument("--claim", type=claim, metavar="AMOUNT", help="the total that would be right")
    reject.add_argument("--reason", required=True, type=a_reason, help="why it stays as it is")
    add_options(show)
    add_options(reject)
    connection.add_options(dispute, site=True, address=connection.add_doors)


def claim(text: str) -> Decimal:
    """A sum of money, four places at most. Raises argparse.ArgumentTypeError."""
    try:
        amount = Decimal(text)
        if amount == amount.quantize(Decimal("0.0001")):
            return amount
    except ArithmeticError:
        pass
    raise argparse.ArgumentTypeError(f"expected an amount such as 810.50, got {text!r:.40}")


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    match args.action:
        case "study":
            return _study(args)
        case "verify" | "run":
            return _on_a_log(args)
        case "dispute":
            return connection.exit_code(_dispute(args), args, DISPUTED)
    return exit_code(_ask, args)


def _on_a_log(args: argparse.Namespace) -> int:
    try:
        return settle_again.verify(args) if args.action == "verify" else settle_again.run(args)
    except REPORTED as error:
        if isinstance(error, BrokenPipeError):
            raise
        return failed(f"settle {args.action}", error)


DISPUTED = {
    "": "ORDER_ID",
    "order_id": "ORDER_ID",
    "settlement_id": "ORDER_ID",
    "version": "ORDER_ID",
    "site": "--site",
    "reason_code": "--code",
    "text": "--text",
    "claimed": "--claim",
}
"""What says each field of a dispute."""
REJECTED = {"": "ORDER_ID", "version": "ORDER_ID", "reason_code": "--code", "reason": "--reason"}
"""What says each field of its answer."""


def _ask(args: argparse.Namespace) -> int:
    with door(args) as http:
        if args.action == "list":
            wanted = {"request_id": args.request, "state": args.state} | period_asked(args)
            if args.csv:
                show_sheet(http, "/v1/settlements", wanted)
                return OK
            views = pages(http, "settlements", wanted)
        elif args.action == "show":
            views = [answer(http.get(f"{below('orders', args.order_id)}/settlement"))]
        else:
            body = {"reason_code": args.code, "reason": args.reason}
            path = f"{below('orders', args.order_id)}/settlement/disputes/reject"
            views = [answer(http.post(path, json=body), REJECTED)]
    if args.json:
        for view in views:
            show_json(view)
        return OK
    _show_settlements(views)
    if args.action != "list":
        _show_lines(views[0])
    return OK


async def _dispute(args: argparse.Namespace) -> int:
    settled = await connection.archive(args).settlement(args.order_id)
    async with connection.open_grid(args, for_site=True) as grid:
        receipt = await grid.dispute(settled.settlement, args.code, args.text, claimed=args.claim)
    if args.json:
        print(json.dumps(receipt.model_dump(mode="json", exclude_none=True)))
    else:
        settlement = settled.settlement
        received = when(receipt.received_at, settlement.zone, seconds=True)
        print(f"order {args.order_id}: version {settlement.version} disputed ({args.code}), received at {received}")
    return OK


def _show_settlements(views: list[Any]) -> None:
    headings = ("order", "state", "version", "site", "total", "missing", "disputed")
    show_rows("settlements", headings, [settlement_row(view) for view in views])


def settlement_row(view: dict[str, Any]) -> tuple[str, ...]:
    """The line of a settlement in a table. That a correction made its version no state says, so the version does."""
    settlement = view["settlement"]
    open_ones = [each for each in view["disputes"] if each["answer"] is None]
    status = f" {settlement['status']}" if settlement["status"] == SettlementStatus.CORRECTED else ""
    return (
        settlement["order_id"],
        view["state"],
        f"{settlement['version']}{status}",
        settlement["site"],
        f"{settlement['total']} {settlement['currency']}",
        str(len(settlement["missing"]) or ""),
        " ".join(each["reason_code"] for each in open_ones if each["version"] == settlement["version"]),
    )


def _show_lines(view: dict[str, Any]) -> None:
    settlement, zone = view["settlement"], view["settlement"]["zone"]
    names = ("baseline_wh", "actual_wh", "ordered_wh", "delivered_wh", "deficiency_wh", "amount")
    why = {missing["starts_at"]: missing["code"] for missing in settlement["missing"]}
    rows = [
        (
            *period(datetime.fromisoformat(line["starts_at"]), datetime.fromisoformat(line["ends_at"]), zone),
            *("-" if line[name] is None else str(line[name]) for name in names),
            why.get(line["starts_at"]) or " ".join(line["qualities"]),
        )
        for line in settlement["intervals"]
    ]
    show_rows("lines, Wh", _HEADINGS, rows)
    for dispute in view["disputes"]:
        claimed = "" if dispute["claimed"] is None else f", {dispute['claimed']} claimed"
        text = f": {dispute['text']}" if dispute["text"] else ""
        print(printable(f"version {dispute['version']} disputed ({dispute['reason_code']}{claimed}){text}"))
        if dispute["answer"] is not None:
            print(printable(f"  rejected: {dispute['answer']}"))
        elif dispute["version"] < settlement["version"]:
            print(f"  answered by version {dispute['version'] + 1}")


def _study(args: argparse.Namespace) -> int:
    """0 settled, 2 the file is no case or can't be read."""
    try:
        settled = SettledCase(Case.parse(args.file.read_bytes()))
    except CaseFault as wrong:
        for fault in wrong.faults:
            print(printable(f"{args.file}: {fault.pointer or '/'}: {fault.message}"), file=sys.stderr)
        return USAGE
    if args.json:
        print(json.dumps(as_json(settled), indent=2))
    else:
        _show(settled)
    return OK


def as_json(settled: SettledCase) -> dict[str, Any]:
    """The answer as a JSON object; what is not known is null."""
    rule = settled.rule
    return {
        "currency": settled.case.currency,
        "rule": {"name": rule.name, "version": rule.version, "sha256": rule.sha256},
        "orders": [_order(*each) for each in zip(settled.case.orders, settled.settled, strict=True)],
        "flows": [{"party": party, "amount": text_of_decimal(amount)} for party, amount in settled.flows.items()],
    }


def _order(order: CaseOrder, settled: Settled) -> dict[str, Any]:
    return {
        "order_id": order.order_id,
        "intervals": [_interval(line) for line in settled.lines],
        "activation_fee": text_of_decimal(settled.activation_fee),
        "total": text_of_decimal(settled.total),
        "missing": [
            {"starts_at": rfc3339(line.starts_at), "ends_at": rfc3339(line.ends_at), "code": line.gap}
            for line in settled.missing
        ],
    }


def _interval(line: Line) -> dict[str, Any]:
    return {
        "starts_at": rfc3339(line.starts_at),
        "ends_at": rfc3339(line.ends_at),
        "baseline_wh": line.baseline_wh,
        "actual_wh": line.actual_wh,
        "ordered_wh": line.ordered_wh,
        "delivered_wh": line.delivered_wh,
        "deficiency_wh": line.deficiency_wh,
        "amount": None if line.amount is None else text_of_decimal(line.amount),
        "qualities": list(line.qualities),
    }


def _show(settled: SettledCase) -> None:
    currency = settled.case.currency
    for order, each in zip(settled.case.orders, settled.settled, strict=True):
        if order.run_mode is RunMode.DRY_RUN:
            print(f"{order.order_id}: a dry run, for which nothing is paid\n")
            continue
        total = f"{each.total} {currency}"
        fee = f", {each.activation_fee} of it for the activation" if each.activation_fee else ""
        title = f"{order.order_id} of {order.participant}, Wh: {total}{fee}"
        show_rows(title, _HEADINGS, [_row(line) for line in each.lines])
        print()
    flows = [(party, f"{amount} {currency}") for party, amount in settled.flows.items()]
    show_rows("what each gets, or pays below zero", ("party", "amount"), flows)


def _row(line: Line) -> tuple[str, ...]:
    figures = (line.baseline_wh, line.actual_wh, line.ordered_wh, line.delivered_wh, line.deficiency_wh, line.amount)
    said = line.gap if line.gap is not None else " ".join(line.qualities)
    cells = ("-" if figure is None else str(figure) for figure in figures)
    return (rfc3339(line.starts_at), rfc3339(line.ends_at), *cells, said)
