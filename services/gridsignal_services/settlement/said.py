"""A meter's word where it is no record of the log: a case file's, or an operator's estimate."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from gridsignal_schemas.messages import MeterPoint, Quality
from gridsignal_services.settlement.energy import Exact


class Said(NamedTuple):
    """What a meter said of an interval: its mean power, its register, or both."""

    meter: str
    starts_at: datetime
    ends_at: datetime
    import_w: Exact | None
    """Mean power taken from the grid, in watts; None where only the register is given."""
    export_w: Exact = 0
    register_wh: int | None = None
    """The import register at the end of the interval."""
    quality: Quality = Quality.OK
    seq: int = 0
    point: MeterPoint = MeterPoint.CONNECTION
