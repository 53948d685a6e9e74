"""`gridsignal offer stand`: an offer that answers any request of a product while it stands."""

from __future__ import annotations

import argparse
import re
from decimal import Decimal
from typing import Any

from gridsignal.cli.arguments import identifier, moment, power_w, price, span, whole
from gridsignal_schemas.messages import DailyHours, FlexOffer

WORDS = {
    "": "PRODUCT",
    "standing": "PRODUCT",
    "product": "PRODUCT",
    "currency": "--currency",
    "hours": "--hours",
    "offer_id": "--offer-id",
    "revision": "--revision",
    "site": "--site",
    "power_w": "--power",
    "price_per_mwh": "--price",
    "notice_s": "--notice",
    "full_activation_s": "--activation",
    "ramp_down_w_per_min": "--activation",
    "ramp_up_w_per_min": "--activation",
    "max_duration_s": "--most",
    "rest_s": "--rest",
    "max_activations_per_day": "--per-day",
    "divisible": "--indivisible",
    "min_power_w": "--power",
    "starts_at": "--until",
    "ends_at": "--until",
    "expires_at": "--until",
}
"""What says each field of a standing offer."""
_HOURS = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")


def add_arguments(stand: argparse.ArgumentParser) -> None:
    """The arguments of the offer."""
    stand.add_argument("product", metavar="PRODUCT", help="as `gridsignal request products` shows it")
    stand.add_argument("--power", type=power_w, required=True, metavar="POWER", help="such as 12MW or 500kW")
    stand.add_argument("--price", type=price, required=True, metavar="PRICE", help="per MWh, such as 300")
    stand.add_argument("--currency", type=_currency, required=True, metavar="CODE", help="of the price, such as EUR")
    stand.add_argument(
        "--until", type=moment, required=True, metavar="TIME", help="how long it stands: +30d, or a time"
    )
    stand.add_argument("--most", type=span, required=True, metavar="SPAN", help="a call lasts no longer than this")
    stand.add_argument("--activation", type=span, default=span("2m"), metavar="SPAN", help="order to full power (2m)")
    stand.add_argument("--notice", type=span, metavar="SPAN", help="before anything changes (none)")
    stand.add_argument("--rest", type=span, metavar="SPAN", help="pause between two calls")
    stand.add_argument("--per-day", type=whole(1, 1440), metavar="N", help="calls in a day at most")
    daily = "every day in these hours of UTC alone, such as 17:00-22:00 (may be repeated)"
    stand.add_argument("--hours", type=_hours, action="append", metavar="FROM-TO", help=daily)
    stand.add_argument("--indivisible", action="store_true", help="all of it or nothing")
    stand.add_argument("--offer-id", type=identifier, metavar="ID", help="your own (the site's one for the product)")
    stand.add_argument(
        "--revision", type=whole(1, 50), default=1, metavar="N", help="of a change, one more than before (1)"
    )


def said(args: argparse.Namespace) -> dict[str, Any]:
    """The fields that the words say."""
    terms: dict[str, Any] = {"divisible": not args.indivisible}
    if args.notice is not None:
        terms["notice_s"] = int(args.notice.total_seconds())
    if args.rest is not None:
        terms["rest_s"] = int(args.rest.total_seconds())
    if args.per_day is not None:
        terms["max_activations_per_day"] = args.per_day
    return terms | {
        "currency": args.currency,
        "ends_at": args.until,
        "full_activation_s": int(args.activation.total_seconds()),
        "max_duration_s": int(args.most.total_seconds()),
        "hours": args.hours or (),
        "revision": args.revision,
    }


def is_said_again(args: argparse.Namespace, offer: FlexOffer) -> bool:
    """Whether these words have made this offer, when `--until +30d` was another time."""
    terms, option = said(args), offer.options[0]
    of_offer = {
        "revision": offer.revision,
        "currency": offer.standing and offer.standing.currency,
        "hours": offer.standing and (offer.standing.hours or ()),
    }
    usual = {"notice_s": 0, "rest_s": None, "max_activations_per_day": None}
    of_option = usual | {name: value for name, value in terms.items() if name not in {*of_offer, "ends_at"}}
    return (
        "until" in getattr(args, "from_now", ())
        and (offer.site, option.power_w, option.price_per_mwh) == (args.site, args.power, Decimal(args.price))
        and all(terms[name] == was for name, was in of_offer.items())
        and all(getattr(option, name) == value for name, value in of_option.items())
    )


def stands_otherwise(args: argparse.Namespace, offer: FlexOffer) -> str:
    """What to do where the offer stands with other terms."""
    if args.revision != offer.revision:
        stands = f"it stands in revision {offer.revision}, the next one is {offer.revision + 1}"
        return f"--revision: expected {offer.revision + 1}, got {args.revision}: {stands}"
    said = f"you stand by for {offer.standing.product if offer.standing else args.product} with other terms"
    return f"{said} (revision {offer.revision}): to change them add --revision {offer.revision + 1}"


def _currency(text: str) -> str:
    if not re.fullmatch("[A-Z]{3}", text.upper()):
        raise argparse.ArgumentTypeError(f"expected a currency's three letters such as EUR, got {text!r:.40}")
    return text.upper()


def _hours(text: str) -> DailyHours:
    """Raises ArgumentTypeError."""
    found = _HOURS.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        hours, minutes, to_hours, to_minutes = map(int, found.groups())
        return DailyHours(from_s=hours * 3600 + minutes * 60, to_s=to_hours * 3600 + to_minutes * 60)
    except ValueError:
        expected = f"expected hours of the day such as 17:00-22:00, got {text!r:.40}"
        raise argparse.ArgumentTypeError(expected) from None
