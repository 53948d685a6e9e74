"""`gridsignal offer`: offers flexible load by hand."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import gridsignal
from gridsignal.__main__ import FAILED, OK
from gridsignal.cli import offers, standing
from gridsignal.cli.arguments import (
    CERTIFICATE,
    Arguments,
    certificate,
    certificates,
    give_examples,
    identifier,
    moment,
    power_w,
    price,
    span,
    words,
)
from gridsignal.cli.connection import add_doors, add_options, archive, current, exit_code, open_grid, tell
from gridsignal.cli.tables import printable, show_rows, when
from gridsignal.cli.words import did_you_mean, reason_in
from gridsignal.ids import standing_id, uuid7
from gridsignal_schemas.frames import State
from gridsignal_schemas.values import rfc3339

EXAMPLE = """\
examples:
  gridsignal offer create 018f6b3c-7a00-7000-8000-000000000001 --site fra-1 --power 12MW --price 90
  gridsignal offer create 018f6b3c-7a00-7000-8000-000000000001 --site fra-1 --power 12MW --price 90 --until +5h
  gridsignal offer stand EMERGENCY_SHED --site fra-1 --power 5MW --price 300 --currency EUR --until +30d --most 1h
  gridsignal offer list
  gridsignal offer list --site fra-1 --csv > offers.csv
  gridsignal offer show 018f6b3c-7a00-7000-8000-000000000002
  gridsignal offer withdraw 018f6b3c-7a00-7000-8000-000000000002 --site fra-1 --reason "a job came in"
"""
WORDS = {
    "": "REQUEST_ID",
    "request_id": "REQUEST_ID",
    "request_revision": "REQUEST_ID",
    "zone": "REQUEST_ID",
    "offer_id": "--offer-id",
    "revision": "--offer-id",
    "site": "--site",
    "power_w": "--power",
    "min_power_w": "--power",
    "price_per_mwh": "--price",
    "notice_s": "--notice",
    "full_activation_s": "--notice",
    "ramp_down_w_per_min": "--notice",
    "ramp_up_w_per_min": "--notice",
    "starts_at": "REQUEST_ID",
    "ends_at": "--until",
    "max_duration_s": "--until",
    "expires_at": "REQUEST_ID",
    "divisible": "--indivisible",
    "certificates": "--certificate",
}
"""What says each field of an offer."""
WITHDRAWN = {"": "OFFER_ID", "offer_id": "OFFER_ID", "reason": "--reason", "site": "--site"}
"""What says each field of a withdrawal."""
_LOST = ("REJECTED", "EXPIRED")
_SOON_S, _LOOK_S = 5.0, 0.1
"""How long a command waits for what became of an offer, and how often it asks."""


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal offer",
        description="Offer flexible load to a grid operator, take it back, see where it stands.",
        epilog=EXAMPLE,
    )
    actions = arguments.add_subparsers(dest="action", required=True, metavar="ACTION")
    create = actions.add_parser("create", help="offer power on an open request")
    create.add_argument(
        "request_id", type=identifier, metavar="REQUEST_ID", help="as `gridsignal watch requests` shows it"
    )
    create.add_argument("--power", type=power_w, required=True, metavar="POWER", help="such as 12MW or 500kW")
    create.add_argument("--price", type=price, required=True, metavar="PRICE", help="per MWh, such as 89.90")
    create.add_argument("--notice", type=span, metavar="SPAN", help="warning you need, such as 10m")
    until = "hold it longer if the operator wants: an order may be extended to here (default: the request's end)"
    create.add_argument("--until", type=moment, metavar="TIME", help=until)
    create.add_argument("--indivisible", action="store_true", help="all of it or nothing")
    create.add_argument(
        "--offer-id", type=identifier, metavar="ID", help="repeat an offer whose receipt you did not see"
    )
    named = "an energy certificate of what it moves, for people; again for each further one"
    create.add_argument("--certificate", type=certificate, action="append", metavar=CERTIFICATE, help=named)
    add_options(create, site=True, address=add_doors)
    stand = actions.add_parser("stand", help="offer power for any request of a product, such as an emergency's")
    standing.add_arguments(stand)
    add_options(stand, site=True, address=add_doors)
    withdraw = actions.add_parser("withdraw", help="take an offer back")
    withdraw.add_argument("offer_id", type=identifier, metavar="OFFER_ID")
    withdraw.add_argument("--reason", type=words, default="", help="for people")
    add_options(withdraw, site=True)
    look = actions.add_parser("show", help="where offers stand, over or not")
    look.add_argument("offer_id", type=identifier, nargs="+", metavar="OFFER_ID")
    add_options(look, site=True)
    listing = actions.add_parser("list", help="your offers that are not over, on requests that are not")
    add_options(listing, site=True, sheet=True)
    give_examples(actions, EXAMPLE)
    return arguments


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    acts = {"create": _create, "stand": _stand, "withdraw": _withdraw, "show": _show, "list": offers.run}
    said = {"withdraw": WITHDRAWN, "stand": standing.WORDS}
    return exit_code(acts[args.action](args), args, said.get(args.action, WORDS))


async def _create(args: argparse.Namespace) -> int:
    async with open_grid(args, for_site=True) as grid:
        found = {m.request_id: m for m in await current(args, "dispatch") if isinstance(m, gridsignal.DispatchRequest)}
        request = found.get(args.request_id)
        if request is None:
            tell(await _why_not(args, grid.now))
            return FAILED
        terms, named = _terms(args, request), certificates(args.certificate)
        await _warn_of_short_history(args, request)
        offer_id = args.offer_id or uuid7()
        if not args.json:
            print(f"offering as {offer_id}", file=sys.stderr)
        try:
            receipt = await grid.offer(
                request, args.power, args.price, offer_id=offer_id, certificates=named or (), **terms
            )
        except gridsignal.DeadlinePassed as late:
            if late.sent or grid.now() < request.gate_closure_at:
                raise
            tell(_late(request.request_id, request.gate_closure_at, request.zone))
            return FAILED
        except gridsignal.Conflict:
            known = {offer.offer.offer_id: offer for offer in await grid.offers()}.get(offer_id)
            if known is None or known.receipt is None or not _is_offered_again(args, known.offer):
                raise
            receipt = known.receipt
        return _tell(args, receipt, offer_id, await _became(grid, offer_id))


async def _warn_of_short_history(args: argparse.Namespace, request: gridsignal.DispatchRequest) -> None:
    """What holds in the place of the request's baseline method, where the site's history is not enough for it.

    Only the dispatch door can tell: an offer is made whether it answers or not.
    """
    method = request.baseline_method
    if method is None or method.name == "declared":
        return
    try:
        outlook = await archive(args).outlook(args.request_id, args.site)
    except gridsignal.GridsignalError as unknown:
        print(printable(f"warning: whether {method.name} has enough history is not known: {unknown}"), file=sys.stderr)
        return
    if outlook.get("reason"):
        print(printable(f"warning: {outlook['reason']}"), file=sys.stderr)


async def _why_not(args: argparse.Namespace, now: Callable[[], datetime]) -> str:
    """Why there is nothing to offer to, as far as the dispatch door tells."""
    try:
        asked = await archive(args).request(args.request_id)
        request_id, zone = asked["request"]["request_id"], asked["request"]["zone"]
        gate_closure_at = datetime.fromisoformat(asked["request"]["gate_closure_at"])
    except (gridsignal.GridsignalError, KeyError, TypeError, ValueError):
        return f"No open request {args.request_id!r:.80}, or you may not see it."
    if asked["state"] == "CANCELLED":
        return f"REQUEST_NOT_OPEN: request {request_id} was taken back"
    if now() < gate_closure_at:
        return f"REQUEST_NOT_OPEN: request {request_id} was decided before its gate closed; the offer was not sent"
    return _late(request_id, gate_closure_at, zone)


def _late(request_id: str, gate_closure_at: datetime, zone: str) -> str:
    closed = f"the gate of request {request_id} closed at {when(gate_closure_at, zone)}"
    return f"GATE_CLOSED: {closed}; the offer was not sent"


def _terms(args: argparse.Namespace, request: gridsignal.DispatchRequest) -> gridsignal.Terms:
    terms: gridsignal.Terms = {"divisible": not args.indivisible}
    if args.notice is not None:
        terms["notice_s"] = int(args.notice.total_seconds())
    if args.until is not None:
        if args.until < request.ends_at:
            raise gridsignal.UsageError(f"--until: expected the request's end ({rfc3339(request.ends_at)}) or later")
        terms["ends_at"] = args.until
    return terms


def _is_offered_again(args: argparse.Namespace, offer: gridsignal.FlexOffer) -> bool:
    """Whether these words have made this offer, when `--until +5h` was another time."""
    option = offer.options[0]
    said = [
        (offer.request_id, args.request_id),
        (offer.site, args.site),
        (option.power_w, args.power),
        (option.price_per_mwh, Decimal(args.price)),
        (option.divisible, not args.indivisible),
        (offer.certificates, args.certificate),
        (option.notice_s, option.notice_s if args.notice is None else int(args.notice.total_seconds())),
    ]
    return "until" in getattr(args, "from_now", ()) and all(was == now for was, now in said)


async def _stand(args: argparse.Namespace) -> int:
    async with open_grid(args, for_site=True) as grid:
        await _must_be_known(args)
        offer_id = args.offer_id or standing_id(args.site, args.product)
        if not args.json:
            print(f"standing by as {offer_id}", file=sys.stderr)
        said = standing.said(args)
        try:
            receipt = await grid.stand_by(args.product, args.power, args.price, offer_id=offer_id, **said)
        except gridsignal.Conflict:
            known = {offer.offer.offer_id: offer for offer in await grid.offers()}.get(offer_id)
            if known is None or known.receipt is None:
                raise
            if not standing.is_said_again(args, known.offer):
                tell(standing.stands_otherwise(args, known.offer))
                return FAILED
            receipt = known.receipt
        return _tell(args, receipt, offer_id, await _became(grid, offer_id))


async def _must_be_known(args: argparse.Namespace) -> None:
    """Nobody can call what stands for a product that there is not. Only the dispatch door can tell; where it does not
    answer the offer is made. Raises UsageError."""
    try:
        known = [product.name for product in await archive(args).products()]
    except gridsignal.GridsignalError as unknown:
        doubt = f"warning: whether there is a product {args.product} is not known: {unknown}"
        print(printable(doubt), file=sys.stderr)
        return
    if args.product not in known:
        names = f"{', '.join(known)}{did_you_mean(args.product, known)}"
        raise gridsignal.UsageError(f"PRODUCT: expected one of {names}, got {args.product!r:.80}")


async def _withdraw(args: argparse.Namespace) -> int:
    async with open_grid(args, for_site=True) as grid:
        receipt = await grid.withdraw(args.offer_id, args.reason)
        return _tell(args, receipt, args.offer_id, await _became(grid, args.offer_id))


async def _became(grid: gridsignal.Grid, offer_id: str) -> State | None:
    """Where the offer stands once the ledger has looked at it; None where that takes longer than a command waits."""
    for _ in range(int(_SOON_S / _LOOK_S)):
        state = (await grid.query(offer_ids=[offer_id])).offers.get(offer_id)
        if state is not None and not (state.state in _LOST and state.reason is None):
            return state
        await asyncio.sleep(_LOOK_S)
    return state


def _tell(args: argparse.Namespace, receipt: gridsignal.Receipt, offer_id: str, state: State | None) -> int:
    """What was received and what became of it are two things: a rejected offer was received, and is a failure."""
    if args.json:
        print(json.dumps(receipt.model_dump(mode="json", exclude_none=True) | _standing(state)))
    else:
        became = f"{state.state}{_why(state)}" if state else "received; the ledger has not looked at it yet"
        print(printable(f"offer {offer_id}: {became}"))
    return FAILED if state is not None and state.state in _LOST else OK


def _standing(state: State | None) -> dict[str, Any]:
    return state.model_dump(mode="json", exclude_none=True, exclude={"receipt", "revision"}) if state else {}


def _why(state: State) -> str:
    where = " ".join(
        filter(None, [" ".join(state.codes or ()), f"({reason_in(state.reason, WORDS)})" if state.reason else ""])
    )
    return f": {where}" if where else ""


async def _show(args: argparse.Namespace) -> int:
    async with open_grid(args) as grid:
        states = (await grid.query(offer_ids=args.offer_id)).offers
    if args.json:
        for offer_id, state in states.items():
            print(json.dumps({"offer_id": offer_id, "state": state and state.model_dump(mode="json")}))
    else:
        rows = [
            (
                offer_id,
                state.state if state else "unknown",
                str(state.revision) if state else "-",
                _why(state).removeprefix(": ") if state else "no such offer, or it is not yours",
            )
            for offer_id, state in states.items()
        ]
        show_rows("offers", ("offer", "state", "revision", "why"), rows)
    return OK if all(states.values()) else FAILED
