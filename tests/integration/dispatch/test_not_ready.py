"""A dispatch door that has not caught up says so, answers nothing else, and lives."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx2

from gridsignal_services.access.issuer import LocalIssuer
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.checkpoints.keeping import Checkpoints
from gridsignal_services.clock import WallClock
from gridsignal_services.dispatch.service import Dispatch
from gridsignal_services.registry import example_registry
from gridsignal_services.replica import Replica
from gridsignal_services.settings import ServerSettings
from tests.patience import SOON_S


async def test_operations_wait_until_it_has_caught_up_and_health_does_not(tmp_path: Path) -> None:
    log, codec = await SqliteLog.open(tmp_path), Codec.from_lock()
    settings = ServerSettings(directory=tmp_path, dispatch_port=0)
    replica = Replica(log, codec, source="tests")
    verifier = LocalIssuer.create_or_open(tmp_path / "issuer").verifier()
    door = Dispatch(log, codec, replica, verifier, example_registry(), settings, WallClock())
    async with asyncio.timeout(SOON_S), asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(door.run())
        await asyncio.sleep(0)
        async with httpx2.AsyncClient(base_url="http://{}:{}".format(*door.address), timeout=SOON_S) as client:
            alive, ready, asked = [await client.get(path) for path in ("/healthz", "/readyz", "/v1/requests")]
            assert (alive.status_code, ready.status_code, asked.status_code) == (200, 503, 503)
            assert (ready.text, asked.json()["type"]) == ("not ready\n", "urn:gridsignal:problem:unavailable")
            assert asked.headers["Retry-After"] == "1"
            reading = tasks.create_task(replica.run())
            await door.ready()
            ready, asked = [await client.get(path) for path in ("/readyz", "/v1/requests")]
            assert (ready.status_code, asked.status_code) == (200, 401)
        await door.drain()
        await asyncio.wait([serving])
        reading.cancel()
    await log.aclose()


async def test_where_checkpoints_are_kept_no_other_file_of_finished_requests_stays(tmp_path: Path) -> None:
    log, codec = await SqliteLog.open(tmp_path), Codec.from_lock()
    verifier = LocalIssuer.create_or_open(tmp_path / "issuer").verifier()
    (tmp_path / "finished.db").write_bytes(b"of the version before")
    with Checkpoints.opened(tmp_path / "checkpoints", 1, log) as checkpoints:
        replica = Replica(log, codec, source="tests", checkpoints=checkpoints)
        Dispatch(log, codec, replica, verifier, example_registry(), ServerSettings(directory=tmp_path), WallClock())
    assert not (tmp_path / "finished.db").exists()
    await log.aclose()
