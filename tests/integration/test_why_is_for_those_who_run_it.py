"""Why a door waits, and where its log is, nobody hears from the door: the operations port tells those who run it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from structlog import get_logger

from gridsignal_services import embedded
from gridsignal_services.access import DISPATCH_WRITE, SIGNAL_READ, Role
from gridsignal_services.access.issuer import LocalIssuer
from gridsignal_services.bus import Appended, LogUnavailable
from gridsignal_services.bus.around import AroundLog
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.cache.memory import MemoryCache
from gridsignal_services.clock import WallClock
from gridsignal_services.dispatch.service import Dispatch
from gridsignal_services.gateway.service import Gateway
from gridsignal_services.gateway.settings import GatewaySettings
from gridsignal_services.registry import example_registry
from gridsignal_services.replica import Replica
from gridsignal_services.rest.callers import add_problems
from gridsignal_services.rest.problems import LOG_AWAY, WRITE_UNKNOWN
from gridsignal_services.settings import ServerSettings
from tests.integration.gateway_stand import open_client
from tests.patience import SOON_S

CANARY = "kafka at canary-of-the-brokers:9092: no answer"
PATHS = ("/healthz", "/readyz", "/v1/stream", "/v1/events?stream=prices", "/v1/poll?stream=prices", "/v1/requests", "/")


class Away(AroundLog):
    """A log that can't be read or written, and says where it is."""

    def __init__(self, log: SqliteLog) -> None:
        super().__init__(log)
        self.reads = self.writes = self.tells = True
        self.was_asked = asyncio.Event()

    def _must(self, works: bool) -> None:
        if not works:
            self.was_asked.set()
            raise LogUnavailable(CANARY)

    async def append(
        self, stream: str, key: str, value: bytes, headers: Mapping[str, str], *, partition: int | None = None
    ) -> Appended:
        self._must(self.writes)
        appended = await super().append(stream, key, value, headers, partition=partition)
        self._must(self.tells)
        return appended

    async def start_positions(self, stream: str) -> dict[int, int]:
        self._must(self.reads)
        return await super().start_positions(stream)

    async def end_positions(self, stream: str) -> dict[int, int]:
        self._must(self.reads)
        return await super().end_positions(stream)


@asynccontextmanager
async def a_log(directory: Path) -> AsyncIterator[Away]:
    log = Away(await SqliteLog.open(directory))
    try:
        yield log
    finally:
        await log.aclose()


def a_token(issuer: LocalIssuer, role: Role, organisation: str) -> str:
    return issuer.mint(role, organisation, "tests", (SIGNAL_READ, DISPATCH_WRITE), 600, datetime.now(UTC))


@asynccontextmanager
async def waiting(log: Away, door: Gateway | Dispatch, *beside: Replica) -> AsyncIterator[str]:
    """The address of a door that says to those who run it why it is not ready."""
    async with asyncio.timeout(SOON_S), asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(each.run()) for each in (door, *beside)]
        await log.was_asked.wait()
        while CANARY not in str(door.watched.state):  # noqa: ASYNC110 - who asked has the answer, and is about to say so
            await asyncio.sleep(0)
        yield "{}:{}".format(*door.address)
        for each in running:
            each.cancel()


async def heard(address: str, token: str) -> str:
    """Everything that somebody without a token, and somebody with one, is told."""
    told = ""
    for headers in ({}, {"Authorization": f"Bearer {token}"}):
        async with httpx2.AsyncClient(base_url=f"http://{address}", headers=headers, timeout=SOON_S) as client:
            for path in PATHS:
                answer = await client.get(path)
                told += f"{answer.status_code} {answer.headers} {answer.text}\n"
    return told


async def test_a_gateway_that_can_not_read_is_not_ready_and_says_no_more(tmp_path: Path) -> None:
    async with a_log(tmp_path / "log") as log:
        log.reads = False
        issuer, codec, settings = LocalIssuer.create_or_open(tmp_path), Codec.from_lock(), ServerSettings()
        own = GatewaySettings(data_directory=tmp_path / "gateway", port=0)
        trusted = issuer.verifier(), example_registry(), MemoryCache()
        gateway = Gateway(log, codec, Replica(log, codec, source="tests"), *trusted, own, WallClock())
        async with waiting(log, gateway) as address:
            told = await heard(address, a_token(issuer, "participant", "acme-ai"))
        assert settings.host in address
        assert '"detail":"not ready"' in told
        assert "canary" not in told


async def test_a_dispatch_door_that_can_not_write_is_not_ready_and_says_no_more(tmp_path: Path) -> None:
    async with a_log(tmp_path / "log") as log:
        log.writes = False
        issuer, codec = LocalIssuer.create_or_open(tmp_path), Codec.from_lock()
        replica, settings = Replica(log, codec, source="tests"), ServerSettings(directory=tmp_path, dispatch_port=0)
        dispatch = Dispatch(log, codec, replica, issuer.verifier(), example_registry(), settings, WallClock())
        async with waiting(log, dispatch, replica) as address:
            told = await heard(address, a_token(issuer, "operator", "tso-north"))
        assert '"detail":"not ready"' in told
        assert "canary" not in told


def wanted() -> dict[str, Any]:
    """A request that is right, for three hours from now."""
    now = datetime.now(UTC).replace(microsecond=0)
    times = {"gate_closure_at": 2.0, "decision_deadline": 2.2, "starts_at": 3.0, "ends_at": 3.75}
    body = {name: (now + timedelta(hours=hours)).isoformat() for name, hours in times.items()}
    return body | {"zone": "DE-LU", "direction": "LOAD_DECREASE", "power_w": 10_000_000, "respond_within_s": 300}


async def test_a_log_that_goes_away_is_away_and_clients_hear_no_more(tmp_path: Path) -> None:
    ports = {"gateway_port": 0, "dispatch_port": 0, "ingest_port": 0}
    settings = ServerSettings(directory=tmp_path, limits={"GRIDSIGNAL_GATEWAY_RING_RECORDS": "1"}, **ports)
    async with a_log(tmp_path / "log") as log:
        registry = example_registry()
        starting = embedded.running(log, tmp_path, registry=registry, clock=WallClock(), settings=settings)
        async with starting as stack:
            token = stack.token("participant", "acme-ai")
            async with open_client(f"{stack.gateway_url}/v1/stream", token) as site:
                await site.hello(site="fra-1")
                subscribed = await site.subscribe("dispatch", snapshot=True)
                cursor = (await site.position())["cursor"]
                await site.ask("unsubscribe", sub=subscribed["sub"])
                await stack.declare_flat_baselines(embedded.midnight(datetime.now(UTC)), 3, 0.5)
                log.reads = log.writes = False  # and what came after the cursor is not in memory
                again = await site.subscribe("dispatch", cursor=cursor)
                headers = {"Authorization": f"Bearer {stack.token('operator', 'tso-north')}"}
                async with httpx2.AsyncClient(base_url=stack.api_url, headers=headers, timeout=SOON_S) as operator:
                    asked = await operator.post("/v1/requests", json=wanted(), headers={"Idempotency-Key": "one"})
                log.reads = log.writes = True
    assert (again["t"], again["code"], again["retriable"]) == ("error", "unavailable", True)
    assert (asked.status_code, asked.json()["retriable"]) == (503, True)
    assert "canary" not in f"{again} {asked.headers} {asked.text}"


async def test_who_is_not_told_that_a_record_is_logged_sends_the_same_again_and_it_counts_once(tmp_path: Path) -> None:
    settings = ServerSettings(directory=tmp_path, gateway_port=0, dispatch_port=0, ingest_port=0)
    async with a_log(tmp_path / "log") as log:
        registry = example_registry()
        starting = embedded.running(log, tmp_path, registry=registry, clock=WallClock(), settings=settings)
        async with starting as stack:
            headers = {"Authorization": f"Bearer {stack.token('operator', 'tso-north')}", "Idempotency-Key": "one"}
            async with httpx2.AsyncClient(base_url=stack.api_url, headers=headers, timeout=SOON_S) as operator:
                body = wanted()
                log.tells = False
                unknown = await operator.post("/v1/requests", json=body)
                log.tells = True
                again = await operator.post("/v1/requests", json=body)
                listed = (await operator.get("/v1/requests")).json()["requests"]
    assert (unknown.status_code, unknown.json()["retriable"]) == (503, True)
    assert unknown.json()["detail"] == WRITE_UNKNOWN
    assert again.is_success
    assert [each["request"]["request_id"] for each in listed] == [again.json()["request"]["request_id"]]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_whoever_may_have_written_hears_that_the_outcome_is_unknown(method: str) -> None:
    app = FastAPI()
    add_problems(app, get_logger())

    @app.api_route("/", methods=[method])
    async def away() -> None:
        raise LogUnavailable(CANARY)

    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://door") as client:
        answer = await client.request(method, "/")
    assert answer.status_code == 503
    assert answer.json()["detail"] == (LOG_AWAY if method == "GET" else WRITE_UNKNOWN)
