"""A real broker with TLS, passwords and rights: the doors' users do their work there, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import io
import shlex
import ssl
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

import gridsignal
from gridsignal_schemas.catalog import TOPICS
from gridsignal_services.access import DISPATCH_WRITE, OFFER_WRITE, SIGNAL_READ, SIGNAL_WRITE
from gridsignal_services.access.issuer import LocalIssuer
from gridsignal_services.bus import LogConfigurationError, LogUnavailable
from gridsignal_services.bus.cluster import brokers_of
from gridsignal_services.bus.kafka import KafkaLog
from gridsignal_services.bus.kafka_requests import give
from gridsignal_services.bus.kafka_rights import BESIDE, NEEDS, rights
from gridsignal_services.bus.kafka_topics import Brokers, administration, apply
from gridsignal_services.bus.registry import SchemaRegistry, register_all
from gridsignal_services.cli import topics
from gridsignal_services.settings import ConfigError, ServerSettings
from tests.journey.fleet import Door
from tests.patience import SOON_S
from tests.services.secured_kafka import PASSWORD, Secured

WAYS = ("SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN")
PREFIX = f"secured-{uuid.uuid4().hex[:8]}."


def _commands(servers: str, *more: str) -> list[list[str]]:
    """What `gridsignal topics acls` prints."""
    arguments = ["acls", "--kafka", servers, "--prefix", PREFIX, *more]
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert topics.run(topics.parser().parse_args(arguments)) == 0
    return [shlex.split(line) for line in said.getvalue().splitlines()]


async def _make_topics(brokers: Brokers) -> None:
    async with administration(brokers) as admin:
        await apply(admin, PREFIX, replication=1)


@pytest.fixture(scope="module")
def broker(secured_kafka: Secured) -> Secured:
    """With topics, and with the rights that the command prints. Not async: it starts outside of any loop."""
    asyncio.run(_make_topics(secured_kafka.unguarded))
    with ThreadPoolExecutor(2) as running:
        list(running.map(secured_kafka.run, _commands(secured_kafka.unguarded.servers)))
    return secured_kafka


@asynccontextmanager
async def _open(brokers: Brokers) -> AsyncIterator[KafkaLog]:
    log = await KafkaLog.open(brokers, prefix=PREFIX)
    try:
        yield log
    finally:
        await log.aclose()


@pytest.mark.parametrize("way", WAYS)
async def test_a_door_writes_reads_and_stands_over_tls_with_each_way_to_show_a_password(
    broker: Secured, way: str
) -> None:
    settings = ServerSettings(
        kafka=broker.tls,
        kafka_ca=broker.authority,
        kafka_username="dispatch",
        kafka_password=PASSWORD,
        kafka_sasl=way,
    )
    async with _open(brokers_of(settings)) as log:
        sent = await log.append("dispatch", "DE-LU", way.encode(), {"a": "b"})
        reader = await log.reader("dispatch", {sent.partition: sent.offset})
        (read,) = await reader.read()
        assert (read.value, read.headers) == (way.encode(), {"a": "b"})
        election = log.stand("dispatch")
        async with asyncio.timeout(SOON_S):
            while election.mine != frozenset(range(TOPICS["dispatch"].partitions)):
                await election.changed()
        await election.aclose()


@pytest.mark.parametrize("way", WAYS)
async def test_a_wrong_password_is_one_clear_line_without_it(
    broker: Secured, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(LogUnavailable, match="SaslAuthenticationFailed") as refused:
        await KafkaLog.open(broker.of("gateway", way, "wrong-canary"), prefix=PREFIX)
    assert broker.tls in str(refused.value)
    assert "canary" not in str(refused.value) + caplog.text
    assert not caplog.records


async def test_a_certificate_of_somebody_else_is_named(broker: Secured) -> None:
    settings = ServerSettings(kafka=broker.tls, kafka_username="gateway", kafka_password=PASSWORD)
    with pytest.raises(ConfigError, match="travels readable"):
        brokers_of(settings)
    stranger = Brokers(broker.tls, ssl.create_default_context(), "gateway", PASSWORD, "SCRAM-SHA-512")
    with pytest.raises(LogUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
        await KafkaLog.open(stranger, prefix=PREFIX)


async def test_scram_and_plain_without_tls_where_that_is_allowed(broker: Secured) -> None:
    for way in WAYS:
        settings = ServerSettings(
            kafka=broker.clear,
            kafka_username="gateway",
            kafka_password=PASSWORD,
            kafka_sasl=way,
            kafka_in_clear="allow",
        )
        async with _open(brokers_of(settings)) as log:
            assert len(await log.end_positions("dispatch")) == TOPICS["dispatch"].partitions


@pytest.mark.parametrize("door", sorted(NEEDS))
async def test_a_door_may_write_what_it_writes_and_nothing_else(broker: Secured, door: str) -> None:
    async with _open(broker.of(door)) as log:
        for stream in TOPICS:
            if stream in NEEDS[door].writes:
                await log.append(stream, "DE-LU", b"x", {})
            else:
                with pytest.raises(LogUnavailable, match="TopicAuthorizationFailed"):
                    await log.append(stream, "DE-LU", b"x", {})
        for stream in NEEDS[door].writes:  # what was refused is no harm to what is allowed
            await log.append(stream, "DE-LU", b"x", {})


async def test_a_user_without_rights_is_sent_to_the_command_that_prints_them(broker: Secured) -> None:
    with pytest.raises(LogConfigurationError, match="gridsignal topics acls"):
        await KafkaLog.open(broker.of("gateway"), prefix="of-others.")
    async with administration(broker.of("gateway")) as admin:
        with pytest.raises(LogConfigurationError, match="gridsignal topics acls"):
            await apply(admin, PREFIX + "more.", replication=1)


def _listed(broker: Secured) -> list[str]:
    """All rights there are, as Kafka's own command lists them."""
    said = broker.run(["kafka-acls.sh", "--bootstrap-server", broker.unguarded.servers, "--list"])
    return sorted(line.strip() for line in said.splitlines() if line.strip())


def test_rights_that_are_given_at_once_are_those_of_the_commands(broker: Secured) -> None:
    """Kafka's commands have given the doors theirs; those who are beside are given both ways."""
    also = [word for user in BESIDE for word in ("--also", user)]
    words = ["acls", "--kafka", broker.unguarded.servers, "--prefix", PREFIX, "--apply"]
    before = _listed(broker)
    assert topics.run(topics.parser().parse_args(words)) == 0
    assert _listed(broker) == before
    assert topics.run(topics.parser().parse_args([*words, *also])) == 0
    given = _listed(broker)
    assert len(given) > len(before)
    for command in _commands(broker.unguarded.servers, *also)[len(_commands("b:1")) :]:
        broker.run(command)
    assert _listed(broker) == given


async def test_whoever_may_not_give_rights_is_told_so(broker: Secured) -> None:
    async with administration(broker.of("gateway")) as admin:
        with pytest.raises(LogConfigurationError, match="rights: expected brokers that give them"):
            await give(admin, rights(PREFIX))


def test_a_feed_that_asks_for_power_gets_the_right_on_request_alone() -> None:
    def may_write(*more: str) -> bool:
        commands = [set(command) for command in _commands("b:9092", *more)]
        return any({"User:ingest", "Write", f"{PREFIX}gridsignal.dispatch"} <= command for command in commands)

    assert not may_write()
    assert may_write("--feeds-ask")


@asynccontextmanager
async def _serving(broker: Secured, registry: str, directory: Path) -> AsyncIterator[dict[str, Door]]:
    """One process of each door, with the password of its own user."""
    async with SchemaRegistry(registry) as schemas:
        await register_all(schemas, PREFIX)

    def start(door: str) -> Door:
        way = {"KAFKA_CA": str(broker.authority), "KAFKA_USERNAME": door, "KAFKA_PASSWORD": PASSWORD}
        env = {f"GRIDSIGNAL_{name}": value for name, value in (way | {"KAFKA_SASL": "SCRAM-SHA-512"}).items()}
        return Door(door, door, directory, broker.tls, registry, PREFIX, env)

    async with asyncio.TaskGroup() as tasks:
        starting = {door: tasks.create_task(asyncio.to_thread(start, door)) for door in NEEDS}
    doors = {name: task.result() for name, task in starting.items()}
    try:
        yield doors
    finally:
        for door in doors.values():
            door.process.kill()


async def test_the_three_doors_do_their_work_with_their_rights_alone(
    broker: Secured, schema_registry: str, tmp_path: Path
) -> None:
    """On topics on which other programs have written, too: what they left is passed over."""
    issuer, now = LocalIssuer.create_or_open(tmp_path / "issuer"), datetime.now(UTC).replace(microsecond=0)
    day = now.replace(hour=0, minute=0, second=0)
    scopes = [DISPATCH_WRITE, SIGNAL_READ, SIGNAL_WRITE]
    bearer = {"Authorization": f"Bearer {issuer.mint('operator', 'tso-north', 't', scopes, 600, now)}"}
    token = issuer.mint("participant", "acme-ai", "t", [OFFER_WRITE, SIGNAL_READ], 600, now)
    async with (
        _serving(broker, schema_registry, tmp_path) as doors,
        httpx2.AsyncClient(headers=bearer, timeout=SOON_S) as operator,
        gridsignal.connect(f"ws://127.0.0.1:{doors['gateway'].port}", token=token, site="fra-1") as grid,
    ):
        price = {"zone": "DE-LU", "product": "DAY_AHEAD", "dataset": "TEST", "currency": "EUR", "resolution_s": 3600}
        pushed = price | {"starts_at": day.isoformat(), "prices_per_mwh": ["80"] * 24}
        at = f"http://127.0.0.1:{doors['ingest'].port}/v1/signals/prices"
        assert (await operator.post(at, json=pushed)).status_code == 201
        async with asyncio.timeout(SOON_S):
            async for signal in grid.subscribe("prices", zones=["DE-LU"]):
                assert isinstance(signal, gridsignal.SpotPrice)
                break
        await grid.declare_baseline(day, [30_000_000] * 48, resolution_s=3600)
        times = {"gate_closure_at": 1.0, "decision_deadline": 1.2, "starts_at": 3.0, "ends_at": 3.75}
        body = {name: (now + timedelta(hours=hours)).isoformat() for name, hours in times.items()}
        wanted = {"zone": "DE-LU", "direction": "LOAD_DECREASE", "power_w": 10_000_000, "respond_within_s": 300}
        at = f"http://127.0.0.1:{doors['dispatch'].port}/v1/requests"
        asked = await operator.post(at, json=body | wanted, headers={"Idempotency-Key": "one"})
        assert asked.status_code == 201, asked.text
        async with asyncio.timeout(SOON_S):
            async for signal in grid.subscribe("dispatch", zones=["DE-LU"]):
                if isinstance(signal, gridsignal.DispatchRequest):
                    await grid.offer(signal, 10_000_000, "80")
                if isinstance(signal, gridsignal.OfferDecision) and signal.decision == "ACCEPTED_FOR_CLEARING":
                    clear = f"{at}/{signal.request_id}/clear"  # the owner has read the offer: it has decided about it
                    assert (await operator.post(clear, json={"reason": "a test"})).status_code == 200
                if isinstance(signal, gridsignal.DispatchOrder):
                    break
