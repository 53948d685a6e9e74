"""The CO2 of a statement's orders, from what the carbon stream said by the time each of them ended.

Bounded: by the orders of a statement, and by what Archive reads for one answer. When full: Problem 422. Conflates:
nothing.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import islice
from operator import attrgetter

from gridsignal_schemas.messages import Settlement
from gridsignal_schemas.reports import OrderCarbon, StatementCarbon
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.rules.vintages import Logged
from gridsignal_services.carbon.emissions import CarbonSums, Over, Sweep
from gridsignal_services.dispatch.archive import TooMuch
from gridsignal_services.dispatch.door import Door
from gridsignal_services.dispatch.statement import StatementOrder
from gridsignal_services.rest import problems
from gridsignal_services.work import Work

_FEW = 32
"""Orders that are computed in a few milliseconds."""
_MANY = 1024
"""Orders that are sorted out in as many."""


async def carbon_of(
    door: Door, orders: Iterable[StatementOrder], shown: Container[str], work: Work
) -> tuple[dict[str, list[OrderCarbon]], list[StatementCarbon]]:
    """The CO2 of those orders that are settled and `shown`, and the sums of all. Raises Problem 422, LogUnavailable."""
    found, totals, zones = dict[str, list[OrderCarbon]](), list[StatementCarbon](), dict[str, list[Over]]()
    await work.each_away(_by_zone(orders, zones))
    for zone, over in sorted(zones.items()):
        logged, sums = await _known(door, zone, over, work), CarbonSums(zone)
        for piece in await work.each_away(_swept(Sweep(logged), over, sums)):
            found |= {order_id: carbon for order_id, carbon in piece if order_id in shown}
        totals += sums.totals()
    return found, totals


def _by_zone(orders: Iterable[StatementOrder], zones: dict[str, list[Over]]) -> Iterator[None]:
    """Those that are settled, in order of their end."""
    waiting = iter(orders)
    while some := list(islice(waiting, _MANY)):
        for order in some:
            if order.settlement is not None:
                zones.setdefault(order.zone, []).append(_over(order, order.settlement))
        yield
    for over in zones.values():
        over.sort(key=lambda each: (each.ended_at, each.starts_at))
        yield


def _over(order: StatementOrder, settlement: Settlement) -> Over:
    return Over(order.order_id, order.direction, order.starts_at, order.ended_at, settlement.intervals)


async def _known(door: Door, zone: str, over: Sequence[Over], work: Work) -> list[Logged]:
    since, until = await work.away(min, map(attrgetter("starts_at"), over)), over[-1].ended_at
    try:
        return await door.archive.published("carbon", zone, since, until, door.replica.grid, to=until, work=work)
    except TooMuch:
        expected = f"expected a zone with less carbon published than {zone} has in this month"
        raise problems.invalid([fault("PERIOD", "?zone", expected)]) from None


def _swept(sweep: Sweep, over: Sequence[Over], sums: CarbonSums) -> Iterator[list[tuple[str, list[OrderCarbon]]]]:
    for first in range(0, len(over), _FEW):
        found = [(each.order_id, sweep.of(each)) for each in over[first : first + _FEW]]
        for _, carbon in found:
            sums.add(carbon)
        yield found
