"""The schema registry, a real one: what is registered is what the codec writes with."""

from __future__ import annotations

import json
import uuid

import pytest

from gridsignal_schemas.catalog import SUBJECTS
from gridsignal_services.bus import LogConfigurationError, LogUnavailable
from gridsignal_services.bus.codec import Codec, schema_id_of
from gridsignal_services.bus.registry import NotRegistered, SchemaRegistry, ids, text_of
from gridsignal_services.cli import schemas
from tests.builders import a_spot_price
from tests.services.process import free_ports


@pytest.fixture
def prefix() -> str:
    return f"test-{uuid.uuid4().hex[:12]}."


@pytest.fixture
def registered(schema_registry: str, prefix: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What the command printed."""
    arguments = schemas.parser().parse_args(["register", "--schema-registry", schema_registry, "--prefix", prefix])
    assert schemas.run(arguments) == 0
    first = capsys.readouterr().out
    assert schemas.run(arguments) == 0
    assert capsys.readouterr().out == first  # again, it does nothing
    return first


@pytest.mark.usefixtures("registered")
async def test_the_codec_writes_with_the_registrys_ids(schema_registry: str, prefix: str) -> None:
    async with SchemaRegistry(schema_registry) as registry:
        found = await ids(registry, prefix)
        codec, price = Codec(found), a_spot_price()
        value = codec.encode(price)
        assert codec.decode(value) == price
        assert schema_id_of(value) == found[SUBJECTS[0]]
        assert json.loads(await registry.schema(schema_id_of(value)))["name"] == "SpotPrice"
        assert (await registry.latest(prefix + SUBJECTS[0]))[0] == found[SUBJECTS[0]]


@pytest.mark.usefixtures("registered")
async def test_a_schema_that_breaks_readers_is_refused(schema_registry: str, prefix: str) -> None:
    subject = prefix + SUBJECTS[0]
    schema = json.loads(text_of(SUBJECTS[0]))
    grown = schema | {"fields": [*schema["fields"], {"name": "colour", "type": ["null", "string"], "default": None}]}
    broken = schema | {"fields": [*schema["fields"], {"name": "colour", "type": "string"}]}
    async with SchemaRegistry(schema_registry) as registry:
        assert await registry.is_compatible(subject, json.dumps(grown))
        assert not await registry.is_compatible(subject, json.dumps(broken))
        with pytest.raises(LogConfigurationError, match="409"):
            await registry.register(subject, json.dumps(broken))


async def test_what_is_not_registered_is_told_apart(schema_registry: str, prefix: str) -> None:
    async with SchemaRegistry(schema_registry) as registry:
        with pytest.raises(NotRegistered):
            await ids(registry, prefix)
        with pytest.raises(NotRegistered):
            await registry.schema(2_000_000_000)


async def test_a_registry_that_is_away_is_unavailable() -> None:
    (port,) = free_ports(1)
    async with SchemaRegistry(f"http://127.0.0.1:{port}") as registry:
        with pytest.raises(LogUnavailable, match="schema registry"):
            await registry.latest("x")
