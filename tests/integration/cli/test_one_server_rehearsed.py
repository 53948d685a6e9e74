"""docs/one-server.md, "Rehearse it": a server is set up, used by two companies, backed up, lost and restored."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Ran, Up, clean, ran, running

PAGE = (Path(__file__).parents[3] / "docs" / "one-server.md").read_text("utf-8")
SECTION = re.findall(r"^## Rehearse it\n(.*?)^## ", PAGE, re.MULTILINE | re.DOTALL)[0]
BLOCKS = re.findall(r"```sh\n# (\w+)\n(.*?)```", SECTION, re.DOTALL)
"""Who types what, in the page's order."""
STAYS = re.compile(r"^(?:python3 -m http\.server|(?:\w+=\S+ )?gridsignal up).*$", re.MULTILINE)
"""Lines that stay running: the test starts them on free ports."""
CARRIED = re.compile(r"^(?:export|set -a).*$", re.MULTILINE)
"""Lines that a terminal remembers."""
NO_PORTS = {f"GRIDSIGNAL_{door}_PORT": "0" for door in ("GATEWAY", "DISPATCH", "INGEST")}
"""Others may have the usual ones here."""


class Reader:
    """Somebody who follows the page, with a terminal for each role."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.here = folder, dict[str, str]()
        self._remembers: dict[str, list[str]] = {}

    def type(self, who: str, block: str) -> Ran:
        known = self._remembers.setdefault(who, [])
        typed = "\n".join(["set -e", *known, STAYS.sub("", block)])
        for spoken, real in self.here.items():
            typed = typed.replace(spoken, real)
        known += CARRIED.findall(block)
        happened = ran(typed, cwd=self.folder, **NO_PORTS)
        assert happened.code == 0, f"{typed}{happened.out}{happened.err}"
        return happened

    @contextmanager
    def serves(self, name: str) -> Iterator[Up]:
        """`gridsignal up` with the settings that the page has written, in this folder."""
        said = dict(re.findall(r"^(\w+)=(.*)$", (self.folder / "server.env").read_text("utf-8"), re.MULTILINE))
        for key in ("REGISTRY", "TLS_CERTIFICATE", "TLS_KEY"):
            said[f"GRIDSIGNAL_{key}"] = str(self.folder / said[f"GRIDSIGNAL_{key}"])
        with running(self.folder / name, **said) as stack:
            for scheme, port in (("wss", 8081), ("https", 8082)):
                self.here[f"{scheme}://localhost:{port}"] = re.search(rf"{scheme}://\S+", stack.greeting)[0]  # type: ignore[index]  # the greeting names it
            yield stack


@contextmanager
def public(folder: Path) -> Iterator[str]:
    """What the page's web server serves, on a free port; its URL."""
    words = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(folder)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=clean(), text=True) as server:
        try:
            assert server.stdout is not None
            (port,) = re.findall(r"port (\d+)", server.stdout.readline())
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()


def test_a_server_is_set_up_used_backed_up_lost_and_restored(tmp_path: Path) -> None:
    reader, blocks = Reader(tmp_path), iter(BLOCKS)
    for _ in range(3):
        reader.type(*next(blocks))
    with public(tmp_path / "public") as url:
        reader.here |= {"http://127.0.0.1:9000": url}
        checked = reader.type(*next(blocks))
        assert "WRONG" not in checked.out
        with reader.serves("server") as stack:
            seen = reader.type(*next(blocks)).out
            assert "north-grid" in seen
            assert "east-compute" in seen
            reader.type(*next(blocks))
            stack.process.kill()
        shutil.rmtree(tmp_path / "server")
        reader.type(*next(blocks))
        with reader.serves("elsewhere"):
            listed = reader.type(*next(blocks)).out
    (asked,) = re.findall(r"asked: (\S+)", seen)
    assert listed.count(asked) == 2
    assert next(blocks, None) is None


@pytest.mark.parametrize("word", ["gridsignal up", "http.server 9000", "localhost:8081", "localhost:8082"])
def test_what_the_test_does_itself_is_what_the_page_says(word: str) -> None:
    assert word in SECTION
