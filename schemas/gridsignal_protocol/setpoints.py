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

    Only while it is valid it keeps lower ones away: an EMS that counts anew is heard once the last setpoint that it
    sent has run out.

    Bounded by `limit` orders. When full: the one that was heard of longest ago is forgotten, and a late setpoint of it
    would be delivered while it is valid. Conflates: of an order the newest cycle stays.
    """

    def __init__(self, *, limit: int = 50_000) -> None:
        self._limit = limit
        self._newest: OrderedDict[str, tuple[int, datetime]] = OrderedDict()
        """The cycle and its end, by order."""

    def take(self, setpoint: RegulationSetpoint, now: datetime) -> bool:
        """Takes in what comes next; whether it is to be delivered: neither over, nor late behind a newer cycle, nor
        come before."""
        if is_over(setpoint, now) or setpoint.cycle_no <= self._cycle(setpoint.order_id, now):
            return False
        self._newest[setpoint.order_id] = setpoint.cycle_no, setpoint.valid_until
        self._newest.move_to_end(setpoint.order_id)
        if len(self._newest) > self._limit:
            self._newest.popitem(last=False)
        return True

    def is_current(self, setpoint: RegulationSetpoint, now: datetime) -> bool:
        """Whether one that came before is still to be delivered to whoever asks for it now."""
        return not is_over(setpoint, now) and setpoint.cycle_no >= self._cycle(setpoint.order_id, now)

    def _cycle(self, order_id: str, now: datetime) -> int:
        """The newest that is valid; -1 where there is none."""
        cycle_no, valid_until = self._newest.get(order_id, (-1, now))
        return cycle_no if valid_until > now else -1
