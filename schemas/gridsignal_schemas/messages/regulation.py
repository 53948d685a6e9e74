"""What a site that regulates is sent every few seconds."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gridsignal_schemas.values import EXACT_MAX, Identifier, Power, Record, Timestamp, Zone

WHOLE_PPM = 1_000_000
MISSED_CYCLES = 3
"""After so many cycles without a setpoint a site goes back to its base; none is valid for longer."""

Cycle = Annotated[int, Field(ge=2, le=4)]
CycleNumber = Annotated[int, Field(ge=0, le=EXACT_MAX)]
Level = Annotated[int, Field(ge=-WHOLE_PPM, le=WHOLE_PPM)]


class RegulationSetpoint(Record):
    """Where in the band of its order a site is to be: one cycle of a regulation signal."""

    zone: Zone
    """The site's zone; the record's key."""
    request_id: Identifier
    """The request that the order belongs to."""
    participant: Identifier
    """Whose site it is."""
    site: Identifier
    """The resource that follows the signal."""
    order_id: Identifier
    """The order whose band is regulated in."""
    cycle_s: Cycle
    """Seconds from one setpoint to the next: 2 or 4."""
    cycle_no: CycleNumber
    """Counts the setpoints of this order; while the last is valid, a lower or equal one is dropped."""
    level_ppm: Level
    """Millionths of the order's power, -1000000 to 1000000; positive draws less."""
    base_w: Power
    """The power that is regulated about, and gone back to without a signal."""
    target_at: Timestamp
    """When the site is to be there."""
    valid_until: Timestamp
    """From when on it is too late to begin to follow it: nobody is sent it any more."""

    def power_w(self, band_w: int) -> int:
        """What the site is to draw, in watts, where its order is for `band_w`: base_w - level_ppm x band_w / 1e6."""
        return self.base_w - self.level_ppm * band_w // WHOLE_PPM
