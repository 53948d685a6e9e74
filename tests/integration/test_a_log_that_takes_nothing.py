"""A log that can't be written: the operations port says so while it lasts, and not a moment longer."""

from __future__ import annotations

import asyncio
import re
import resource
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from gridsignal_services.bus import LogUnavailable
from gridsignal_services.bus.kafka import KafkaLog
from gridsignal_services.bus.kafka_topics import administration, apply
from gridsignal_services.ops import OpsServer
from gridsignal_services.settings import ServerSettings
from tests.integration.test_up_comes_back import running
from tests.patience import LONG_S
from tests.services.kafka import KafkaCluster

MW = 1_000_000


async def _asks(desk: httpx2.AsyncClient) -> int:
    """The status of a request that needs the log."""
    starts_at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=3)
    times = {"gate_closure_at": -60, "decision_deadline": -50, "starts_at": 0, "ends_at": 45}
    body = {name: (starts_at + timedelta(minutes=minutes)).isoformat() for name, minutes in times.items()}
    wanted = {"zone": "DE-LU", "direction": "LOAD_DECREASE", "power_w": 10 * MW, "respond_within_s": 300}
    key = {"Idempotency-Key": f"ask-{datetime.now(UTC).timestamp()}"}
    return (await desk.post("/v1/requests", json=body | wanted, headers=key)).status_code


def _disk_takes(pid: int, size: int) -> None:
    """The system lets no file of the process grow beyond this size, as a full disk would not."""
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


async def test_a_full_disk_makes_a_stack_unready_until_there_is_room_again(tmp_path: Path) -> None:
    async with running(tmp_path / "stack") as up:
        who = up.environment()
        found = re.search(r"for yourself +(\S+)", up.greeting)
        assert found
        token = {"Authorization": f"Bearer {who['GRIDSIGNAL_TOKEN']}"}
        async with (
            httpx2.AsyncClient(base_url=found[1], timeout=LONG_S) as ours,
            httpx2.AsyncClient(base_url=who["GRIDSIGNAL_API"], headers=token, timeout=LONG_S) as desk,
        ):
            assert await _asks(desk) == 201
            assert (await ours.get("/readyz")).status_code == 200
            _disk_takes(up.process.pid, 0)
            assert await _asks(desk) == 503
            assert (await ours.get("/readyz")).status_code == 503
            health = await ours.get("/healthz")
            assert health.status_code == 200  # a restart makes no room
            assert "can't be written now" in health.json()["log"]["reason"]
            assert "gridsignal_log_writable 0.0" in (await ours.get("/metrics")).text
            _disk_takes(up.process.pid, resource.RLIM_INFINITY)
            assert await _asks(desk) == 201
            assert (await ours.get("/readyz")).status_code == 200


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """A broker that may be frozen. Not async: it starts outside of any loop."""
    started = KafkaCluster(tmp_path_factory.mktemp("broker"), 1)
    yield started
    started.nodes[0].process.signal(signal.SIGCONT)
    started.kill()


@asynccontextmanager
async def _shown(log: KafkaLog) -> AsyncIterator[httpx2.AsyncClient]:
    ops = OpsServer(ServerSettings(), 0, [], log=log.condition)
    ops.listen()
    async with asyncio.TaskGroup() as tasks, httpx2.AsyncClient(base_url=ops.url, timeout=LONG_S) as ours:
        beside = [tasks.create_task(ops.serve()), tasks.create_task(log.watch(every_s=0.05))]
        yield ours
        for task in beside:
            task.cancel()


@pytest.mark.services
@pytest.mark.slow
async def test_a_broker_that_freezes_makes_a_door_unready_until_it_goes_on(cluster: KafkaCluster) -> None:
    async with administration(cluster.brokers) as admin:
        await apply(admin, "frozen.", replication=1)
    log = await KafkaLog.open(cluster.brokers, prefix="frozen.")
    frozen = cluster.nodes[0].process
    async with _shown(log) as ours:
        await log.append("dispatch", "DE-LU", b"x", {})
        assert (await ours.get("/readyz")).status_code == 200
        frozen.signal(signal.SIGSTOP)
        with pytest.raises(LogUnavailable):
            await log.append("dispatch", "DE-LU", b"x", {})
        assert (await ours.get("/readyz")).status_code == 503
        assert "can't be written now" in (await ours.get("/healthz")).json()["log"]["reason"]
        frozen.signal(signal.SIGCONT)
        async with asyncio.timeout(LONG_S):
            while (await ours.get("/readyz")).status_code != 200:
                try:
                    await log.append("dispatch", "DE-LU", b"x", {})
                except LogUnavailable:  # its connections are as old as the frost
                    continue
    await log.aclose()
