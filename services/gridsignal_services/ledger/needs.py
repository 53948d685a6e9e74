"""What an offer needs of its request, in a few numbers: enough to see that an amendment changes nothing for it, or that
others are cheaper whatever of it is called.

A request may have thousands of offers of eight options each, and a hundred revisions; each process reduces them all.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from gridsignal_schemas.messages import DispatchRequest, FlexOffer
from gridsignal_schemas.rules.offers import can_see


class Needs(NamedTuple):
    """The hardest of all its options, each way, and the lowest price."""

    last_start: datetime
    first_end: datetime
    notice_s: int
    full_activation_s: int
    price_per_mwh: Decimal
    least_price_per_mwh: Decimal
    least_w: int
    most_w: int
    rebound_w: int


def needs_of(offer: FlexOffer) -> Needs:
    """What all of its options need together."""
    options = offer.options
    prices = [option.price_per_mwh for option in options]
    return Needs(
        last_start=max(option.starts_at for option in options),
        first_end=min(option.ends_at for option in options),
        notice_s=max(option.notice_s for option in options),
        full_activation_s=max(option.full_activation_s for option in options),
        price_per_mwh=max(prices),
        least_price_per_mwh=min(prices),
        least_w=min(option.power_w for option in options),
        most_w=max(option.power_w for option in options),
        rebound_w=rebound.peak_w if (rebound := offer.flexibility.rebound) is not None else 0,
    )


def still_fits(request: DispatchRequest, offer: FlexOffer, needs: Needs, room_w: int | None) -> bool:
    """Whether a LIVE offer keeps to every rule of an amended request.

    `room_w` is what its site can still promise over the whole of the request's period. False says nothing: a part of
    the period may have more room, and which rule is broken is for the rules to say. What an option must be by itself
    and towards the request's direction was looked at when it came, and neither changes.
    """
    return (
        room_w is not None
        and needs.most_w <= room_w
        and needs.last_start < request.ends_at
        and needs.first_end > request.starts_at
        and needs.notice_s <= request.max_notice_s
        and needs.full_activation_s <= request.full_activation_s
        and (request.price_cap_per_mwh is None or needs.price_per_mwh <= request.price_cap_per_mwh)
        and needs.least_w >= request.min_quantity_w
        and (request.rebound_cap_w is None or needs.rebound_w <= request.rebound_cap_w)
        and can_see(request, offer.participant)
    )
