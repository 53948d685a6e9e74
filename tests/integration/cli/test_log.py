"""`gridsignal log`: what a person who keeps a log does with it, and what they are told where it can't be done."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gridsignal_services.bus.sqlite_keeping import measure
from gridsignal_services.cli.log import EXAMPLE
from tests.integration.cli.conftest import Up, ran

README = (Path(__file__).parents[3] / "README.md").read_text("utf-8")
BACKUP = (Path(__file__).parents[3] / "docs" / "backup.md").read_text("utf-8")


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which somebody has replayed a day."""
    folder = tmp_path_factory.mktemp("kept")
    assert ran(["replay", "2024-05-12", "--log", "gridsignal-data"], cwd=folder).code == 0
    return folder


def test_a_day_of_keeping_a_log(replayed: Path) -> None:
    lines = [line.strip() for line in EXAMPLE.splitlines() if line.startswith("  gridsignal")]
    for line in lines:
        told = ran(line.replace("/var/lib/gridsignal", "gridsignal-data"), cwd=replayed)
        assert (told.code, told.err) == (0, ""), line
    sizes = [
        ran(["log", "stat", "--json", "--directory", name], cwd=replayed) for name in ("gridsignal-data", "restored")
    ]
    kept, restored = (json.loads(size.out) for size in sizes)
    assert [topic["records"] for topic in restored["topics"]] == [topic["records"] for topic in kept["topics"]]
    assert restored["epoch"] != kept["epoch"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["stat", "--directory", "nowhere"], "nowhere/log.db: expected a log, got no such file"),
        (["export", "gridsignal-data"], "gridsignal-data: expected no such file yet, got one; name another"),
        (["export", "no/such/folder"], "No such file or directory"),
        (["import", "nothing.db", "--directory", "new"], "nothing.db: expected a log, got no such file"),
        (["compact", "--directory", "nowhere"], "nowhere/log.db: expected a log, got no such file"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_a_code(replayed: Path, words: list[str], said: str) -> None:
    told = ran(["log", *words], cwd=replayed)
    assert (told.code, told.out, told.err.count("\n")) == (2, "", 1)
    assert said in told.err


def test_the_readme_backs_up_a_running_stack_and_restores_it_with_its_tokens(up: Up, tmp_path: Path) -> None:
    (block,) = (block for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "log export" in block)
    (tmp_path / "gridsignal-data").symlink_to(up.directory)
    lines = block.splitlines()
    assert lines.pop() == "gridsignal up --directory restored"
    for line in lines:
        told = ran(line, cwd=tmp_path)
        assert (told.code, told.err) == (0, ""), line
    token = (up.directory / "tokens" / "operator-tso-north.token").read_bytes()
    assert ran(["token", "show", "--directory", "restored"], stdin=token, cwd=tmp_path).code == 0


def test_the_page_about_backups_restores_and_moves_a_log(up: Up, tmp_path: Path) -> None:
    (tmp_path / "gridsignal-data").symlink_to(up.directory)
    blocks = re.findall(r"```sh\n(.*?)```", BACKUP, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if not line.startswith("gridsignal up ")]
    no_ports = {f"GRIDSIGNAL_{door}_PORT": "0" for door in ("GATEWAY", "DISPATCH", "INGEST")}
    for line in lines:
        told = ran(line, cwd=tmp_path, **no_ports)
        assert (told.code, told.err) == (0, ""), line
    epochs = {name: measure(tmp_path / name).epoch for name in ("gridsignal-data", "restored", "moved")}
    assert epochs["moved"] == epochs["gridsignal-data"] != epochs["restored"]
    told_of = set(re.findall(r"`([a-z_]+)(?:\.\w+|/)(?:-wal)?`", BACKUP))
    there = {path.name.partition(".")[0] for path in up.directory.iterdir() if path.suffix not in (".lock", ".env")}
    assert there <= told_of, "the page says of each what is lost without it"


def test_a_running_stack_is_measured_and_backed_up_and_not_compacted(up: Up, tmp_path: Path) -> None:
    directory = ["--directory", str(up.directory)]
    assert "gridsignal.dispatch" in ran(["log", "stat", *directory]).out
    backup = ran(["log", "export", str(tmp_path / "backup.db"), *directory, "--json"])
    assert (backup.code, backup.rows()[0]["bytes"]) == (0, (tmp_path / "backup.db").stat().st_size)
    refused = ran(["log", "compact", *directory])
    assert refused.code == 2
    assert f"in use, owned by pid {up.process.pid}" in refused.err
