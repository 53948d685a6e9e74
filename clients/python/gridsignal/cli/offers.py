"""`gridsignal offer list`: where the offers stand that are not over."""

from __future__ import annotations

import argparse
import json
from typing import Any

from gridsignal import MW, FlexOffer
from gridsignal.__main__ import OK
from gridsignal.cli.connection import open_grid, tell
from gridsignal.cli.tables import period, show_rows, when
from gridsignal.offers import LONG_AGO
from gridsignal.standing import OfferStatus
from gridsignal_schemas.sheets import Sheet

_SHEET = Sheet("", (*FlexOffer.model_fields, "state", "awarded_w", "receipt"), "offer")
_HEADINGS = ("offer", "state", "request", "product", "site", "price", "power", "from", "to", "awarded", "expires")


async def run(args: argparse.Namespace) -> int:
    """Shows what `Grid.offers` tells."""
    async with open_grid(args) as grid:
        offers = await grid.offers()
    if offers.more:
        tell("there are more offers than one answer holds; these are the oldest")
    if args.json:
        for offer in offers:
            print(json.dumps(_view(offer), separators=(",", ":")))
    elif args.csv:
        print(_SHEET.text(list(map(_view, offers))), end="")
    else:
        show_rows("offers", _HEADINGS, list(map(_row, offers)))
    return OK


def _view(status: OfferStatus) -> dict[str, Any]:
    return {
        "offer": status.offer.model_dump(mode="json"),
        "state": status.state,
        "awarded_w": status.awarded_w,
        "receipt": status.receipt and status.receipt.model_dump(mode="json", exclude_none=True),
    }


def _row(status: OfferStatus) -> tuple[str, ...]:
    offer = status.offer
    option = offer.options[0]
    return (
        offer.offer_id,
        status.state,
        offer.request_id or "-",
        "" if offer.standing is None else offer.standing.product,
        offer.site,
        f"{option.price_per_mwh:f}",
        f"{option.power_w / MW:g} MW",
        *period(None if option.starts_at == LONG_AGO else option.starts_at, option.ends_at, offer.zone),
        "" if status.awarded_w is None else f"{status.awarded_w / MW:g} MW",
        when(offer.expires_at, offer.zone),
    )
