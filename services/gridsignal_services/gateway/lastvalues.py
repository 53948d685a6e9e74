"""The newest of every series, alert and setpoint: what a snapshot of a stream shows that is read from the log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from gridsignal_schemas.records import ROWS
from gridsignal_services.gateway.history import StreamEntry, ended_by

DayStart = Callable[[str, datetime], datetime]
"""When the market day that a moment lies in began, in a zone."""


class LastValues:
    """The newest entry of each series, in the order they were logged.

    Bounded by `limit` series. When full: of the provider with the most series, the one written longest ago goes; what
    has ended is forgotten long before. Conflates: per series, the newest stays.
    """

    def __init__(self, day_start: DayStart, *, limit: int = 50_000) -> None:
        self._day_start = day_start
        self._limit = limit
        self._newest: dict[str, tuple[StreamEntry, datetime | None]] = {}
        self._of_provider: dict[str, dict[str, None]] = {}
        """The same series by who provides them, the one written longest ago first."""

    def add(self, entry: StreamEntry) -> None:
        """Takes in the next record of the stream."""
        if entry.series is None or entry.record is None:
            return
        self._forget(entry.series)
        if (ended := ended_by(entry.record)) is not None:
            self._forget(ended)
        self._newest[entry.series] = (entry, entry.valid_until or getattr(entry.record, "ends_at", None))
        self._of_provider.setdefault(entry.provider, {})[entry.series] = None
        if len(self._newest) > self._limit:
            largest = max(self._of_provider, key=lambda provider: len(self._of_provider[provider]))
            self._forget(next(iter(self._of_provider[largest])))

    def _forget(self, series: str) -> None:
        if (known := self._newest.pop(series, None)) is None:
            return
        provider = known[0].provider
        del self._of_provider[provider][series]
        if not self._of_provider[provider]:
            del self._of_provider[provider]

    def current(self, now: datetime) -> list[StreamEntry]:
        """Series of the current and coming market days, alerts not ended, setpoints still valid; forgets the others."""
        over = [series for series, (entry, end) in self._newest.items() if not self._is_current(entry, end, now)]
        for series in over:
            self._forget(series)
        return [entry for entry, _ in self._newest.values()]

    def _is_current(self, entry: StreamEntry, end: datetime | None, now: datetime) -> bool:
        if end is None:
            return True
        return end > (self._day_start(entry.zone, now) if ROWS[entry.name].newest_until == "day" else now)


def utc_day_start(zone: str, now: datetime) -> datetime:
    """Market days where nothing is known about the zone."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
