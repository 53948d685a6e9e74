"""What an operator sends to sites that regulate, as records for the log; and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import OrderState, RegulationSetpoint
from gridsignal_schemas.messages.regulation import MISSED_CYCLES, Cycle, CycleNumber, Level
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.values import Identifier, Power, Shape, Timestamp, rfc3339
from gridsignal_services.ledger.tracked import TrackedOrder

MOST_OF_ORDER, MOST_OF_CYCLE = 100, 500
AHEAD = timedelta(minutes=1)
_TwoOrFour = Annotated[Cycle, Field(multiple_of=2)]
_HELD = (OrderState.ACCEPTED, OrderState.ACTIVE, OrderState.SUSTAINING)


class SetpointBody(Shape):
    """One cycle of one order."""

    cycle_no: CycleNumber
    """Rises with each setpoint of the order."""
    level_ppm: Level
    """Millionths of the order's power; positive draws less."""
    base_w: Power
    """The power that is regulated about, in watts; at least the order's."""
    target_at: Timestamp
    """When the site is to be there: within the order's period, and at most a minute from now."""
    valid_until: Timestamp | None = None
    """Nobody is sent it after that; null: three cycles after target_at, and never later."""


class OrderSetpointsBody(Shape):
    """Cycles of one order; the site is sent the newest of those that wait for it."""

    cycle_s: _TwoOrFour
    """2 or 4."""
    setpoints: Annotated[list[SetpointBody], Field(min_length=1, max_length=MOST_OF_ORDER)]


class OrderLevel(Shape):
    """Where in the band of one order its site is to be."""

    order_id: Identifier
    level_ppm: Level
    base_w: Power


class CycleBody(Shape):
    """One cycle of many orders."""

    cycle_s: _TwoOrFour
    """2 or 4."""
    cycle_no: CycleNumber
    target_at: Timestamp
    valid_until: Timestamp | None = None
    setpoints: Annotated[list[OrderLevel], Field(min_length=1, max_length=MOST_OF_CYCLE)]

    def of(self, each: OrderLevel) -> SetpointBody:
        """One of its orders' setpoints."""
        return SetpointBody(
            cycle_no=self.cycle_no,
            level_ppm=each.level_ppm,
            base_w=each.base_w,
            target_at=self.target_at,
            valid_until=self.valid_until,
        )


class NotSent(Shape):
    """A setpoint that was not put on the log, and why."""

    order_id: Identifier
    errors: list[Detail]


class Sent(Shape):
    """What became of a batch."""

    logged: int
    """Setpoints that are on the log."""
    refused: list[NotSent]
    """The others: what is wrong with one keeps none of the rest back."""


def setpoint_of(tracked: TrackedOrder, body: SetpointBody, cycle_s: int) -> RegulationSetpoint:
    """The record for the log: addressed to the site of the order."""
    order = tracked.order
    return RegulationSetpoint(
        zone=order.zone,
        request_id=order.request_id,
        participant=order.participant,
        site=order.site,
        order_id=order.order_id,
        cycle_s=cycle_s,
        cycle_no=body.cycle_no,
        level_ppm=body.level_ppm,
        base_w=body.base_w,
        target_at=body.target_at,
        valid_until=body.valid_until or body.target_at + MISSED_CYCLES * timedelta(seconds=cycle_s),
    )


def order_faults(tracked: TrackedOrder) -> list[Detail]:
    """Why an order can't be regulated now."""
    if tracked.state in _HELD:
        return []
    return [fault("ORDER_NOT_HELD", "", f"expected an order that is accepted and not over, got {tracked.state}")]


def setpoint_faults(tracked: TrackedOrder, setpoint: RegulationSetpoint, now: datetime) -> list[Detail]:
    """Everything that is wrong with a setpoint of an order that can be regulated."""
    return list(_setpoint_faults(tracked, setpoint, now))


def _setpoint_faults(tracked: TrackedOrder, setpoint: RegulationSetpoint, now: datetime) -> Iterator[Detail]:
    order, target_at, until = tracked.order, setpoint.target_at, setpoint.valid_until
    latest = target_at + MISSED_CYCLES * timedelta(seconds=setpoint.cycle_s)
    if target_at < order.starts_at or (order.ends_at is not None and target_at >= order.ends_at):
        message = f"expected a time within the order's period, got {rfc3339(target_at)}"
        yield fault("SETPOINT_PERIOD", "/target_at", message)
    elif target_at > now + AHEAD:
        message = f"expected a time until {rfc3339(now + AHEAD)}, got {rfc3339(target_at)}"
        yield fault("SETPOINT_PERIOD", "/target_at", message)
    if not target_at < until <= latest:
        message = f"expected a time after target_at and until {rfc3339(latest)}, got {rfc3339(until)}"
        yield fault("SETPOINT_VALIDITY", "/valid_until", message)
    elif until <= now:
        message = f"expected a time after {rfc3339(now)}, got {rfc3339(until)}"
        yield fault("SETPOINT_STALE", "/valid_until", message)
    if setpoint.base_w < tracked.power_w:
        message = f"expected at least the order's {tracked.power_w} W, got {setpoint.base_w}"
        yield fault("SETPOINT_BASE", "/base_w", message)
