"""Tries everything that an agent will need, one after the other, and moves nothing.

Bounded: each look by its part's own time. When full: nothing is kept. Conflates: nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

import gridsignal
from gridsignal.agent.actuators import Actuator, guarded
from gridsignal.agent.config import Config, Mode
from gridsignal.agent.job_sources import JobSource
from gridsignal.agent.kept import Kept
from gridsignal.agent.meters import Meter
from gridsignal.agent.running import Connect
from gridsignal.agent.words import counted
from gridsignal.clock import wall
from gridsignal.errors import GridsignalError
from gridsignal_schemas.values import rfc3339


class Finding(NamedTuple):
    """One thing that was tried."""

    what: str
    works: bool
    said: str
    is_configured: bool = True
    """Else the site does without it."""


async def findings(
    config: Config, connect: Connect, actuator: Actuator, meter: Meter | None, jobs: JobSource | None = None
) -> AsyncIterator[Finding]:
    """What works, in the order in which it is tried."""
    yield await _tried("state", lambda: _state(config))
    now = wall()
    try:
        async with connect() as grid:
            yield Finding("gateway", True, f"{config.url}, grid time {grid.now():%Y-%m-%d %H:%M:%SZ}")
            now = grid.now()
            yield await _tried("orders", lambda: _orders(grid))
            yield await _tried("dispatch stream", lambda: _stream(grid))
    except gridsignal.GridsignalError as failed:
        yield Finding("gateway", False, str(failed))
    yield await _tried(f"actuator {config.actuator.kind}", lambda: _checked(actuator, now))
    with suppress(GridsignalError):
        await actuator.aclose()
    if config.mode in (Mode.AUTOMATIC, Mode.CONFIRM):
        named = ", ".join(config.alerts.providers)
        said = f"those of {named} are obeyed" if named else "heard, and nothing moves: alerts.providers names nobody"
        yield Finding("alerts", True, said)
    if jobs is not None:
        yield await _tried("jobs", lambda: _jobs(jobs, now))
    if meter is None:
        yield Finding("meter", True, "none is configured: orders are applied, and not verified", is_configured=False)
    else:
        yield await _tried("meter", lambda: meter.check(now))


async def _tried(what: str, look: Callable[[], Awaitable[str]]) -> Finding:
    try:
        return Finding(what, True, await look())
    except GridsignalError as failed:
        return Finding(what, False, str(failed))


async def _checked(actuator: Actuator, now: datetime) -> str:
    with guarded("check"):
        return await actuator.check(now)


async def _state(config: Config) -> str:
    kept = Kept(config.state / "agent.db")
    try:
        stood = kept.contact()
        contact = "" if stood is None else f", contact {stood.contact}, the grid answered {rfc3339(stood.heard_at)}"
        return f"{config.state}, {counted(len(kept.orders()), 'order', 'orders')} in hand{contact}"
    finally:
        kept.close()


async def _jobs(source: JobSource, now: datetime) -> str:
    jobs, _, faults = await source.read(now)
    return f"{counted(len(jobs), 'job', 'jobs')} to plan{f', left out: {chr(59).join(faults[:3])}' if faults else ''}"


async def _orders(grid: gridsignal.Grid) -> str:
    return counted(len(await grid.orders()), "order that is not over", "orders that are not over")


async def _stream(grid: gridsignal.Grid) -> str:
    async with grid.subscribe("dispatch", snapshot=False):
        await grid.ping()
        return "may be read"
