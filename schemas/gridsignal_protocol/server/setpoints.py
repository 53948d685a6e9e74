"""Which setpoints are still to be delivered: of each order the newest cycle, while it is valid."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime

from gridsignal_schemas.messages import RegulationSetpoint


def is_over(setpoint: RegulationSetpoint, now: datetime) -> bool:
    """Whether it is too late to follow it."""
    return setpoint.valid_until <= now


class Setpoints:
    """The newest cycle of each order that has come.

    Bounded by `limit` orders. When full: the one that was heard of longest ago is forgotten, and a late setpoint of it
    would be delivered while it is valid. Conflates: of an order the newest cycle stays.
    """

    def __init__(self, *, limit: int = 50_000) -> None:
        self._limit = limit
        self._newest: OrderedDict[str, int] = OrderedDict()

    def take(self, setpoint: RegulationSetpoint, now: datetime) -> bool:
        """Takes in what comes next; whether it is to be delivered: neither over, nor late behind a newer cycle, nor
        come before."""
        newest = self._newest.get(setpoint.order_id)
        if is_over(setpoint, now) or (newest is not None and setpoint.cycle_no <= newest):
            return False
        self._newest[setpoint.order_id] = setpoint.cycle_no
        self._newest.move_to_end(setpoint.order_id)
        if len(self._newest) > self._limit:
            self._newest.popitem(last=False)
        return True

    def is_current(self, setpoint: RegulationSetpoint, now: datetime) -> bool:
        """Whether one that came before is still to be delivered to whoever asks for it now."""
        return not is_over(setpoint, now) and setpoint.cycle_no >= self._newest.get(setpoint.order_id, 0)
