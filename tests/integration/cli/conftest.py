"""`gridsignal up` as a process, and commands run against it as a person in a shell runs them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from tests.patience import SOON_S


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True)
class Up:
    """A running stack: its process, its greeting, its folder."""

    process: subprocess.Popen[str]
    greeting: str
    directory: Path

    @property
    def url(self) -> str:
        return re.search(r"ws://\S+", self.greeting)[0]  # type: ignore[index]  # the greeting names it

    @property
    def api(self) -> str:
        return re.search(r"http://\S+", self.greeting)[0]  # type: ignore[index]  # the greeting names it

    @property
    def to_try(self) -> list[str]:
        """The lines it prints to be pasted."""
        told = self.greeting.partition("\nto try: ")[2].splitlines()[1:]
        return [line.strip() for line in told if line.startswith("  ")]

    def towards(self, who: str = "operator-tso-north") -> dict[str, str]:
        """The environment of a command that talks to it as somebody."""
        token = (self.directory / "tokens" / f"{who}.token").read_text("ascii").strip()
        return {"GRIDSIGNAL_API": self.api, "GRIDSIGNAL_URL": self.url, "GRIDSIGNAL_TOKEN": token}


def clean(**environment: str) -> dict[str, str]:
    """This process's environment without settings of ours, with the interpreter's folder on the path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GRIDSIGNAL_")}
    return kept | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"} | environment


def command(*words: str) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "gridsignal", *words]


def ran(words: Sequence[str] | str, stdin: str | bytes = "", cwd: Path | str | None = None, **environment: str) -> Ran:
    """Runs words of the command, or a line in a shell, to its end; never with a traceback."""
    given = stdin.encode() if isinstance(stdin, str) else stdin
    line = words if isinstance(words, str) else command(*words)
    done = subprocess.run(
        line, input=given, capture_output=True, env=clean(**environment), shell=line is words, cwd=cwd, timeout=SOON_S
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


@contextmanager
def running(directory: Path, *words: str, **environment: str) -> Iterator[Up]:
    """From the last line of the greeting to the end of the process."""
    line = command(
        "up", "--directory", str(directory), "--gateway-port", "0", "--dispatch-port", "0", "--ingest-port", "0", *words
    )
    errors = directory.with_name(f"{directory.name}.err")
    with errors.open("w+") as err:
        process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=err, env=clean(**environment), text=True)
        bound = Timer(SOON_S, process.kill)  # a stack that never greets ends the reading below
        bound.start()
        assert process.stdout is not None
        try:
            told: list[str] = []
            while not told or not told[-1].startswith("running"):
                told.append(process.stdout.readline())
                assert told[-1], f"it ended before it ran: {errors.read_text()}"
            bound.cancel()
            yield Up(process, "".join(told), directory)
        finally:
            bound.cancel()
            if process.poll() is None:
                process.terminate()
            process.communicate(timeout=SOON_S)
        assert "Traceback" not in errors.read_text()


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One stack for all commands that leave it standing; its folder has a space in its name."""
    with running(tmp_path_factory.mktemp("stack") / "grid signal") as stack:
        yield stack
