"""`gridsignal request`: asks for power up or down, reads the book, clears it."""

from __future__ import annotations

import argparse
import uuid
from datetime import UTC, datetime
from typing import Any

import httpx2

from gridsignal.__main__ import OK
from gridsignal.cli.arguments import Arguments, give_examples, power_w, price, span
from gridsignal.cli.tables import show_rows, when
from gridsignal_services.cli import amend
from gridsignal_services.cli.api import add_options, answer, below, door, exit_code, moment, rfc, show_json

EXAMPLE = """\
examples:
  gridsignal request create --zone DE-LU --down 12MW --start +2h --for 45m --cap 120 --text "evening peak"
  gridsignal request list --zone DE-LU --state OPEN
  gridsignal request show REQUEST_ID --json
  gridsignal request book REQUEST_ID
  gridsignal request clear REQUEST_ID --reason "enough offers are in"
  gridsignal request award REQUEST_ID --pick acme-ai/OFFER_ID/o1=8MW --reason "behind the overloaded line"
  gridsignal request amend REQUEST_ID --power 10MW --for 30m
  gridsignal request cancel REQUEST_ID --reason "the line is back"
"""


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal request",
        description="Ask data centers for power up or down; see what they offer and why each lost; clear it.",
        epilog=EXAMPLE,
    )
    actions = arguments.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_create(actions.add_parser("create", help="ask for power"))
    change = actions.add_parser("amend", help="change an open one: its next revision")
    amend.add_arguments(change)
    add_options(change)
    listing = actions.add_parser("list", help="requests you may see")
    listing.add_argument("--zone")
    listing.add_argument("--state", type=str.upper, help="such as OPEN")
    add_options(listing)
    for action, told in (
        ("show", "one request"),
        ("book", "its offers in merit order, and why each lost"),
        ("clear", "clear it now"),
        ("award", "award by hand"),
        ("cancel", "take it back"),
    ):
        one = actions.add_parser(action, help=told)
        one.add_argument("request_id", metavar="REQUEST_ID")
        if action in ("clear", "award", "cancel"):
            one.add_argument("--reason", default="", required=action == "award", help="why, for the record")
        if action == "award":
            pick = "PARTICIPANT/OFFER_ID/OPTION=POWER"
            one.add_argument("--pick", action="append", required=True, type=_pick, metavar=pick, help="may be repeated")
        add_options(one)
    give_examples(actions, EXAMPLE)
    return arguments


def _add_create(create: argparse.ArgumentParser) -> None:
    way = create.add_mutually_exclusive_group(required=True)
    way.add_argument("--down", type=power_w, metavar="POWER", help="less load, such as 12MW")
    way.add_argument("--up", type=power_w, metavar="POWER", help="more load")
    create.add_argument("--zone", required=True)
    create.add_argument(
        "--start", required=True, type=moment, metavar="TIME", help="full power from here: +2h, or a time"
    )
    create.add_argument("--for", dest="length", required=True, type=span, metavar="SPAN", help="how long, such as 45m")
    create.add_argument("--gate", type=moment, metavar="TIME", help="offers until then (default: a third of the way)")
    create.add_argument("--decide", type=moment, metavar="TIME", help="cleared by then (default: one minute after)")
    create.add_argument("--respond", type=span, default=span("5m"), metavar="SPAN", help="to answer an order (5m)")
    create.add_argument(
        "--activation", type=span, default=span("15m"), metavar="SPAN", help="order to full power (15m)"
    )
    create.add_argument("--cap", type=price, metavar="PRICE", help="no offers above it, per MWh")
    create.add_argument("--min", type=power_w, metavar="POWER", help="smallest award")
    create.add_argument("--purpose", default="BALANCING", help="BALANCING, CONGESTION, ADEQUACY or PORTFOLIO")
    create.add_argument("--by-hand", action="store_true", help="do not clear at gate closure")
    create.add_argument("--text", default="", help="for people")
    create.add_argument("--key", help="idempotency key (default: a new one; it is printed)")
    add_options(create)


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    return exit_code(_run, args)


def _run(args: argparse.Namespace) -> int:
    with door(args) as http:
        match args.action:
            case "create":
                return _create(http, args)
            case "list":
                return _list(http, args)
            case "amend":
                return _told(args, amend.amended(http, args))
            case "book" | "clear" | "award":
                return _book(http, args)
        return _one(http, args)


def _create(http: httpx2.Client, args: argparse.Namespace) -> int:
    key = args.key or uuid.uuid4().hex
    view = answer(http.post("/v1/requests", json=_body(args), headers={"Idempotency-Key": key}))
    if args.json:
        show_json(view)
    else:
        print(f"asked: {view['request']['request_id']} (idempotency key {key})")
        _show([view])
    return OK


def _body(args: argparse.Namespace) -> dict[str, Any]:
    starts_at = datetime.fromisoformat(args.start)
    now = datetime.now(UTC)
    latest = starts_at - args.respond - args.activation
    gate = datetime.fromisoformat(args.gate) if args.gate else now + (latest - now) / 3
    decide = datetime.fromisoformat(args.decide) if args.decide else gate + span("1m")
    body = {
        "zone": args.zone,
        "direction": "LOAD_DECREASE" if args.down else "LOAD_INCREASE",
        "power_w": args.down or args.up,
        "starts_at": args.start,
        "ends_at": rfc(starts_at + args.length),
        "gate_closure_at": rfc(gate),
        "decision_deadline": rfc(decide),
        "respond_within_s": int(args.respond.total_seconds()),
        "full_activation_s": int(args.activation.total_seconds()),
        "max_notice_s": int(args.activation.total_seconds()),
        "purpose": args.purpose,
        "text": args.text,
        "clearing_mode": "BY_HAND" if args.by_hand else "AUTOMATIC",
    }
    optional = {"price_cap_per_mwh": args.cap, "min_quantity_w": args.min}
    return body | {name: value for name, value in optional.items() if value is not None}


def _list(http: httpx2.Client, args: argparse.Namespace) -> int:
    wanted = {"zone": args.zone, "state": args.state}
    query = {name: value for name, value in wanted.items() if value is not None}
    views: list[Any] = []
    following: str | None = ""
    while following is not None:
        page = answer(http.get("/v1/requests", params=query | ({"after": following} if following else {})))
        views += page["requests"]
        following = page["next"]
    if args.json:
        for view in views:
            show_json(view)
    else:
        _show(views)
    return OK


def _one(http: httpx2.Client, args: argparse.Namespace) -> int:
    path = below("requests", args.request_id)
    response = http.get(path) if args.action == "show" else http.post(f"{path}/cancel", json={"reason": args.reason})
    return _told(args, answer(response))


def _told(args: argparse.Namespace, view: dict[str, Any]) -> int:
    if args.json:
        show_json(view)
    else:
        _show([view])
    return OK


def _show(views: list[Any]) -> None:
    rows = []
    for view in views:
        request = view["request"]
        way = "down" if request["direction"] == "LOAD_DECREASE" else "up"
        period = [when(datetime.fromisoformat(request[name]), request["zone"]) for name in ("starts_at", "ends_at")]
        power = f"{request['power_w'] / 1e6:g} MW {way}"
        rows.append((request["request_id"], view["state"], request["zone"], power, *period, request["operator"]))
    show_rows("requests", ("id", "state", "zone", "power", "from", "to", "operator"), rows)


def _book(http: httpx2.Client, args: argparse.Namespace) -> int:
    path = below("requests", args.request_id)
    if args.action == "book":
        view = answer(http.get(f"{path}/book"))
    else:
        body: dict[str, Any] = {"reason": args.reason} | ({"picks": args.pick} if args.action == "award" else {})
        view = answer(http.post(f"{path}/{args.action}", json=body))
    if args.json:
        show_json(view)
        return OK
    asked, awarded = view["request"]["power_w"] / 1e6, view["awarded_w"] / 1e6
    title = (
        f"{args.request_id}: {view['state']}, {awarded:g} of {asked:g} MW awarded, {view['offered_w'] / 1e6:g} offered"
    )
    rows = [_line(offer) for offer in view["offers"]]
    show_rows(title, ("", "site", "offer", "price", "power", "state", "awarded", "order", "why"), rows)
    return OK


def _line(offer: dict[str, Any]) -> tuple[str, ...]:
    option = offer["options"][0]
    return (
        str(offer["place"]),
        offer["site"],
        offer["offer_id"],
        option["price_per_mwh"],
        f"{option['power_w'] / 1e6:g} MW",
        offer["state"],
        "" if offer["awarded_w"] is None else f"{offer['awarded_w'] / 1e6:g} MW",
        offer["order_state"] or "",
        offer["reason"],
    )


def _pick(text: str) -> dict[str, Any]:
    names, _, power = text.partition("=")
    parts = names.split("/")
    if len(parts) != 3 or not power:
        raise argparse.ArgumentTypeError(f"expected PARTICIPANT/OFFER_ID/OPTION=POWER, got {text!r}")
    return {"participant": parts[0], "offer_id": parts[1], "option": parts[2], "power_w": power_w(power)}
