"""A real Chromium over the real embedded stack, and what tests of the console have in common."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gridsignal_services.bus.publish import publish
from tests.browser import Browser, Page, browser
from tests.journey.conftest import PATIENT, World, stepped_world


@asynccontextmanager
async def looking(
    folder: Path, limits: Mapping[str, str] = PATIENT, **settings: Any
) -> AsyncIterator[tuple[World, Browser]]:
    """`settings` of the stack beside its limits."""
    async with (
        stepped_world(folder / "stack", limits=limits, **settings) as world,
        browser(folder / "profile") as chromium,
    ):
        yield world, chromium


async def told(world: World, *records: Any) -> None:
    for record in records:
        await publish(world.stack.log, world.stack.codec, record, principal="service:tests", source="tests")


async def has_no_barrier(page: Page) -> None:
    barriers = await page.axe()
    assert not barriers, "\n".join(barriers)
