"""A path that was typed and can't be used is told in one sentence that names it, with 2: the same words fail again."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from gridsignal.__main__ import UNAVAILABLE, USAGE, main
from gridsignal.cli import paths

FOLDERS = ["/dev/null/x", "/proc/gs", "{file}/x"]
"""None of them can be made, by whoever."""
FILES = ["/nix/there.is", "/dev/null/x", "{folder}"]
TAKE_FOLDER = [
    "up --ops-port 0 --directory PATH",
    "replay 2024-05-12 --speed max --log PATH",
    "demo --speed max --directory PATH",
    "log stat --directory PATH",
    "log export {folder}/new.db --directory PATH",
    "log import {log} --directory PATH",
    "log compact --directory PATH",
    "token init --directory PATH",
    "token mint --operator tso-north --directory PATH",
]
TAKE_FILE = [
    "replay PATH",
    "push PATH --zone DE-LU --token-file {token}",
    "ingest parse entsoe PATH",
    "ingest parse entsoe {file} --feeds PATH",
    "ingest status --token-file PATH",
    "up --registry PATH --directory {folder}",
    "up --feeds PATH --directory {folder}",
    "log export PATH --directory {log_folder}",
    "log import PATH --directory {folder}/restored",
    "token init --directory {folder}/keys --registry PATH",
    "token init --directory {folder}/keys --jwks PATH",
    "check-config PATH",
    "request list --token-file PATH",
    "request list --token-file {token} --ca PATH",
    "watch prices --token-file PATH",
    "whoami --url wss://127.0.0.1:1 --token-file {token} --cert PATH",
]
CASES = [(words, path) for takes, of in ((TAKE_FOLDER, FOLDERS), (TAKE_FILE, FILES)) for words in takes for path in of]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A file, a folder, a token and a log that can be used."""
    made = tmp_path_factory.mktemp("given")
    for name in ("file", "token"):
        (made / name).write_text("text", "utf-8")
    (made / "folder").mkdir()
    assert main(["replay", "2024-05-12", "--speed", "max", "--log", str(made / "log_folder"), "--zone", "FR"]) in (0, 1)
    named = {name: str(made / name) for name in ("file", "token", "folder", "log_folder")}
    return named | {"log": str(made / "log_folder" / "log.db")}


@pytest.mark.parametrize(("words", "path"), CASES, ids=lambda part: part.replace("/", "|"))
def test_the_path_is_named_and_trying_again_is_not_advised(
    words: str, path: str, places: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRIDSIGNAL_TOKEN", "text")
    given = path.format(**places)
    typed = [given if word == "PATH" else word.format(**places) for word in words.split()]
    code = main(typed)
    out, err = capsys.readouterr()
    assert (code, out) == (USAGE, ""), err
    (line,) = err.splitlines()
    assert given in line
    assert "Errno" not in line
    assert ".part" not in line


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, UNAVAILABLE), (errno.EACCES, USAGE), (errno.EROFS, USAGE)])
def test_only_what_may_be_otherwise_the_next_time_is_worth_another_try(number: int, code: int, tmp_path: Path) -> None:
    told = OSError(number, "why", str(tmp_path))
    assert (paths.code(told), paths.sentence(told)) == (code, f"{tmp_path}: why")
    assert paths.sentence(OSError("expected a key of mode 0600")) == "expected a key of mode 0600"
