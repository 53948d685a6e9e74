"""`gridsignal audit verify FOLDER`: a whole log proves, and one flipped byte anywhere that counts names its record."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from gridsignal_services.bus.sqlite_reading import log_in
from tests.builders import a_dispatch_request, utc
from tests.integration.audit.test_audit_commands import PARTITION, a_log, change, done, result
from tests.integration.ledger.owner_stage import GATE, an_offer, running
from tests.integration.ledger.test_heads_are_written import heads_of, heads_on

SQL = {
    "value": "value = x'{value}'",
    "time": "appended_us = appended_us + 1",
    "principal": "headers = replace(headers, 'gridsignal_principal\": \"', 'gridsignal_principal\": \"x')",
    "key": "key = key || 'x'",
    "headers": "headers = substr(headers, 2)",
}


async def test_a_log_with_a_clearing_is_decided_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    heads = heads_of(tmp_path / "key", every_s=0.01, after_clearing_s=0.01)
    async with running(tmp_path, utc("16:00"), heads=heads) as stage:
        await stage.a_site("acme", "DE-LU")
        request = a_dispatch_request()
        await stage.submit(request, "operator:tso-north")
        await stage.submit(an_offer("acme", request.request_id, "DE-LU", "offer"), "participant:acme")
        stage.clock.move_to(GATE + timedelta(seconds=1))
        tree = stage.replica.ledger_of("DE-LU").tree
        await stage.until(lambda: tree.cleared_to > 0 and not tree.has_news)
        count = len(heads_on(stage))
    code, said = done(capsys, "verify", tmp_path, "--key", heads.signer.public_key)
    assert code == 0, said
    heads_fit = "1 head fits" if count == 1 else f"{count} heads fit"
    assert f"{heads_fit}, 1 clearing decided again, 0 settlements and 0 baselines computed again" in said
    found = result(capsys, "verify", tmp_path, "--key", "00" * 32)
    assert not found["proven"]
    assert all("signed with a key that is not known" in fault for fault in found["faults"])


@pytest.mark.parametrize("field", SQL)
async def test_one_flipped_byte_names_its_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], field: str
) -> None:
    written = await a_log(tmp_path / "log", more=5)
    assert done(capsys, "head", "--partition", PARTITION, "--directory", written.directory)[0] == 0, "keeps the hashes"
    assert done(capsys, "verify", written.directory)[0] == 0
    with log_in(written.directory) as log:
        records = list(log.records("dispatch", PARTITION))
    for record in records[:-1]:  # the last is a head, which the next covers
        folder = tmp_path / f"{field}-{record.offset}"
        shutil.copytree(written.directory, folder)
        value = bytearray(record.value)
        value[(7 * record.offset + 5) % len(value)] ^= 1 << record.offset % 8
        change(folder, record.offset, SQL[field].format(value=value.hex()))
        code, said = done(capsys, "verify", folder)
        assert (code, f"the record at offset {record.offset} was changed" in said) == (1, True), said


async def test_without_kept_hashes_the_records_between_two_heads_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = await a_log(tmp_path / "log", more=5)
    change(written.directory, 6, SQL["time"])
    code, said = done(capsys, "verify", written.directory)
    assert code == 1
    assert "of the records at offsets 3 to 8 one was changed, or the head was" in said


async def test_a_kept_hash_that_was_changed_is_told_apart_from_a_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = await a_log(tmp_path / "log", more=5)
    assert done(capsys, "head", "--partition", PARTITION, "--directory", written.directory)[0] == 0
    (hashes,) = (written.directory / "tree").glob(f"*/{PARTITION:04}-00.hashes")
    kept = bytearray(hashes.read_bytes())
    kept[4 * 32] ^= 1
    hashes.write_bytes(kept)
    code, said = done(capsys, "verify", written.directory)
    assert code == 1
    assert "the hash kept of the record at offset 4 was changed: the heads fit the record" in said


async def test_a_folder_goes_alone_and_must_hold_a_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = await a_log(tmp_path / "log")
    assert done(capsys, "verify", written.directory, written.directory)[0] == 2
    (tmp_path / "empty").mkdir()
    assert done(capsys, "verify", tmp_path / "empty")[0] == 2


async def test_awards_are_replayed_with_the_same_bytes_and_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running(tmp_path, utc("16:00")) as stage:
        request = a_dispatch_request()
        for who in ("acme", "volt"):
            await stage.a_site(who, "DE-LU")
        await stage.submit(request, "operator:tso-north")
        for who in ("acme", "volt"):
            await stage.submit(an_offer(who, request.request_id, "DE-LU", f"{who}-offer"), f"participant:{who}")
        stage.clock.move_to(GATE + timedelta(seconds=1))
        tree = stage.replica.ledger_of("DE-LU").tree
        await stage.until(lambda: tree.cleared_to > 0)
    capsys.readouterr()  # what the stage has logged
    here = ("--directory", tmp_path)
    replayed = result(capsys, "replay", *here, "--request", request.request_id)
    assert [row["same_bytes"] for row in replayed["clearings"]] == [True]
    assert len(replayed["clearings"][0]["clearing"]["awards"]) == 2
    assert "same bytes: request" in done(capsys, "replay", *here)[1]
    assert result(capsys, "replay", *here, "--request", "another")["clearings"] == []
    told = result(capsys, "explain", "acme-offer", *here)
    assert told["clearings"][0]["awarded_w"] == 1_000_000
    assert len(told["clearings"][0]["merit_order"]) == 2
    code, said = done(capsys, "explain", "acme-offer", "--view", "participant", *here)
    assert (code, "volt" in said, "it was awarded 1 MW" in said) == (0, False, True)
    assert done(capsys, "explain", "nope", *here)[0] == 1
