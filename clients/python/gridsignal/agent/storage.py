"""When a site's battery charges and discharges and its generators run, beside a load that is given. Pure.

A linear program by HiGHS: the load at the connection is met from the grid, the battery and the generators at the least
cost; nothing is fed in, the connection limit holds, and the battery ends with no less than it began with.
"""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np

from gridsignal.agent.curves import SLOT_S
from gridsignal.agent.highs import Silent, quiet
from gridsignal.agent.site import Site
from gridsignal.agent.workload import Floats

_HOURS = SLOT_S / 3_600
_MOST_S = 2.0


@dataclass(frozen=True, slots=True)
class Stored:
    """Watts at the connection in each quarter hour, and what the battery wore off."""

    charge_w: Floats
    discharge_w: Floats
    generated_w: Floats
    wear: float

    @property
    def net_w(self) -> Floats:
        """What they add to the load: charging is positive."""
        return self.charge_w - self.discharge_w - self.generated_w


def stored(site: Site, drawn_w: Floats, cost_per_mwh: Floats, carbon_price: float) -> Stored:
    """The cheapest use of what the site has; nothing moves where it has neither, or HiGHS finds nothing."""
    slots = len(drawn_w)
    none = Stored(np.zeros(slots), np.zeros(slots), np.zeros(slots), 0.0)
    if site.battery is None and site.generation is None:
        return none
    model = _model(site, drawn_w, cost_per_mwh, carbon_price)
    solver = Silent()  # type: ignore[no-untyped-call]  # its constructor has no types
    quiet(solver, _MOST_S)
    solver.passModel(model)
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return none
    found = np.array(solver.getSolution().col_value).reshape(4, slots)
    charge, discharge, generated = found[0] * 1e6, found[1] * 1e6, found[2] * 1e6
    wear = 0.0
    if site.battery is not None:
        wear = site.battery.cycle_cost * float(discharge.sum()) * _HOURS / site.battery.energy_wh
    return Stored(charge, discharge, generated, wear)


def _model(site: Site, drawn_w: Floats, cost_per_mwh: Floats, carbon_price: float) -> highspy.HighsLp:
    """Columns in MW: charge, discharge, generated; then the battery's level in MWh at the end of each quarter hour."""
    slots, lp = len(drawn_w), highspy.HighsLp()
    battery, generation = site.battery, site.generation
    power = battery.power_w / 1e6 if battery else 0.0
    size = battery.energy_wh / 1e6 if battery else 0.0
    level = min(battery.level_wh / 1e6, size) if battery else 0.0
    one_way = battery.efficiency**0.5 if battery else 1.0
    wear = battery.cycle_cost / size if battery else 0.0
    most = generation.power_w / 1e6 if generation else 0.0
    fuel = generation.fuel_cost + carbon_price * generation.carbon_g_per_kwh / 1_000 if generation else 0.0
    ones = np.ones(slots)
    lp.num_col_ = 4 * slots
    cost = np.concatenate([cost_per_mwh, wear - cost_per_mwh, fuel - cost_per_mwh, np.zeros(slots)]) * _HOURS
    lp.col_cost_, lp.col_lower_ = cost, np.zeros(4 * slots)
    least = np.zeros(slots)
    least[-1] = level
    lp.col_lower_ = np.concatenate([np.zeros(3 * slots), least])
    lp.col_upper_ = np.concatenate([power * ones, power * ones, most * ones, size * ones])
    rows = list[tuple[dict[int, float], float, float]]()
    drawn, limit = drawn_w / 1e6, site.connection_limit_w / 1e6
    for slot in range(slots):
        rows.append(({slot: 1.0, slots + slot: -1.0, 2 * slots + slot: -1.0}, -drawn[slot], limit - drawn[slot]))
        moves = {3 * slots + slot: 1.0, slot: -one_way * _HOURS, slots + slot: _HOURS / one_way}
        before = {3 * slots + slot - 1: -1.0} if slot else {}
        held = 0.0 if slot else level
        rows.append((moves | before, held, held))
        rows.append(({slot: 1.0, slots + slot: 1.0}, 0.0, power))
    if battery:
        often = battery.cycles_per_day * size * slots / 96
        rows.append(({slots + slot: _HOURS for slot in range(slots)}, 0.0, often))
    if generation:
        rows.append(({2 * slots + slot: _HOURS for slot in range(slots)}, 0.0, most * generation.hours_left))
    lp.num_row_ = len(rows)
    lp.row_lower_, lp.row_upper_ = np.array([row[1] for row in rows]), np.array([row[2] for row in rows])
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_ = np.cumsum([0, *(len(row[0]) for row in rows)])
    lp.a_matrix_.index_ = np.array([column for row in rows for column in row[0]])
    lp.a_matrix_.value_ = np.array([share for row in rows for share in row[0].values()])
    return lp
