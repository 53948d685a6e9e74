"""`gridsignal request create`: a request from what a person types; what is not said follows from what is."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from gridsignal.__main__ import USAGE
from gridsignal.cli.arguments import moment, power_w, price, span
from gridsignal.cli.words import SPANS, in_units
from gridsignal_schemas.rules.products import ProductTerms
from gridsignal_services.cli.api import Failed, rfc

_PURPOSES = ("BALANCING", "CONGESTION", "ADEQUACY", "PORTFOLIO")
WORDS = {
    "zone": "--zone",
    "direction": "--down",
    "power_w": "--down",
    "starts_at": "--start",
    "ends_at": "--for",
    "gate_closure_at": "--gate",
    "decision_deadline": "--decide",
    "respond_within_s": "--respond",
    "full_activation_s": "--activation",
    "max_notice_s": "--activation",
    "price_cap_per_mwh": "--cap",
    "deficiency_price_per_mwh": "--deficiency",
    "min_quantity_w": "--min",
    "pricing": "--pricing",
    "purpose": "--purpose",
    "audience": "--only",
    "product": "--product",
    "settlement": "--product",
    "baseline_method": "--product",
    "product_terms": "--product",
    "visibility": "--only",
    "clearing_mode": "--by-hand",
    "run_mode": "--dry-run",
    "text": "--text",
    "Idempotency-Key": "--key",
}
"""What says each field of a request."""
_UNSAID = {"respond_within_s": 300, "full_activation_s": 900}
"""Where neither the words nor the product say them."""
_AT_ONCE = timedelta(seconds=10)
"""To the gate, and from there to the deadline, where nobody waits for either: clocks may differ by so much."""
_DECIDE = timedelta(minutes=1)
"""From gate closure to the decision, unless it is said."""


def add_arguments(create: argparse.ArgumentParser) -> None:
    """The arguments of the question."""
    way = create.add_mutually_exclusive_group(required=True)
    way.add_argument("--down", type=power_w, metavar="POWER", help="less load, such as 12MW")
    way.add_argument("--up", type=power_w, metavar="POWER", help="more load, such as 12MW")
    create.add_argument("--zone", required=True)
    at_once = "full power from: +2h, or a time (of EMERGENCY_SHED: as soon as it can be)"
    create.add_argument("--start", type=moment, metavar="TIME", help=at_once)
    create.add_argument("--for", dest="length", required=True, type=span, metavar="SPAN", help="how long, such as 45m")
    when = create.add_argument_group("until when")
    when.add_argument("--gate", type=moment, metavar="TIME", help="offers until then (default: a third of the way)")
    when.add_argument("--decide", type=moment, metavar="TIME", help="cleared by then (default: one minute after)")
    when.add_argument("--respond", type=span, metavar="SPAN", help="to answer an order (its product's, or 5m)")
    when.add_argument("--activation", type=span, metavar="SPAN", help="order to full power (its product's, or 15m)")
    terms = create.add_argument_group("terms")
    terms.add_argument("--product", help="one of `gridsignal request products`, or a name of your own (flexibility)")
    terms.add_argument("--cap", type=price, metavar="PRICE", help="no offers above it, per MWh")
    terms.add_argument("--deficiency", type=price, metavar="PRICE", help="what a site pays per MWh it fails to deliver")
    terms.add_argument("--min", type=power_w, metavar="POWER", help="smallest award")
    terms.add_argument("--pricing", type=str.upper, choices=("PAY_AS_BID", "PAY_AS_CLEARED"), help="(PAY_AS_BID)")
    terms.add_argument("--purpose", type=str.upper, choices=_PURPOSES, default=_PURPOSES[0], help="(%(default)s)")
    terms.add_argument("--only", action="append", metavar="PARTICIPANT", help="not public: only it (may be repeated)")
    terms.add_argument("--by-hand", action="store_true", help="do not clear at gate closure")
    terms.add_argument("--dry-run", action="store_true", help="a rehearsal: nobody moves power, nothing is paid")
    create.add_argument("--text", default="", help="for people")
    create.add_argument("--key", help="idempotency key (default: a new one; it is printed)")


def is_asked_again(args: argparse.Namespace, body: dict[str, Any], asked: dict[str, Any]) -> bool:
    """Whether a request is what these words asked earlier: what is said as a span from now was another time then."""
    from_now: frozenset[str] = getattr(args, "from_now", frozenset())
    loose = {"starts_at", "ends_at"} if args.start is None or "start" in from_now else set()
    loose |= {"gate_closure_at"} if args.gate is None or "gate" in from_now else set()
    loose |= {"decision_deadline"} if args.decide is None or "decide" in from_now else set()
    same = all(asked.get(name) == value for name, value in body.items() if name not in loose)
    return same and _length(asked) == _length(body)


def _length(body: dict[str, Any]) -> timedelta:
    starts_at, ends_at = (datetime.fromisoformat(body[name]) for name in ("starts_at", "ends_at"))
    return ends_at - starts_at


def body_of(args: argparse.Namespace, now: datetime, terms: ProductTerms | None = None) -> dict[str, Any]:
    """The request's body; what its product's terms have as usual may be left out.

    Raises Failed where no deadline fits between now and the start.
    """
    times = _Times.of(args, {} if terms is None else terms.usual())
    gate, decide, starts_at = _moments(args, now, times, at_once=terms is not None and terms.from_standing is True)
    body = {
        "zone": args.zone,
        "direction": "LOAD_DECREASE" if args.down else "LOAD_INCREASE",
        "power_w": args.down or args.up,
        "starts_at": rfc(starts_at),
        "ends_at": rfc(starts_at + args.length),
        "gate_closure_at": rfc(gate),
        "decision_deadline": rfc(decide),
        "purpose": args.purpose,
        "text": args.text,
        "clearing_mode": "BY_HAND" if args.by_hand else "AUTOMATIC",
        "run_mode": "DRY_RUN" if args.dry_run else "LIVE",
        "visibility": "LISTED" if args.only else "PUBLIC",
        "audience": args.only or [],
    }
    optional = {
        "price_cap_per_mwh": args.cap,
        "deficiency_price_per_mwh": args.deficiency,
        "min_quantity_w": args.min,
        "pricing": args.pricing,
        "product": args.product,
        "respond_within_s": times.said("respond_within_s", args.respond),
        "full_activation_s": times.said("full_activation_s", args.activation),
        "max_notice_s": None if "max_notice_s" in times.usual else int(times.activation.total_seconds()),
    }
    return body | {name: value for name, value in optional.items() if value is not None}


class _Times(NamedTuple):
    """How long a site has for its answer, and from the order to full power."""

    respond: timedelta
    activation: timedelta
    usual: Mapping[str, int]

    @classmethod
    def of(cls, args: argparse.Namespace, usual: Mapping[str, int]) -> _Times:
        respond, activation = (usual.get(name, other) for name, other in _UNSAID.items())
        said = args.respond or timedelta(seconds=respond), args.activation or timedelta(seconds=activation)
        return cls(*said, usual)

    def said(self, name: str, by_hand: timedelta | None) -> int | None:
        """In seconds; None where it is the product's to say."""
        if by_hand is not None:
            return int(by_hand.total_seconds())
        return None if name in self.usual else _UNSAID[name]


def _moments(
    args: argparse.Namespace, now: datetime, times: _Times, *, at_once: bool
) -> tuple[datetime, datetime, datetime]:
    """Gate, deadline and start. Raises Failed."""
    if at_once:
        gate = args.gate or now + _AT_ONCE
        decide = args.decide or gate + _AT_ONCE
        starts_at = args.start or _rounded_up(decide + times.respond + times.activation)
        _must_be_reachable(args, now, starts_at, decide, times)
        return gate, decide, starts_at
    if args.start is None:
        expected = "when full power is wanted; only a product that is cleared at once does without"
        raise Failed(USAGE, f"--start: expected {expected}, got nothing")
    latest = args.start - times.respond - times.activation
    _must_be_reachable(args, now, args.start, args.decide or (args.gate or now + _DECIDE / 2) + _DECIDE, times)
    gate = args.gate or now + (latest - now) / 3
    return gate, args.decide or gate + _DECIDE, args.start


def _rounded_up(moment: datetime) -> datetime:
    """To a whole second."""
    return moment if not moment.microsecond else moment.replace(microsecond=0) + timedelta(seconds=1)


def _must_be_reachable(
    args: argparse.Namespace, now: datetime, starts_at: datetime, decided: datetime, times: _Times
) -> None:
    if decided + times.respond + times.activation <= starts_at:
        return
    is_past = starts_at <= now
    for option, said in (("--gate", args.gate), ("--decide", args.decide)):
        if said is not None and said >= starts_at and not is_past:
            raise Failed(USAGE, f"{option} {rfc(said)} is too late: expected a time before the start, {rfc(starts_at)}")
    # Who reads this types it: the start that is named is a whole minute, and still in time a minute from now.
    typed = (decided + times.respond + times.activation + 2 * timedelta(minutes=1)).replace(second=0, microsecond=0)
    wrong = f"in the past, it is {rfc(now)}" if is_past else "too soon"
    raise Failed(
        USAGE,
        f"--start {rfc(starts_at)} is {wrong}: between decision and start an order needs {_words(times.respond)}"
        f" to be answered and {_words(times.activation)} to reach full power; start at"
        f" {rfc(typed)} or later, or shorten --respond or --activation",
    )


def _words(length: timedelta) -> str:
    return in_units(int(length.total_seconds()), SPANS)
