"""`gridsignal baseline study` as it is typed: docs/settlement.md's example, the field's worked figures, wrong input."""

from __future__ import annotations

import json
import re
import shlex
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from gridsignal.__main__ import main
from gridsignal_services.settlement.methods import METHODS
from tests.reading_files import a_month_of_hours, csv_of, hours, ten_days, working_days_before

PAGE = (Path(__file__).parents[3] / "docs" / "settlement.md").read_text("utf-8").partition("## Baselines")[2]
DAY = date(2024, 5, 14)
ASKED = "--day 2024-05-14 --event 17:00-18:00 --timezone Europe/Berlin"


class Study:
    """The command on a file of its own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._file, self._capsys = folder / "readings.csv", capsys

    def __call__(self, text: str, words: str) -> tuple[int, str, str]:
        self._file.write_text(text, "utf-8")
        try:
            code = main(["baseline", "study", str(self._file), *shlex.split(words)])
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = self._capsys.readouterr()
        return code, out, err

    def json(self, text: str, words: str) -> dict[str, Any]:
        code, out, err = self(text, f"{words} --json")
        assert (code, err) == (0, "")
        found: dict[str, Any] = json.loads(out)
        return found

    def fault(self, text: str, words: str) -> tuple[int, str]:
        code, out, err = self(text, words)
        assert out == ""
        return code, err.replace(str(self._file), "FILE")


@pytest.fixture
def study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Study:
    return Study(tmp_path, capsys)


def test_the_page_shows_what_is_answered(study: Study) -> None:
    shown = [re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)[0] for kind in ("csv", "sh", "json")]
    readings, line, answer = shown
    words = line.removeprefix("gridsignal baseline study readings.csv ")
    assert words != line
    assert study.json(readings, words.replace("--json", "")) == json.loads(answer)


@pytest.mark.parametrize(
    ("today_w", "words", "history_w", "baseline_w"),
    [
        ((110, 114, 118), "caiso-10-of-10", 103.0, 123.0818),
        ((110, 114, 118), "caiso-10-of-10 --param adjust=ADDITIVE", 103.0, 121.6),
        ((120, 124, 128), "caiso-10-of-10", 103.0, 123.6),
        ((120, 124, 128), "caiso-10-of-10 --param clip=0.3", 103.0, 133.8784),
        ((110, 114, 118), "high-5-of-10", 108.0, 108.0),
        ((110, 114, 118), "high-5-of-10 --param pick=MID --param x=4", 103.0, 103.0),
        ((110, 114, 118), "high-4-of-5", 104.0, 104.0),
    ],
)
def test_the_worked_figures(
    study: Study, today_w: tuple[int, int, int], words: str, history_w: float, baseline_w: float
) -> None:
    found = study.json(ten_days(DAY, today_w), f"--method {words} {ASKED}")
    assert (found["method"], found["version"]) == (words.split()[0], 1)
    assert (found["history_w"], found["baseline_w"]) == ([history_w], [baseline_w])


@pytest.mark.parametrize(
    ("words", "days", "history_w"),
    [
        ("", "22 21 20 19 18 15 14 13 12 11", 1.19),
        ("--event-days 2023-12-20", "22 21 19 18 15 14 13 12 11 8", 1.19),
        ("--event-days 2023-12-20,2023-12-19", "22 21 18 15 14 13 12 11 8 7", 1.19),
    ],
)
def test_the_days_before_christmas(study: Study, words: str, days: str, history_w: float) -> None:
    chosen = [date(2023, 12, int(day)) for day in days.split()]
    others = dict.fromkeys(working_days_before(date(2023, 12, 25), 14), "99")
    values = others | {day: ("1.1", "1.2", "1.3")[at % 3] for at, day in enumerate(chosen)}
    text = csv_of(line for day, value in values.items() for line in hours(day, {17: value}))
    asked = f"--method uk-bl01 --day 2023-12-25 --event 17:00-18:00 --timezone Europe/Berlin {words}"
    found = study.json(text, asked)
    assert found["days"] == [day.isoformat() for day in chosen]
    assert found["history_w"] == found["baseline_w"] == [history_w]
    assert found["adjustment"] == {"kind": "ADDITIVE", "value": None}


def test_without_json_it_is_a_table_with_bars(study: Study) -> None:
    code, out, err = study(ten_days(DAY, (110, 114, 118)), f"--method caiso-10-of-10 {ASKED} --param least=3")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "caiso-10-of-10 version 1 with least 3, 2024-05-14, in watts"
    assert lines[2].split() == ["17:00+0200", "18:00+0200", "103", "123.0818", "-", "#" * 24]
    assert "adjusted   SCALAR: times 1.1949685535" in lines


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "2024-05-13T17:00,2024-05-13T18:00+02:00,1",
            "FILE: line 2, column starts_at: expected a time with its offset",
        ),
        ("2024-05-13T17:00+02:00,2024-05-13T18:00+02:00,ten", "FILE: line 2, column import_w: expected a number"),
        ("", "FILE: expected readings below the head line, got none"),
    ],
)
def test_a_file_that_can_not_be_read_is_told_by_line_and_column(study: Study, line: str, said: str) -> None:
    code, err = study.fault(csv_of([line]), f"--method uk-bl01 {ASKED}")
    assert code == 2
    assert said in err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (f"--method best {ASKED}", 2, "--method: expected one of declared, caiso-10-of-10, "),
        (f"--method uk-bl01 {ASKED} --day 14.5.2024", 2, "--day: expected a day such as 2024-05-14, got '14.5.2024'"),
        (f"--method uk-bl01 {ASKED} --event 17-18", 2, "--event: expected hours such as 17:00-18:30, got '17-18'"),
        (f"--method uk-bl01 {ASKED} --event 17:00-25:00", 2, "--event: expected hours such as 17:00-18:30"),
        (f"--method uk-bl01 {ASKED} --timezone Berlin", 2, "--timezone: expected a time zone such as Europe/Berlin"),
        (f"--method uk-bl01 {ASKED} --holidays XX", 2, "--holidays: expected a country such as GB or a part of one"),
        (f"--method uk-bl01 {ASKED} --holidays DE-XX", 2, "--holidays: expected a country such as GB or a part of one"),
        (f"--method uk-bl01 {ASKED} --event-days 2024-05-01,x", 2, "--event-days: expected a day such as 2024-05-14"),
        (f"--method uk-bl01 {ASKED} --param clip", 2, "--param: expected NAME=VALUE such as clip=0.3, got 'clip'"),
        (f"--method uk-bl01 {ASKED} --param clop=1", 2, "--param: clop: expected one of x, y, "),
        (
            "--method uk-bl01 --day 2024-03-31 --event 02:30-04:00 --timezone Europe/Berlin",
            2,
            "--event: expected hours that the day has, and the clock skips 02:30 on 2024-03-31 in Europe/Berlin",
        ),
        (f"--method declared {ASKED}", 1, "declared reads no history"),
        (f"--method uk-bl01 {ASKED} --event-days 2024-05-13", 1, "uk-bl01 needs 10 working days with readings"),
        (f"--method pjm-3-plus-2 {ASKED}", 1, "the readings of 15:00 to 16:00 are missing"),
    ],
)
def test_what_can_not_be_answered_is_told_in_a_line(study: Study, words: str, code: int, said: str) -> None:
    got = study.fault(csv_of(hours(DAY, {13: 1, 14: 1})), words)
    assert got[0] == code
    assert said in got[1]
    assert "Traceback" not in got[1]


def test_a_file_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["baseline", "study", str(tmp_path / "none.csv"), "--method", "uk-bl01", *ASKED.split()]
    assert main(words) == 2
    assert capsys.readouterr().err == f"gridsignal: {tmp_path}/none.csv: No such file or directory\n"


def test_bytes_that_are_no_text_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "readings.csv"
    file.write_bytes(b"starts_at,ends_at,import_w\n\xff")
    assert main(["baseline", "study", str(file), "--method", "uk-bl01", *ASKED.split()]) == 2
    assert "expected text in UTF-8, got a byte 0xff" in capsys.readouterr().err


def compare(text: str, words: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    (folder / "readings.csv").write_text(text, "utf-8")
    assert main(["baseline", "compare", str(folder / "readings.csv"), *shlex.split(words)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out.splitlines()


def test_every_method_side_by_side_with_its_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = a_month_of_hours(DAY)
    rows = {row["method"]: row for row in map(json.loads, compare(text, f"{ASKED} --json", tmp_path, capsys))}
    assert list(rows) == list(METHODS)
    assert rows["declared"]["baseline_w"] is None
    assert rows["declared"]["why"].startswith("declared reads no history")
    assert rows["caiso-10-of-10"]["baseline_w"] == [23 * 10**6]
    assert (rows["caiso-10-of-10"]["bias"], rows["caiso-10-of-10"]["rrmse"]) == (0, 0)
    assert rows["pjm-3-plus-2"]["quiet_days"] == 30
    assert rows["caiso-10-of-10"]["quiet_days"] < 30
    table = compare(text, ASKED, tmp_path, capsys)
    assert table[0] == "2024-05-14, and what would have been said of the last 30 quiet days"
    assert [line.split()[0] for line in table[2:8]] == list(METHODS)
    assert table[3].endswith("#" * 23)
