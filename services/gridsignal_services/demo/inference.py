"""An inference fleet that shifts to another zone: requests are answered where power is to be had."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal

from gridsignal_schemas.messages import (
    Direction,
    DispatchOrder,
    DispatchRequest,
    Flexibility,
    FlexibilityKind,
    SpotPrice,
    Workload,
)
from gridsignal_schemas.values import MW
from gridsignal_services.demo.load import SLOT_MIN, SLOTS, Load, trapezoid
from gridsignal_services.demo.planners import Answer, Bid, Desk, mean_price, sign, within
from gridsignal_services.demo.story import NEIGHBOUR, ZONE

HERE, THERE = "ber-1", "par-1"
BLOCK_W = 6 * MW
FREE_W = 4 * MW
RAMP_W_PER_MIN = 3 * MW
DETOUR = 1.03
"""Answers from farther away take more network and less full batches."""


class Inference:
    """ber-1 and par-1. Four megawatts follow the cheaper zone anyway; two blocks more move when an order pays."""

    def __init__(self, desk: Desk) -> None:
        self.sites, self.zones = (HERE, THERE), (ZONE, NEIGHBOUR)
        self.loads = {HERE: Load(HERE, _daily(34, 5)), THERE: Load(THERE, _daily(28, 4))}
        self._desk, self._mishaps = desk, desk.story.mishaps
        self._curves: Mapping[str, SpotPrice] = {}
        self._respond_s: dict[str, int] = {}

    def plan(self, curves: Mapping[str, SpotPrice]) -> None:
        self._curves = curves
        here, there = (self.loads[site].baseline_w for site in (HERE, THERE))
        for slot in range(SLOTS):
            hour = slot * SLOT_MIN // 60
            cheaper_here = _known(curves[ZONE], hour) <= _known(curves[NEIGHBOUR], hour)
            (here if cheaper_here else there)[slot] += FREE_W

    def bids(self, request: DispatchRequest) -> list[Bid]:
        flexibility = Flexibility(
            kind=FlexibilityKind.SHIFT_SITE,
            workload=Workload.INFERENCE,
            shift_to_zone=NEIGHBOUR,
            counterpart_power_w=int(BLOCK_W * DETOUR),
        )
        terms = {
            "notice_s": 60,
            "min_power_w": MW,
            "ramp_down_w_per_min": RAMP_W_PER_MIN,
            "ramp_up_w_per_min": RAMP_W_PER_MIN,
            "expires_at": request.ends_at,
        }
        self._respond_s[request.request_id] = request.respond_within_s
        up = request.direction is Direction.LOAD_INCREASE
        there = mean_price(self._curves[NEIGHBOUR], *self._desk.window(request)) * Decimal(str(DETOUR))
        efforts = {"block-1": "26", "block-2": "38"} if up else {"block-1": "44", "block-2": "71"}
        prices = {
            name: self._desk.price(request, self._curves[ZONE], effort=effort, later=there)
            for name, effort in efforts.items()
        }
        return [Bid(name, BLOCK_W, price, flexibility, terms | {"option": name}) for name, price in prices.items()]

    def answer(self, order: DispatchOrder) -> Answer | None:
        issued = self._desk.issued_min(order, self._respond_s[order.request_id])
        if self._mishaps.blind_site == HERE and within(issued, self._mishaps.blind):
            return None
        return Answer(order.power_w)

    def follow(self, order: DispatchOrder, accepted_w: int) -> None:
        starts, ends = self._desk.window(order)
        way = sign(order.direction)
        self.loads[HERE].move(trapezoid(starts, ends, way * accepted_w, RAMP_W_PER_MIN))
        # the same requests cost a little more energy where they are answered from farther away
        there_w = accepted_w * DETOUR if way < 0 else accepted_w / DETOUR
        self.loads[THERE].move(trapezoid(starts, ends, -way * there_w, RAMP_W_PER_MIN))

    def tick(self, minute: int) -> None:
        """Nothing happens at these sites by themselves."""


def _daily(mean_mw: int, swing_mw: int) -> list[int]:
    """People ask most in the evening and least before dawn."""
    turn = 2 * math.pi / SLOTS
    return [int((mean_mw + swing_mw * math.sin(turn * (slot - 52))) * MW) // 1000 * 1000 for slot in range(SLOTS)]


def _known(curve: SpotPrice, hour: int) -> Decimal:
    price = curve.prices_per_mwh[hour * 3600 // curve.resolution_s]
    return Decimal(0) if price is None else price
