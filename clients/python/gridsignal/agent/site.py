"""A site's power: from the watts of its servers to those at its connection point, and back. Pure functions of values.

    connection = IT + overhead(IT, outdoor temperature) - battery - generation

Overhead is cooling, losses of the UPS included: (PUE - 1) x IT at the points of the curve, straight lines between
them. Cooling follows the IT load late, with the time constant `cooling_lag_s`.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import pairwise
from typing import Annotated

from pydantic import Field, model_validator

from gridsignal.agent.jobs import ConnectionWatts, ItPower, ItWatts
from gridsignal_schemas.values import EXACT_MAX, MAX_POWER_W, Identifier, Shape, Zone

MAX_POINTS = 256
DEFAULT_TEMPERATURE_C = 20.0

ConnectionPower = Annotated[ConnectionWatts, Field(ge=0, le=MAX_POWER_W)]
_Share = Annotated[float, Field(gt=0, le=1)]
_Price = Annotated[float, Field(ge=0, le=1_000_000)]


class PuePoint(Shape):
    """A measured point of the PUE."""

    load: Annotated[float, Field(gt=0, le=1)]
    """IT power as a share of the site's IT capacity."""
    temperature_c: Annotated[float, Field(ge=-60, le=60)] = DEFAULT_TEMPERATURE_C
    """Outdoors."""
    pue: Annotated[float, Field(ge=1, le=5)]
    """Power at the connection point over IT power."""


class Ups(Shape):
    """What carries the servers until cooling and generators have followed."""

    power_w: ItPower
    holds_s: Annotated[int, Field(ge=0, le=86_400)]
    """At that power."""


class Battery(Shape):
    """A battery at the connection point."""

    power_w: Annotated[ConnectionWatts, Field(ge=1, le=MAX_POWER_W)]
    energy_wh: Annotated[int, Field(ge=1, le=EXACT_MAX)]
    efficiency: _Share = 0.88
    """Of a whole cycle, at the connection point; half of the loss is in charging."""
    cycles_per_day: Annotated[float, Field(ge=0, le=24)] = 1.0
    """How many it may do."""
    cycle_cost: _Price = 0.0
    """What a whole cycle wears off, in the currency of prices."""
    level_wh: Annotated[int, Field(ge=0, le=EXACT_MAX)] = 0
    """What is in it where a plan begins."""


class Generation(Shape):
    """Generators on site."""

    power_w: Annotated[ConnectionWatts, Field(ge=1, le=MAX_POWER_W)]
    fuel_cost: _Price
    """Per MWh."""
    carbon_g_per_kwh: Annotated[float, Field(ge=0, le=5_000)] = 0.0
    hours_left: Annotated[float, Field(ge=0, le=8_784)]
    """Hours at full power that its permit leaves for the days of a plan."""


class Site(Shape):
    """One connection point and what stands behind it."""

    site: Identifier
    zone: Zone
    it_capacity_w: Annotated[ItWatts, Field(ge=1, le=MAX_POWER_W)]
    connection_limit_w: Annotated[ConnectionWatts, Field(ge=1, le=MAX_POWER_W)]
    """The most that may be drawn."""
    base_it_w: ItPower = ItWatts(0)
    """IT power that is always there and in no job: idle servers, storage, network."""
    minimum_w: ConnectionPower = ConnectionWatts(0)
    """Below this the site never offers to go."""
    pue: Annotated[tuple[PuePoint, ...], Field(min_length=1, max_length=MAX_POINTS, strict=False)]
    cooling_lag_s: Annotated[int, Field(ge=0, le=86_400)] = 0
    """Time constant with which cooling follows the IT load."""
    ups: Ups | None = None
    battery: Battery | None = None
    generation: Generation | None = None

    @model_validator(mode="after")
    def _holds(self) -> Site:
        if self.base_it_w > self.it_capacity_w:
            raise ValueError(f"expected base_it_w of at most {self.it_capacity_w} W, got {self.base_it_w} W")
        loads = {point.temperature_c: list[float]() for point in self.pue}
        for point in self.pue:
            loads[point.temperature_c].append(point.load)
        for temperature_c, at in loads.items():
            if len(set(at)) < len(at):
                raise ValueError(f"expected each load once at {temperature_c:g} degrees, got one twice")
            curve = self._overhead_at(temperature_c)
            if any(later < earlier for (_, earlier), (_, later) in pairwise(curve)):
                raise ValueError(f"expected overhead that grows with the load at {temperature_c:g} degrees, got less")
        if self.connection_w(self.base_it_w) > self.connection_limit_w:
            raise ValueError(f"expected a connection limit above the base load, got {self.connection_limit_w} W")
        return self

    def overhead_w(self, it_w: float, temperature_c: float = DEFAULT_TEMPERATURE_C) -> float:
        """Watts of cooling and losses that go with an IT load once cooling has followed."""
        temperatures = sorted({point.temperature_c for point in self.pue})
        upper = bisect_right(temperatures, temperature_c)
        low, high = temperatures[max(0, upper - 1)], temperatures[min(upper, len(temperatures) - 1)]
        below, above = (_between(self._overhead_at(at), it_w) for at in (low, high))
        share = (temperature_c - low) / (high - low) if high > low else 0.0
        return below + min(1.0, max(0.0, share)) * (above - below)

    def connection_w(self, it_w: ItWatts, temperature_c: float = DEFAULT_TEMPERATURE_C) -> ConnectionWatts:
        """What an IT load draws from the grid, cooling settled, battery and generators at rest."""
        return ConnectionWatts(math.ceil(it_w + self.overhead_w(it_w, temperature_c)))

    def it_w(self, connection_w: ConnectionWatts, temperature_c: float = DEFAULT_TEMPERATURE_C) -> ItWatts:
        """The most IT load within the site's capacity that draws no more than this; 0 where even that draws more."""
        low, high = 0, int(self.it_capacity_w)
        while low < high:
            middle = (low + high + 1) // 2
            fits = self.connection_w(ItWatts(middle), temperature_c) <= connection_w
            low, high = (middle, high) if fits else (low, middle - 1)
        return ItWatts(low)

    def cooled(self, overhead_w: float, settled_w: float, seconds: float) -> float:
        """Overhead after so many seconds, on its way from what it is to where it settles."""
        if not self.cooling_lag_s:
            return settled_w
        return settled_w + (overhead_w - settled_w) * math.exp(-seconds / self.cooling_lag_s)

    def _overhead_at(self, temperature_c: float) -> list[tuple[float, float]]:
        """(IT watts, overhead watts) of the points at a temperature, by rising load."""
        points = sorted((p.load, p.pue) for p in self.pue if p.temperature_c == temperature_c)
        return [(load * self.it_capacity_w, (pue - 1) * load * self.it_capacity_w) for load, pue in points]


def _between(curve: list[tuple[float, float]], it_w: float) -> float:
    """A curve's value, flat below its first point and on with its last slope above its last."""
    if it_w <= curve[0][0] or len(curve) == 1:
        return curve[0][1] if it_w <= curve[0][0] else curve[0][1] * it_w / curve[0][0]
    at = min(bisect_right([x for x, _ in curve], it_w), len(curve) - 1)
    (x0, y0), (x1, y1) = curve[at - 1], curve[at]
    return y0 + (y1 - y0) * (it_w - x0) / (x1 - x0)
