"""A colocation site with batteries: half of them trade on the day-ahead curve anyway, half wait for orders."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

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
from gridsignal_schemas.values import MW
from gridsignal_services.demo.load import MINUTES, SLOTS, Load, refill, trapezoid
from gridsignal_services.demo.planners import Answer, Bid, Desk, cheapest_slots, mean_price, sign, within
from gridsignal_services.demo.story import ZONE

SITE = "muc-1"
TENANTS_W, POWER_W = 16 * MW, 4 * MW
STORE_WH = 20 * MW
ONE_WAY = 0.94
"""Each way loses six percent."""
RAMP_W_PER_MIN = 4 * MW
RESTORE_FROM_MIN, RESTORE_TO_MIN = 21 * 60 + 45, 23 * 60 + 45
DECIDE_MIN = RESTORE_FROM_MIN - 15


class Batteries:
    """muc-1. By the end of the day the batteries hold what they held at its start."""

    def __init__(self, desk: Desk) -> None:
        self.sites, self.zones = (SITE,), (ZONE,)
        self.loads = {SITE: Load(SITE, [TENANTS_W] * SLOTS)}
        self._desk, self._mishaps = desk, desk.story.mishaps
        self._respond_s: dict[str, int] = {}
        self._drawn_wmin = 0.0
        """What the waiting half gave its store so far, in watt-minutes; negative: took from it."""
        self._under_way: list[tuple[int, int, float]] = []
        self._curve: SpotPrice | None = None

    def plan(self, curves: Mapping[str, SpotPrice]) -> None:
        baseline, curve = self.loads[SITE].baseline_w, curves[ZONE]
        self._curve = curve
        slots = cheapest_slots(curve, 0, MINUTES, SLOTS)
        for slot in slots[:8]:
            baseline[slot] += POWER_W
        for slot in slots[-8:]:
            baseline[slot] -= int(POWER_W * ONE_WAY * ONE_WAY)

    def bids(self, request: DispatchRequest) -> list[Bid]:
        self._respond_s[request.request_id] = request.respond_within_s
        flexibility = Flexibility(
            kind=FlexibilityKind.BATTERY,
            workload=Workload.OTHER,
            rebound=Rebound(
                energy_wh=int(STORE_WH / 2),
                peak_w=POWER_W,
                earliest=self._desk.moment(RESTORE_FROM_MIN),
                latest=self._desk.moment(RESTORE_TO_MIN),
            ),
        )
        terms = {
            "option": "battery",
            "notice_s": 10,
            "min_power_w": MW,
            "ramp_down_w_per_min": RAMP_W_PER_MIN,
            "ramp_up_w_per_min": RAMP_W_PER_MIN,
            "expires_at": request.ends_at,
        }
        assert self._curve is not None, "prices are out before anybody asks"
        up = request.direction is Direction.LOAD_INCREASE
        later = mean_price(self._curve, RESTORE_FROM_MIN, RESTORE_TO_MIN) / Decimal(str(ONE_WAY * ONE_WAY))
        price = self._desk.price(request, self._curve, effort="12" if up else "26", later=later)
        return [Bid("battery", POWER_W, price, flexibility, terms)]

    def answer(self, order: DispatchOrder) -> Answer | None:
        issued = self._desk.issued_min(order, self._respond_s[order.request_id])
        if self._mishaps.blind_site == SITE and within(issued, self._mishaps.blind):
            return None
        if within(issued, self._mishaps.warm):
            return Answer(0, "CELLS_TOO_WARM", "the cells are too warm to be used")
        if within(issued, self._mishaps.cooling):
            return Answer(order.power_w // 2, reason="half of the strings are cooling down")
        return Answer(order.power_w)

    def follow(self, order: DispatchOrder, accepted_w: int) -> None:
        starts, ends = self._desk.window(order)
        power = sign(order.direction) * accepted_w
        self._under_way.append((starts, ends, power))
        self._draw(self.loads[SITE].move(trapezoid(starts, ends, power, RAMP_W_PER_MIN)))

    def tick(self, minute: int) -> None:
        if minute == self._mishaps.trip_min:
            self._trip(minute)
        if minute == DECIDE_MIN:
            # back to what they held: the grid pays for the losses both ways
            energy = -self._drawn_wmin * (ONE_WAY if self._drawn_wmin > 0 else 1 / ONE_WAY)
            self.loads[SITE].move(refill(RESTORE_FROM_MIN, RESTORE_TO_MIN, energy, RAMP_W_PER_MIN))

    def _trip(self, minute: int) -> None:
        """Half of what is discharging is gone until the order ends; the meter shows it, nobody reports it."""
        for starts, ends, power in self._under_way:
            if power < 0 and starts <= minute < ends:
                whole = trapezoid(starts, ends, power, RAMP_W_PER_MIN)
                self._draw(self.loads[SITE].move([0.0] * minute + [-value / 2 for value in whole[minute:]]))

    def _draw(self, energy_wmin: float) -> None:
        self._drawn_wmin += energy_wmin * (ONE_WAY if energy_wmin > 0 else 1 / ONE_WAY)
