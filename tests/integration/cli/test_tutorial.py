"""docs/tutorial.md, command by command: from the first order to the first euro."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.integration.cli.conftest import SOON_S, Ran, Up, ran

PAGE = (Path(__file__).parents[3] / "docs" / "tutorial.md").read_text("utf-8")
SHORTER = {"+3m": "+40s", "+100s": "+20s", "+105s": "+21s", "--respond 1m": "--respond 12s"}
"""A person needs minutes to type what a test types in seconds."""


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

    def type(self, who: str, line: str) -> Ran:
        for placeholder, value in self._found.items():
            line = line.replace(placeholder, value)
        if line.startswith("."):
            self._typed[who] = line
            return ran(line, cwd=self._folder)
        if "request create" in line:
            for spoken, short in SHORTER.items():
                line = line.replace(spoken, short)
        self._wait_for_its_moment(line)
        happened = ran(f"{self._typed[who]}\n{line}", cwd=self._folder)
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

    def _wait_for_its_moment(self, line: str) -> None:
        """As the page says: STARTED when the period has begun, a reading when its interval is over."""
        last = time.monotonic() + 2 * SOON_S
        while "respond started" in line and self._order()["state"] != "ACTIVE":
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
    assert any("0.033 MWh" in out and "3.00 EUR" in out for out in shown)


def test_its_commands_are_all_of_the_page(up: Up) -> None:
    assert len(list(commands())) >= 15
    assert PAGE.count("```sh\n") == len(re.findall(r"```sh\n# (?:acme-ai|tso-north)\n", PAGE))
