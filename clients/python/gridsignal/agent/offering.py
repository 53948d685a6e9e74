"""What the site offers on a request, and what of an order it can keep. Decisions: values in, values out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_UP, Decimal
from typing import NamedTuple

from gridsignal.agent.actuators import Observed
from gridsignal.agent.config import Offers
from gridsignal.agent.schedule import Schedule
from gridsignal.agent.words import power
from gridsignal_schemas.messages import Direction, DispatchOrder, DispatchRequest, RunMode
from gridsignal_schemas.values import text_of_decimal


@dataclass(frozen=True, slots=True)
class Promise:
    """Power that stands in an offer or an order."""

    starts_at: datetime
    ends_at: datetime | None
    watts: int
    request_id: str | None = None
    """The request that it is offered on."""
    is_dry: bool = False
    """It moves nothing: what is real has room beside it."""


class Proposal(NamedTuple):
    """What is offered, or why nothing is."""

    watts: int
    why_not: str = ""
    lacks_room: bool = False
    """Nothing is in the way but what is promised."""


def proposed(
    request: DispatchRequest, offers: Offers, promised: Iterable[Promise], room_w: int | None, now: datetime
) -> Proposal:
    """The most that may be offered on a request: within what is configured, less what is promised for its time.

    A dry run sees what is real; what is real sees no dry run.
    `room_w` is what the actuator can shed beyond what it sheds; None where it does not tell.
    """
    if request.direction is not Direction.LOAD_DECREASE:
        return Proposal(0, "it asks for more load")
    if now >= request.gate_closure_at:
        return Proposal(0, "its gate has closed")
    if request.currency != offers.currency:
        return Proposal(0, f"its currency is {request.currency}, and the price is in {offers.currency}")
    if request.ends_at - request.starts_at > timedelta(seconds=offers.longest_s):
        return Proposal(0, "it is too long")
    is_dry = request.run_mode is RunMode.DRY_RUN
    taken_w = sum(
        each.watts
        for each in promised
        if (is_dry or not each.is_dry)
        and each.starts_at < request.ends_at
        and (each.ends_at is None or request.starts_at < each.ends_at)
    )
    most_w = offers.most_w if room_w is None else min(offers.most_w, room_w)
    watts = min(request.power_w, most_w - taken_w)
    least_w = max(offers.least_w, request.min_quantity_w)
    if watts >= least_w:
        return Proposal(watts)
    why_not = f"{power(max(0, watts))} is free, {power(least_w)} the least"
    return Proposal(0, why_not, lacks_room=min(request.power_w, most_w) >= least_w)


def too_dear(request: DispatchRequest, price_per_mwh: Decimal) -> str:
    """Why a request takes no offer at this price; empty: it does."""
    cap = request.price_cap_per_mwh
    if cap is None or price_per_mwh <= cap:
        return ""
    return f"its price cap is {text_of_decimal(cap)}, and the price {text_of_decimal(price_per_mwh)}"


def price_on(ladder: Iterable[tuple[int, float]], watts: int, offers: Offers) -> Decimal:
    """What so many watts cost at least on a ladder of watts and prices per MWh, in hundredths rounded up."""
    price = next((price for power_w, price in ladder if power_w >= watts), 0.0)
    return max(offers.price_per_mwh, Decimal(price).quantize(Decimal("0.01"), ROUND_UP))


def possible_w(order: DispatchOrder, observed: Observed, schedule: Schedule) -> int:
    """How much of an order the actuator can hold beside what the schedule asks of it in the order's time."""
    if order.direction is Direction.LOAD_INCREASE or observed.room_w is None:
        return order.power_w
    taken_w = max(
        (
            slot.shed_w
            for slot in schedule.slots
            if order.starts_at < slot.ends_at and (order.ends_at is None or slot.starts_at < order.ends_at)
        ),
        default=0,
    )
    return max(0, min(order.power_w, observed.shed_w + observed.room_w - max(0, taken_w)))
