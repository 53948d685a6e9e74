"""The operations that regulate: setpoints to sites that hold an order, every few seconds.

An operator's EMS sends one cycle of all its orders in batches over one HTTP connection that it keeps open. A request
is answered once the log has it, so that the EMS hears at once what was not taken, and is slowed down like any writer.
"""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Request

from gridsignal_schemas.messages import RegulationSetpoint
from gridsignal_schemas.rules.faults import fault
from gridsignal_services.access import Principal
from gridsignal_services.dispatch.door import Door, owns
from gridsignal_services.dispatch.examples import CYCLE, SETPOINTS, takes
from gridsignal_services.dispatch.setpoints import (
    CycleBody,
    NotSent,
    OrderLevel,
    OrderSetpointsBody,
    Sent,
    order_faults,
    setpoint_faults,
    setpoint_of,
)
from gridsignal_services.ledger.tracked import TrackedOrder
from gridsignal_services.rest import problems


def routes(door: Door) -> APIRouter:
    """The router of /v1/regulation."""
    router = APIRouter(prefix="/v1/regulation", tags=["regulation"])
    _of_order(router, door)
    _of_cycle(router, door)
    return router


def _of_order(router: APIRouter, door: Door) -> None:
    @router.post(
        "/{order_id}/setpoints", summary="Regulate an order", openapi_extra=takes(OrderSetpointsBody, SETPOINTS)
    )
    async def of_order(order_id: str, request: Request) -> Sent:
        """Sends setpoints to the site of one of your orders that it has accepted. The site follows the newest; one that
        comes behind a later cycle, or is over, reaches nobody."""
        who = door.operator(request)
        _, tracked = await door.order(who, order_id, own=True)
        body = await door.body(request, OrderSetpointsBody, who)
        if faults := order_faults(tracked):
            raise problems.conflict(faults)
        now, made = door.clock.now(), list[RegulationSetpoint]()
        for place, each in enumerate(body.setpoints):
            made.append(setpoint_of(tracked, each, body.cycle_s))
            if faults := setpoint_faults(tracked, made[-1], now):
                at = f"/setpoints/{place}"
                raise problems.invalid([one.model_copy(update={"pointer": f"{at}{one.pointer}"}) for one in faults])
        await door.setpoints.send(made, who, door.work(who))
        return Sent(logged=len(made), refused=[])


def _of_cycle(router: APIRouter, door: Door) -> None:
    @router.post("/setpoints", summary="Regulate many orders", openapi_extra=takes(CycleBody, CYCLE))
    async def of_cycle(request: Request) -> Sent:
        """Sends one cycle to the sites of many of your orders. What is wrong with one of them is told, and keeps no
        other back."""
        who = door.operator(request)
        body = await door.body(request, CycleBody, who)
        await door.replica.whole()
        work, now = door.work(who), door.clock.now()
        found = await work.each(body.setpoints, lambda each: _judged(door, who, body, each, now))
        made = [each for each in found if isinstance(each, RegulationSetpoint)]
        await door.setpoints.send(made, who, work)
        return Sent(logged=len(made), refused=[each for each in found if isinstance(each, NotSent)])


def _judged(
    door: Door, who: Principal, body: CycleBody, each: OrderLevel, now: datetime
) -> RegulationSetpoint | NotSent:
    """One order's setpoint of a cycle, or what is wrong with it."""
    tracked = _own_order(door, who, each.order_id)
    if tracked is None:
        unknown = fault("ORDER_UNKNOWN", "", "expected an order of yours, got none of this id")
        return NotSent(order_id=each.order_id, errors=[unknown])
    setpoint = setpoint_of(tracked, body.of(each), body.cycle_s)
    faults = order_faults(tracked) or setpoint_faults(tracked, setpoint, now)
    return NotSent(order_id=each.order_id, errors=faults) if faults else setpoint


def _own_order(door: Door, who: Principal, order_id: str) -> TrackedOrder | None:
    for ledger in door.ledgers():
        tracked = ledger.orders.get(order_id)
        if tracked is not None and owns(who, ledger.requests[tracked.order.request_id]):
            return tracked
    return None
