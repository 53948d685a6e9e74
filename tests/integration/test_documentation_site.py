"""`make site`: the pages as a reader in a control room opens them, without a network."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from gridsignal import Grid
from gridsignal.__main__ import COMMANDS

ROOT = Path(__file__).parents[2]
LOADS = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}
"""What a browser fetches by itself."""


class Page(HTMLParser):
    """What a page loads, where its links lead, and which places it has."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.loads, self.leads, self.places = set[str](), set[str](), set[str]()
        self.feed(file.read_text("utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if (place := given.get("id")) is not None:
            self.places.add(place)
        if (loaded := given.get(LOADS.get(tag, ""))) is not None:
            self.loads.add(loaded)
        if tag == "a" and (leads := given.get("href")) is not None:
            self.leads.add(leads)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by the line of the Makefile, elsewhere; a link that leads nowhere or an unreadable docstring fails it."""
    (line,) = re.findall(
        r"\n\t@\$\(PY\) -m (sphinx .*) build/site \$\(ARGS\)\n", (ROOT / "Makefile").read_text("utf-8")
    )
    folder = tmp_path_factory.mktemp("site")
    words = shlex.split(line.replace("build/site-read", str(folder / "read")))
    done = subprocess.run(
        [sys.executable, "-m", *words, str(folder / "site")], cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    assert (done.returncode, done.stderr) == (0, "")
    return folder / "site"


def test_every_page_of_ours_is_there_and_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    written = {path.relative_to(ROOT).with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    assert written <= {path.relative_to(site) for path in site.rglob("*.html")}
    for file in site.rglob("*.html"):
        assert not [url for url in Page(file).loads if re.match(r"\w+:|//", url) and not url.startswith("data:")], file
    for style in site.rglob("*.css"):
        assert not re.findall(r"url\([\"']?(?:https?:|//)", style.read_text("utf-8")), style


def test_every_link_within_leads_somewhere(site: Path) -> None:
    pages = {file.resolve(): Page(file) for file in site.rglob("*.html")}
    for file, page in pages.items():
        for link in (link for link in page.leads if not re.match(r"\w+:", link)):
            path, _, place = link.partition("#")
            there = (file.parent / unquote(path)).resolve() if path else file
            assert there.exists(), f"{file}: {link}"
            assert not place or there not in pages or unquote(place) in pages[there].places, f"{file}: {link}"


def test_the_references_have_every_command_and_every_call(site: Path) -> None:
    commands = Page(site / "docs" / "site" / "commands.html").places
    assert commands >= set(COMMANDS)
    sdk = Page(site / "docs" / "site" / "sdk.html").places
    assert sdk >= {f"gridsignal.Grid.{name}" for name in vars(Grid) if not name.startswith("_")} | {
        "gridsignal.connect"
    }
