"""A process that serves seldom looks through all it has for garbage, and leaves the collector as it found it."""

from __future__ import annotations

import asyncio
import gc
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from gridsignal_services import embedded
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.bus.sqlite_reader import SqliteReader
from gridsignal_services.clock import WallClock
from gridsignal_services.registry import example_registry
from gridsignal_services.settings import ServerSettings
from tests.patience import SOON_S
from tests.tidy.sources import sources


async def test_a_process_that_serves_seldom_collects_everything(tmp_path: Path) -> None:
    before = gc.get_threshold(), gc.get_freeze_count()
    log = await SqliteLog.open(tmp_path)
    settings = ServerSettings(directory=tmp_path, gateway_port=0, dispatch_port=0, ingest_port=0)
    starting = embedded.running(log, tmp_path, registry=example_registry(), clock=WallClock(), settings=settings)
    async with starting as stack:
        await stack.declare_flat_baselines(embedded.midnight(datetime.now(UTC)), 1, 0.5)
        assert gc.get_threshold()[:2] == before[0][:2]
        assert gc.get_threshold()[2] > before[0][2]
        assert gc.get_freeze_count() > before[1]
    await log.aclose()
    assert gc.get_threshold() == before[0]


class LateMeters(SqliteLog):
    """Its readings can't be read before they are `given`."""

    asked: asyncio.Event
    given: asyncio.Event

    async def reader(self, stream: str, positions: Mapping[int, int]) -> SqliteReader:
        if stream == "readings":
            self.asked.set()
            await self.given.wait()
        return await super().reader(stream, positions)


async def test_it_looks_at_all_until_every_door_is_filled(tmp_path: Path) -> None:
    before = gc.get_freeze_count()
    log = await LateMeters.open(tmp_path)
    assert isinstance(log, LateMeters)
    log.asked, log.given = asyncio.Event(), asyncio.Event()
    settings = ServerSettings(directory=tmp_path, gateway_port=0, dispatch_port=0, ingest_port=0)
    starting = embedded.running(log, tmp_path, registry=example_registry(), clock=WallClock(), settings=settings)
    async with asyncio.timeout(SOON_S):
        entering = asyncio.create_task(starting.__aenter__())
        await log.asked.wait()  # all that is dispatched is reduced
        frozen = gc.get_freeze_count()
        log.given.set()
        await entering
        await starting.__aexit__(None, None, None)
    await log.aclose()
    assert frozen <= before  # what an earlier test froze may be gone meanwhile


def test_one_place_sets_it_for_every_process() -> None:
    """Whatever reduces for ever does so beside it."""
    services = sources("services")
    assert [each.path.stem for each in services if re.search(r"\bimport gc\b", each.text)] == ["collecting"]
    assert [each.path.stem for each in services if "replica.save()" in each.text] == ["composition"]
    assert [each.path.stem for each in services if "collect_seldom(ready(" in each.text] == ["composition"]
