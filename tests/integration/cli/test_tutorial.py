"""docs/tutorial.md, command by command: from the first order to the first euro."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Ran, Up, ran
from tests.patience import LONG_S

PAGE = (Path(__file__).parents[3] / "docs" / "tutorial.md").read_text("utf-8")
SHORTER = {"+3m": 40, "+100s": 20, "+105s": 21, "--respond 1m": 12}
"""A person needs minutes to type what a test types in seconds."""


LOOK = "gridsignal watch dispatch --once"


def commands() -> Iterator[tuple[str, str]]:
    """Who types what, in the page's order."""
    for block in re.findall(r"```sh\n# (\S+)\n(.*?)```", PAGE, re.DOTALL):
        who, lines = block
        yield from ((who, line) for line in lines.splitlines())


class Reader:
    """Somebody who follows the page in two terminals."""

    def __init__(self, up: Up, folder: Path) -> None:
        (folder / "gridsignal-data").symlink_to(up.directory)
        self._folder, self._typed = folder, {"acme-ai": "", "tso-north": ""}
        self._found: dict[str, str] = {}
        self._slow = 1.0
        """How many seconds a command takes here: the page's times are shortened no further than that allows."""

    def type(self, who: str, line: str) -> Ran:
        for placeholder, value in self._found.items():
            line = line.replace(placeholder, value)
        if line.startswith("."):
            self._typed[who] = line
            return ran(line, cwd=self._folder)
        if "request create" in line:
            for spoken, short_s in SHORTER.items():
                line = line.replace(spoken, re.sub(r"\d+m?s?$", f"{self._slow * short_s:.0f}s", spoken))
        self._wait_for_its_moment(line)
        began_s = time.monotonic()
        happened = ran(f"{self._typed[who]}\n{line}", cwd=self._folder)
        self._slow = max(self._slow, time.monotonic() - began_s)
        assert happened.code == 0, f"{line}: {happened.err}"
        self._note(line, happened)
        return happened

    def _note(self, line: str, happened: Ran) -> None:
        if "request create" in line:
            self._found["REQUEST_ID"] = happened.out.split("asked: ")[1].split()[0]
        if "order list" in line:
            shown = self._order()
            self._found |= {"ORDER_ID": shown["order"]["order_id"], "STARTS_AT": shown["order"]["starts_at"]}

    def _order(self) -> dict[str, dict[str, str]]:
        line = f"gridsignal order list --request {self._found['REQUEST_ID']} --json"
        rows = ran(f"{self._typed['tso-north']}\n{line}", cwd=self._folder).out
        shown: dict[str, dict[str, str]] = json.loads(rows.splitlines()[0])
        return shown

    def _has_begun(self) -> bool:
        """As the page's own command shows it to the site."""
        shown = ran(f"{self._typed['acme-ai']}\n{LOOK}", cwd=self._folder).out
        return any(self._found["ORDER_ID"] in line and "ACTIVE" in line for line in shown.splitlines())

    def _wait_for_its_moment(self, line: str) -> None:
        """As the page says: STARTED when the period has begun, a reading when its interval is over."""
        last = time.monotonic() + LONG_S
        while "respond started" in line and not self._has_begun():
            assert time.monotonic() < last, "the period never began"
        if "meter report" in line:
            over = datetime.fromisoformat(self._found["STARTS_AT"]) + timedelta(seconds=10)
            while datetime.now(UTC) <= over:
                self._order()


@pytest.mark.slow
def test_the_tutorial_earns_three_euros(up: Up, tmp_path: Path) -> None:
    reader = Reader(up, tmp_path)
    shown = [reader.type(who, line).out for who, line in commands()]
    assert "acme-ai" in shown[1]
    assert "fra-1" in shown[2]
    assert any(": LIVE" in out for out in shown)
    assert any(": ACCEPTED" in out for out in shown)
    assert any("0.033333 MWh" in out and "3.00 EUR" in out for out in shown)


def test_the_times_it_names_are_those_it_asks_for() -> None:
    asked = next(line for _, line in commands() if "request create" in line)
    gate_s, decide_s, respond, start, long = (
        int(re.search(rf"--{option} \+?(\d+)", asked)[1])  # type: ignore[index]  # the line has each
        for option in ("gate", "decide", "respond", "start", "for")
    )
    rows = re.findall(r"^\| (until|from) (.*?) \|", PAGE, re.MULTILINE)
    assert [said for _, said in rows][:4] == [
        f"{gate_s} s",
        f"the offer on, by itself at {decide_s} s",
        f"{respond} min after the clearing",
        f"{start} min to {start + long} min",
    ]
    assert LOOK in [line for _, line in commands()]


def test_its_commands_are_all_of_the_page(up: Up) -> None:
    assert len(list(commands())) >= 15
    assert PAGE.count("```sh\n") == len(re.findall(r"```sh\n# (?:acme-ai|tso-north)\n", PAGE))
