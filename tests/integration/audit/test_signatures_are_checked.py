"""`gridsignal audit verify --registry`: participants' signatures on a log and in an export, one by one."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gridsignal.signing import public_key
from gridsignal_schemas.catalog import TOPICS, partition_of
from gridsignal_schemas.messages import Record
from gridsignal_services.access.signer import Signer
from gridsignal_services.bus import SIGNATURE
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.publish import publish
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.ledger.tree import leaf_of
from gridsignal_services.merkle import Frontier
from gridsignal_services.registry import example_registry_text
from gridsignal_services.tree_heads import signed_head
from tests.builders import a_dispatch_request, a_flex_offer, a_meter_reading, a_site_registration
from tests.integration.audit.test_audit_commands import done, result
from tests.signing import ACME, DEPLOYMENT, signed

PERIOD = ("--from", "2024-05-12T00:00Z", "--to", "2100-01-01T00:00Z")


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    """acme-ai has to sign."""
    keys = f'[participants.acme-ai.keys.{ACME.key_id}]\npublic_key = "{public_key(ACME)}"\n'
    text = f'signed_for = "{DEPLOYMENT}"\n{example_registry_text()}\n{keys}'
    strict = text.replace("[participants.acme-ai]\n", '[participants.acme-ai]\nsignatures = "required"\n')
    (tmp_path / "sites.toml").write_text(strict, "utf-8")
    return tmp_path / "sites.toml"


@pytest.fixture
async def directory(tmp_path: Path) -> Path:
    """A log with an offer and a reading that are signed."""
    log, codec = await SqliteLog.open(tmp_path / "log"), Codec.from_lock()

    async def add(record: Record, principal: str, signature: str | None = None) -> None:
        await publish(log, codec, record, principal=principal, source="/tests", signature=signature)

    await add(a_site_registration(), "service:dispatch")
    await add(a_dispatch_request(), "operator:tso-north")
    for record in (a_flex_offer(), a_meter_reading()):
        now_s = int(datetime.now(UTC).timestamp())
        await add(record, "participant:acme-ai", signed(record, now_s=now_s))
    await log.aclose()
    return tmp_path / "log"


def verified(capsys: pytest.CaptureFixture[str], directory: Path, registry: Path | None) -> dict[str, Any]:
    with_keys = [] if registry is None else ["--registry", registry]
    (found,) = result(capsys, "verify", directory, *with_keys)["partitions"]
    return {name: found[name] for name in ("faults", "signatures", "unchecked_signatures")}


def test_they_count_by_a_registry_and_without_one_it_is_said_that_nobody_looked(
    directory: Path, registry: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verified(capsys, directory, registry) == {"faults": [], "signatures": 2, "unchecked_signatures": 0}
    assert verified(capsys, directory, None) == {"faults": [], "signatures": 0, "unchecked_signatures": 2}
    code, said = done(capsys, "verify", directory)
    assert code == 0
    assert "2 signatures of participants need a registry to be checked by" in said


@pytest.mark.parametrize(("stream", "what"), [("dispatch", "record"), ("readings", "reading")])
def test_one_that_was_taken_off_the_log_is_missed(
    directory: Path, registry: Path, capsys: pytest.CaptureFixture[str], stream: str, what: str
) -> None:
    with sqlite3.connect(directory / "log.db") as log:
        for place, headers in log.execute("SELECT place, headers FROM records").fetchall():
            left = {name: text for name, text in json.loads(headers).items() if name != SIGNATURE}
            if ("FlexOffer" in left["ce_type"]) == (stream == "dispatch"):
                log.execute("UPDATE records SET headers = ? WHERE place = ?", (json.dumps(left), place))
    found = verified(capsys, directory, registry)
    (fault,) = found["faults"]
    assert fault.startswith(f"the {what} at offset ")
    assert fault.endswith(": it is not signed, and the registry asks for a signature")
    assert found["signatures"] == 1


def test_an_export_has_them_with_it(
    directory: Path, registry: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "export"
    code, said = done(capsys, "export", "--zone", "DE-LU", *PERIOD, "--out", folder, "--directory", directory)
    assert code == 0, said
    assert verified(capsys, folder, registry) == {"faults": [], "signatures": 2, "unchecked_signatures": 0}
    lines = [json.loads(line) for line in (folder / "dispatch.jsonl").read_text("utf-8").splitlines()]
    other = signed(a_flex_offer(revision=2), now_s=int(datetime.now(UTC).timestamp()))
    changed = [line | {"signature": other} if "signature" in line else line for line in lines]
    (folder / "dispatch.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in changed), "utf-8")
    assert any("its signature does not count" in fault for fault in verified(capsys, folder, registry)["faults"])


def believe(signer: Signer, registry: Path) -> None:
    with registry.open("a", encoding="utf-8") as file:
        file.write(f'\n[signers.tso]\npublic_key = "{signer.public_key}"\n')


def forge(file: Path) -> None:
    evidence = json.loads(file.read_text("utf-8"))
    evidence["record"]["signature"] = signed(a_flex_offer(revision=2), now_s=int(datetime.now(UTC).timestamp()))
    file.write_text(json.dumps(evidence), "utf-8")


async def test_a_file_of_a_record_has_its_signature_too(
    directory: Path, registry: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    offer = a_flex_offer()
    partition = partition_of(offer.zone, TOPICS["dispatch"].partitions)
    log, codec, leaves = await SqliteLog.open(directory), Codec.from_lock(), Frontier()
    reader = await log.reader("dispatch", {partition: 0})
    for each in await reader.read(3):
        leaves.append(leaf_of(each))
    await reader.aclose()
    signer = Signer.create_or_open(directory)
    head = signed_head(partition, leaves.size, leaves.root(), log=log.epoch, signed_at=datetime.now(UTC), signer=signer)
    await publish(log, codec, head, principal="service:dispatch", source="/tests", partition=partition)
    await log.aclose()
    file = tmp_path / "offer.json"
    code, said = done(capsys, "prove", "offer", offer.offer_id, "--directory", directory, "--out", file)
    assert code == 0, said
    believe(signer, registry)
    assert result(capsys, "verify", file, "--registry", registry)["faults"] == []
    forge(file)
    (fault,) = result(capsys, "verify", file, "--registry", registry)["faults"]
    assert fault == (
        f"{file}: its signature does not count: expected a signature of this FlexOffer by the key {ACME.key_id}"
    )
