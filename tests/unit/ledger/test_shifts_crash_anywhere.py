"""Both or neither, however the two logs are interleaved and wherever an owner dies.

All states are looked at that a shift can reach: an owner that dies between two records, two owners of a partition at
once, one that reads an old state of the other's, a deadline that comes first, those who change their mind.
An owner keeps nothing that is not in the logs, so that every order in which single records come is some crash. From
each state the owners alone, without anybody's word, come to rest.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial

import pytest

from gridsignal_schemas.messages import DispatchOrder, OrderState, Record
from gridsignal_schemas.rules.lifecycle import ORDER_NEVER_HELD, ORDER_OVER
from gridsignal_schemas.values import MW
from gridsignal_services.ledger.tracked import TrackedOrder
from tests.builders import a_request_cancellation, utc
from tests.unit.ledger.market import OPERATORS_NAME
from tests.unit.ledger.two_zones import COUNTERPART_W, FROM, TO, TwoZones


class World:
    """Both logs, what any owner has ever had on its way to one of them, and what the others have still to say."""

    def __init__(self, zones: TwoZones, left: frozenset[str]) -> None:
        self.zones, self.left = zones, left
        self.on_the_way: dict[int, list[Record]] = {FROM: [], TO: []}

    def branch(self) -> World:
        """The same world, to go on in another way."""
        other = World.__new__(World)
        logs = (self.zones.source.log, self.zones.target.log)
        logged = {id(each): each for log in logs for entry, _ in log for each in (entry, entry.record)}
        other.zones, other.left = copy.deepcopy(self.zones, logged), self.left  # what is logged never changes
        other.on_the_way = {partition: list(records) for partition, records in self.on_the_way.items()}
        return other

    def state(self) -> object:
        """What the future depends on."""
        source, target = self.zones.source, self.zones.target
        orders = tuple((each.order.revision, each.state, each.order.ends_at) for each in self.zones.orders())
        shifts = tuple(each.held_at is None for each in source.ledger.book.shifts.values())
        holds = tuple((each.codes, each.is_confirmed) for each in target.ledger.book.holds.values())
        told = tuple(sorted(map(repr, _told(self.zones))))
        way = tuple(tuple(map(repr, records)) for records in self.on_the_way.values())
        stages = source.state, source.offer_state("acme"), *(each.state for each in target.ledger.requests.values())
        return orders, shifts, holds, told, way, stages, source.now, target.now, self.left

    def see(self) -> None:
        """Owners have come as far as to write something: they may do so at any time from now on."""
        for partition, records in self.on_the_way.items():
            records.extend(each for each in self.zones.next_of(partition) if each not in records)


def _told(zones: TwoZones) -> Iterator[tuple[str, int]]:
    for zone in (zones.source, zones.target):
        for entry, outcome in zone.log:
            if isinstance(entry.record, DispatchOrder) and outcome.accepted:
                yield entry.record.order_id, entry.record.revision


def _moves(world: World) -> Iterator[World]:
    for partition, records in world.on_the_way.items():
        for at in range(len(records)):
            after = world.branch()
            after.zones.zone_of(partition).add(after.on_the_way[partition].pop(at))
            yield after
    for name in sorted(world.left):
        after = world.branch()
        after.left -= {name}
        if WORDS[name](after.zones):
            yield after


def _answers(response: str, at_the_source: bool, zones: TwoZones) -> bool:
    orders = zones.source.ledger.orders if at_the_source else zones.target.ledger.orders
    told = {order_id for order_id, _ in _told(zones)}
    for tracked in orders.values():
        if tracked.order.order_id in told and tracked.state in (OrderState.ISSUED, OrderState.ACCEPTED):
            zones.answer(tracked, response)
            return True
    return False


def _clock(at_the_source: bool, zones: TwoZones) -> bool:
    zone = zones.source if at_the_source else zones.target
    zone.now = max(zone.now, utc("17:04"))
    return True


def _withdraw(zones: TwoZones) -> bool:
    return zones.source.withdraw("acme").accepted


def _cancel(zones: TwoZones) -> bool:
    return zones.source.cancel().accepted


def _cancel_there(zones: TwoZones) -> bool:
    ids = list(zones.target.ledger.requests)
    return bool(ids) and zones.target.add(a_request_cancellation(zone="FR", request_id=ids[0]), OPERATORS_NAME).accepted


def _shorten(until: datetime, zones: TwoZones) -> bool:
    here = zones.here
    return here.state not in ORDER_OVER and zones.source.change(here.order, ends_at=until).accepted


WORDS: dict[str, Callable[[TwoZones], bool]] = {
    "the deadline here": partial(_clock, True),
    "the deadline there": partial(_clock, False),
    "accepted here": partial(_answers, "ACCEPTED", True),
    "accepted there": partial(_answers, "ACCEPTED", False),
    "refused here": partial(_answers, "REFUSED", True),
    "refused there": partial(_answers, "REFUSED", False),
    "withdrawn": _withdraw,
    "cancelled": _cancel,
    "cancelled there": _cancel_there,
    "shortened": partial(_shorten, utc("18:30")),
    "shortened again": partial(_shorten, utc("18:20")),
    "shortened then cancelled": lambda zones: _shorten(utc("18:30"), zones) and _cancel(zones),
}


def _stand_in_the_end(zones: TwoZones) -> bool:
    """The owners alone go on, and then the time until all is over."""
    zones.source.now = zones.target.now = max(zones.source.now, zones.target.now)
    zones.act()
    _both_or_neither(zones)
    zones.run_until(utc("19:00"))
    _both_or_neither(zones)
    book = zones.target.ledger.book
    assert not zones.source.ledger.book.shifts
    assert all(hold.codes for hold in book.holds.values())
    assert all(order.state in ORDER_OVER for order in zones.orders()), "nothing is held for ever"
    assert zones.room_w() == 20 * MW
    return any(map(_stands, zones.orders()))


def _both_or_neither(zones: TwoZones) -> None:
    here, there = list(zones.source.ledger.orders.values()), list(zones.target.ledger.orders.values())
    assert (len(here), len(there)) in ((1, 0), (1, 1))
    assert [*map(_stands, here)] == [*map(_stands, there)] or not any(map(_stands, [*here, *there]))
    ends = {tracked.order.ends_at for tracked in (*here, *there) if _stands(tracked)}
    assert len(ends) <= 1, "neither goes on alone"
    held = any(not hold.codes for hold in zones.target.ledger.book.holds.values())
    assert zones.room_w() == (20 * MW - COUNTERPART_W if held else 20 * MW)


def _stands(tracked: TrackedOrder) -> bool:
    return tracked.state not in ORDER_NEVER_HELD


@pytest.mark.parametrize(
    "words",
    [
        ("accepted here", "accepted there", "the deadline here"),
        ("accepted here", "accepted there", "the deadline there"),
        ("refused here", "accepted there", "withdrawn"),
        ("accepted here", "refused there", "cancelled"),
        ("accepted here", "accepted there", "cancelled there"),
        ("shortened", "shortened again"),
        ("accepted there", "shortened then cancelled"),
    ],
    ids=", ".join,
)
def test_both_or_neither_and_nothing_is_held_for_ever(words: tuple[str, ...]) -> None:
    zones = TwoZones()
    zones.offer()
    zones.source.now = zones.target.now = zones.source.request.gate_closure_at
    while not zones.source.ledger.book.shifts:
        for record in zones.next_of(FROM):
            zones.source.add(record)
    first = World(zones, frozenset(words))
    first.see()
    seen, open_ = {first.state()}, [first]
    ends = set[bool]()
    while open_:
        world = open_.pop()
        ends.add(_stand_in_the_end(world.branch().zones))
        for after in _moves(world):
            after.see()
            if (state := after.state()) not in seen:
                seen.add(state)
                open_.append(after)
    both_accept = {"accepted here", "accepted there"} <= set(words)
    assert ends == ({True, False} if both_accept else {False}), "and each of them happens"
