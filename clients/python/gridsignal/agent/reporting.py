"""What the site says of itself: what it will draw, and what it drew.

Bounded: readings of the last day are made up for, one at a time. When full: older ones are not reported.
Conflates: nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import gridsignal
from gridsignal.agent.config import Baseline, MeterTable
from gridsignal.agent.contact import Say
from gridsignal.agent.kept import Kept, StateFailed
from gridsignal.agent.meters import Meter, MeterFailed
from gridsignal.agent.words import counted, power

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
_RENEW = timedelta(hours=12)
_RETRIES = 3


async def declared(grid: gridsignal.Grid, baseline: Baseline, say: Say) -> None:
    """Declares the baseline from now on, and again twice a day: the last word before a request counts."""
    resolution = timedelta(seconds=baseline.resolution_s)
    while True:
        starts_at = grid.now() - (grid.now() - _EPOCH) % resolution
        power_w = [baseline.power_w] * (baseline.days * _DAY // resolution)
        try:
            await grid.declare_baseline(
                starts_at, power_w, resolution_s=baseline.resolution_s, method="agent: as configured"
            )
            say(f"baseline: {power(baseline.power_w)} for {counted(baseline.days, 'day', 'days')}")
        except gridsignal.Refused as refused:
            say(f"baseline: {refused}")
        await grid.clock.sleep_until(starts_at + _RENEW)


class Readings:
    """Hands a meter's readings to the outbox, interval by interval; a gap is MISSING."""

    def __init__(self, meter: Meter, table: MeterTable, kept: Kept, say: Say) -> None:
        self._meter, self._table, self._kept, self._say = meter, table, kept, say

    async def run(self, grid: gridsignal.Grid) -> None:
        """Until it is cancelled."""
        interval, settle = timedelta(seconds=self._table.interval_s), timedelta(seconds=self._table.settle_s)
        while True:
            now = grid.now()
            first = now - (now - _EPOCH) % interval
            try:
                start = max(self._kept.read_until(self._table.name) or first, first - _DAY)
                await grid.clock.sleep_until(start + interval + settle)
                await self._report(grid, start, start + interval)
            except StateFailed as failed:
                self._say(str(failed))
                await grid.clock.sleep_until(grid.now() + interval)

    async def _report(self, grid: gridsignal.Grid, start: datetime, end: datetime) -> None:
        mean_w = None
        for attempt in range(_RETRIES):
            try:
                mean_w = await self._meter.mean_w(start, end)
                break
            except MeterFailed as failed:
                self._say(f"the meter: {failed}")
                if attempt < _RETRIES - 1:
                    await grid.clock.sleep_until(grid.now() + timedelta(seconds=self._table.settle_s))
        watts = mean_w or 0
        try:
            await grid.meter(
                meter=self._table.name,
                starts_at=start,
                ends_at=end,
                import_w=max(0, watts),
                export_w=max(0, -watts),
                quality="MISSING" if mean_w is None else "OK",
            )
        except gridsignal.Refused as refused:
            self._say(f"the reading from {start:%H:%MZ}: {refused}")
        self._kept.reported(self._table.name, end)
