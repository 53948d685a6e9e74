"""`gridsignal audit` reads a log on Kafka by the services' own settings, and what it takes away proves without it."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest

from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.kafka import KafkaLog
from gridsignal_services.bus.kafka_topics import Brokers, administration, apply
from gridsignal_services.bus.publish import publish
from gridsignal_services.bus.registry import SchemaRegistry, register_all
from tests.builders import a_dispatch_request, a_meter_reading, a_site_registration
from tests.integration.audit.test_audit_commands import OFFER, PARTITION, Written, done, result
from tests.integration.audit.test_settlements_computed_again import settle

PERIOD = ("--from", "2024-05-12T00:00Z", "--to", "2100-01-01T00:00Z")


class Cluster:
    """A log of one test on the brokers, with everything that is proved on it under a signed head."""

    def __init__(self, brokers: Brokers, registry: str, directory: Path) -> None:
        self.brokers, self.registry, self.directory = brokers, registry, directory
        self.prefix = f"audit-{uuid.uuid4().hex[:8]}."

    @property
    def settings(self) -> dict[str, str]:
        """Of the commands, as of the services."""
        return {
            "GRIDSIGNAL_KAFKA": self.brokers.servers,
            "GRIDSIGNAL_SCHEMA_REGISTRY": self.registry,
            "GRIDSIGNAL_TOPIC_PREFIX": self.prefix,
            "GRIDSIGNAL_DIRECTORY": str(self.directory),
        }

    async def write(self) -> str:
        """Writes it; the public key of who signed."""
        async with administration(self.brokers) as admin, SchemaRegistry(self.registry) as schemas:
            await apply(admin, self.prefix, replication=1)
            codec = Codec(await register_all(schemas, self.prefix))
        log = await KafkaLog.open(self.brokers, prefix=self.prefix)
        try:
            written = Written(self.directory, log, codec)
            for record, principal in (
                (a_site_registration(), "service:dispatch"),
                (a_dispatch_request(), "operator:tso-north"),
                (OFFER, f"participant:{OFFER.participant}"),
            ):
                await written.add(record, principal)
            await written.head()
            reading = a_meter_reading(zone=OFFER.zone)
            await publish(log, codec, reading, principal=f"participant:{OFFER.participant}", source="/tests")
        finally:
            await log.aclose()
        return written.signer.public_key


@pytest.fixture
def cluster(kafka: Brokers, schema_registry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    made = Cluster(kafka, schema_registry, tmp_path / "here")
    (tmp_path / "here").mkdir()
    for name, value in made.settings.items():
        monkeypatch.setenv(name, value)
    return made


def test_a_log_on_kafka_is_verified_proved_and_exported(
    cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = asyncio.run(cluster.write())
    capsys.readouterr()
    code, said = done(capsys, "verify", "--zone", OFFER.zone, "--key", key)
    assert (code, "4 records, 1 head fits" in said) == (0, True), said
    assert settle(capsys, "verify", "--zone", OFFER.zone)[0] == 0
    offer, exported = tmp_path / "offer.json", tmp_path / "exported"
    assert done(capsys, "prove", "offer", OFFER.offer_id, "--out", offer)[0] == 0
    found = result(capsys, "export", "--zone", OFFER.zone, *PERIOD, "--out", exported)
    assert (found["partition"], found["records"], found["readings"]) == (PARTITION, 4, 1)
    assert result(capsys, "explain", OFFER.offer_id)["offer"]["offer_id"] == OFFER.offer_id

    for name in cluster.settings:
        monkeypatch.delenv(name)
    code, said = done(capsys, "verify", offer, "--key", key)
    assert (code, "a FlexOffer at offset 2, by participant:acme" in said) == (0, True), said
    code, said = done(capsys, "verify", exported, "--key", key)
    assert (code, "4 records, 1 head fits" in said) == (0, True), said
    (exported / "dispatch.jsonl").write_bytes((exported / "dispatch.jsonl").read_bytes().replace(b"acme", b"acne", 1))
    assert done(capsys, "verify", exported)[0] == 1


@pytest.mark.usefixtures("cluster")
def test_what_can_not_be_reached_is_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDSIGNAL_SCHEMA_REGISTRY", "http://127.0.0.1:1")
    code, said = done(capsys, "verify", "--zone", OFFER.zone)
    assert (code, "schema registry at http://127.0.0.1:1" in said) == (3, True), said
    monkeypatch.delenv("GRIDSIGNAL_SCHEMA_REGISTRY")
    code, said = done(capsys, "verify", "--zone", OFFER.zone)
    assert (code, "schema_registry: expected the registry's URL" in said) == (2, True), said
