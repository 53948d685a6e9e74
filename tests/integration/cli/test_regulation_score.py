"""`gridsignal regulation score` as it is typed: the page's example, both methods, wrong input."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from gridsignal.__main__ import main

PAGE = (Path(__file__).parents[3] / "docs" / "regulation.md").read_text("utf-8")
HOUR = re.findall(r"```csv\n(.*?)```", PAGE, re.DOTALL)[0]


def score(words: str, file: Path) -> int:
    """The command's exit code, on this file."""
    try:
        return main(["regulation", "score", str(file), *shlex.split(words)])
    except SystemExit as ended:
        return int(ended.code or 0)


@pytest.fixture
def hour(tmp_path: Path) -> Path:
    file = tmp_path / "hour.csv"
    file.write_text(HOUR, "utf-8")
    return file


def test_the_page_shows_what_is_answered(hour: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line, answer = (re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)[0] for kind in ("sh", "json"))
    assert line.startswith("gridsignal regulation score hour.csv ")
    assert score(line.removeprefix("gridsignal regulation score hour.csv "), hour) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(answer)


def test_people_see_the_parts_the_intervals_and_what_is_paid(hour: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert score("--method pjm-2025 --power 5MW --capability-price 20", hour) == 0
    out = capsys.readouterr().out
    assert re.search(r"precision +0\.5000 +#+\n", out)
    assert re.search(r"00:00 +0\.5000 +4\.17 +#+\n", out)
    assert re.search(r"paid +4\.17\n", out)


@pytest.mark.parametrize(
    ("words", "code", "fault"),
    [
        ("--method pjm-classic", 2, "expected 60 to 391 samples of 10 seconds, got 30"),
        (
            "--method pjm-2025 --power 5MW",
            2,
            "--power: expected --method pjm-2025, --power and --capability-price",
        ),
        ("--method pjm-classic --mileage 1", 2, "--mileage: expected --method pjm-2025"),
        ("--method pjm-2025 --power 5", 2, "5 what? Write 5MW or 5kW."),
        ("--method pjm-2025 --mileage nan", 2, "expected a ratio such as 1 or 2.75, got 'nan'"),
        ("--method pjm-1999", 2, "expected one of pjm-classic, pjm-2025, got"),
        ("", 2, "--method"),
    ],
)
def test_wrong_words_are_named(
    words: str, code: int, fault: str, hour: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score(words, hour) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert fault in err


def test_a_file_that_is_none_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "binary.csv"
    file.write_bytes(b"seconds,\xff\n")
    assert score("--method pjm-2025", file) == 2
    assert capsys.readouterr().err == f"gridsignal: {file}: expected text in UTF-8, got a byte 0xff\n"
    assert score("--method pjm-2025", tmp_path / "none.csv") != 0
    assert "No such file" in capsys.readouterr().err
