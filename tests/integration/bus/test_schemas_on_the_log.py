"""Schemas between log and registry: new ones are learned while reading, and another registry's ids are refused."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest

from gridsignal_schemas.catalog import SUBJECTS
from gridsignal_services.bus import LogUnavailable
from gridsignal_services.bus.codec import Codec, UnknownSchema
from gridsignal_services.bus.kafka import KafkaLog, Learn
from gridsignal_services.bus.kafka_topics import Brokers, administration, apply
from gridsignal_services.bus.publish import headers_of, publish
from gridsignal_services.bus.registry import SchemaRegistry, Schemas, ids, register_all, text_of
from gridsignal_services.bus.written import must_agree, written_ids
from gridsignal_services.cli import schemas
from tests.builders import a_spot_price
from tests.patience import SOON_S
from tests.services.process import free_ports

PRICES = SUBJECTS[0]


@pytest.fixture
def prefix() -> str:
    return f"test-{uuid.uuid4().hex[:12]}."


@asynccontextmanager
async def a_log(kafka: Brokers, prefix: str, learn: Learn | None = None) -> AsyncIterator[KafkaLog]:
    async with administration(kafka) as admin:
        await apply(admin, prefix, replication=1)
    log = await KafkaLog.open(kafka, prefix=prefix, **({} if learn is None else {"learn": learn}))
    try:
        yield log
    finally:
        await log.aclose()


async def newer(registry: SchemaRegistry, prefix: str) -> tuple[int, Codec, str]:
    """A version of us that writes prices with a field we have never heard of: its schema's id, and what we know."""
    await register_all(registry, prefix)
    known = await ids(registry, prefix)
    schema = json.loads(text_of(PRICES))
    grown = json.dumps(schema | {"fields": [*schema["fields"], a_field(prefix)]})
    return await registry.register(prefix + PRICES, grown), Codec(known), grown


def a_field(prefix: str) -> dict[str, object]:
    """Optional, and of this test alone: a registry gives the same schema the same id."""
    return {"name": f"colour_{prefix[5:17]}", "type": ["null", "string"], "default": None}


def written_by_the_newer(value: bytes, schema_id: int) -> bytes:
    """The same price, its framing changed and its new field null: null is the union's branch 0."""
    return b"\x00" + schema_id.to_bytes(4) + value[5:] + b"\x00"


async def test_a_schema_of_a_newer_version_is_learned_before_its_record_is_handed_out(
    kafka: Brokers, schema_registry: str, prefix: str
) -> None:
    async with SchemaRegistry(schema_registry) as registry:
        schema_id, codec, _ = await newer(registry, prefix)
        price = a_spot_price(zone="FR")
        value = written_by_the_newer(codec.encode(price), schema_id)
        with pytest.raises(UnknownSchema):
            codec.decode(value)
        async with a_log(kafka, prefix, Schemas(registry, codec).learn) as log:
            await log.append("prices", "FR", value, headers_of(price, principal="service:tests", source="tests"))
            reader = await log.reader("prices", await log.start_positions("prices"))
            (record,) = await reader.read()
            assert codec.decode(record.value) == price


async def test_while_the_registry_is_away_an_unknown_schema_is_waited_for_and_no_record_is_passed_over(
    kafka: Brokers, schema_registry: str, prefix: str
) -> None:
    (port,) = free_ports(1)
    async with SchemaRegistry(schema_registry) as registry, SchemaRegistry(f"http://127.0.0.1:{port}") as away:
        schema_id, codec, _ = await newer(registry, prefix)
        answering = away

        async def learn(values: Iterable[bytes]) -> None:
            await Schemas(answering, codec).learn(values)

        price = a_spot_price(zone="FR")
        headers = headers_of(price, principal="service:tests", source="tests")
        async with a_log(kafka, prefix, learn) as log, asyncio.timeout(SOON_S):
            await log.append("prices", "FR", codec.encode(price), headers)
            await log.append("prices", "FR", written_by_the_newer(codec.encode(price), schema_id), headers)
            reader = await log.reader("prices", await log.start_positions("prices"))
            (first,) = await reader.read(1)
            with pytest.raises(LogUnavailable, match="schema registry"):
                await reader.read(1)
            answering = registry
            (second,) = await reader.read(1)
            assert (first.offset, second.offset) == (0, 1)
            assert codec.decode(second.value) == price


async def test_ids_on_the_log_are_those_its_records_say(kafka: Brokers, schema_registry: str, prefix: str) -> None:
    async with SchemaRegistry(schema_registry) as registry, a_log(kafka, prefix) as log:
        await register_all(registry, prefix)
        known = await ids(registry, prefix)
        assert await written_ids(log) == {}
        await publish(log, Codec(known), a_spot_price(), principal="service:tests", source="tests")
        assert await written_ids(log) == {known[PRICES]: "SpotPrice"}
        await must_agree(registry, await written_ids(log))


@pytest.fixture
async def strange(kafka: Brokers, schema_registry: str, prefix: str) -> str:
    """The prefix of a log that was written with the ids of a registry in which all was registered in another order."""
    async with SchemaRegistry(schema_registry) as registry, a_log(kafka, prefix) as log:
        await register_all(registry, prefix)
        known = await ids(registry, prefix)
        swapped = dict(zip(known, reversed(known.values()), strict=True))
        await publish(log, Codec(swapped), a_spot_price(), principal="service:tests", source="tests")
    return prefix


def register(kafka: Brokers, schema_registry: str, prefix: str) -> int:
    given = ["register", "--schema-registry", schema_registry, "--kafka", kafka.servers, "--prefix", prefix, "--json"]
    return schemas.run(schemas.parser().parse_args(given))


def test_a_registry_that_is_not_the_logs_own_is_refused(
    kafka: Brokers, schema_registry: str, strange: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert register(kafka, schema_registry, strange) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert f"expected SpotPrice, got {SUBJECTS[-1].rpartition('.')[2]}" in told.err


def test_a_log_that_is_not_there_yet_is_no_obstacle(
    kafka: Brokers, schema_registry: str, prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert register(kafka, schema_registry, prefix) == 0
    assert json.loads(capsys.readouterr().out).keys() == {prefix + subject for subject in SUBJECTS}
