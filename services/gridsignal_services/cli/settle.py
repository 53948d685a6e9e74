"""`gridsignal settle`: what orders come to, computed from a case file without any service."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from gridsignal.__main__ import OK, USAGE
from gridsignal.cli.arguments import Arguments, give_examples
from gridsignal.cli.tables import printable, show_rows
from gridsignal_schemas.messages import RunMode
from gridsignal_schemas.values import rfc3339, text_of_decimal
from gridsignal_services.settlement.case_file import Case, CaseFault, CaseOrder, SettledCase
from gridsignal_services.settlement.settling import Line, Settled

EXAMPLE = """\
examples:
  gridsignal settle study case.json
  gridsignal settle study case.json --json

docs/settlement.md says what a case file holds, and how each figure is computed.
"""
_HEADINGS = ("from", "to", "baseline", "actual", "ordered", "delivered", "short", "amount", "readings")


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal settle",
        description="Settle orders from a file: the same arithmetic as for orders on the log, without any service.",
        epilog=EXAMPLE,
    )
    actions = arguments.add_subparsers(dest="action", required=True, metavar="ACTION")
    study = actions.add_parser("study", help="what the orders of a case file come to")
    study.add_argument("file", type=Path, metavar="CASE.json")
    study.add_argument("--json", action="store_true", help="one JSON object")
    give_examples(actions, EXAMPLE)
    return arguments


def run(args: argparse.Namespace) -> int:
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
