"""The settlement periods of a rule: over each of them energies are netted, and a line of a settlement covers one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from gridsignal_services.settlement.rules import SettlementRule

_DAY = timedelta(days=1)


class Grid(NamedTuple):
    """How a rule counts time."""

    interval_s: int
    time_zone: str
    """Periods are counted from midnight there."""

    @classmethod
    def of(cls, rule: SettlementRule) -> Grid:
        """That of a rule."""
        return cls(rule.interval_s, rule.time_zone)

    def periods(self, starts_at: datetime, ends_at: datetime) -> Iterator[tuple[datetime, datetime]]:
        """The periods of a stretch of time, cut at its ends. A day on which the clocks change has fewer or more."""
        zone, step = ZoneInfo(self.time_zone), timedelta(seconds=self.interval_s)
        at = starts_at
        while at < ends_at:
            day = at.astimezone(zone).date()
            midnight = datetime.combine(day, time(), zone).astimezone(UTC)
            tomorrow = datetime.combine(day + _DAY, time(), zone).astimezone(UTC)
            until = min(midnight + ((at - midnight) // step + 1) * step, tomorrow, ends_at)
            yield at, until
            at = until


class Netting(NamedTuple):
    """Over which stretches an order's energies are netted: the periods of its own time, ramps left out."""

    grid: Grid
    starts_at: datetime
    ends_at: datetime

    @classmethod
    def of(cls, rule: SettlementRule, starts_at: datetime, ends_at: datetime) -> Netting:
        """That of an order from then to then under a rule."""
        ramp_in, ramp_out = timedelta(seconds=rule.ramp_in_s), timedelta(seconds=rule.ramp_out_s)
        return cls(Grid.of(rule), starts_at + ramp_in, ends_at - ramp_out)

    def edges(self, starts_at: datetime, ends_at: datetime) -> Iterator[datetime]:
        """Where one of its stretches begins or ends, from then to then."""
        since, until = max(starts_at, self.starts_at), min(ends_at, self.ends_at)
        if since < until:
            yield from (begins for begins, _ in self.grid.periods(since, until))
            yield until

    def holds(self, starts_at: datetime, ends_at: datetime) -> bool:
        """Whether any of it lies there."""
        return max(starts_at, self.starts_at) < min(ends_at, self.ends_at)
