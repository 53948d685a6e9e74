"""The three data centers' planners: what each can do, what it asks for it, and how it answers. Decisions only.

What a planner decides comes from the fields of the record before it and from its own plan, never from when a frame
arrived. Each moves only work that would not have moved anyway: what its own flexibility can do at these prices is in
its baseline already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

from gridsignal_schemas.messages import (
    Direction,
    DispatchOrder,
    DispatchRequest,
    Flexibility,
    FlexibilityKind,
    Rebound,
    SpotPrice,
    Workload,
)
from gridsignal_services.demo.load import SLOT_MIN, Load
from gridsignal_services.demo.story import Span, Story

CENT = Decimal("0.01")
SHORT_NOTICE_S = 600
"""Calls that must be answered within ten minutes cost twice as much: somebody has to stand by."""


@dataclass(frozen=True, slots=True)
class Bid:
    """One offer to be made."""

    name: str
    power_w: int
    price_per_mwh: Decimal
    flexibility: Flexibility
    terms: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a site says to an order: so many watts, or none."""

    accepted_w: int
    reason_code: str = ""
    reason: str = ""


class Planner(Protocol):
    """One data center."""

    @property
    def sites(self) -> Sequence[str]:
        """Its connection points; the first one offers."""

    @property
    def zones(self) -> Sequence[str]:
        """Where they lie, and so the prices it needs."""

    @property
    def loads(self) -> Mapping[str, Load]:
        """What each of its sites draws."""

    def plan(self, curves: Mapping[str, SpotPrice]) -> None:
        """Plans the day and declares the baselines, once the prices of its zones are known."""

    def bids(self, request: DispatchRequest) -> list[Bid]:
        """What it offers for a request; nothing where it can't help."""

    def answer(self, order: DispatchOrder) -> Answer | None:
        """What it says to an order; None where nobody answers."""

    def follow(self, order: DispatchOrder, accepted_w: int) -> None:
        """Moves the work, rebound included."""

    def tick(self, minute: int) -> None:
        """What happens at the site at this minute of the day."""


@dataclass(slots=True)
class Desk:
    """What every planner knows: the day, and how its prices come about."""

    story: Story
    factor: Decimal
    """From the seed: prices of different seeds differ a little."""

    def minute(self, when: datetime) -> int:
        """Minutes since the start of the market day."""
        return (when - self.story.midnight) // timedelta(minutes=1)

    def moment(self, minute: int) -> datetime:
        """The instant of a minute of the market day."""
        return self.story.midnight + timedelta(minutes=minute)

    def price(self, request: DispatchRequest, curve: SpotPrice, *, effort: str, later: Decimal) -> Decimal:
        """What a site asks for: its effort, on top of what the energy is worth.

        Less load hands over energy that was bought day ahead, which is worth its price then; where the work costs more
        when it is done `later` (losses included), it is worth that. More load is given its energy by who asked.
        """
        urgent = 2 if request.full_activation_s <= SHORT_NOTICE_S else 1
        worth = Decimal(0)
        if request.direction is Direction.LOAD_DECREASE:
            worth = max(mean_price(curve, *self.window(request)), later)
        return (worth + Decimal(effort) * urgent * self.factor).quantize(CENT)

    def issued_min(self, order: DispatchOrder, respond_within_s: int) -> int:
        """When the order was issued, from its own fields."""
        return self.minute(order.respond_by - timedelta(seconds=respond_within_s))

    def window(self, record: DispatchRequest | DispatchOrder) -> tuple[int, int]:
        """The period in minutes of the day."""
        ends_at = record.ends_at
        assert ends_at is not None, "requests and orders of this day have an end"
        return self.minute(record.starts_at), self.minute(ends_at)


def sign(direction: Direction) -> int:
    """+1 where the load rises, -1 where it falls."""
    return 1 if direction is Direction.LOAD_INCREASE else -1


def cheapest_slots(curve: SpotPrice, from_min: int, to_min: int, count: int) -> list[int]:
    """The cheapest quarter hours of a window, earlier ones first where prices are equal."""
    per_slot = curve.resolution_s // 60 // SLOT_MIN
    slots = range(from_min // SLOT_MIN, to_min // SLOT_MIN)
    return sorted(slots, key=lambda slot: (curve.prices_per_mwh[slot // per_slot] or Decimal(0), slot))[:count]


def mean_price(curve: SpotPrice, from_min: int, to_min: int) -> Decimal:
    """The mean day-ahead price between two minutes of the day."""
    length_min = curve.resolution_s // 60
    total = Decimal(0)
    for at, price in enumerate(curve.prices_per_mwh):
        overlap = min(to_min, (at + 1) * length_min) - max(from_min, at * length_min)
        total += (price or Decimal(0)) * max(0, overlap)
    return total / (to_min - from_min)


def within(minute: int, span: Span) -> bool:
    """Whether a minute of the day lies in a span."""
    return span[0] <= minute < span[1]


def time_shift(workload: Workload, rebound: Rebound, complete_by: datetime) -> Flexibility:
    """Work that waits or is done earlier, and is done by its deadline."""
    return Flexibility(kind=FlexibilityKind.SHIFT_TIME, workload=workload, complete_by=complete_by, rebound=rebound)
