"""What a site's meters show of an alert, whatever the site says: a pure function of readings."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from gridsignal_schemas.messages import AlertAction, MeterPoint, MeterReading, Quality

BEFORE, SINCE = timedelta(hours=2), timedelta(hours=6)
"""How far before the beginning of an alert, and after it, readings are looked at."""
_LEAST_PER_MILLE = 10
"""Of the connection's capacity: less is no answer to an alert."""
_SIGN = {AlertAction.SHED: -1, AlertAction.RAISE: 1}
_GOOD = frozenset({Quality.OK, Quality.ESTIMATED})


class Moved(NamedTuple):
    """How the connection's power has moved since an alert began."""

    at: datetime
    """End of the first interval that moved as was asked, by a hundredth of the connection's capacity or more."""
    power_w: int
    """The most that it moved as was asked, over an interval since."""


def moved(action: AlertAction, begins_at: datetime, capacity_w: int, readings: Iterable[MeterReading]) -> Moved | None:
    """What these readings show; None where nothing moved, nothing was metered, or no movement was asked for.

    Compared is the net power of whole intervals since with the last one that was over when the alert began. Meters are
    added where all that have spoken have a good figure of an interval.
    """
    if (sign := _SIGN.get(action)) is None:
        return None
    flows = _flows(readings)
    before = [flow for flow in flows if flow.ends_at <= begins_at]
    if not before:
        return None
    changes = [(flow.ends_at, sign * (flow.net_w - before[-1].net_w)) for flow in flows if flow.starts_at >= begins_at]
    least_w = max(1, capacity_w * _LEAST_PER_MILLE // 1000)
    first = next((at for at, change_w in changes if change_w >= least_w), None)
    return None if first is None else Moved(first, max(change_w for _, change_w in changes))


class _Flow(NamedTuple):
    ends_at: datetime
    starts_at: datetime
    net_w: int


def _flows(readings: Iterable[MeterReading]) -> list[_Flow]:
    """The connection's net power, by the end of the interval."""
    of: dict[tuple[datetime, datetime], dict[str, int]] = {}
    meters = set[str]()
    for reading in readings:
        if reading.point is MeterPoint.CONNECTION:
            meters.add(reading.meter)
            if reading.quality in _GOOD:
                period = reading.ends_at, reading.starts_at
                of.setdefault(period, {})[reading.meter] = reading.import_w - reading.export_w
    return [_Flow(*period, sum(net.values())) for period, net in sorted(of.items()) if net.keys() == meters]
