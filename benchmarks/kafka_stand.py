"""A broker, a schema registry, a gateway and a dispatch door as processes: those the tests start, or the addresses
in GRIDSIGNAL_TEST_KAFKA and GRIDSIGNAL_TEST_REGISTRY.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiokafka import __version__ as aiokafka_version
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from benchmarks.machine import cpu_s, cpu_s_of
from benchmarks.servers import example
from gridsignal_schemas.messages import BaselineDeclaration, FlexOffer, OfferOption
from gridsignal_services.bus.kafka_topics import Brokers, administration, apply
from tests.journey.fleet import Fleet
from tests.services import kafka, registry
from tests.services.kafka import KafkaCluster
from tests.services.registry import RegistryNode

_UNLIMITED = dict.fromkeys(
    ("FRAMES_PER_S", "FRAME_BURST", "ORGANISATION_WRITES_PER_S", "ORGANISATION_WRITE_BURST", "OFFER_WINDOW"), "1000000"
)
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Services:
    """What the doors stand on."""

    brokers: Brokers
    registry: str
    broker_pid: int | None
    """None for a broker elsewhere: its CPU is then not counted."""
    said: str
    """One line about their versions."""


@contextmanager
def services() -> Iterator[Services]:
    """Before any event loop runs. Ends with what is missing where they can't be started."""
    with ExitStack() as leaving:
        folder = Path(leaving.enter_context(tempfile.TemporaryDirectory()))
        try:
            yield _services(folder, leaving)
        except pytest.skip.Exception as missing:
            raise SystemExit(f"kafka: {missing}") from None


def _services(folder: Path, leaving: ExitStack) -> Services:
    address, url = os.environ.get(kafka.ADDRESS), os.environ.get(registry.ADDRESS)
    pid = None
    said = f"aiokafka {aiokafka_version}, brokers at {address}"
    if address is None:
        cluster = KafkaCluster(folder, 1)
        leaving.callback(cluster.stop)
        address, pid = cluster.brokers.servers, cluster.nodes[0].process.pid
        said = f"aiokafka {aiokafka_version}, one Kafka {kafka.VERSION} broker started here"
    if url is None:
        node = RegistryNode(folder)
        leaving.callback(node.process.stop)
        url = node.url
    return Services(Brokers(address), url, pid, said)


class Stand:
    """The doors at work, and what those outside need: a request that is open, bodies of offers that fit it."""

    def __init__(self, on: Services, fleet: Fleet, bare_prefix: str) -> None:
        self.brokers, self.fleet, self.bare_prefix = on.brokers, fleet, bare_prefix
        """`bare_prefix`: topics with the same settings that nobody reads."""
        self.offer: dict[str, Any] = {}
        self._broker_pid = on.broker_pid

    def cpu(self) -> dict[str, float]:
        """CPU seconds so far of each process that takes part."""
        doors = {name.partition("-")[0]: cpu_s_of(door.process.pid) for name, door in self.fleet.doors.items()}
        broker = {} if self._broker_pid is None else {"broker": cpu_s_of(self._broker_pid)}
        return {"client": cpu_s()} | doors | broker

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[ClientConnection]:
        """A client that has said hello for fra-1 of acme-ai."""
        async with connect(
            f"{self.fleet.gateway('gateway-1')}/v1/stream",
            additional_headers={"Authorization": f"Bearer {self.fleet.token('participant', 'acme-ai')}"},
            subprotocols=[Subprotocol("gridsignal.v1.json")],
            compression=None,
        ) as connection:
            await connection.send('{"t":"hello","id":1,"client":"bench/1","site":"fra-1"}')
            await connection.recv()
            yield connection


@asynccontextmanager
async def standing(on: Services) -> AsyncIterator[Stand]:
    """Both doors ready, a baseline declared, a request open for two hours."""
    limits = {f"GRIDSIGNAL_GATEWAY_{name}": text for name, text in _UNLIMITED.items()}
    with tempfile.TemporaryDirectory() as name:
        doors = ("dispatch-1", "gateway-1")
        async with Fleet.sailing(Path(name), on.brokers, on.registry, 1, limits, doors) as fleet:
            bare_prefix = f"{fleet.prefix}bare."
            async with administration(on.brokers) as admin:
                await apply(admin, bare_prefix, replication=1)
            stand = Stand(on, fleet, bare_prefix)
            await _declare_baseline(stand)
            stand.offer = _body(await fleet.ask())
            yield stand


async def _declare_baseline(stand: Stand) -> None:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    baseline = example(BaselineDeclaration)
    body = baseline.model_copy(update={"starts_at": today, "resolution_s": _DAY_S, "power_w": [40_000_000] * 2})
    async with stand.connected() as connection:
        await connection.send(f'{{"t":"baseline","id":2,"body":{body.model_dump_json(exclude_none=True)}}}')
        answer = str(await connection.recv())
    if '"t":"received"' not in answer:
        raise SystemExit(f"kafka: expected a receipt for the baseline, got {answer}")


def _body(request_id: str) -> dict[str, Any]:
    """The golden offer, moved to the request that is open now."""
    now = datetime.now(UTC).replace(microsecond=0)
    golden = example(FlexOffer)
    starts_at, ends_at = now + timedelta(hours=3), now + timedelta(hours=3.75)
    option = OfferOption(**golden.options[0].model_dump() | {"starts_at": starts_at, "ends_at": ends_at})
    moved = {"request_id": request_id, "options": [option], "expires_at": now + timedelta(hours=2.5)}
    body = golden.model_copy(update=moved).model_dump(mode="json", exclude_none=True)
    body["flexibility"]["complete_by"] = (now + timedelta(hours=12)).isoformat()
    body["flexibility"]["rebound"] |= {
        "earliest": ends_at.isoformat(),
        "latest": (ends_at + timedelta(hours=3)).isoformat(),
    }
    return {name: value for name, value in body.items() if name not in ("zone", "offer_id", "participant", "site")}
