"""`gridsignal request`: asks for power up or down, reads the book, clears it."""

from __future__ import annotations

import argparse
import json
import sys
import uuid
from typing import Any

import httpx2

from gridsignal.__main__ import FAILED, OK
from gridsignal.cli.arguments import Arguments, give_examples, power_w
from gridsignal.cli.grid_time import grid_now
from gridsignal.cli.tables import printable, show_rows
from gridsignal.cli.words import did_you_mean
from gridsignal_schemas.messages import TOLERANT, Direction
from gridsignal_schemas.rules.lifecycle import REQUEST_OVER, RequestState
from gridsignal_schemas.rules.products import Product, Products, ProductTerms
from gridsignal_services.cli import amend, create, detail
from gridsignal_services.cli.api import (
    Failed,
    add_options,
    add_period,
    answer,
    below,
    door,
    exit_code,
    pages,
    period_asked,
    period_of,
    show_json,
    show_sheet,
)

EXAMPLE = """\
examples:
  gridsignal request create --zone DE-LU --down 12MW --start +2h --for 45m --cap 120 --text "evening peak"
  gridsignal request products
  gridsignal request create --zone DE-LU --product MFRR_EU --down 12MW --start +1h --for 15m
  gridsignal request create --zone DE-LU --product EMERGENCY_SHED --down 12MW --for 30m
  gridsignal request list --zone DE-LU --state OPEN
  gridsignal request list --from -1d
  gridsignal request list --from 2024-05-01 --to 2024-06-01 --csv > requests.csv
  gridsignal request show REQUEST_ID --json
  gridsignal request book REQUEST_ID
  gridsignal request clear REQUEST_ID --reason "enough offers are in"
  gridsignal request award REQUEST_ID --pick acme-ai/OFFER_ID/o1=8MW --reason "behind the overloaded line"
  gridsignal request amend REQUEST_ID --power 10MW --for 30m
  gridsignal request cancel REQUEST_ID --reason "the line is back"
"""
_OTHERS = (
    "Of a request that is another's you read OPEN or CANCELLED, what your own orders tell (AWARDED, PARTIALLY_AWARDED, "
    "ACTIVE), else CLEARING, and OVER after its end: whether it was met is between its operator and those who offered."
)
_LISTED = f"Requests that you may see. Those that have been over for a day need --from or --to. {_OTHERS}"
_DONE = REQUEST_OVER - {RequestState.UNMET}
"""States in which no order stands any more, whatever was awarded; of UNMET it is said that nothing was."""
WORDS = {
    "": "REQUEST_ID",
    "request_id": "REQUEST_ID",
    "request_revision": "REQUEST_ID",
    "state": "REQUEST_ID",
    "awards": "REQUEST_ID",
    "due_at": "REQUEST_ID",
    "reason": "--reason",
}
"""What says each field of a clearing or a cancellation."""
AWARDED = WORDS | dict.fromkeys(("picks", "awards", "offer_id", "option", "power_w", "participant"), "--pick")
"""What says each field of an award by hand."""


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal request",
        description="Ask data centers for power up or down; see what they offer and why each lost; clear it.",
        epilog=EXAMPLE,
    )
    actions = arguments.add_subparsers(dest="action", required=True, metavar="ACTION")
    ask = actions.add_parser("create", help="ask for power")
    create.add_arguments(ask)
    add_options(ask)
    change = actions.add_parser("amend", help="change an open one: its next revision")
    amend.add_arguments(change)
    add_options(change)
    known = actions.add_parser("products", help="what can be asked for by name, and what each lays down")
    add_options(known)
    listing = actions.add_parser("list", help="requests you may see", description=_LISTED)
    listing.add_argument("--zone")
    listing.add_argument("--state", type=str.upper, help="such as OPEN")
    add_period(listing, "requests")
    add_options(listing, sheet=True)
    for action, summary in (
        ("show", "one request"),
        ("book", "its offers in merit order, and why each lost"),
        ("clear", "clear it now"),
        ("award", "award by hand"),
        ("cancel", "take it back"),
    ):
        one = actions.add_parser(action, help=summary)
        one.add_argument("request_id", metavar="REQUEST_ID")
        if action in ("clear", "award", "cancel"):
            one.add_argument("--reason", default="", required=action == "award", help="why, for the record")
        if action == "award":
            pick = "PARTICIPANT/OFFER_ID/OPTION=POWER"
            one.add_argument("--pick", action="append", required=True, type=_pick, metavar=pick, help="may be repeated")
        add_options(one)
    give_examples(actions, EXAMPLE)
    return arguments


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
            case "products":
                return _show_products(http, args)
            case "amend":
                return _shown(args, amend.amended(http, args))
            case "show":
                return _one(http, args)
            case "cancel":
                return _cancel(http, args)
        return _book(http, args)


def _create(http: httpx2.Client, args: argparse.Namespace) -> int:
    key = args.key or uuid.uuid4().hex
    words = create.WORDS | ({"power_w": "--up", "direction": "--up"} if args.up else {})
    body = create.body_of(args, grid_now(), _terms_of(http, args.product))
    response = http.post("/v1/requests", json=body, headers={"Idempotency-Key": key})
    view, was_asked = _asked_before(http, args, body, response), "asked already"
    if view is None:
        view, was_asked = answer(response, words), "asked already" if response.status_code == 200 else "asked"
    if args.json:
        show_json(view)
    else:
        print(f"{was_asked}: {view['request']['request_id']} (idempotency key {key})")
        _show([view])
    _warn_of_silence(args, view)
    return OK


def _terms_of(http: httpx2.Client, product: str | None) -> ProductTerms | None:
    """What a product lays down; None where it lays down nothing."""
    if product is None:
        return None
    known = {each.name: each.terms for each in _products(http)}
    if product not in known:
        lays = f"warning: no product {product} here: it lays down nothing{did_you_mean(product, known)}"
        print(printable(lays), file=sys.stderr)
    return known.get(product)


def _products(http: httpx2.Client) -> list[Product]:
    told = json.dumps(answer(http.get("/v1/products")))
    return Products.model_validate_json(told, context=TOLERANT, extra="ignore").products


def _show_products(http: httpx2.Client, args: argparse.Namespace) -> int:
    products = _products(http)
    if args.json:
        show_json([each.model_dump(mode="json") for each in products])
        return OK
    head = ("product", "way", "notice", "answer", "full power", "lasts", "at least", "rule", "what")
    show_rows("products", head, [_product_line(each) for each in products])
    return OK


def _product_line(product: Product) -> tuple[str, ...]:
    terms = product.terms or ProductTerms(name="none", version=1)
    ways = {Direction.LOAD_DECREASE: "down", Direction.LOAD_INCREASE: "up"}
    times = (terms.max_notice_s, terms.respond_within_s, terms.full_activation_s, terms.duration_s)
    least = "" if terms.min_quantity_w is None else f"{terms.min_quantity_w.usual / 1e6:g} MW"
    way = "either" if terms.direction is None else ways[terms.direction]
    said = ("" if each is None else f"{each} s" for each in times)
    return product.name, way, *said, least, product.settlement, product.text


def _asked_before(
    http: httpx2.Client, args: argparse.Namespace, body: dict[str, Any], response: httpx2.Response
) -> Any:
    """The request that these very words have made with this key, when +2h was another time; None for any other."""
    where = response.headers.get("location", "")
    if response.status_code != 409 or not where.startswith("/v1/requests/"):
        return None
    view = answer(http.get(where))
    return view if create.is_asked_again(args, body, view["request"]) else None


def _warn_of_silence(args: argparse.Namespace, view: dict[str, Any]) -> None:
    """A price for what lacks says nothing to who sends no readings, unless the product's rule does."""
    pinned = view["request"].get("settlement")
    if not args.deficiency or pinned is None:
        return
    if json.loads(pinned["parameters"])["missing"] == "NOTHING":
        print(
            f"warning: by the rule {pinned['name']} {pinned['version']} a site that sends no readings owes nothing;"
            ' name a product (--product) whose rule has missing = "ZERO"',
            file=sys.stderr,
        )


def _list(http: httpx2.Client, args: argparse.Namespace) -> int:
    wanted = {"zone": args.zone, "state": args.state} | period_asked(args)
    if args.csv:
        show_sheet(http, "/v1/requests", wanted)
        return OK
    views = pages(http, "requests", wanted)
    if args.json:
        for view in views:
            show_json(view)
    else:
        _show(views)
    return OK


def _cancel(http: httpx2.Client, args: argparse.Namespace) -> int:
    path = below("requests", args.request_id)
    return _shown(args, answer(http.post(f"{path}/cancel", json={"reason": args.reason}), WORDS))


def _one(http: httpx2.Client, args: argparse.Namespace) -> int:
    view = answer(http.get(below("requests", args.request_id)))
    if args.json:
        show_json(view)
        return OK
    orders = pages(http, "orders", {"request_id": args.request_id})
    for line in detail.lines_of(view, orders):
        print(printable(line))
    return OK


def _shown(args: argparse.Namespace, view: dict[str, Any]) -> int:
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
        power = f"{request['power_w'] / 1e6:g} MW {way}"
        rows.append(
            (request["request_id"], view["state"], request["zone"], power, *period_of(request), request["operator"])
        )
    show_rows("requests", ("id", "state", "zone", "power", "from", "to", "operator"), rows)


def _book(http: httpx2.Client, args: argparse.Namespace) -> int:
    path = below("requests", args.request_id)
    if args.action == "book":
        response = http.get(f"{path}/book")
        if response.status_code == 404:
            _must_be_its_operators(http, path)
        view = answer(response)
    else:
        body: dict[str, Any] = {"reason": args.reason} | ({"picks": args.pick} if args.action == "award" else {})
        view = answer(http.post(f"{path}/{args.action}", json=body), AWARDED if args.action == "award" else WORDS)
    if args.json:
        show_json(view)
        return OK
    asked, awarded = view["request"]["power_w"] / 1e6, view["awarded_w"] / 1e6
    stands = f"{awarded:g} of {asked:g} MW awarded, {view['offered_w'] / 1e6:g} MW offered"
    title = f"{args.request_id}: {view['state']}, {f'{asked:g} MW asked' if view['state'] in _DONE else stands}"
    rows = [_line(offer) for offer in view["offers"]]
    show_rows(title, ("", "site", "offer", "price", "power", "state", "awarded", "order", "why"), rows)
    for line in detail.how_decided(view["clearings"]):
        print(line)
    return OK


def _must_be_its_operators(http: httpx2.Client, path: str) -> None:
    """Raises Failed for the book of a request that can be seen, and is another's."""
    if (shown := http.get(path)).is_success:
        of = shown.json()["request"]
        message = f"the book of request {of['request_id']} is for {of['operator']}, who asked, alone"
        raise Failed(FAILED, f"{message}; `gridsignal offer list` and `gridsignal order list` show what is yours")


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
