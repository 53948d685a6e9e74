"""What a meter reading must satisfy: the same at the gateway's door and wherever a reading is read from the log."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import MeterPoint, MeterReading
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.values import rfc3339

LONGEST_READING = timedelta(days=1)
"""A longer mean says nothing about an order."""
AHEAD = timedelta(seconds=30)
"""How far a meter's clock may be ahead of the log's."""


def reading_faults(reading: MeterReading, logged_at: datetime, capacity_w: int | None) -> list[Detail]:
    """Everything that keeps a reading from being a measurement; `logged_at` is now for one that is not logged yet."""
    return [*_period_faults(reading, logged_at), *capacity_faults(reading, capacity_w), *_power_faults(reading)]


def is_interval(reading: MeterReading) -> bool:
    """Whether it has a length, and not too long a one."""
    return timedelta(0) < reading.ends_at - reading.starts_at <= LONGEST_READING


def is_carried(reading: MeterReading, capacity_w: int | None) -> bool:
    """Whether a connection of this capacity can carry it; without a capacity every one can, and what lies behind it."""
    if capacity_w is None or reading.point is not MeterPoint.CONNECTION:
        return True
    return max(reading.import_w, reading.export_w) <= capacity_w


def _period_faults(reading: MeterReading, logged_at: datetime) -> Iterator[Detail]:
    if reading.ends_at <= reading.starts_at:
        got = f"expected a time after starts_at ({rfc3339(reading.starts_at)}), got {rfc3339(reading.ends_at)}"
        yield fault("READING_EMPTY", "/ends_at", got)
    elif not is_interval(reading):
        got = f"expected an interval of at most a day, got {reading.ends_at - reading.starts_at}"
        yield fault("READING_TOO_LONG", "/ends_at", got)
    if reading.ends_at > logged_at + AHEAD:
        got = f"expected an interval that is over at {rfc3339(logged_at)}, got one until {rfc3339(reading.ends_at)}"
        yield fault("READING_IN_FUTURE", "/ends_at", got)


def capacity_faults(reading: MeterReading, capacity_w: int | None) -> list[Detail]:
    """What is wrong with a reading of more than the connection carries."""
    if is_carried(reading, capacity_w):
        return []
    name = "import_w" if reading.import_w >= reading.export_w else "export_w"
    got = f"expected at most the connection's {capacity_w} W, got {getattr(reading, name)} W"
    return [fault("READING_ABOVE_CAPACITY", f"/{name}", got)]


def _power_faults(reading: MeterReading) -> Iterator[Detail]:
    if reading.point is MeterPoint.IT and reading.export_w:
        got = f"expected 0 W, for computers give no power to the grid, got {reading.export_w} W"
        yield fault("READING_EXPORT", "/export_w", got)
