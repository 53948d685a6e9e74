"""The CO2 of a statement's orders, from what the carbon stream said by the time each of them ended.

Bounded: by the orders of a statement, and by what Archive reads for one answer. When full: Problem 422. Conflates:
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gridsignal_schemas.messages import Settlement
from gridsignal_schemas.reports import OrderCarbon, StatementCarbon
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.rules.vintages import Logged
from gridsignal_services.carbon.emissions import Over, Sweep, total_carbon
from gridsignal_services.dispatch.archive import TooMuch
from gridsignal_services.dispatch.door import Door
from gridsignal_services.dispatch.statement import StatementOrder
from gridsignal_services.rest import problems
from gridsignal_services.work import Work

_FEW = 32
"""Orders that are computed in a few milliseconds."""


async def with_carbon(
    door: Door, orders: Mapping[str, StatementOrder], work: Work
) -> tuple[dict[str, StatementOrder], list[StatementCarbon]]:
    """The same orders, those that are settled with their carbon, and the sums. Raises Problem 422, LogUnavailable."""
    found, totals, zones = dict(orders), list[StatementCarbon](), dict[str, list[Over]]()
    for order in orders.values():
        if order.settlement is not None:
            zones.setdefault(order.zone, []).append(_over(order, order.settlement))
    for zone, over in sorted(zones.items()):
        over.sort(key=lambda each: (each.ended_at, each.starts_at))
        logged = await _known(door, zone, over, work)
        pieces = await work.each_away(_swept(Sweep(logged), over))
        of = {order_id: carbon for piece in pieces for order_id, carbon in piece}
        for order_id, carbon in of.items():
            found[order_id] = found[order_id].model_copy(update={"carbon": carbon})
        totals += total_carbon(zone, (each for carbon in of.values() for each in carbon))
    return found, totals


def _over(order: StatementOrder, settlement: Settlement) -> Over:
    return Over(order.order_id, order.direction, order.starts_at, order.ended_at, settlement.intervals)


async def _known(door: Door, zone: str, over: Sequence[Over], work: Work) -> list[Logged]:
    since, until = min(each.starts_at for each in over), over[-1].ended_at
    try:
        return await door.archive.published("carbon", zone, since, until, door.replica.grid, to=until, work=work)
    except TooMuch:
        expected = f"expected a zone with less carbon published than {zone} has in this month"
        raise problems.invalid([fault("PERIOD", "?zone", expected)]) from None


def _swept(sweep: Sweep, over: Sequence[Over]) -> Iterator[list[tuple[str, list[OrderCarbon]]]]:
    for first in range(0, len(over), _FEW):
        yield [(each.order_id, sweep.of(each)) for each in over[first : first + _FEW]]
