"""`gridsignal clear study` as it is typed: the page's example, what people see, wrong input."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gridsignal.__main__ import main

PAGE = (Path(__file__).parents[3] / "docs" / "clearing.md").read_text("utf-8")
CASE, ANSWER = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def market(tmp_path: Path) -> Path:
    file = tmp_path / "market.json"
    file.write_text(CASE, "utf-8")
    return file


def study(*words: str) -> int:
    try:
        return main(["clear", "study", *words])
    except SystemExit as ended:
        return int(ended.code or 0)


def test_the_page_shows_what_is_answered(market: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert study(str(market), "--json") == 0
    out, err = capfd.readouterr()
    assert (json.loads(out), err) == (json.loads(ANSWER), "")


def test_people_see_prices_and_what_moves(market: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert study(str(market)) == 0
    out = capfd.readouterr().out
    assert re.search(r"A +1 +23\.00 +50\.000 +70\.000 +50\.000 +#+\n", out)
    assert re.search(r"A 1 +A 4 +10\.000", out)
    assert "welfare    5,090.00\nstatus     OPTIMAL\n" in out


def test_wrong_input_is_named(market: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"supply": [], "demand": 3, "colour": 1}', "utf-8")
    for words, code, faults in (
        ([str(wrong)], 2, ["/demand: expected", "/colour: "]),
        ([str(market), "--time-limit", "0"], 2, ["expected seconds such as 10"]),
        ([str(market), "--time-limit", "nan"], 2, ["expected seconds such as 10"]),
        ([str(tmp_path / "none.json")], 2, ["No such file"]),
        ([], 2, ["CASE.json"]),
    ):
        assert study(*words) == code
        out, err = capfd.readouterr()
        assert out == ""
        assert all(fault in err for fault in faults), err
