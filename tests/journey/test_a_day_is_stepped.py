"""A simulation's clock stands still while anybody has something left to do before its next step."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from gridsignal_schemas.messages import Record, SpotPrice
from gridsignal_services import embedded
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.clock import SteppedClock, micros
from gridsignal_services.demo.conductor import Conductor
from gridsignal_services.ingest.replay import shipped
from gridsignal_services.registry import example_registry
from gridsignal_services.settings import ServerSettings
from tests.patience import SOON_S

LOOKS = 50


class Held(Codec):
    """Has no price ready before it is let go of."""

    let_go: threading.Event

    def encode(self, record: Record) -> bytes:
        """See Codec.encode."""
        if isinstance(record, SpotPrice):
            assert self.let_go.wait(SOON_S)
        return super().encode(record)


class Looks:
    """Stands for the programs: counts how often the conductor looks, and lets the prices go at last."""

    def __init__(self, let_go: threading.Event) -> None:
        self._let_go, self.count = let_go, 0

    async def settled(self) -> None:
        await asyncio.sleep(0)
        self.count += 1
        if self.count == LOOKS:
            self._let_go.set()


async def test_the_clock_waits_for_a_price_that_is_on_its_way_to_the_log(tmp_path: Path) -> None:
    plan = [publication for publication in shipped("2024-05-12") if isinstance(publication.record, SpotPrice)]
    clock = SteppedClock(plan[0].at - timedelta(hours=1))
    settings = ServerSettings(directory=tmp_path, gateway_port=0, dispatch_port=0, ingest_port=0)
    codec = Held.from_lock()
    codec.let_go = threading.Event()
    looks = Looks(codec.let_go)
    log = await SqliteLog.open(tmp_path / "log", append_time_us=lambda: micros(clock.now()))
    starting = embedded.running(
        log, tmp_path, codec=codec, registry=example_registry(), clock=clock, settings=settings, playback=plan
    )
    async with starting as stack:
        conductor = Conductor(stack, log, clock, [cast("Any", looks)])
        await conductor.quiet([])
        assert clock.step()
        assert clock.now() == plan[0].at
        looks.count = 0
        await conductor.quiet([])
        assert looks.count > LOOKS
        assert sum((await log.end_positions("prices")).values()) == len(plan)
    await log.aclose()
