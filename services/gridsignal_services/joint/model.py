"""A case as a linear program, with whole numbers where bids exclude each other or can't be divided.

    maximise  sum of worth x cleared - sum of price x supplied - sum of cost x shifted - sum of flow cost x |flow|

    each place   supplied - cleared + shifted away - shifted here + flow in - flow out = 0    (its dual is the price)
                 0 <= cleared - shifted away + shifted here <= the place's limit
    each ramp    |supplied in a period - supplied in the one before| <= mw_per_period
    each line    flow = susceptance x (angle of from - angle of to), |flow| <= capacity

After Zhang and Zavala, arXiv 2105.11416, whose virtual links these links are.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping

from gridsignal_services.joint.case import Bid, Case, Link
from gridsignal_services.joint.program import Program

Key = tuple[str, int | str]
"""A place: zone, period."""


class Model:
    """A case's program, and which of its columns and rows stand for what."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.program = Program()
        self.supplied = [self.program.column(-bid.price, bid.quantity_mw) for bid in case.supply]
        self.cleared = [self.program.column(bid.price, bid.quantity_mw) for bid in case.demand]
        self.shifted = [self.program.column(-link.cost, link.capacity_mw) for link in case.links]
        self._places = case.places
        self._periods = sorted({period for _, period in self._places})
        self.flows = {
            (number, period): self._flow(number) for number in range(len(case.lines)) for period in self._periods
        }
        """The two columns of a line's flow in a period: from `from` to `to`, and back."""
        self._supply, self._load = self._supply_by_place(), self._loads_by_place()
        self._is_taken()
        self.prices = self._balances()
        """The row of each place whose dual is its price."""
        self._loads()
        self._ramps()
        self._angles()

    def _flow(self, number: int) -> tuple[int, int]:
        line = self.case.lines[number]
        there = self.program.column(-line.flow_cost, line.capacity_mw)
        return there, self.program.column(-line.flow_cost, line.capacity_mw)

    def _is_taken(self) -> None:
        """Who is taken whole or not at all, and of which groups one at most."""
        groups: dict[str, dict[int, float]] = defaultdict(dict)
        entries: list[tuple[Bid | Link, float, int]] = [
            *((bid, bid.quantity_mw, column) for bid, column in zip(self.case.supply, self.supplied, strict=True)),
            *((bid, bid.quantity_mw, column) for bid, column in zip(self.case.demand, self.cleared, strict=True)),
            *((link, link.capacity_mw, column) for link, column in zip(self.case.links, self.shifted, strict=True)),
        ]
        for entry, most_mw, column in entries:
            if not (entry.indivisible or entry.exclusive):
                continue
            taken = self.program.column(0.0, 1.0, whole=True)
            least = 0.0 if entry.indivisible else -math.inf
            self.program.row({column: 1.0, taken: -most_mw}, least, 0.0)
            if entry.exclusive:
                groups[entry.exclusive][taken] = 1.0
        for group in groups.values():
            self.program.row(group, -math.inf, 1.0)

    def _loads_by_place(self) -> dict[Key, dict[int, float]]:
        """What is drawn at each place, after what moved."""
        loads: dict[Key, dict[int, float]] = {place: {} for place in self._places}
        for bid, column in zip(self.case.demand, self.cleared, strict=True):
            loads[bid.zone, bid.period][column] = 1.0
        for link, column in zip(self.case.links, self.shifted, strict=True):
            loads[link.from_.zone, link.from_.period][column] = -1.0
            loads[link.to.zone, link.to.period][column] = 1.0
        return loads

    def _supply_by_place(self) -> dict[Key, dict[int, float]]:
        supply: dict[Key, dict[int, float]] = {place: {} for place in self._places}
        for bid, column in zip(self.case.supply, self.supplied, strict=True):
            supply[bid.zone, bid.period][column] = 1.0
        return supply

    def _balances(self) -> Mapping[Key, int]:
        rows = {place: dict(supply) for place, supply in self._supply.items()}
        for place, load in self._load.items():
            rows[place].update({column: -share for column, share in load.items()})
        for (number, period), (there, back) in self.flows.items():
            line = self.case.lines[number]
            rows[line.from_, period].update({there: -1.0, back: 1.0})
            rows[line.to, period].update({there: 1.0, back: -1.0})
        return {place: self.program.row(row, 0.0, 0.0) for place, row in rows.items()}

    def _loads(self) -> None:
        limits = {(each.zone, each.period): each.load_mw for each in self.case.limits}
        for place, load in self._load.items():
            if place in limits or any(share < 0 for share in load.values()):
                self.program.row(load, 0.0, limits.get(place, math.inf))

    def _ramps(self) -> None:
        for ramp in self.case.ramps:
            for before, period in zip(self._periods, self._periods[1:], strict=False):
                change = dict(self._supply.get((ramp.zone, period), {}))
                change.update(dict.fromkeys(self._supply.get((ramp.zone, before), {}), -1.0))
                if change:
                    self.program.row(change, -ramp.mw_per_period, ramp.mw_per_period)

    def _angles(self) -> None:
        zones = {zone for line in self.case.lines if line.susceptance for zone in (line.from_, line.to)}
        angles = {
            (zone, period): self.program.column(0.0, math.inf, -math.inf)
            for zone in sorted(zones)
            for period in self._periods
        }
        for (number, period), (there, back) in self.flows.items():
            line = self.case.lines[number]
            if line.susceptance:
                ends = {angles[line.from_, period]: -line.susceptance, angles[line.to, period]: line.susceptance}
                self.program.row({there: 1.0, back: -1.0} | ends, 0.0, 0.0)
