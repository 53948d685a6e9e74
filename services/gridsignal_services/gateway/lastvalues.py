"""The newest of every series and alert: what a snapshot of a public stream shows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from gridsignal_schemas.messages import CarbonIntensity, GridAlert, SpotPrice
from gridsignal_services.gateway.history import Entry

DayStart = Callable[[str, datetime], datetime]
"""When the market day that a moment lies in began, in a zone."""


class LastValues:
    """The newest entry of each series, in the order they were logged.

    Bounded by `limit` series. When full: the one written longest ago goes; what has ended is forgotten long before.
    Conflates: per series, the newest stays.
    """

    def __init__(self, day_start: DayStart, *, limit: int = 50_000) -> None:
        self._day_start = day_start
        self._limit = limit
        self._newest: dict[str, tuple[Entry, datetime | None]] = {}

    def add(self, entry: Entry) -> None:
        """Takes in the next record of the stream."""
        if entry.series is None or entry.record is None:
            return
        self._newest.pop(entry.series, None)
        if isinstance(entry.record, GridAlert) and entry.record.supersedes is not None:
            self._newest.pop(entry.record.supersedes, None)
        self._newest[entry.series] = (entry, _ends_at(entry))
        if len(self._newest) > self._limit:
            del self._newest[next(iter(self._newest))]

    def current(self, now: datetime) -> list[Entry]:
        """Series of the current and coming market days, alerts that have not ended; forgets the others."""
        over = [series for series, (entry, end) in self._newest.items() if not self._is_current(entry, end, now)]
        for series in over:
            del self._newest[series]
        return [entry for entry, _ in self._newest.values()]

    def _is_current(self, entry: Entry, end: datetime | None, now: datetime) -> bool:
        if end is None:
            return True
        return end > (now if entry.name == GridAlert.__name__ else self._day_start(entry.zone, now))


def _ends_at(entry: Entry) -> datetime | None:
    match entry.record:
        case SpotPrice() | CarbonIntensity() | GridAlert():
            return entry.record.ends_at
        case _:
            return None


def utc_day_start(zone: str, now: datetime) -> datetime:
    """Market days where nothing is known about the zone."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
