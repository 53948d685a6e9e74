"""`gridsignal audit export`: a folder that proves itself, and one flipped byte anywhere in it is found and named."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.publish import publish
from gridsignal_services.bus.sqlite import SqliteLog
from tests.builders import a_meter_reading
from tests.integration.audit.test_audit_commands import OFFER, a_log, done, result

FILES = ("manifest.json", "dispatch.jsonl", "readings.jsonl", "schemas.json", "SHA256SUMS")
PERIOD = ("--from", "2024-05-12T00:00Z", "--to", "2100-01-01T00:00Z")


@pytest.fixture
async def exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    written = await a_log(tmp_path / "log", more=5)
    log, codec = await SqliteLog.open(written.directory), Codec.from_lock()
    for seq in range(4):
        reading = a_meter_reading(zone=OFFER.zone, seq=seq)
        await publish(log, codec, reading, principal="participant:acme", source="/tests")
    await log.aclose()
    folder = tmp_path / "export"
    code, said = done(
        capsys, "export", "--zone", OFFER.zone, *PERIOD, "--out", folder, "--directory", written.directory
    )
    assert code == 0, said
    (tmp_path / "log").rename(tmp_path / "elsewhere")
    return folder


def test_it_is_checked_where_there_is_no_log(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = done(capsys, "verify", exported)
    assert code == 0, said
    assert "10 records, 2 heads fit" in said
    assert sorted(path.name for path in exported.iterdir()) == sorted(FILES)
    manifest = json.loads((exported / "manifest.json").read_text("utf-8"))
    assert (manifest["records"], manifest["readings"]) == (10, 4)
    assert subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=exported, check=False).returncode == 0


def test_a_record_that_was_changed_in_it_is_named(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (exported / "dispatch.jsonl").read_text("utf-8").splitlines()
    for at in range(9):
        row = json.loads(lines[at])
        changed = json.dumps(row | {"appended_us": row["appended_us"] + 1})
        (exported / "dispatch.jsonl").write_text("\n".join([*lines[:at], changed, *lines[at + 1 :], ""]), "utf-8")
        faults = result(capsys, "verify", exported)["faults"]
        assert any(f"the record at offset {at} was changed: its hash is not the one that was kept" in f for f in faults)
        assert "dispatch.jsonl or its line in SHA256SUMS was changed: its sum is another" in faults


def test_a_reading_that_was_changed_in_it_is_named(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (exported / "readings.jsonl").read_text("utf-8").splitlines()
    row = json.loads(lines[2])
    lines[2] = json.dumps(row | {"principal": "participant:volt"})
    (exported / "readings.jsonl").write_text("\n".join([*lines, ""]), "utf-8")
    assert "the reading at offset 2 was changed: its hash is another" in result(capsys, "verify", exported)["faults"]


@given(st.data())
@settings(max_examples=40, suppress_health_check=list(HealthCheck), deadline=None)
def test_a_flipped_bit_anywhere_is_found(
    exported: Path, capsys: pytest.CaptureFixture[str], data: st.DataObject
) -> None:
    folder = exported.with_name("flipped")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(exported, folder)
    name = data.draw(st.sampled_from(FILES))
    content = bytearray((folder / name).read_bytes())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    (folder / name).write_bytes(content)
    code, said = done(capsys, "verify", folder)
    assert code == 1, said
    assert name in said or "offset" in said


def test_it_ends_with_the_first_head_after_its_period(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = ("--directory", exported.with_name("elsewhere"), "--zone", OFFER.zone)
    early = ("--from", "2024-05-12T00:00Z", "--to", "2024-05-12T00:01Z")
    written = result(capsys, "export", *here, *early, "--out", exported.with_name("early"))
    assert (written["records"], written["readings"]) == (4, 0)
    assert done(capsys, "verify", exported.with_name("early"))[0] == 0


def test_what_can_not_be_exported_says_why(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = ("--directory", exported.with_name("elsewhere"), "--zone", OFFER.zone)
    assert done(capsys, "export", *here, *PERIOD, "--out", exported)[0] == 2
    backwards = ("--from", "2024-05-13T00:00Z", "--to", "2024-05-12T00:00Z")
    code, said = done(capsys, "export", *here, *backwards, "--out", exported.with_name("other"))
    assert (code, "expected --from before --to" in said) == (2, True)
