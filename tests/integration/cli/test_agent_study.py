"""`gridsignal agent study` and `simulate` as they are typed: the examples, what people see, wrong input."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from gridsignal.__main__ import main
from gridsignal.cli import agent_playing, agent_study
from tests.reading_files import days_of_a_series

STUDY, SIMULATION = map(str.strip, agent_playing.EXAMPLES.splitlines())


def typed(line: str) -> int:
    try:
        return main(shlex.split(line)[1:])
    except SystemExit as ended:
        return int(ended.code or 0)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "series.csv").write_text(days_of_a_series(), "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_example_of_a_study_says_how_far_it_is_and_what_every_policy_came_to(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert typed(f"{STUDY} --json --progress") == 0
    out, err = capfd.readouterr()
    (said,) = map(json.loads, out.splitlines())
    told = [f"DE-LU training 0: {policy}, 1 of 1 spans" for policy in agent_study.POLICIES]
    assert [line.partition("gridsignal: ")[2].rpartition(",")[0] for line in err.splitlines()] == told
    assert [each["late"] for each in said["policies"].values()] == [0] * 5
    assert said["lp_bound"] <= said["policies"]["plan"]["objective"] < said["policies"]["at once"]["objective"]


def test_the_example_of_a_simulation_writes_its_page(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert typed(SIMULATION) == 0
    out = capfd.readouterr().out
    assert "SYNTHETIC" in out
    assert "jobs late            0" in out
    page = (folder / "agent-simulation.html").read_text("utf-8")
    assert "SYNTHETIC" in page
    assert page.endswith("</html>\n")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("gridsignal agent study none.csv --zone DE-LU", "none.csv: No such file"),
        ("gridsignal agent study series.csv --zone FR", "expected hours with price and carbon for FR, got 0"),
        ("gridsignal agent study series.csv --zone DE-LU --months 1", "expected 7 days from the second of a month on"),
        ("gridsignal agent simulate --zone DE-LU --cluster 8xTPU", "expected a cluster such as 256xH100"),
        ("gridsignal agent simulate --zone FR --series series.csv", "expected hours with price and carbon for FR"),
    ],
)
def test_what_can_not_be_played_is_told(line: str, told: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert typed(line) == 2
    assert told in capfd.readouterr().err
