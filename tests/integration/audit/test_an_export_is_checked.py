"""`gridsignal audit export`: a folder that proves itself, and one flipped byte anywhere in it is found and named."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridsignal_services.audit.exporting import DISPATCH, FILES, LINES, READINGS, SUMS, lines_of, sum_of
from tests.effort import examples
from tests.integration.audit.settled_log import PERIOD, ZONE, a_settled_log
from tests.integration.audit.test_audit_commands import done, result
from tests.integration.audit.test_settlements_computed_again import settle

ALL = (*FILES, LINES, SUMS)


@pytest.fixture
async def exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    await a_settled_log(tmp_path / "log")
    folder = tmp_path / "export"
    code, said = done(capsys, "export", "--zone", ZONE, *PERIOD, "--out", folder, "--directory", tmp_path / "log")
    assert code == 0, said
    (tmp_path / "log").rename(tmp_path / "elsewhere")
    return folder


def sealed(folder: Path) -> None:
    """Writes the sums again, as somebody does who forges a file."""
    (folder / LINES).write_text("".join(f"{line}\n" for line in lines_of(folder)), "utf-8")
    (folder / SUMS).write_text("".join(f"{sum_of(folder / name)}  {name}\n" for name in (*FILES, LINES)), "utf-8")


def faults_in(capsys: pytest.CaptureFixture[str], folder: Path) -> list[str]:
    faults: list[str] = result(capsys, "verify", folder)["faults"]
    return faults


def rows_of(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text("utf-8").splitlines()]


def write_rows(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def test_it_is_checked_where_there_is_no_log_and_its_settlements_are_computed_again(
    exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = done(capsys, "verify", exported)
    assert code == 0, said
    assert "1 clearing decided again, 2 settlements and 1 baseline computed again with the same result" in said
    assert "not computed again" not in said
    assert sorted(path.name for path in exported.iterdir()) == sorted(ALL)
    assert subprocess.run(["sha256sum", "--quiet", "-c", SUMS], cwd=exported, check=False).returncode == 0


@given(st.data())
@settings(max_examples=examples(60), suppress_health_check=list(HealthCheck), deadline=None)
def test_a_flipped_bit_anywhere_is_named_by_its_file_and_line(
    exported: Path, capsys: pytest.CaptureFixture[str], data: st.DataObject
) -> None:
    folder = exported.with_name("flipped")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(exported, folder)
    name = data.draw(st.sampled_from(ALL))
    content = bytearray((folder / name).read_bytes())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    line = content[: bit // 8].count(b"\n") + 1
    content[bit // 8] ^= 1 << bit % 8
    (folder / name).write_bytes(content)
    code, said = done(capsys, "verify", folder)
    assert code == 1, said
    if name == SUMS:
        changed = (*FILES, LINES)[line - 1]
        assert f"{changed} or its line in {SUMS} was changed" in said or f"line {line} of {SUMS} was changed" in said
    else:
        assert f"{name} or its line in {SUMS} was changed: its sum is another" in said
    if name in FILES:
        assert f"line {line} of {name}" in said
    if name == DISPATCH:
        assert f"line {line} of {name}, the record at offset {line - 1}," in said


@pytest.mark.parametrize("name", ALL)
def test_a_file_that_was_taken_away_added_or_swapped_is_named(
    exported: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    whole = (exported / name).read_bytes()
    (exported / name).unlink()
    assert f"{name} is missing" in faults_in(capsys, exported)
    (exported / name).write_bytes(whole)
    (exported / f"{name}.bak").write_bytes(whole)
    assert faults_in(capsys, exported) == [f"{name}.bak was added: nothing of that name was exported"]
    (exported / f"{name}.bak").unlink()
    other = ALL[ALL.index(name) - 1]
    (exported / name).write_bytes((exported / other).read_bytes())
    (exported / other).write_bytes(whole)
    faults = faults_in(capsys, exported)
    for each in {name, other} - {SUMS}:
        assert any(each in fault and "was changed" in fault for fault in faults), faults


@pytest.mark.parametrize("at", range(8))
def test_a_record_that_was_forged_with_all_sums_does_not_fit_its_head(
    exported: Path, capsys: pytest.CaptureFixture[str], at: int
) -> None:
    rows = rows_of(exported, DISPATCH)
    rows[at]["appended_us"] += 1
    write_rows(exported, DISPATCH, rows)
    sealed(exported)
    wanted = f"the record at offset {at} was changed: its hash is not the one that was kept"
    assert any(wanted in fault or "does not fit" in fault for fault in faults_in(capsys, exported))


def test_readings_that_were_forged_with_all_sums_give_other_figures(
    exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = rows_of(exported, READINGS)
    for at in range(len(rows)):
        write_rows(exported, READINGS, rows[:at] + rows[at + 1 :])
        manifest = json.loads((exported / "manifest.json").read_text("utf-8"))
        (exported / "manifest.json").write_text(json.dumps(manifest | {"readings": len(rows) - 1}), "utf-8")
        sealed(exported)
        faults = faults_in(capsys, exported)
        assert any("is from other readings" in fault or "corrects nothing" in fault for fault in faults), rows[at]
    write_rows(exported, READINGS, rows)
    (exported / "manifest.json").write_text(json.dumps(manifest | {"readings": len(rows)}), "utf-8")
    sealed(exported)
    assert faults_in(capsys, exported) == []


def test_readings_that_are_said_to_be_kept_no_more_are_told_of(
    exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_rows(exported, READINGS, [])
    manifest = json.loads((exported / "manifest.json").read_text("utf-8"))
    (exported / "manifest.json").write_text(json.dumps(manifest | {"readings": 0, "readings_kept_from": 9}), "utf-8")
    sealed(exported)
    code, said = done(capsys, "verify", exported)
    assert (code, "3 not computed again: readings that they are from are" in said) == (0, True), said


def test_it_ends_with_the_first_head_after_its_period(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = ("--directory", exported.with_name("elsewhere"), "--zone", ZONE)
    early = ("--from", "2024-05-12T00:00Z", "--to", "2024-05-12T00:01Z")
    written = result(capsys, "export", *here, *early, "--out", exported.with_name("early"))
    assert written["records"] < len(rows_of(exported, DISPATCH))
    assert done(capsys, "verify", exported.with_name("early"))[0] == 0


def test_what_can_not_be_exported_says_why(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = ("--directory", exported.with_name("elsewhere"))
    there = ("--out", exported.with_name("other"))
    assert done(capsys, "export", *here, "--zone", ZONE, *PERIOD, "--out", exported)[0] == 2
    backwards = ("--from", "2024-05-13T00:00Z", "--to", "2024-05-12T00:00Z")
    code, said = done(capsys, "export", *here, "--zone", ZONE, *backwards, *there)
    assert (code, "expected --from before --to" in said) == (2, True)
    code, said = done(capsys, "export", *here, "--zone", "FR", *PERIOD, *there)
    assert (code, "expected a zone of which something is on the log" in said) == (2, True)


@pytest.mark.parametrize("zone", ["DE_LU", "NL", "FR"])
def test_a_zone_of_which_nothing_is_on_the_log_is_told_whatever_shares_its_partition(
    exported: Path, capsys: pytest.CaptureFixture[str], zone: str
) -> None:
    asked = ("--zone", zone, "--directory", exported.with_name("elsewhere"))
    ended = [
        done(capsys, "verify", *asked),
        done(capsys, "export", *asked, *PERIOD, "--out", exported.with_name("other")),
        settle(capsys, "verify", *asked),
        settle(capsys, "run", *asked),
    ]
    for code, said in ended:
        assert code == 2, said
        assert f"expected a zone of which something is on the log, got {zone}" in said
    assert not exported.with_name("other").exists()
