"""Plants that obey their orders, from outside: setpoints that ramp, and power that follows late and with noise."""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from benchmarks.grid_day import FIRST, GridDay
from gridsignal_schemas.messages import AreaRegistration, DispatchOrder, OrderState
from gridsignal_schemas.rules.lifecycle import ORDER_NEVER_HELD

STEP_S = 10
_STEPS = 6 * 3600 // STEP_S
_NOISE = 0.0005
"""Of an order's power, from step to step, while nothing moves."""


class Plants:
    """What every order of a day makes its site draw less or more, every ten seconds from FIRST on."""

    def __init__(self, day: GridDay) -> None:
        self._chance = random.Random(day.chance.random())
        self._day = day
        self._power: dict[str, list[list[float]]] = {}
        for order_id, revisions in day.revisions().items():
            if order_id in day.accepted:
                site = revisions[0][1].site
                self._power.setdefault(site, []).append(self._followed(order_id, revisions))

    def _followed(self, order_id: str, revisions: list[tuple[datetime, DispatchOrder]]) -> list[float]:
        """In watts against the baseline. Of a plant that tripped what it does from then on is no order's."""
        order = revisions[0][1]
        option, rebound = self._day.option_of(order)
        most = order.max_ramp_w_per_min or max(option.ramp_down_w_per_min, option.ramp_up_w_per_min)
        down, up = min(most, option.ramp_down_w_per_min), min(most, option.ramp_up_w_per_min)
        late = timedelta(seconds=self._chance.uniform(0, 15))
        comes_at = None if rebound is None else rebound.earliest + (rebound.latest - rebound.earliest) / 3
        follows = 1 - math.exp(-STEP_S / self._chance.uniform(2, 12))
        tripped_at = self._day.tripped.get(order_id)
        newest, told_at, setpoint, power = order, revisions[0][0], 0.0, 0.0
        found: list[float] = []
        ahead = deque(revisions)
        for at in range(_STEPS):
            now = FIRST + timedelta(seconds=at * STEP_S)
            if tripped_at is not None and now >= tripped_at:
                found += [power] * (_STEPS - at)
                break
            while ahead and ahead[0][0] <= now:
                told_at, newest = ahead.popleft()
            target = self._target(newest, told_at, now - late, down, setpoint)
            if rebound is not None and comes_at is not None and target == 0 and setpoint >= 0:
                restores_at = max(newest.ends_at or now, newest.restore_not_before or now)
                is_over = newest.state in ORDER_NEVER_HELD
                target = rebound.peak_w if not is_over and max(comes_at, restores_at) <= now < rebound.latest else 0
            step = max(-down * STEP_S / 60, min(up * STEP_S / 60, target - setpoint))
            setpoint += step
            noise = self._chance.gauss(0, _NOISE * order.power_w) if setpoint and not step else 0
            power += (setpoint + noise - power) * follows
            found.append(power)
        return found

    def _target(self, order: DispatchOrder, told_at: datetime, now: datetime, down: int, setpoint: float) -> float:
        if order.state in (OrderState.REFUSED, OrderState.VOIDED):
            return 0
        if order.state is OrderState.CANCELLED:
            return setpoint if now < max(told_at, order.restore_not_before or told_at) else 0
        begins_at = order.starts_at - timedelta(seconds=math.ceil(order.power_w * 60 / down))
        restores_at = max(order.ends_at or now, order.restore_not_before or order.ends_at or now)
        return -order.power_w if begins_at <= now < restores_at else 0

    def reached(self, area: AreaRegistration) -> Iterator[tuple[str, float, int]]:
        """Each limit of an area with the most that was reached of it."""
        curves = [curve for site in area.sites for curve in self._power.get(site, ())]
        total = [sum(steps) for steps in zip(*curves, strict=True)] if curves else [0.0]
        minute = 60 // STEP_S
        if area.max_ramp_down_w_per_min is not None:
            yield (
                "max_ramp_down_w_per_min",
                _most(total, minute, max, lambda now, was: was - now),
                area.max_ramp_down_w_per_min,
            )
        if area.max_ramp_up_w_per_min is not None:
            yield (
                "max_ramp_up_w_per_min",
                _most(total, minute, min, lambda now, was: now - was),
                area.max_ramp_up_w_per_min,
            )
        if area.max_change_w is not None and area.window_s is not None:
            window = area.window_s // STEP_S
            yield "max_change_w", _most(total, window, max, lambda now, was: was - now), area.max_change_w
            yield "max_change_w", _most(total, window, min, lambda now, was: now - was), area.max_change_w


def _most(
    total: list[float], window: int, best: Callable[[float, float], float], change: Callable[[float, float], float]
) -> float:
    """The largest change from any moment to any later one within a window."""
    kept: deque[tuple[int, float]] = deque()
    found = 0.0
    for at, power in enumerate(total):
        while kept and kept[0][0] < at - window:
            kept.popleft()
        while kept and best(kept[-1][1], power) == power:
            kept.pop()
        kept.append((at, power))
        found = max(found, change(power, kept[0][1]))
    return found
