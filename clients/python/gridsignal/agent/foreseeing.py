"""The planner in the loop: hears prices and carbon, plans the jobs, declares the plan's baseline, knows what to offer.

Bounded: one plan at a time, of one source's jobs; what was declared for ten days. When full: the oldest is forgotten.
Conflates: curves that come while it plans.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import gridsignal
from gridsignal.agent.actuators import ActuatorFailed
from gridsignal.agent.actuators.files import replaced
from gridsignal.agent.config import PlanTable
from gridsignal.agent.contact import Say
from gridsignal.agent.curves import SLOT, SLOT_S
from gridsignal.agent.headroom import DURATIONS_S, NOTICES_S, Headroom
from gridsignal.agent.hearing import KEPT, Heard
from gridsignal.agent.job_sources import JobSource
from gridsignal.agent.planning import Planned, plan
from gridsignal.agent.possible import Step, possible, raisable_w
from gridsignal.agent.schedule import Stretch
from gridsignal.agent.site import Site
from gridsignal.agent.words import counted
from gridsignal_schemas.values import rfc3339

Period = tuple[datetime, datetime | None]


class Planner:
    """Keeps a plan; `run` is its life beside a conversation with the grid."""

    def __init__(self, site: Site, source: JobSource, table: PlanTable, currency: str, file: Path, say: Say) -> None:
        self._site, self._source, self._table, self._file, self._say = site, source, table, file, say
        self._heard, self._news = Heard(site.zone, currency), asyncio.Event()
        self._declared = _declared_in(file)
        self._told = ""
        self.planned: Planned | None = None
        self.headroom: list[Headroom] = []
        """What the plan says could be shed and raised, from its first moment on."""

    def baseline(self, now: datetime) -> Sequence[Stretch]:
        """What was declared, as far as it is known here."""
        return [Stretch(at, at + SLOT, watts) for at, watts in sorted(self._declared.items()) if at + SLOT > now]

    def ladder(self, starts_at: datetime, ends_at: datetime | None) -> list[Step]:
        """What could be shed in a period beside the plan, and at which price; nothing where the plan doesn't reach."""
        found = self.planned
        if found is None or ends_at is None:
            return []
        first, last = found.outlook.slot_of(starts_at), -(-found.outlook.slot_of(ends_at) // 1)
        if first < 0 or last > found.outlook.slots:
            return []
        return possible(found, int(first), int(last), self._table.margin_per_mwh)

    async def run(self, grid: gridsignal.Grid, taken: Callable[[], Iterable[Period]], *, declares: bool) -> None:
        """Until it is cancelled. `taken`: periods of orders and offers, whose baseline stays as it was declared."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._hear(grid))
            while True:
                self._news.clear()
                if await self._plan(grid.now()):
                    await self._declare(grid, list(taken()), declares)
                next_at = grid.now() + timedelta(seconds=self._table.every_s)
                waiting = [asyncio.create_task(self._news.wait()), asyncio.create_task(grid.clock.sleep_until(next_at))]
                try:
                    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for each in waiting:
                        each.cancel()

    async def _hear(self, grid: gridsignal.Grid) -> None:
        async for record in grid.subscribe("prices", "carbon", zones=[self._site.zone], mode="latest"):
            if self._heard.take(record):
                self._news.set()

    async def _plan(self, now: datetime) -> bool:
        """Whether there is a new plan."""
        outlook = self._heard.outlook(now, self._table.hours * 4)
        if outlook is None:
            self._tell(f"no plan: no day-ahead price of {self._site.zone} is known")
            return False
        try:
            jobs, progress, faults = await self._source.read(now)
        except ActuatorFailed as failed:
            self._tell(f"no plan: {failed}")
            return False
        until_s = time.monotonic() + self._table.seconds
        table, site = self._table, self._site

        def thought() -> tuple[Planned, list[Headroom]]:
            left_s, by = (lambda: until_s - time.monotonic()), table.carbon_price
            found = plan(jobs, site, outlook, progress=progress, carbon_price=by, left_s=left_s)
            return found, _headroom(found)

        planned, self.headroom = await asyncio.to_thread(thought)
        self.planned, found = planned, planned.plan
        late = f", late: {', '.join(found.late[:5])}" if found.late else ""
        left_out = f"; left out: {'; '.join(faults[:3])}" if faults else ""
        what = f"{counted(len(jobs), 'job', 'jobs')} for {table.hours} h"
        self._tell(f"plan: {what}, {found.cost:.0f}, gap {found.gap:.1%}{late}{left_out}")
        return True

    async def _declare(self, grid: gridsignal.Grid, taken: list[Period], declares: bool) -> None:
        assert self.planned is not None
        found, before = self.planned.plan, dict(self._declared)
        for slot, watts in enumerate(found.connection_w):
            at = found.starts_at + slot * SLOT
            is_taken = any(start < at + SLOT and (end is None or at < end) for start, end in taken)
            if not (is_taken and at in self._declared):
                self._declared[at] = max(0, int(watts))
        for at in sorted(self._declared)[:-KEPT]:
            del self._declared[at]
        if before == self._declared and self._file.exists():
            return
        power_w = [self._declared[found.starts_at + slot * SLOT] for slot in range(len(found.connection_w))]
        try:
            await asyncio.to_thread(replaced, self._file, json.dumps(self._as_json(), indent=1))
            if declares:
                await grid.declare_baseline(found.starts_at, power_w, method="agent: as planned")
        except (gridsignal.Refused, ActuatorFailed) as failed:
            self._say(f"baseline: {failed}")

    def _as_json(self) -> dict[str, object]:
        """For the site's scheduler, and for the next start."""
        assert self.planned is not None
        found = self.planned.plan
        return {
            "starts_at": rfc3339(found.starts_at),
            "known_at": rfc3339(found.known_at),
            "method": found.method,
            "gap": found.gap,
            "late": list(found.late),
            "jobs": {name: list(levels) for name, levels in found.levels.items()},
            "connection_w": list(found.connection_w),
            "battery_w": list(found.battery_w),
            "generation_w": list(found.generation_w),
            "declared": {rfc3339(at): watts for at, watts in self._declared.items()},
        }

    def _tell(self, line: str) -> None:
        """Once, and not at each quarter hour."""
        if line != self._told:
            self._say(line)
        self._told = line


def _headroom(found: Planned) -> list[Headroom]:
    """For each notice and duration that the plan reaches."""
    rooms = list[Headroom]()
    for notice_s in NOTICES_S:
        for duration_s in DURATIONS_S:
            first = -(-notice_s // SLOT_S)
            last = first + duration_s // SLOT_S
            if last <= found.outlook.slots:
                ladder = possible(found, first, last, 0.0)
                shed_w = int(ladder[-1].power_w) if ladder else 0
                rooms.append(Headroom(notice_s, duration_s, shed_w, int(raisable_w(found, first, last))))
    return rooms


def _declared_in(file: Path) -> dict[datetime, int]:
    """What an earlier run declared; what can't be read is declared anew."""
    try:
        told = json.loads(file.read_text("utf-8"))["declared"]
        return {datetime.fromisoformat(at): int(watts) for at, watts in told.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
